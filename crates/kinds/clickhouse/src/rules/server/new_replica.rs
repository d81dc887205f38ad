//! The tables of a new replica. A cluster does not make them by itself, and clients that are told of the host would miss
//! them: they are those that all other members have, made with the same statements.
//!
//! A replica is new where its server never ran, or holds no replicated table, or where a run has begun to make them. One
//! that lacks single tables of the others is left as it is: an operator may want it so.

use std::collections::BTreeSet;

use plan::Refusal;
use protocol::facts::FileFact;
use types::HostName;

use super::config_xml::version;
use super::files::macros_of;
use super::schema_copy::{SchemaCopy, common};
use crate::observe::server::queries;
use crate::observe::server::replies::{Live, Replica};
use crate::observe::server::schema::Schema;
use crate::observe::view::{Member, View};
use kit::Probe;

/// What a new replica lacks.
pub(crate) struct Lacking {
    /// How its databases and tables are made.
    pub(crate) copy: SchemaCopy,
    /// The paths of the replicated ones in the quorum.
    paths: BTreeSet<String>,
}

/// What a host lacks as a new replica; `None` where it is none, or has all. The error says why it is not known.
///
/// `drops` says that this plan drops what is registered under its name.
pub(crate) fn lacking(view: &View<'_>, host: &HostName, drops: bool) -> Result<Option<Lacking>, String> {
    let sources = view.answering().filter(|(other, live)| {
        let has_tables = live.replicas.as_ref().is_ok_and(|tables| !tables.is_empty());
        other.host != host && has_tables && !live.has_joining_table
    });
    let sources: Vec<(&HostName, &Live)> = sources.map(|(other, live)| (other.host, live)).collect();
    let (Some(member), Some((_, source))) = (view.member(host), sources.first()) else {
        return Ok(None);
    };
    if !is_new(view, member, source) {
        return Ok(None);
    }
    let live = member.server.up();
    let has = |table: &&Replica| live.is_some_and(|live| live.replica_of(table).is_some());
    let missing: Vec<&Replica> = source
        .replicas
        .iter()
        .flatten()
        .filter(|table| !has(table))
        .collect();
    // The step `replicas` tells of what is registered under its name.
    let is_dropped = |table: &Replica| drops && source.registered(table).is_some();
    let is_taken = |table: &&Replica| !is_dropped(table) && is_registered(view, host, source, table);
    let is_begun = live.is_some_and(|live| live.has_joining_table);
    if (live.is_some() && missing.iter().any(is_taken)) || (missing.is_empty() && !is_begun) {
        return Ok(None);
    }
    let common = common(&sources)?;
    let own = live.and_then(|live| live.schema.as_ref().ok());
    Ok(Some(Lacking {
        copy: SchemaCopy::new(
            &common,
            own.unwrap_or(&Schema::default()),
            version(&source.version),
        )?,
        paths: missing.iter().map(|table| table.path.clone()).collect(),
    }))
}

/// How many of these hosts get a replica of a table as new replicas.
pub(crate) fn coming(view: &View<'_>, hosts: &[HostName], table: &Replica) -> usize {
    let gets = |host: &&HostName| {
        let lacking = lacking(view, host, false).ok().flatten();
        lacking.is_some_and(|lacking| lacking.paths.contains(&table.path))
    };
    hosts.iter().filter(gets).count()
}

/// Whether a member is a new replica. One that does not run is where none of the tables is registered under its name.
fn is_new(view: &View<'_>, member: &Member<'_>, source: &Live) -> bool {
    let never_ran = || {
        let merged = view
            .facts
            .get(member.host, &queries::merged_config(view.settings));
        merged.is_ok_and(|fact| matches!(fact, FileFact::Absent))
    };
    let mut tables = source.replicas.iter().flatten();
    match &member.server {
        Probe::Up(live) => live.has_joining_table || live.replicas.as_ref().is_ok_and(Vec::is_empty),
        Probe::Down(_) => never_ran() || !tables.any(|table| is_registered(view, member.host, source, table)),
        Probe::Denied(_) | Probe::Unknown(_) => false,
    }
}

/// Whether a table's replica of a host is registered in the quorum, or may be: older servers do not tell the names.
fn is_registered(view: &View<'_>, host: &HostName, source: &Live, table: &Replica) -> bool {
    let own = macros_of(view.settings, host);
    match source.registered(table) {
        Some(names) => own.get("replica").is_some_and(|own| names.contains(own.as_str())),
        None => table.total >= view.settings.hosts.len(),
    }
}

/// The refusal to go on with a new replica whose tables are not known.
pub(crate) fn refusal(host: &HostName, why: String) -> Refusal {
    let refusal = Refusal::new(
        format!("the tables of the new replica {host} are not made"),
        why,
        format!(
            "make the members alike first; or make the tables on {host} by hand: any replicated one will do"
        ),
    );
    refusal.on(host)
}
