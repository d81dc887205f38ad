//! The step `config`: the files under config.d and users.d, as the server's own config.xml wants them.

use formats::mark;
use plan::{Facts, Preview, Refusal, Unknown};
use protocol::facts::FileQuery;
use protocol::{DirectoryState, FileState, Operation, Text};
use thiserror::Error;
use types::HostName;

use crate::observe::queries;
use crate::observe::server as view;
use crate::rules::coordination::ids::{Conflict, Ids};
use crate::rules::coordination::quorum;
use crate::rules::server::files::{self, Root};
use crate::settings::Settings;
use formats::xml;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, action};

/// Why a host's files cannot be written.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum Stop {
    /// Too little is known.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// They must not be.
    #[error("{}", .0.why)]
    Refused(Box<Refusal>),
    /// The members have no numbers; the step `check` says why.
    #[error(transparent)]
    Numbers(#[from] Conflict),
}

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    for host in cx.hosts {
        match tasks(settings, host, cx) {
            Ok(tasks) => plan.tasks.extend(tasks),
            // The step `check` has said so, and stopped this host.
            Err(Stop::Refused(_) | Stop::Numbers(_)) => {}
            Err(stop @ Stop::Unknown(_)) => plan.unplanned.push((host.clone(), stop.to_string())),
        }
    }
    for host in settings.leavers.iter().filter(|host| cx.others.contains(host)) {
        plan.tasks.extend(introduce(settings, host, cx).ok().flatten());
    }
    plan
}

/// A Keeper that is to leave learns of the newcomers as well: it may be the leader, who takes them in when its own file
/// names them.
fn introduce(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, Stop> {
    if settings.keeper().is_none() {
        return Ok(None);
    }
    let text = files::keeper(
        settings,
        root(settings, host, cx.facts)?,
        host,
        &ids(settings, cx.facts)?,
    );
    let task = write(host, &queries::config_file(settings, "keeper"), text, None, cx)?;
    Ok(task.map(|task| task.part("keeper")))
}

/// The numbers of the members of the quorum.
pub(crate) fn ids(settings: &Settings, facts: &Facts) -> Result<Ids, Conflict> {
    Ids::find(settings, &quorum::seen(settings, facts))
}

/// What is to be written on a host.
pub(crate) fn tasks(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> Result<Vec<Task>, Stop> {
    let root = root(settings, host, cx.facts)?;
    let ids = ids(settings, cx.facts)?;
    let mut tasks = Vec::new();
    tasks.extend(make_directory(host, &settings.config_d(), cx)?);
    for name in queries::CONFIG_FILES {
        let text = match name {
            "clusters" => files::clusters(settings, root),
            "macros" => files::macros(settings, root, host),
            "keeper" => files::keeper(settings, root, host, &ids),
            _ => files::listen(settings, root, host),
        };
        let query = queries::config_file(settings, name);
        tasks.extend(write(host, &query, text, None, cx)?.map(|task| task.part(name)));
    }
    if let Some(query) = queries::users_file(settings) {
        tasks.extend(make_directory(host, &settings.users_d(), cx)?);
        let text = files::users(settings, root);
        let owner = settings.password.as_ref().map(|_| "clickhouse");
        tasks.extend(write(host, &query, text, owner, cx)?.map(|task| task.part("users")));
    }
    Ok(tasks)
}

fn make_directory(host: &HostName, path: &str, cx: &Cx<'_>) -> Result<Option<Task>, Unknown> {
    if cx.facts.get(host, &queries::directory(path))?.meta().is_some() {
        return Ok(None);
    }
    let operation = Operation::MakeDirectory {
        path: path.to_owned(),
        mode: 0o755,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        was: DirectoryState::Absent,
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let task = Task::new(
        host,
        format!("make {path}"),
        "it is missing",
        action(operation, QUICK),
    );
    Ok(Some(task.part(format!("dir.{name}"))))
}

/// Writes a file that is ours as a whole, unless it says the same already. One that holds a password belongs to the
/// server's user and nobody else reads it.
fn write(
    host: &HostName,
    query: &FileQuery,
    text: Text,
    owner: Option<&str>,
    cx: &Cx<'_>,
) -> Result<Option<Task>, Unknown> {
    let fact = cx.facts.get(host, query)?;
    let path = &query.path;
    let found = fact.text().map(Text::as_str);
    let is_same = found.is_some_and(|found| {
        xml::is_same(found, text.as_str()) && mark::read(found) == mark::read(text.as_str())
    });
    let (mode, owner) = owner.map_or((0o644, "root"), |owner| (0o640, owner));
    let reason = match fact.meta() {
        None => "it is missing".to_owned(),
        Some(_) if !is_same => "its content differs".to_owned(),
        // Without a password in it, who else reads it does not matter as long as the server does.
        Some(meta) if owner == "root" => {
            let is_readable =
                meta.mode & 0o004 != 0 || (meta.owner == "clickhouse" && meta.mode & 0o400 != 0);
            let is_foreign = meta.mode & 0o022 != 0;
            if is_readable && !is_foreign {
                return Ok(None);
            }
            format!("it is {:04o} {}:{}", meta.mode, meta.owner, meta.group)
        }
        Some(meta) if meta.mode == mode && meta.owner == owner && meta.group == owner => return Ok(None),
        Some(meta) => format!(
            "it is {:04o} {}:{} instead of {mode:04o} {owner}:{owner}",
            meta.mode, meta.owner, meta.group
        ),
    };
    let verb = if fact.meta().is_some() { "change" } else { "create" };
    let preview = Preview::File {
        path: path.clone(),
        before: fact.text().cloned(),
        after: text.clone(),
    };
    let operation = Operation::WriteFile {
        path: path.clone(),
        text,
        mode,
        owner: owner.to_owned(),
        group: owner.to_owned(),
        was: fact.state(),
    };
    Ok(Some(
        Task::new(host, format!("{verb} {path}"), reason, action(operation, QUICK)).preview(preview),
    ))
}

/// The root element that a host's files must have.
pub(crate) fn root(settings: &Settings, host: &HostName, facts: &Facts) -> Result<Root, Stop> {
    let query = queries::config(settings);
    let fact = facts.get(host, &query)?;
    let refused = |why: String, way_out: &str| {
        Err(Stop::Refused(Box::new(Refusal {
            service: None,
            host: Some(host.clone()),
            what: format!("nothing is changed on {host}"),
            why,
            way_out: way_out.to_owned(),
            consent: None,
        })))
    };
    if fact.state() == FileState::Absent {
        if is_missing(settings, host, facts)? {
            let version = candidate(settings, host, facts)?;
            let named = settings.root.or_else(|| version.map(Root::of_version));
            return Ok(named.unwrap_or(Root::ClickHouse));
        }
        return refused(
            format!(
                "{} is missing, and all of the server's files depend on it",
                query.path
            ),
            "put the package's file back: apt-get install --reinstall -o Dpkg::Options::=--force-confmiss \
             clickhouse-server",
        );
    }
    let Some(text) = fact.text() else {
        return refused(
            format!("{} is not text", query.path),
            "put the package's file back",
        );
    };
    match xml::parse(text.as_str()) {
        Err(error) => refused(
            format!("{} is not XML, {error}", query.path),
            "correct it first: the server would not start with it",
        ),
        Ok(element) => match Root::named(&element.name) {
            Some(root) => Ok(root),
            None => refused(
                format!("the root element of {} is <{}>", query.path, element.name),
                "it must be <clickhouse>, or <yandex> before 21.10",
            ),
        },
    }
}

/// Whether the server's package is to be installed.
fn is_missing(settings: &Settings, host: &HostName, facts: &Facts) -> Result<bool, Unknown> {
    if settings.package.is_empty() {
        return Ok(false);
    }
    Ok(facts.get(host, &queries::package(settings))?.version.is_none())
}

/// The version that would be installed.
fn candidate(settings: &Settings, host: &HostName, facts: &Facts) -> Result<Option<(u32, u32)>, Unknown> {
    let fact = facts.get(host, &queries::candidate(settings))?;
    Ok(fact.version.as_deref().and_then(view::version))
}

/// The version that is installed, or would be.
pub(crate) fn version(settings: &Settings, host: &HostName, facts: &Facts) -> Option<(u32, u32)> {
    if let Some(live) = view::talk(settings, host, facts).up()
        && let Some(version) = view::version(&live.version)
    {
        return Some(version);
    }
    let installed = facts.get(host, &queries::package(settings)).ok();
    match installed.and_then(|fact| fact.version.as_deref()) {
        Some(text) => view::version(text),
        None => candidate(settings, host, facts).ok().flatten(),
    }
}
