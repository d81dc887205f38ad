//! The files under config.d and users.d that a host needs.

use formats::{mark, xml};
use plan::Unknown;
use protocol::facts::FileQuery;
use protocol::{DirectoryState, Operation, Text};
use types::HostName;

use super::config_xml::root;
use super::files;
use crate::observe::server::queries;
use crate::observe::view::View;
use crate::rules::coordination::ids::Ids;
use crate::rules::coordination::quorum::Quorum;
use crate::rules::file_change::{FileChange, Stop};
use kit::{QUICK, Task, action};

/// The part of the task that writes the users.
pub(crate) const USERS: &str = "users";

/// The tasks that write a host's files.
pub(crate) fn tasks(quorum: &Quorum<'_>, host: &HostName) -> Result<Vec<Task>, Stop> {
    let (view, settings) = (quorum.view, quorum.view.settings);
    let root = root(view, host)?;
    let files = [
        ("clusters", files::clusters(settings, root)),
        ("macros", files::macros(settings, root, host)),
        ("keeper", keeper(quorum, host)?),
        ("settings", files::listen(settings, root, host)),
    ];
    let mut tasks = Vec::new();
    tasks.extend(make_directory(view, host, &settings.config_d())?);
    for (name, text) in files {
        let query = queries::config_file(settings, name);
        tasks.extend(write(view, host, &query, text, None)?.map(|task| task.part(name)));
    }
    if let Some(query) = queries::users_file(settings) {
        tasks.extend(make_directory(view, host, &settings.users_d())?);
        let text = files::users(settings, root);
        let owner = settings.password.as_ref().map(|_| "clickhouse");
        tasks.extend(write(view, host, &query, text, owner)?.map(|task| task.part(USERS)));
    }
    Ok(tasks)
}

/// The task that writes the file of a Keeper that is departing. It learns of the joining ones as well: it may be the leader,
/// which takes them in when its own file names them.
pub(crate) fn keeper_task(quorum: &Quorum<'_>, host: &HostName) -> Result<Option<Task>, Stop> {
    let query = queries::config_file(quorum.view.settings, "keeper");
    let task = write(quorum.view, host, &query, keeper(quorum, host)?, None)?;
    Ok(task.map(|task| task.part("keeper")))
}

/// The text of keeper.xml as it should be.
pub(crate) fn keeper(quorum: &Quorum<'_>, host: &HostName) -> Result<Text, Stop> {
    let root = root(quorum.view, host)?;
    let ids = Ids::find(quorum.view, &quorum.membership.voters)?;
    Ok(files::keeper(
        quorum.view.settings,
        &quorum.membership,
        root,
        host,
        &ids,
    ))
}

fn make_directory(view: &View<'_>, host: &HostName, path: &str) -> Result<Option<Task>, Unknown> {
    if view.facts.get(host, &queries::directory(path))?.meta().is_some() {
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

/// Writes a file that is managed as a whole, unless it says the same already. One with a password belongs to the server's
/// user, and no other user reads it.
fn write(
    view: &View<'_>,
    host: &HostName,
    query: &FileQuery,
    text: Text,
    owner: Option<&str>,
) -> Result<Option<Task>, Unknown> {
    let fact = view.facts.get(host, query)?;
    let found = fact.text().map(Text::as_str);
    let is_same = found.is_some_and(|found| {
        xml::is_same(found, text.as_str()) && mark::read(found) == mark::read(text.as_str())
    });
    let (mode, owner) = owner.map_or((0o644, "root"), |owner| (0o640, owner));
    let reason = match fact.meta() {
        None => "it is missing".to_owned(),
        Some(_) if !is_same => "its content differs".to_owned(),
        // A file without a password may be readable by others as long as the server can read it.
        Some(meta) if owner == "root" => {
            let is_readable =
                meta.mode & 0o004 != 0 || (meta.owner == "clickhouse" && meta.mode & 0o400 != 0);
            let is_writable = meta.mode & 0o022 != 0;
            if is_readable && !is_writable {
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
    let change = FileChange {
        path: &query.path,
        before: fact.text().cloned(),
        after: text,
        was: fact.state(),
        mode,
        owner,
        group: owner,
    };
    Ok(Some(change.task(host, verb, reason)))
}
