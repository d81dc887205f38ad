//! The questions to each host.

use protocol::facts::{FileQuery, LogQuery, Query, TcpQuery, UnitQuery};
use protocol::{Encoding, FactQuery};
use types::{HostName, SecretId};

use super::log_line;
use crate::settings::{Process, SECRET_WORDS, Settings};

/// How much of a log's end is read. The line of a start that was longer ago is not seen, and not needed.
const TAIL: u64 = 4 << 20;

/// All questions to a host.
pub(crate) fn all(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    let mut queries = vec![config(settings).wrap()];
    for process in &settings.processes {
        queries.extend(live(process, host));
    }
    if settings.hosts.contains(host) {
        let peers = settings.hosts.iter().filter(|peer| *peer != host);
        queries.extend(peers.map(|peer| reach(settings, peer).wrap()));
    }
    queries
}

/// Whether a host reaches a process of another one.
pub(crate) fn reach(settings: &Settings, peer: &HostName) -> TcpQuery {
    port(&settings.processes[0], peer)
}

/// Whether a process runs, and in which role.
pub(crate) fn live(process: &Process, host: &HostName) -> Vec<FactQuery> {
    vec![
        unit(process).wrap(),
        port(process, host).wrap(),
        log(process).wrap(),
    ]
}

/// main.json, without its secrets.
pub(crate) fn config(settings: &Settings) -> FileQuery {
    // Passwords of other users are masked.
    let logins = settings.uses.all().filter_map(|used| used.login(&settings.user));
    let secrets: Vec<&SecretId> = logins.map(|login| &login.password).collect();
    let words = SECRET_WORDS.join("|");
    let string = r#""((?:[^"\\]|\\.)*)""#;
    // A line that is a string and nothing else is an element of an array, or a value whose key is on another line.
    let masks = [
        format!(r#"(?i)"[^"]*(?:{words})[^"]*"\s*:\s*{string}"#),
        format!(r"^\s*:?\s*{string}\s*,?\s*$"),
        // The password of a URI.
        r#"[A-Za-z]://[^/:@"\s]*:([^@"\s]+)@"#.to_owned(),
    ];
    FileQuery::text(&settings.config)
        .knowing_in(Encoding::Json, secrets)
        .masking(&masks.each_ref().map(String::as_str))
}

/// The process's unit.
pub(crate) fn unit(process: &Process) -> UnitQuery {
    UnitQuery::new(&process.unit)
}

/// The RPC port, at the name under which the others reach it.
pub(crate) fn port(process: &Process, host: &HostName) -> TcpQuery {
    TcpQuery {
        host: host.to_string(),
        port: process.port,
    }
}

/// The lines of the latest starts, and the latest complaints.
pub(crate) fn log(process: &Process) -> LogQuery {
    LogQuery {
        path: process.log.clone(),
        patterns: vec![log_line::START.to_owned(), log_line::COMPLAINT.to_owned()],
        last: 3,
        tail: TAIL,
    }
}
