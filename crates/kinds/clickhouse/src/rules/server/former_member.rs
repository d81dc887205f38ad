//! Former members, as far as they can be reached, and what they hold.

use std::collections::BTreeSet;

use formats::xml;
use plan::Facts;
use protocol::Text;
use protocol::facts::{FileFact, UnitFact};
use types::HostName;

use crate::observe::server::queries;
use crate::observe::server::replies::{Live, Replica};
use crate::observe::view::{Member, View};
use crate::rules::coordination::quorum::Quorum;
use crate::settings::Settings;

/// A former member, and the processes that are left of it.
pub(crate) struct FormerMember<'v> {
    pub(crate) member: &'v Member<'v>,
    /// Whether its server runs, or would at the next boot.
    pub(crate) has_server: bool,
    /// Whether its ZooKeeper was a voter, and runs or would.
    pub(crate) has_zookeeper: bool,
}

/// The former member on a host; `None` where none was.
pub(crate) fn on<'v>(quorum: &Quorum<'v>, host: &HostName) -> Option<FormerMember<'v>> {
    let view = quorum.view;
    let member = view.member(host)?;
    let was_voter = quorum.was_voter(member);
    if !was_voter && !was_replica(view.settings, host, view.facts) {
        return None;
    }
    let runs = |unit: &UnitFact| unit.exists() && (unit.is_active() || unit.is_enabled());
    let zookeeper = member
        .voter_unit
        .as_ref()
        .ok()
        .filter(|_| view.settings.zookeeper().is_some());
    Some(FormerMember {
        member,
        has_server: member.unit.as_ref().is_ok_and(|unit| runs(unit)),
        has_zookeeper: was_voter && zookeeper.is_some_and(|unit| runs(unit)),
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
    let names: BTreeSet<String> = replicas
        .filter_map(|replica| Some(settings.canonical(replica.text_at(&["host"])?)))
        .collect();
    names.contains(host.as_str()) && settings.hosts.iter().any(|host| names.contains(host.as_str()))
}

/// Why a running server cannot be stopped: it holds what no member is shown to have.
pub(crate) fn only_there(view: &View<'_>, member: &Member<'_>) -> Option<String> {
    let silent = |why: &str| Some(format!("it does not tell what it holds: {why}"));
    let live = match member.live() {
        Ok(live) => live,
        Err(why) => return silent(why),
    };
    let tables = match &live.replicas {
        Ok(tables) => tables,
        Err(why) => return silent(why),
    };
    if let Some(replica) = tables
        .iter()
        .find(|replica| holders(view, replica).next().is_none())
    {
        let name = replica.full_name();
        return Some(format!("no member that stays has a replica of {name}"));
    }
    match &live.local_tables {
        Some(tables) => (!tables.is_empty()).then(|| {
            let tables = tables.join(", ");
            format!("{tables} are on it alone, for they are not replicated")
        }),
        None => Some("it does not tell which of its tables are on it alone".to_owned()),
    }
}

/// The members that have a replica of the same table, with their servers and those replicas.
pub(crate) fn holders<'v>(
    view: &'v View<'_>,
    of: &'v Replica,
) -> impl Iterator<Item = (&'v HostName, &'v Live, &'v Replica)> {
    let answering = view.answering();
    answering.filter_map(|(member, live)| Some((member.host, live, live.replica_of(of)?)))
}

/// Whether everything that a former member has is on others, which have caught up; the error says what is missing.
pub(crate) fn is_covered(view: &View<'_>, member: &Member<'_>) -> Result<(), String> {
    let host = member.host;
    let live = member.live().map_err(|why| format!("{host}: {why}"))?;
    let tables = live.replicas.as_ref().map_err(|why| format!("{host}: {why}"))?;
    for of in tables {
        let name = of.full_name();
        let is_complete = |(_, live, replica): (_, &Live, &Replica)| {
            live.session.is_ok() && !replica.is_readonly && !replica.is_session_expired && replica.is_level()
        };
        if holders(view, of).any(is_complete) {
            continue;
        }
        return Err(match holders(view, of).next() {
            Some((on, _, replica)) => format!(
                "{name}: on {on} {} entries are to be fetched, {} s behind",
                replica.queue, replica.delay
            ),
            None => format!("{name} is on {host} alone"),
        });
    }
    Ok(())
}
