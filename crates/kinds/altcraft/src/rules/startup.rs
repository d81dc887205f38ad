//! Whether processes have started, as what their main.json says.

use std::collections::BTreeSet;

use plan::{Facts, Verdict};
use types::HostName;

use super::membership::all;
use crate::observe::{Member, Run, View};
use crate::settings::{Program, Settings};

/// Whether a process runs and its port is open.
pub(crate) fn serves(member: &Member<'_>, program: Program) -> Verdict {
    running(member, member.run(program))
        .err()
        .unwrap_or(Verdict::Pass)
}

fn running(member: &Member<'_>, run: &Run<'_>) -> Result<(), Verdict> {
    let (program, host) = (run.process.program, member.host);
    let complaint = run.complaint.as_ref();
    let complaint = complaint.map_or(String::new(), |text| format!(": {text}"));
    let active = match &run.unit {
        Err(unknown) => return Err(Verdict::Wait(unknown.to_string())),
        Ok(unit) => unit.active.as_str(),
    };
    match active {
        // With Restart= in its unit, a process that ends at once is activating again and again.
        "failed" | "inactive" => Err(Verdict::Fail(format!("{program} on {host} has ended{complaint}"))),
        _ if !run.is_active() => Err(Verdict::Wait(format!(
            "{program} on {host} is {active}{complaint}"
        ))),
        _ => run.closed().map_or(Ok(()), |why| {
            Err(Verdict::Wait(format!(
                "port {} of {host}: {why}",
                run.process.port
            )))
        }),
    }
}

/// Whether a process runs with the main.json that its host should have.
pub(crate) fn has_started(settings: &Settings, member: &Member<'_>, program: Program) -> Verdict {
    let (run, host) = (member.run(program), member.host);
    if let Err(verdict) = running(member, run) {
        return verdict;
    }
    if run.start.is_none() {
        let log = &run.process.log;
        return Verdict::Wait(format!("{program} on {host} has not logged its start in {log}"));
    }
    match difference(settings, run, host) {
        Some(difference) => Verdict::Fail(format!(
            "{program} on {host}: {difference}, although it has started since main.json was written"
        )),
        None => Verdict::Pass,
    }
}

/// The difference between a running process, as far as it logged its start, and the one that its main.json should make.
pub(crate) fn difference(settings: &Settings, run: &Run<'_>, host: &HostName) -> Option<String> {
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

/// Whether all members of which there are facts serve.
pub(crate) fn members_serve(view: &View<'_>, facts: &Facts) -> Verdict {
    let watched: BTreeSet<&HostName> = facts.hosts().map(|(host, _)| host).collect();
    let mut members = view.members.listed.iter();
    let down = members.find(|member| watched.contains(member.host) && !member.serves());
    down.map_or(Verdict::Pass, |member| {
        Verdict::Wait(format!("{} does not serve", member.host))
    })
}

/// Whether the right host, of all of which there are facts, is the only master.
pub(crate) fn has_one_master(view: &View<'_>, program: Program, facts: &Facts) -> Verdict {
    let watched: BTreeSet<&HostName> = facts.hosts().map(|(host, _)| host).collect();
    let watched_masters = all(view).filter(|member| watched.contains(member.host));
    let masters: Vec<&HostName> = watched_masters
        .filter(|member| is_master(member, program))
        .map(|member| member.host)
        .collect();
    match masters.as_slice() {
        [one] if **one == view.settings.master => Verdict::Pass,
        [] if !watched.contains(&view.settings.master) => Verdict::Pass,
        [] => Verdict::Wait("no host is master".to_owned()),
        several => {
            let names: Vec<&str> = several.iter().map(|host| host.as_str()).collect();
            Verdict::Wait(format!("master: {}", names.join(", ")))
        }
    }
}

/// Whether a host runs as master: as it logged, or, where that is not in the log any more, as its main.json says.
pub(crate) fn is_master(member: &Member<'_>, program: Program) -> bool {
    let run = member.run(program);
    let is_named = || run.is_active() && member.names_itself_master(program);
    run.logged_master().unwrap_or_else(is_named)
}
