//! A host's ClickHouse server, as it answers.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Facts, Unknown};
use protocol::facts::{HttpEndpoint, HttpFact, HttpQuery, UnitFact};
use types::HostName;

use super::queries;
use super::schema::{Schema, full_name};
use crate::settings::Settings;
use kit::Probe;

/// How a server answers that has no such setting (115, `UNKNOWN_SETTING`).
const UNKNOWN_SETTING: &str = "Code: 115";

/// Why a server that listens tells nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denial {
    /// It refuses the login, or the question.
    Refused(String),
    /// It is another program, and where the server listens is not known.
    Foreign(String),
}

impl Denial {
    /// The same in words.
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Refused(why) | Self::Foreign(why) => why,
        }
    }
}

/// A running server's answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Live {
    /// The address and the account that got the answer.
    pub(crate) at: HttpEndpoint,
    pub(crate) version: String,
    /// Hosts and ports of the cluster's replicas as it knows them.
    pub(crate) cluster: BTreeSet<(String, u16)>,
    pub(crate) macros: BTreeMap<String, String>,
    /// Whether the table of a round trip of DDL was left behind.
    pub(crate) has_check_table: bool,
    /// Whether it is a new replica that lacks tables of the others, or their data: a run has begun to make them.
    pub(crate) has_joining_table: bool,
    /// Its databases and tables, or its error; members are asked.
    pub(crate) schema: Result<Schema, String>,
    /// Its replicated tables; or its error, such as that its session is over.
    pub(crate) replicas: Result<Vec<Replica>, String>,
    /// The engines of its replicated tables, by database and name, with the macros as they were written; members are asked.
    pub(crate) engines: Option<BTreeMap<(String, String), String>>,
    /// Whether it reaches the quorum, or its error.
    pub(crate) session: Result<(), String>,
    /// The rows of replicas that are registered in the quorum: path and name. Older servers do not tell.
    registered: Option<Vec<Vec<String>>>,
    /// Tables that hold something and are on this server alone; only former members are asked.
    pub(crate) local_tables: Option<Vec<String>>,
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
    /// The path of its common state in the quorum.
    pub(crate) path: String,
    /// The replica's name there.
    pub(crate) name: String,
}

impl Live {
    /// The names under which a table's replicas are registered in the quorum; `None` where the server does not tell.
    pub(crate) fn registered(&self, table: &Replica) -> Option<BTreeSet<&str>> {
        let path = format!("{}/replicas", table.path);
        let of_table = self
            .registered
            .as_ref()?
            .iter()
            .filter(|row| row.first() == Some(&path));
        Some(
            of_table
                .filter_map(|row| row.get(1))
                .map(String::as_str)
                .collect(),
        )
    }

    /// Whether it has replicated tables, or may have them: it does not tell where its session is over.
    pub(crate) fn has_tables(&self) -> bool {
        self.replicas.as_ref().map_or(true, |tables| !tables.is_empty())
    }

    /// Its replica of the table with this common state.
    pub(crate) fn replica_of(&self, table: &Replica) -> Option<&Replica> {
        self.replicas
            .iter()
            .flatten()
            .find(|replica| replica.path == table.path)
    }
}

impl Replica {
    /// Database and table in one word.
    pub(crate) fn full_name(&self) -> String {
        full_name(&self.table)
    }

    /// Whether it has all that the others have.
    pub(crate) fn is_level(&self) -> bool {
        self.delay == 0 && self.queue == 0
    }
}

/// Asks a host's server: of the accounts the first that gets an answer. That nobody listens proves that it is down only
/// where its unit does not run either: one that runs may be starting, or be asked at a port that is not its own.
pub(crate) fn probe(
    settings: &Settings,
    host: &HostName,
    unit: &Result<&UnitFact, Unknown>,
    facts: &Facts,
) -> Probe<Live, Denial> {
    let mut other = None;
    for at in queries::endpoints(settings) {
        let failed = match facts.get(host, &queries::state(settings, &at)) {
            Ok(HttpFact::Reply { status: 200, body }) if is_state(body.as_str()) => {
                return Probe::Up(live(settings, &at, body.as_str(), host, facts));
            }
            Ok(HttpFact::Reply { status, body }) if *status != 200 && is_error(body.as_str()) => {
                Probe::Denied(Denial::Refused(error(*status, body.as_str())))
            }
            Ok(HttpFact::Reply { status, body }) => {
                let said = error(*status, body.as_str());
                let port = at.port;
                Probe::Denied(Denial::Foreign(format!(
                    "what listens on port {port} is not ClickHouse: {said}"
                )))
            }
            Ok(HttpFact::Down(silence)) => Probe::silent(unit, silence),
            Err(unknown) => return Probe::Unknown(unknown.to_string()),
        };
        // A refusal says more than a port where nobody listens.
        if !matches!(other, Some(Probe::Denied(_))) {
            other = Some(failed);
        }
    }
    other.unwrap_or_else(|| Probe::Unknown("it was not asked".to_owned()))
}

/// Whether this answers [`queries::state`]. The parts of a `UNION ALL` run at once, and their rows come in any order.
fn is_state(body: &str) -> bool {
    body.lines().any(|line| line.starts_with("version\t"))
}

/// Whether this is an error of ClickHouse: each has its number (`getExceptionMessage`). Another server on its port has none,
/// nor has its own port for the native protocol.
fn is_error(body: &str) -> bool {
    body.contains("Code: ")
}

/// An error in one line.
fn error(status: u16, body: &str) -> String {
    let line = body
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let line: String = line.chars().take(200).collect();
    format!("it answers {status}: {line}")
}

/// The body of a good answer, or its error.
fn body(fact: Result<&HttpFact, Unknown>) -> Result<&str, String> {
    match fact {
        Ok(HttpFact::Reply { status: 200, body }) => Ok(body.as_str()),
        Ok(HttpFact::Reply { status, body }) => Err(error(*status, body.as_str())),
        Ok(HttpFact::Down(silence)) => Err(silence.to_string()),
        Err(unknown) => Err(unknown.to_string()),
    }
}

fn live(settings: &Settings, at: &HttpEndpoint, state: &str, host: &HostName, facts: &Facts) -> Live {
    let answer = |query: &HttpQuery| body(facts.get(host, query));
    let replicas = answer(&queries::replicas(at));
    let registered = answer(&queries::registered(at)).ok();
    let engines = answer(&queries::engines(at)).ok().map(rows);
    let engine = |row: Vec<String>| <[String; 3]>::try_from(row).ok();
    let local_tables = answer(&queries::local_tables(at)).ok();
    let mut schema = answer(&queries::schema(at, true));
    if schema.as_ref().is_err_and(|why| why.contains(UNKNOWN_SETTING)) {
        schema = answer(&queries::schema(at, false));
    }
    let lines = |body: &str| {
        body.lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut live = Live {
        at: at.clone(),
        version: String::new(),
        cluster: BTreeSet::new(),
        macros: BTreeMap::new(),
        has_check_table: false,
        has_joining_table: false,
        schema: schema.map(|body| Schema::read(rows(body))),
        replicas: replicas.map(|body| rows(body).iter().filter_map(|row| replica(row)).collect()),
        engines: engines.map(|rows| {
            let engines = rows.into_iter().filter_map(engine);
            engines
                .map(|[database, name, engine]| ((database, name), engine))
                .collect()
        }),
        session: answer(&queries::session(at)).map(|_| ()),
        registered: registered.map(rows),
        local_tables: local_tables.map(lines),
    };
    for row in rows(state) {
        let cell = |at: usize| row.get(at).cloned().unwrap_or_default();
        match cell(0).as_str() {
            "version" => live.version = cell(1),
            "replica" => {
                let host = settings.canonical(&cell(1));
                live.cluster.insert((host, cell(2).parse().unwrap_or(0)));
            }
            "macro" => {
                live.macros.insert(cell(1), cell(2));
            }
            "check" if cell(1) == queries::JOINING_TABLE => live.has_joining_table = true,
            "check" => live.has_check_table = true,
            _ => {}
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_unescaped() {
        assert_eq!(rows("a\\tb\tc\\\\d\n\n"), [["a\tb", "c\\d"]]);
    }
}
