//! Hosts that were members and are none any more, as far as they can be reached.

use std::collections::BTreeSet;

use plan::Facts;
use protocol::facts::{FileFact, HttpFact, HttpQuery, Query, UnitFact, UnitQuery};
use protocol::{FactQuery, Text};
use types::HostName;

use crate::observe::queries;
use crate::observe::server::{self as view, Live, Replica, Talk};
use crate::rules::coordination::quorum;
use crate::settings::Settings;
use formats::xml;

/// A former member.
pub(crate) struct Former<'s> {
    pub(crate) host: &'s HostName,
    /// Whether its server runs, or would at the next boot.
    pub(crate) has_server: bool,
    /// Whether its ZooKeeper was a member, and runs or would.
    pub(crate) has_zookeeper: bool,
    pub(crate) talk: Talk,
}

/// What a host that is no member is asked: little, for most of them never were one.
pub(crate) fn queries(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    let mut all = queries::live(settings, host);
    all.push(queries::config(settings).wrap());
    all.push(queries::config_file(settings, "clusters").wrap());
    match settings.zookeeper() {
        Some(zookeeper) => all.push(queries::zoo_cfg(zookeeper).wrap()),
        None => all.push(queries::config_file(settings, "keeper").wrap()),
    }
    let local = queries::endpoints(settings, host);
    all.extend(local.iter().map(|at| local_tables(at).wrap()));
    all
}

/// Tables that hold something and are on this server alone.
fn local_tables(at: &protocol::facts::HttpEndpoint) -> HttpQuery {
    queries::select(
        at,
        "SELECT concat(database, '.', name) FROM system.tables WHERE database != 'system' AND \
         (engine LIKE '%MergeTree' OR engine LIKE '%Log') AND engine NOT LIKE 'Replicated%' FORMAT TabSeparated",
    )
}

/// The former member on a host; `None` where none was, and where nothing of it runs any more.
pub(crate) fn on<'s>(settings: &Settings, host: &'s HostName, facts: &Facts) -> Option<Former<'s>> {
    let was_member = quorum::was_member(settings, host, facts);
    if !was_member && !was_replica(settings, host, facts) {
        return None;
    }
    let runs = |unit: &UnitFact| unit.exists() && (unit.is_active() || unit.is_enabled());
    let zookeeper = settings
        .zookeeper()
        .and_then(|zookeeper| facts.get(host, &UnitQuery::new(&zookeeper.unit)).ok());
    Some(Former {
        host,
        has_server: view::unit(settings, host, facts).is_ok_and(runs),
        has_zookeeper: was_member && zookeeper.is_some_and(runs),
        talk: view::talk(settings, host, facts),
    })
}

/// Whether a host's own file has it in our cluster, beside members that are in it still.
fn was_replica(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    let fact = facts.get(host, &queries::config_file(settings, "clusters")).ok();
    let text = fact.and_then(FileFact::text).map_or("", Text::as_str);
    let root = xml::parse(text).ok();
    let cluster = root
        .as_ref()
        .and_then(|root| root.child("remote_servers")?.child(&settings.cluster));
    let replicas = cluster
        .into_iter()
        .flat_map(|cluster| cluster.all("shard"))
        .flat_map(|shard| shard.all("replica"));
    let names: BTreeSet<&str> = replicas
        .filter_map(|replica| replica.text_at(&["host"]))
        .collect();
    names.contains(host.as_str()) && settings.hosts.iter().any(|host| names.contains(host.as_str()))
}

/// What stands in the way of letting a running server go: what nobody else can be shown to have.
pub(crate) fn only_there(settings: &Settings, former: &Former<'_>, facts: &Facts) -> Option<String> {
    let live = match &former.talk {
        Talk::Up(live) => live,
        Talk::Failing(why) | Talk::Unknown(why) | Talk::Down(why) => {
            return Some(format!("it does not tell what it holds: {why}"));
        }
    };
    let tables = match &live.replicas {
        Ok(tables) => tables,
        Err(why) => return Some(format!("it does not tell what it holds: {why}")),
    };
    let alone = tables
        .iter()
        .find(|replica| holders(settings, replica, facts).is_empty());
    if let Some(replica) = alone {
        let (database, table) = &replica.table;
        return Some(format!(
            "no member that stays has a replica of {database}.{table}"
        ));
    }
    match facts.get(former.host, &local_tables(&live.at)) {
        Ok(HttpFact::Reply { status: 200, body }) => {
            let tables: Vec<&str> = body.as_str().lines().filter(|line| !line.is_empty()).collect();
            (!tables.is_empty()).then(|| {
                format!(
                    "{} are on it alone, for they are not replicated",
                    tables.join(", ")
                )
            })
        }
        _ => Some("it does not tell which of its tables are on it alone".to_owned()),
    }
}

/// The members that stay and have a replica of the same table, and those replicas.
pub(crate) fn holders<'s>(
    settings: &'s Settings,
    of: &Replica,
    facts: &Facts,
) -> Vec<(&'s HostName, Box<Live>, Replica)> {
    let mut holders = Vec::new();
    for host in &settings.hosts {
        if let Talk::Up(live) = view::talk(settings, host, facts)
            && let Ok(tables) = &live.replicas
            && let Some(replica) = tables.iter().find(|replica| replica.path == of.path)
        {
            let replica = replica.clone();
            holders.push((host, live, replica));
        }
    }
    holders
}

/// Whether everything that a former member has is on others, who have caught up; the error says what is missing.
pub(crate) fn is_covered(settings: &Settings, host: &HostName, facts: &Facts) -> Result<(), String> {
    let talk = view::talk(settings, host, facts);
    let live = talk
        .up()
        .ok_or_else(|| format!("{host}: {}", talk.why_not().unwrap_or_default()))?;
    let tables = live.replicas.as_ref().map_err(|why| format!("{host}: {why}"))?;
    for of in tables {
        let (database, table) = &of.table;
        let holders = holders(settings, of, facts);
        let is_whole = |replica: &Replica| {
            !replica.is_readonly && !replica.is_session_expired && replica.delay == 0 && replica.queue == 0
        };
        if !holders
            .iter()
            .any(|(_, live, replica)| live.session.is_ok() && is_whole(replica))
        {
            return Err(match holders.first() {
                Some((on, _, replica)) => format!(
                    "{database}.{table}: on {on} {} entries are to be fetched, {} s behind",
                    replica.queue, replica.delay
                ),
                None => format!("{database}.{table} is on {host} alone"),
            });
        }
    }
    Ok(())
}
