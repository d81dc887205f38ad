//! The step `sentinel-seed`: sentinels come to know the master.
//!
//! sentinel.conf is written once. From then on it is Sentinel's: it rewrites the file at its first start, drops lines that
//! say what is the default, and adds what it learns (seen). So a sentinel that knows the master, or a file that names it,
//! is never written again (but for a name that Sentinel does not resolve), and what differs later is changed in the running process, on every sentinel, because SENTINEL
//! SET is for one only (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>).

use plan::{Level, Unknown};
use protocol::{Operation, Text};

use crate::observe::{Endpoint, Member, View, is_loopback, queries};
use crate::rules::commands::{monitor, to_sentinel};
use crate::rules::desired_config::{address, over_any_file};
use crate::rules::find_roles::find_roles;
use crate::rules::role_assignment::is_in_doubt;
use crate::rules::roles::Roles;
use crate::settings::{Settings, owner};
use formats::directives::unquoted;
use kit::{Cx, DesiredFile, Probe, StepPlan, Task};

/// How a sentinel comes to know the master.
enum Seed {
    /// It does, or its file does.
    Known,
    /// Its file is written.
    File,
    /// Its file names the master by a name that Sentinel does not resolve: it gets the address.
    Address(Endpoint),
    /// It watches other masters too, so it is told while it runs.
    Live,
}

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = find_roles(&view);
    let mut all = StepPlan::nothing();
    for member in view.on(cx) {
        all.add(member.host, plan_member(&view, &roles, member, cx));
    }
    let mut actions = all.tasks.iter().filter_map(|task| task.action.as_ref());
    if actions.any(|action| matches!(action.operation, Operation::WriteFile { .. })) {
        let text = format!(
            "sentinels will be reachable, without a password, on port {} of all addresses of their hosts, as in the runbook: \
             restrict it with a firewall",
            settings.sentinel.port
        );
        all.note(Level::Info, None, text);
    }
    all
}

fn plan_member(
    view: &View<'_>,
    roles: &Roles,
    member: &Member<'_>,
    cx: &Cx<'_>,
) -> Result<Option<Task>, String> {
    let (settings, host) = (view.settings, member.host);
    let seed = seed(view, member)?;
    if matches!(seed, Seed::Known) {
        return Ok(None);
    }
    if roles.master().is_some() && is_in_doubt(view, roles, member, cx) {
        // Refused or left open by an earlier step; a sentinel follows its engine.
        return Ok(None);
    }
    let is_installed = cx.installs(host, &settings.sentinel.package);
    if !is_installed
        && !member
            .sentinel_unit
            .as_ref()
            .map_err(Unknown::to_string)?
            .exists()
    {
        // `sentinel-start` says so.
        return Ok(None);
    }
    let name = &settings.sentinel.master_name;
    if let Seed::Address(by_name) = &seed {
        return with_address(view, member, by_name, cx);
    }
    let master = master_address(view, roles)?;
    let reason = format!("it does not watch {name}");
    if matches!(seed, Seed::Live) {
        let title = format!("have the running sentinel watch {name}");
        let reason = format!("{reason}, and watches other masters");
        return Ok(Some(to_sentinel(
            settings,
            host,
            title,
            reason,
            monitor(settings, &master),
        )));
    }
    let task = write(member, file(settings, &master), cx)?;
    Ok(task.map(|mut task| {
        task.reason = reason;
        if is_installed {
            over_any_file(&mut task);
        }
        task
    }))
}

/// The file with the master's address in the place of its name; all else stays.
fn with_address(
    view: &View<'_>,
    member: &Member<'_>,
    by_name: &Endpoint,
    cx: &Cx<'_>,
) -> Result<Option<Task>, String> {
    let (settings, name) = (view.settings, &by_name.address);
    let (path, master_name) = (&settings.sentinel.config, settings.sentinel.master_name.as_str());
    let named = view.at(name).and_then(Member::address).ok_or_else(|| {
        format!(
            "{path} names the master {name}, which Sentinel does not resolve, and which is no host of this service: write its \
             address there, or add sentinel resolve-hostnames yes"
        )
    })?;
    let Some(mut file) = member.sentinel_directives.clone() else {
        return Ok(None);
    };
    let monitor = ["sentinel", "monitor", master_name];
    let lines = file.after(&monitor).into_iter();
    let options = lines
        .last()
        .and_then(|line| line.trim_start().split_once(char::is_whitespace));
    let after = format!("{named} {}", options.map_or("", |(_, options)| options));
    file.set_after(&monitor, after.trim_end());
    let task = write(member, file.text(), cx)?;
    Ok(task.map(|mut task| {
        task.reason = format!("Sentinel does not start with the name {name}, which it does not resolve");
        task
    }))
}

fn write(member: &Member<'_>, text: String, cx: &Cx<'_>) -> Result<Option<Task>, String> {
    let settings = member.settings;
    let (user, group) = owner(&settings.sentinel.owner);
    let file = DesiredFile {
        query: &queries::sentinel_config(settings),
        text: Text::new(text),
        mode: 0o640,
        owner: user,
        group,
    };
    file.plan(member.host, cx.facts)
        .map_err(|unknown| unknown.to_string())
}

fn seed(view: &View<'_>, member: &Member<'_>) -> Result<Seed, String> {
    if let Probe::Denied(words) = &member.sentinel {
        return Err(format!(
            "the sentinel does not let us ask, and passwords of sentinels are not supported: {words}"
        ));
    }
    if view.watch(member).is_some() {
        return Ok(Seed::Known);
    }
    if member.monitors_by_file().is_some() {
        let by_name = member.master_by_name();
        // One that may run has read it, and writes it itself.
        let by_name = by_name.filter(|_| !matches!(member.sentinel, Probe::Unknown(_)));
        return Ok(by_name.map_or(Seed::Known, Seed::Address));
    }
    if let Probe::Unknown(why) = &member.sentinel {
        return Err(format!(
            "the sentinel may run, and could not be asked what it watches: {why}"
        ));
    }
    // What a package watches by default is no master of others.
    if let Probe::Up(sentinel) = &member.sentinel {
        let others = sentinel.masters.iter().any(|master| !is_loopback(master.ip()));
        return Ok(if others { Seed::Live } else { Seed::File });
    }
    let directives = member.sentinel_directives.as_ref();
    let monitored = directives.map(|directives| directives.after(&["sentinel", "monitor"]));
    let mut addresses = monitored
        .iter()
        .flatten()
        .filter_map(|line| line.split_whitespace().nth(1));
    if addresses.any(|address| !is_loopback(unquoted(address))) {
        let why = "the sentinel's file names other masters, and it does not run: start it, and plan again";
        return Err(why.to_owned());
    }
    Ok(Seed::File)
}

/// The master's address: the one that the other sentinels use, else that of the member.
fn master_address(view: &View<'_>, roles: &Roles) -> Result<String, String> {
    if roles.are_sentinels()
        && let Some(watch) = view.watching().first()
    {
        return Ok(watch.master.ip().to_owned());
    }
    let master = view
        .members
        .any(roles.decided()?)
        .ok_or("the master is not known")?;
    let address = address(master).map_err(|unknown| unknown.to_string())?;
    Ok(address.to_owned())
}

/// The runbook's file, with the master's address instead of its name: a name needs `resolve-hostnames`, is turned into
/// an address anyway, and a name that does not resolve at that moment destroys the line (seen). Debian's unit
/// overrides `daemonize` and lets the process write in these directories (ran).
fn file(settings: &Settings, master: &str) -> String {
    let sentinel = &settings.sentinel;
    let name = &sentinel.master_name;
    let (run, log, lib) = match owner(&sentinel.owner).0 {
        "valkey" => ("valkey-sentinel", "valkey", "valkey"),
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
    text.extend(options.map(|(option, value)| format!("sentinel {option} {name} {value}\n")));
    text
}
