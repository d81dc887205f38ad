//! The steps `sentinel-seed`, `sentinel-start` and `sentinel-set`.
//!
//! sentinel.conf is written once. From then on it is Sentinel's: it rewrites the file at its first start, drops lines
//! that say what is the default, and adds what it learns (seen). So a sentinel that knows the master, or a file that
//! names it, is never written again, and what differs later is changed in the running process, on every sentinel, for
//! SENTINEL SET speaks to one only
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>).

use plan::{Level, Preview, Unknown};
use protocol::facts::RespCommand;
use protocol::{Action, FileState, Operation, Text, UnitVerb};
use types::HostName;

use super::config::{owner, unresolved};
use super::directives::{Directives, unquoted};
use super::gates;
use super::queries;
use super::roles::Roles;
use super::settings::Settings;
use super::view::{Member, Talk, View, field, is_loopback, newer};
use crate::common::{DesiredFile, QUICK, UNIT, action, verbs_to_run};
use crate::step::{Cx, StepPlan, Task};

/// The master's address and port in a sentinel's file; `None` where the file does not name our master, or names one
/// at a loopback address as a packaged file does.
pub(super) fn monitored_by_file(directives: &Directives, name: &str) -> Option<(String, String)> {
    let line = directives.after(&["sentinel", "monitor", name]).pop()?;
    let mut words = line.split_whitespace().map(unquoted);
    let (address, port) = (words.next()?, words.next()?);
    (!is_loopback(address)).then(|| (address.to_owned(), port.to_owned()))
}

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

/// Plans `sentinel-seed`.
pub(super) fn plan_seed(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
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
    for (option, value) in &sentinel.options {
        text.push_str(&format!("sentinel {option} {name} {value}\n"));
    }
    text
}

fn monitor(settings: &Settings, host: &HostName, master: &str, reason: &str) -> Task {
    let sentinel = &settings.sentinel;
    let name = sentinel.master_name.as_str();
    let (port, quorum) = (settings.port.to_string(), sentinel.quorum.to_string());
    let mut commands = vec![
        RespCommand::new(["SENTINEL", "MONITOR", name, master, &port, &quorum]),
        set(name, "auth-pass", Text::secret(&settings.password).as_str()),
    ];
    commands.extend(
        sentinel
            .options
            .iter()
            .map(|(option, value)| set(name, option, &value.to_string())),
    );
    let reason = format!("{reason}, and watches other masters");
    resp(
        settings,
        host,
        format!("let the running sentinel watch {name}"),
        reason,
        commands,
    )
}

fn set(name: &str, option: &str, value: &str) -> RespCommand {
    RespCommand::new(["SENTINEL", "SET", name, option, value])
}

fn resp(
    settings: &Settings,
    host: &HostName,
    title: String,
    reason: String,
    commands: Vec<RespCommand>,
) -> Task {
    let shown = commands.iter().map(|command| {
        let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
        words.join(" ")
    });
    let preview = Preview::Commands(shown.collect());
    let operation = Operation::Resp {
        address: "127.0.0.1".to_owned(),
        port: settings.sentinel.port,
        password: None,
        commands,
    };
    Task::new(host, title, reason, action(operation, QUICK)).preview(preview)
}

/// Plans `sentinel-start`.
pub(super) fn plan_start(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    for host in cx.hosts {
        let Some(member) = view.member(host) else {
            continue;
        };
        match start_host(&view, member, cx) {
            Ok(task) => all.tasks.extend(task),
            Err(why) => all.unplanned.push((host.clone(), why)),
        }
    }
    // One more node waits for all of them together: none can agree before the last has started.
    let newcomers = all.tasks.iter().any(|task| task.part.is_empty());
    if newcomers && let Some(host) = all.tasks.last().map(|task| task.host.clone()) {
        all.tasks.push(Task {
            host,
            part: "agree".to_owned(),
            title: "wait until the sentinels agree".to_owned(),
            reason: "sentinels find each other and the replicas through the master".to_owned(),
            action: None,
            preview: None,
            disrupts: false,
            gates: vec![gates::sentinel_agrees(settings, cx)],
        });
    }
    all
}

fn start_host(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Result<Option<Task>, String> {
    let (settings, host) = (view.settings, member.host);
    let sentinel = &settings.sentinel;
    let is_written = cx.writes(host, &sentinel.config);
    let task = |verbs: Vec<UnitVerb>, word: &str, reason: &str| {
        let name = sentinel.unit.trim_end_matches(".service");
        let operation = Operation::Unit {
            name: sentinel.unit.clone(),
            verbs,
        };
        Task::new(host, format!("{word} {name}"), reason, action(operation, UNIT))
            .gate(gates::sentinel_knows(settings, cx, host))
    };
    if cx.installs(host, &sentinel.package) {
        let verbs = vec![UnitVerb::Enable, UnitVerb::Restart];
        return Ok(Some(task(verbs, "restart", "its file is written by this plan")));
    }
    let unit = member.sentinel_unit.as_ref().map_err(Unknown::to_string)?;
    if !unit.exists() {
        return Err(format!("there is no unit {} on {host}", sentinel.unit));
    }
    let mut verbs = verbs_to_run(host, &sentinel.unit, cx.facts).map_err(|unknown| unknown.to_string())?;
    if verbs.contains(&UnitVerb::Start) {
        return Ok(Some(task(verbs, "start", "it does not run")));
    }
    let knows = member
        .sentinel
        .up()
        .is_some_and(|sentinel| view.watched(sentinel).is_some());
    let is_newer = newer(&member.sentinel_file, &member.sentinel_unit);
    // A file that was seeded before names the master; one that Sentinel itself rewrote is newer than the process too.
    let is_seeded = member
        .sentinel_directives()
        .is_some_and(|directives| monitored_by_file(&directives, &sentinel.master_name).is_some());
    if is_written || (!knows && is_newer && is_seeded) {
        verbs.push(UnitVerb::Restart);
        let reason = if is_written {
            "its file is written by this plan"
        } else {
            "its file names the master, and the running sentinel does not watch it"
        };
        return Ok(Some(task(verbs, "restart", reason)));
    }
    if verbs.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        task(verbs, "enable", "it does not start at boot").part("enable"),
    ))
}

/// Plans `sentinel-set`.
pub(super) fn plan_set(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    let name = settings.sentinel.master_name.as_str();
    for (member, _, master) in view.watching() {
        if !cx.hosts.contains(member.host) {
            continue;
        }
        let mut commands = Vec::new();
        let mut reasons = Vec::new();
        let quorum = i64::try_from(settings.sentinel.quorum).unwrap_or(i64::MAX);
        for (option, value) in std::iter::once(&("quorum", quorum)).chain(&settings.sentinel.options) {
            let value = value.to_string();
            let live = field(master, option);
            if live != value {
                commands.push(set(name, option, &value));
                reasons.push(format!("{option} is {live}"));
            }
        }
        let secret = Text::secret(&settings.password);
        // SENTINEL MASTER does not show the password. The file does, for Sentinel writes it there at once.
        if let Some(directives) = member.sentinel_directives()
            && directives
                .after(&["sentinel", "auth-pass", name])
                .pop()
                .map(unquoted)
                != Some(secret.as_str())
        {
            commands.push(set(name, "auth-pass", secret.as_str()));
            reasons.push("it has not our password for the engines".to_owned());
        }
        if !commands.is_empty() {
            let title = "set options of the running sentinel".to_owned();
            let task = resp(settings, member.host, title, reasons.join("; "), commands);
            all.tasks.push(task);
        }
    }
    all
}
