//! Gates: what tasks wait for.

use std::collections::BTreeSet;

use plan::Gate;
use protocol::{FactQuery, Query};
use types::HostName;

use super::check::Check;
use crate::observe::queries;
use crate::settings::{Process, Settings};

/// The gate after a start.
pub(crate) fn started(settings: &Settings, process: &Process, host: &HostName) -> Gate {
    let (program, port) = (process.program, process.port);
    let role = if settings.is_master(host) {
        "as master"
    } else {
        "as no master"
    };
    let title = format!("{program} on {host} has started {role}, and port {port} is open");
    gate(settings, Check::Started(program), host, title, [host], |host| {
        queries::live(process, host)
    })
}

/// The gate after a start before the host's turn, with whatever main.json it has.
pub(crate) fn serving(settings: &Settings, process: &Process, host: &HostName) -> Gate {
    let program = process.program;
    let title = format!("{program} on {host} has started, and its port is open");
    gate(settings, Check::Serving(program), host, title, [host], |host| {
        queries::live(process, host)
    })
}

/// The gate before a former member is restarted or stopped.
pub(crate) fn others_serve(settings: &Settings, host: &HostName, members: &BTreeSet<&HostName>) -> Gate {
    let title = format!("all hosts of {} serve", settings.name);
    let members = members.iter().copied();
    gate(settings, Check::OthersServe, host, title, members, |member| {
        let processes = settings.processes.iter();
        processes
            .flat_map(|process| queries::live(process, member))
            .collect()
    })
}

/// The gate after the last start of a program.
pub(crate) fn one_master(
    settings: &Settings,
    process: &Process,
    host: &HostName,
    hosts: &BTreeSet<&HostName>,
) -> Gate {
    let program = process.program;
    let title = format!("{program} is master on {} only", settings.master);
    let hosts = hosts.iter().copied();
    gate(settings, Check::OneMaster(program), host, title, hosts, |host| {
        let mut queries = queries::live(process, host);
        queries.push(queries::config(settings).wrap());
        queries
    })
}

fn gate<'h>(
    settings: &Settings,
    check: Check,
    host: &HostName,
    title: String,
    watched: impl IntoIterator<Item = &'h HostName>,
    queries: impl Fn(&HostName) -> Vec<FactQuery>,
) -> Gate {
    let watched = watched.into_iter();
    let watch = watched.map(|host| (host.clone(), queries(host))).collect();
    kit::checks::gate(
        &settings.name,
        &check,
        Some(host),
        title,
        watch,
        settings.start_ms,
    )
}
