//! Whether the processes are as they should be: gates, budget and status.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Budget, Facts, Gate, Health, MemberStatus, ServiceStatus, Verdict};
use types::HostName;

use super::queries;
use super::settings::{Process, Settings};
use super::view::{Node, Run, View};

/// The process runs with the main.json that stands there; its name follows.
const STARTED: &str = "started ";
/// The process runs, as whatever it may be; its name follows.
const SERVING: &str = "serving ";
/// All members but the host serve.
const OTHERS_SERVE: &str = "others-serve";
/// Of all hosts, the one that should be is master; the process's name follows.
const ONE_MASTER: &str = "one-master ";

/// The gate after a start.
pub(super) fn started(settings: &Settings, process: &Process, host: &HostName) -> Gate {
    let role = if settings.is_master(host) {
        "as master"
    } else {
        "as no master"
    };
    Gate {
        service: Some(settings.name.clone()),
        check: format!("{STARTED}{}", process.name),
        host: Some(host.clone()),
        title: format!(
            "{} on {host} has started {role}, and port {} is open",
            process.name, process.port
        ),
        watch: BTreeMap::from([(host.clone(), queries::live(process, host))]),
        limit_ms: settings.start_ms,
    }
}

/// The gate after a start in between, before its main.json is what it should be.
pub(super) fn serving(settings: &Settings, process: &Process, host: &HostName) -> Gate {
    Gate {
        service: Some(settings.name.clone()),
        check: format!("{SERVING}{}", process.name),
        host: Some(host.clone()),
        title: format!("{} on {host} has started, and its port is open", process.name),
        watch: BTreeMap::from([(host.clone(), queries::live(process, host))]),
        limit_ms: settings.start_ms,
    }
}

/// The gate before a host that is no member any more is restarted or stopped.
pub(super) fn others_serve(settings: &Settings, host: &HostName, members: &BTreeSet<&HostName>) -> Gate {
    let live = |member: &HostName| {
        let processes = settings.processes.iter();
        processes
            .flat_map(|process| queries::live(process, member))
            .collect()
    };
    Gate {
        service: Some(settings.name.clone()),
        check: OTHERS_SERVE.to_owned(),
        host: Some(host.clone()),
        title: format!("all hosts of {} serve", settings.name),
        watch: members
            .iter()
            .map(|&member| (member.clone(), live(member)))
            .collect(),
        limit_ms: settings.start_ms,
    }
}

/// The gate after the last start of a process.
pub(super) fn one_master(
    settings: &Settings,
    process: &Process,
    host: &HostName,
    hosts: &BTreeSet<&HostName>,
) -> Gate {
    let watch = hosts.iter().map(|&host| {
        let mut queries = queries::live(process, host);
        queries.push(protocol::Query::wrap(&queries::config(settings)));
        (host.clone(), queries)
    });
    Gate {
        service: Some(settings.name.clone()),
        check: format!("{ONE_MASTER}{}", process.name),
        host: Some(host.clone()),
        title: format!("{} is master on {} only", process.name, settings.master),
        watch: watch.collect(),
        limit_ms: settings.start_ms,
    }
}

pub(super) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    let view = View::new(settings, facts);
    let unknown = || Verdict::Fail(format!("{} has no check {check:?}", settings.name));
    let of = |name: &str| settings.processes.iter().position(|process| process.name == name);
    if let Some(at) = check.strip_prefix(ONE_MASTER).and_then(of) {
        return has_one_master(&view, at, facts);
    }
    if check == OTHERS_SERVE {
        let watched: BTreeSet<&HostName> = facts.hosts().map(|(host, _)| host).collect();
        let mut members = view.nodes.iter().filter(|node| watched.contains(node.host));
        let away = members.find(|node| !node.serves());
        return away.map_or(Verdict::Pass, |node| {
            Verdict::Wait(format!("{} does not serve", node.host))
        });
    }
    // A host that is no member any more is looked at too.
    let node = host.map(|host| Node::new(settings, host, facts));
    let (Some(node), Some((prefix, name))) = (node, check.split_once(' ')) else {
        return unknown();
    };
    match (of(name), format!("{prefix} ").as_str()) {
        (Some(at), STARTED) => has_started(settings, &node, &node.runs[at]),
        (Some(at), SERVING) => runs(&node, &node.runs[at]).err().unwrap_or(Verdict::Pass),
        _ => unknown(),
    }
}

/// Whether a process runs and its port is open.
fn runs(node: &Node<'_>, run: &Run<'_>) -> Result<(), Verdict> {
    let (process, host) = (run.process, node.host);
    let complaint = run
        .complaint
        .as_ref()
        .map(|text| format!(": {text}"))
        .unwrap_or_default();
    match &run.unit {
        Err(unknown) => return Err(Verdict::Wait(unknown.to_string())),
        // With Restart= in its unit, a process that ends at once is activating again and again.
        Ok(unit) if unit.active == "failed" || unit.active == "inactive" => {
            return Err(Verdict::Fail(format!(
                "{} on {host} has ended{complaint}",
                process.name
            )));
        }
        Ok(unit) if !unit.is_active() => {
            return Err(Verdict::Wait(format!(
                "{} on {host} is {}{complaint}",
                process.name, unit.active
            )));
        }
        Ok(_) => {}
    }
    match &run.closed {
        Some(why) => Err(Verdict::Wait(format!("port {} of {host}: {why}", process.port))),
        None => Ok(()),
    }
}

fn has_started(settings: &Settings, node: &Node<'_>, run: &Run<'_>) -> Verdict {
    let (process, host) = (run.process, node.host);
    if let Err(verdict) = runs(node, run) {
        return verdict;
    }
    if run.start.is_none() {
        return Verdict::Wait(format!(
            "{} on {host} has not said in {} that it started",
            process.name, process.log
        ));
    }
    match difference(settings, run, host) {
        Some(difference) => Verdict::Fail(format!(
            "{} on {host}: {difference}, although it has started since main.json was written",
            process.name
        )),
        None => Verdict::Pass,
    }
}

/// In what a running process differs from what its main.json should have told it, as far as it said.
pub(super) fn difference(settings: &Settings, run: &Run<'_>, host: &HostName) -> Option<String> {
    let start = run.start.as_ref().filter(|_| run.is_active())?;
    if start.host_id != host.as_str() {
        return Some(format!("it runs as host {} instead of {host}", start.host_id));
    }
    match (start.is_master, settings.is_master(host)) {
        (true, false) => return Some("it runs as master".to_owned()),
        (false, true) => return Some("it does not run as master".to_owned()),
        _ => {}
    }
    let port = start.port.filter(|port| *port != run.process.port)?;
    Some(format!("its RPC port is {port} instead of {}", run.process.port))
}

fn has_one_master(view: &View<'_>, at: usize, facts: &Facts) -> Verdict {
    let watched: BTreeSet<&HostName> = facts.hosts().map(|(host, _)| host).collect();
    let masters: Vec<&str> = view
        .all()
        .filter(|node| watched.contains(node.host) && is_master(node, &node.runs[at]))
        .map(|node| node.host.as_str())
        .collect();
    match masters.as_slice() {
        [one] if *one == view.settings.master.as_str() => Verdict::Pass,
        [] if !watched.contains(&view.settings.master) => Verdict::Pass,
        [] => Verdict::Wait("no host is master".to_owned()),
        several => Verdict::Wait(format!("master: {}", several.join(", "))),
    }
}

/// Whether a host runs as master: as it says, or, where what it said is no longer in the log, as its main.json says.
fn is_master(node: &Node<'_>, run: &Run<'_>) -> bool {
    run.says_master().unwrap_or_else(|| {
        let named = node.named_masters(run.process);
        run.is_active() && named.iter().any(|named| named == node.host.as_str())
    })
}

/// The hosts that do not serve now.
pub(super) fn unavailable(settings: &Settings, facts: &Facts) -> BTreeSet<HostName> {
    let view = View::new(settings, facts);
    let down = view.nodes.iter().filter(|node| !node.is_available());
    down.map(|node| node.host.clone()).collect()
}

/// One host at a time. One that merely does not run does not count: it is started first, and what is restarted comes
/// after that, behind its gates.
pub(super) fn budget(settings: &Settings, facts: &Facts) -> Budget {
    let view = View::new(settings, facts);
    let lost = view.nodes.iter().filter(|node| node.unreachable.is_some());
    Budget {
        members: settings.hosts.iter().cloned().collect(),
        max_unavailable: 1,
        unavailable: lost.map(|node| node.host.clone()).collect(),
    }
}

pub(super) fn status(settings: &Settings, facts: &Facts) -> ServiceStatus {
    let view = View::new(settings, facts);
    let runs = view
        .nodes
        .iter()
        .flat_map(|node| node.runs.iter().map(move |run| (node, run)));
    let members: Vec<MemberStatus> = runs.map(|(node, run)| member(settings, node, run)).collect();
    let serving = view.nodes.iter().filter(|node| node.serves()).count();
    let masters: Vec<String> = settings
        .processes
        .iter()
        .enumerate()
        .map(|(at, process)| {
            let hosts = view.nodes.iter().filter(|node| is_master(node, &node.runs[at]));
            let hosts: Vec<&str> = hosts.map(|node| node.host.as_str()).collect();
            format!(
                "{} master {}",
                process.name,
                if hosts.is_empty() {
                    "none".to_owned()
                } else {
                    hosts.join(", ")
                }
            )
        })
        .collect();
    let worst = members
        .iter()
        .map(|member| member.health)
        .max()
        .unwrap_or(Health::Unknown);
    let health = match worst {
        Health::Healthy => Health::Healthy,
        _ if serving > 0 => Health::Degraded,
        worst => worst,
    };
    ServiceStatus {
        service: settings.name.clone(),
        kind: "altcraft".to_owned(),
        health,
        summary: format!(
            "{serving} of {} serve, {}",
            settings.hosts.len(),
            masters.join(", ")
        ),
        members,
    }
}

fn member(settings: &Settings, node: &Node<'_>, run: &Run<'_>) -> MemberStatus {
    let (health, detail) = match (node.unreachable, &run.unit, &run.closed) {
        (Some(why), ..) => (Health::Unknown, why.to_owned()),
        (None, Err(unknown), _) => (Health::Unknown, unknown.to_string()),
        (None, Ok(unit), _) if !unit.is_active() => {
            (Health::Down, format!("{} is {}", run.process.unit, unit.active))
        }
        (None, Ok(_), Some(why)) => (Health::Degraded, format!("port {}: {why}", run.process.port)),
        (None, Ok(_), None) => match difference(settings, run, node.host) {
            Some(difference) => (Health::Degraded, difference),
            None if node.is_newer_than(run) => {
                (Health::Degraded, "main.json is newer than its process".to_owned())
            }
            None => (
                Health::Healthy,
                run.start
                    .as_ref()
                    .map(|start| start.version.clone())
                    .unwrap_or_default(),
            ),
        },
    };
    let role = match (run.is_active(), is_master(node, run)) {
        (false, _) => "",
        (true, true) => "master",
        (true, false) => "slave",
    };
    let started = run
        .unit
        .as_ref()
        .ok()
        .filter(|unit| unit.is_active())
        .map(|unit| unit.started_us);
    MemberStatus {
        host: node.host.clone(),
        process: run.process.name.to_owned(),
        role: role.to_owned(),
        health,
        lag: String::new(),
        since_us: started.filter(|&started| started > 0),
        detail,
    }
}
