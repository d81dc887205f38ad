//! The step `sentinel-seed`.
//!
//! sentinel.conf is written once. From then on it is Sentinel's: it rewrites the file at its first start, drops lines
//! that say what is the default, and adds what it learns (seen). So a sentinel that knows the master, or a file that
//! names it, is never written again, and what differs later is changed in the running process, on every sentinel, for
//! SENTINEL SET speaks to one only
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>).

use plan::{Level, Unknown};
use protocol::{Action, FileState, Operation, Text};
use types::HostName;

use crate::observe::queries;
use crate::observe::replies::{Talk, field};
use crate::observe::view::{Member, View, is_loopback, monitored_by_file};
use crate::rules::desired_config::{owner, unresolved};
use crate::rules::role_assignment::is_stopped;
use crate::rules::roles::Roles;
use crate::rules::sentinel_commands::{resp, watch};
use crate::settings::Settings;
use formats::directives::unquoted;
use kit::DesiredFile;
use kit::{Cx, StepPlan, Task};

/// How a sentinel comes to know the master.
enum Seed {
    /// It does, or its file does.
    Known,
    /// Its file is written.
    File,
    /// It watches other masters too, so it is told while it runs.
    Live,
}

fn seed(view: &View<'_>, member: &Member<'_>) -> Result<Seed, String> {
    let name = view.settings.sentinel.master_name.as_str();
    match &member.sentinel {
        Talk::Up(sentinel) if view.watched(sentinel).is_some() => return Ok(Seed::Known),
        Talk::Denied(words) => {
            return Err(format!(
                "the sentinel asks for a password, which is not supported: {words}"
            ));
        }
        _ => {}
    }
    let directives = member.sentinel_directives();
    if directives
        .as_ref()
        .is_some_and(|directives| monitored_by_file(directives, name).is_some())
    {
        return Ok(Seed::Known);
    }
    // What a package watches by default is nobody's master.
    let is_real = |address: &str| !is_loopback(address);
    if let Talk::Up(sentinel) = &member.sentinel {
        let others = sentinel.masters.iter().any(|master| is_real(field(master, "ip")));
        return Ok(if others { Seed::Live } else { Seed::File });
    }
    let monitored = directives
        .as_ref()
        .map(|directives| directives.after(&["sentinel", "monitor"]));
    let mut addresses = monitored
        .iter()
        .flatten()
        .filter_map(|line| line.split_whitespace().nth(1));
    if addresses.any(|address| is_real(unquoted(address))) {
        return Err(
            "the sentinel's file names other masters, and it does not run: start it, and plan again"
                .to_owned(),
        );
    }
    Ok(Seed::File)
}

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = Roles::find(&view);
    let mut all = StepPlan::nothing();
    for host in cx.hosts {
        let Some(member) = view.member(host) else {
            continue;
        };
        match seed_host(&view, &roles, member, cx) {
            Ok(task) => all.tasks.extend(task),
            Err(why) => all.unplanned.push((host.clone(), why)),
        }
    }
    let writes = |task: &Task| {
        matches!(
            task.action.as_ref().map(|action| &action.operation),
            Some(Operation::WriteFile { .. })
        )
    };
    if all.tasks.iter().any(writes) {
        all.note(
            Level::Info,
            None,
            format!(
                "sentinels will be reachable, without a password, on port {} of all addresses of their hosts, as in the \
                 runbook: let a firewall keep others out",
                settings.sentinel.port
            ),
        );
    }
    all
}

fn seed_host(
    view: &View<'_>,
    roles: &Roles,
    member: &Member<'_>,
    cx: &Cx<'_>,
) -> Result<Option<Task>, String> {
    let (settings, host) = (view.settings, member.host);
    let how = seed(view, member)?;
    if matches!(how, Seed::Known) {
        return Ok(None);
    }
    if roles.master().is_some() && is_stopped(view, roles, member, cx) {
        // Refused or left open by an earlier step; a sentinel follows its engine.
        return Ok(None);
    }
    if !cx.installs(host, &settings.sentinel.package) {
        let unit = member.sentinel_unit.as_ref().map_err(Unknown::to_string)?;
        if !unit.exists() {
            // `sentinel-start` says so.
            return Ok(None);
        }
    }
    let address = master_address(view, roles)?;
    let reason = format!("it does not watch {}", settings.sentinel.master_name);
    if matches!(how, Seed::Live) {
        return Ok(Some(monitor(settings, host, &address, &reason)));
    }
    let (user, group) = owner(&settings.sentinel.owner);
    let desired = DesiredFile {
        query: &queries::sentinel_config(settings),
        text: Text::new(file(settings, &address)),
        mode: 0o640,
        owner: user,
        group,
    };
    let mut task = desired
        .plan(host, cx.facts)
        .map_err(|unknown| unknown.to_string())?;
    if let Some(task) = &mut task {
        task.reason = reason;
        if cx.installs(host, &settings.sentinel.package)
            && let Some(Action {
                operation: Operation::WriteFile { was, .. },
                ..
            }) = &mut task.action
        {
            // The package brings a file, and starts a sentinel that rewrites it.
            *was = FileState::Any;
        }
    }
    Ok(task)
}

/// The master's address: the one that the other sentinels use, else that of the member.
fn master_address(view: &View<'_>, roles: &Roles) -> Result<String, String> {
    if roles.are_sentinels()
        && let Some((_, _, master)) = view.watching().first()
    {
        return Ok(field(master, "ip").to_owned());
    }
    let master = match roles {
        Roles::Known { master, .. } | Roles::First(master) => master,
        Roles::Refused(refusal) => return Err(refusal.why.clone()),
        Roles::Unknown(why) => return Err(why.clone()),
    };
    let address = view.member(master).and_then(Member::address);
    address.map(str::to_owned).ok_or_else(|| unresolved(master))
}

/// The runbook's file, with the master's address instead of its name: a name needs `resolve-hostnames`, is turned into
/// an address all the same, and a name that does not resolve at that moment destroys the line (seen). Debian's unit
/// overrides `daemonize` and lets the process write in these directories (ran).
fn file(settings: &Settings, master: &str) -> String {
    let sentinel = &settings.sentinel;
    let name = &sentinel.master_name;
    let (run, log, lib) = match sentinel.owner.split(':').next() {
        Some("valkey") => ("valkey-sentinel", "valkey", "valkey"),
        _ => ("redis-sentinel", "redis", "redis"),
    };
    let mut text = format!(
        "bind 0.0.0.0\nport {}\n\ndaemonize yes\npidfile \"/var/run/sentinel/{run}.pid\"\nlogfile \"/var/log/{log}/{run}.log\"\n\n\
         sentinel deny-scripts-reconfig yes\n\ndir \"/var/lib/{lib}\"\n\n\
         sentinel monitor {name} {master} {} {}\nsentinel auth-pass {name} \"{}\"\n",
        sentinel.port,
        settings.port,
        sentinel.quorum,
        Text::secret(&settings.password),
    );
    let options = sentinel.options.iter();
    let options = options.map(|(option, value)| format!("sentinel {option} {name} {value}\n"));
    text.extend(options);
    text
}

fn monitor(settings: &Settings, host: &HostName, master: &str, reason: &str) -> Task {
    let name = &settings.sentinel.master_name;
    let reason = format!("{reason}, and watches other masters");
    let title = format!("let the running sentinel watch {name}");
    resp(settings, host, title, reason, watch(settings, master))
}
