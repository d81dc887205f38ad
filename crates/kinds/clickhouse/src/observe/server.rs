//! What the facts say of each host's server, in ClickHouse's own terms.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Facts, Unknown};
use protocol::facts::{HttpEndpoint, HttpFact, UnitFact, UnitQuery};
use types::HostName;

use crate::observe::queries;
use crate::rules::server::files;
use crate::settings::Settings;

/// What talking to a server came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Talk {
    /// It answers questions.
    Up(Box<Live>),
    /// It answers, and not our question; in its words.
    Failing(String),
    /// It does not answer.
    Down(String),
    /// It could not be asked.
    Unknown(String),
}

/// What a running server says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Live {
    /// Where and as whom it was asked.
    pub(crate) at: HttpEndpoint,
    pub(crate) version: String,
    /// Hosts and ports of the cluster's replicas as it knows them.
    pub(crate) cluster: BTreeSet<(String, u16)>,
    pub(crate) macros: BTreeMap<String, String>,
    /// Whether the table of a round trip of DDL was left behind.
    pub(crate) has_check_table: bool,
    /// Its replicated tables; or what it says instead, such as that its session is over.
    pub(crate) replicas: Result<Vec<Replica>, String>,
    /// Whether it reaches the quorum, or what it says instead.
    pub(crate) session: Result<(), String>,
}

/// A replicated table on one server, from `system.replicas`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    /// Database and table.
    pub(crate) table: (String, String),
    pub(crate) is_readonly: bool,
    pub(crate) is_session_expired: bool,
    pub(crate) total: usize,
    pub(crate) active: usize,
    /// Seconds behind.
    pub(crate) delay: u64,
    pub(crate) queue: u64,
    /// Where its common state is kept.
    pub(crate) path: String,
    /// The replica's name there.
    pub(crate) name: String,
}

impl Talk {
    /// What it says, where it answers.
    pub(crate) fn up(&self) -> Option<&Live> {
        match self {
            Self::Up(live) => Some(live),
            _ => None,
        }
    }

    /// Why it does not serve; `None` where it does.
    pub(crate) fn why_not(&self) -> Option<&str> {
        match self {
            Self::Up(_) => None,
            Self::Failing(why) | Self::Down(why) | Self::Unknown(why) => Some(why),
        }
    }
}

/// The server's unit.
pub(crate) fn unit<'f>(
    settings: &Settings,
    host: &HostName,
    facts: &'f Facts,
) -> Result<&'f UnitFact, Unknown> {
    facts.get(host, &UnitQuery::new(&settings.unit))
}

/// What talking to a host's server came to: of the places and accounts the first that gets an answer.
pub(crate) fn talk(settings: &Settings, host: &HostName, facts: &Facts) -> Talk {
    let mut other = None;
    for at in queries::endpoints(settings, host) {
        let fact = match facts.get(host, &queries::state(settings, &at)) {
            Ok(fact) => fact,
            Err(unknown) => return Talk::Unknown(unknown.to_string()),
        };
        let failed = match fact {
            HttpFact::Reply { status: 200, body } => {
                return Talk::Up(Box::new(live(&at, body.as_str(), host, facts)));
            }
            HttpFact::Reply { status, body } => Talk::Failing(said(*status, body.as_str())),
            HttpFact::Down(why) => Talk::Down(why.clone()),
        };
        // A refusal says more than a port where nobody listens.
        if !matches!(other, Some(Talk::Failing(_))) {
            other = Some(failed);
        }
    }
    other.unwrap_or_else(|| Talk::Unknown("nobody was asked".to_owned()))
}

/// An error in one line.
fn said(status: u16, body: &str) -> String {
    let line = body
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let line: String = line.chars().take(200).collect();
    format!("it answers {status}: {line}")
}

fn live(at: &HttpEndpoint, body: &str, host: &HostName, facts: &Facts) -> Live {
    let mut live = Live {
        at: at.clone(),
        version: String::new(),
        cluster: BTreeSet::new(),
        macros: BTreeMap::new(),
        has_check_table: false,
        replicas: Ok(Vec::new()),
        session: Ok(()),
    };
    for row in rows(body) {
        let cell = |at: usize| row.get(at).cloned().unwrap_or_default();
        match cell(0).as_str() {
            "version" => live.version = cell(1),
            "replica" => {
                live.cluster.insert((cell(1), cell(2).parse().unwrap_or(0)));
            }
            "macro" => {
                live.macros.insert(cell(1), cell(2));
            }
            "check" => live.has_check_table = true,
            _ => {}
        }
    }
    live.replicas = match facts.get(host, &queries::replicas(at)) {
        Ok(HttpFact::Reply { status: 200, body }) => Ok(rows(body.as_str())
            .iter()
            .filter_map(|row| replica(row))
            .collect()),
        Ok(HttpFact::Reply { status, body }) => Err(said(*status, body.as_str())),
        Ok(HttpFact::Down(why)) => Err(why.clone()),
        Err(unknown) => Err(unknown.to_string()),
    };
    live.session = match facts.get(host, &queries::session(at)) {
        Ok(HttpFact::Reply { status: 200, .. }) => Ok(()),
        Ok(HttpFact::Reply { status, body }) => Err(said(*status, body.as_str())),
        Ok(HttpFact::Down(why)) => Err(why.clone()),
        Err(unknown) => Err(unknown.to_string()),
    };
    live
}

fn replica(row: &[String]) -> Option<Replica> {
    let number = |at: usize| row.get(at)?.parse::<u64>().ok();
    let count = |at: usize| number(at).and_then(|number| usize::try_from(number).ok());
    Some(Replica {
        table: (row.first()?.clone(), row.get(1)?.clone()),
        is_readonly: number(2)? != 0,
        is_session_expired: number(3)? != 0,
        total: count(4)?,
        active: count(5)?,
        delay: number(6)?,
        queue: number(7)?,
        path: row.get(8)?.clone(),
        name: row.get(9)?.clone(),
    })
}

/// The names of a table's replicas that the quorum has on its books, as a server tells; `None` where it does not.
pub(crate) fn registered(
    at: &HttpEndpoint,
    host: &HostName,
    table: &Replica,
    facts: &Facts,
) -> Option<BTreeSet<String>> {
    let body = facts.get(host, &queries::registered(at)).ok()?.ok()?;
    let path = format!("{}/replicas", table.path);
    let of_table = |row: Vec<String>| {
        (row.first() == Some(&path))
            .then(|| row.get(1).cloned())
            .flatten()
    };
    Some(rows(body).into_iter().filter_map(of_table).collect())
}

/// Rows of `TabSeparated` (<https://clickhouse.com/docs/interfaces/formats/TabSeparated>).
fn rows(body: &str) -> Vec<Vec<String>> {
    let rows = body.lines().filter(|line| !line.is_empty());
    rows.map(|line| line.split('\t').map(unescape).collect())
        .collect()
}

fn unescape(cell: &str) -> String {
    let mut out = String::with_capacity(cell.len());
    let mut chars = cell.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

/// A version's first two numbers.
pub(crate) fn version(text: &str) -> Option<(u32, u32)> {
    // An epoch stands before a colon.
    let text = text.rsplit(':').next()?;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// What a server should know of the cluster and does not; `None` where nothing is missing.
pub(crate) fn stale(settings: &Settings, host: &HostName, live: &Live) -> Option<String> {
    let wanted: BTreeSet<(String, u16)> = settings
        .hosts
        .iter()
        .map(|host| (host.to_string(), settings.tcp_port))
        .collect();
    if live.cluster != wanted {
        let missing: Vec<&str> = wanted
            .difference(&live.cluster)
            .map(|(host, _)| host.as_str())
            .collect();
        let cluster = &settings.cluster;
        return Some(if live.cluster.is_empty() {
            format!("it does not know the cluster {cluster}")
        } else if missing.is_empty() {
            let extra: Vec<&str> = live
                .cluster
                .difference(&wanted)
                .map(|(host, _)| host.as_str())
                .collect();
            format!("it still has {} in the cluster {cluster}", extra.join(", "))
        } else {
            format!("it does not know {} in the cluster {cluster}", missing.join(", "))
        });
    }
    files::macros_of(settings, host)
        .into_iter()
        .find_map(|(name, value)| {
            let found = live.macros.get(name);
            (found != Some(&value)).then(|| match found {
                Some(found) => format!("its macro {name} is {found} instead of {value}"),
                None => format!("it has no macro {name}"),
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_packages_and_servers() {
        for (text, want) in [
            ("18.16.1+ds-7.3+b2", (18, 16)),
            ("23.8.2.7", (23, 8)),
            ("1:24.3.1.2672", (24, 3)),
        ] {
            assert_eq!(version(text), Some(want), "{text}");
        }
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn cells_are_unescaped() {
        assert_eq!(rows("a\\tb\tc\\\\d\n\n"), [["a\tb", "c\\d"]]);
    }
}
