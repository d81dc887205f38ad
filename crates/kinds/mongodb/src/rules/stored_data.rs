//! The data that a host's server stores, and the proof that it stores none.
//!
//! A server that waits for a set's configuration shows its databases to no client, and an initial sync destroys all that
//! a joining member stores. So "nothing was found" is never taken for "there is nothing": a host is empty only where
//! something proves it, and any other host may store data.

use kit::Probe;

use crate::observe::{Member, Membership, Server};

/// The consent to replace what a host may store by the set's data.
pub(crate) const DISCARD: &str = "mongodb.discard";

/// The databases that every server has for itself.
const OWN: [&str; 3] = ["admin", "config", "local"];

/// The data of a host that an initial sync would destroy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredData {
    /// It is proven that there are none.
    Nothing,
    /// There are some, in words: `the database "app"`.
    Found(String),
    /// There is no proof either way, and why.
    Unproven(String),
}

/// The data of a host.
pub(crate) fn stored_data(member: &Member<'_>) -> StoredData {
    let unproven = |why: String| StoredData::Unproven(why);
    match &member.server {
        Probe::Up(server) => match shown(server) {
            Some(found) => found,
            None if has_always_waited(member) => StoredData::Nothing,
            None => unproven(
                "its server shows no databases, and may have taken writes before it waited for a set's configuration"
                    .to_owned(),
            ),
        },
        _ if member.never_ran() => StoredData::Nothing,
        Probe::Denied(error) => unproven(format!("its server refuses the admin: {error}")),
        Probe::Down(why) | Probe::Unknown(why) => {
            unproven(format!("its server has run before, and does not answer: {why}"))
        }
    }
}

/// The data that a host is known to store.
pub(crate) fn found(member: &Member<'_>) -> Option<String> {
    match stored_data(member) {
        StoredData::Found(what) => Some(what),
        StoredData::Nothing | StoredData::Unproven(_) => None,
    }
}

/// The data that a server shows: its databases, or else the number of its users' collections, which servers since 5.1 tell
/// before they know their set.
fn shown(server: &Server) -> Option<StoredData> {
    let what = if let Some(names) = &server.databases {
        let name = names.iter().find(|name| !OWN.contains(&name.as_str()));
        name.map(|name| format!("the database {name:?}"))
    } else {
        let count = server.collections?;
        (count > 0).then(|| format!("{count} collections"))
    };
    Some(what.map_or(StoredData::Nothing, StoredData::Found))
}

/// Whether no process that took writes can have run on the data directory: the one that made it still runs, and waits for
/// a set's configuration; or it was made after the last change of a file by which every process waits for one.
///
/// WiredTiger writes the file `WiredTiger` when it makes a database, and never again (`__conn_single` in its source).
fn has_always_waited(member: &Member<'_>) -> bool {
    let (Ok(unit), Ok(made), Ok(file), Some(Ok(conf))) =
        (&member.unit, &member.wired_tiger, &member.conf_file, &member.conf)
    else {
        return false;
    };
    let (Some(made), Some(file)) = (made.meta(), file.meta()) else {
        return false;
    };
    let is_waiting = member.membership() == Some(&Membership::Uninitiated);
    let by_this_process = unit.is_active() && unit.started_us > 0 && made.modified_us >= unit.started_us;
    let since_the_file =
        conf.get("replication.replSetName").is_some() && made.modified_us >= file.modified_us;
    is_waiting && !member.stores_elsewhere && (by_this_process || since_the_file)
}
