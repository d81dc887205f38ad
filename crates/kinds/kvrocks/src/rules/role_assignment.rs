//! The role that each member gets under the roles that were found, without losing data.

use plan::Refusal;
use types::HostName;

use super::data_loss::has_no_data;
use super::roles::Roles;
use crate::observe::{Content, Engine, Instance, Member, View};
use kit::{Cx, Probe};

/// The consent that lets a member's own data be replaced by the master's.
pub(crate) const RESYNC: &str = "kvrocks.resync";

/// The role that a member gets.
pub(crate) enum Assignment {
    /// It is the master, or becomes it.
    Master,
    /// It follows the master, or will once it runs; its file is not touched.
    Replica,
    /// It was the master, and another was elected while it was down: Sentinel knows it as a replica, and its file would
    /// make it a master. Its file gets the role that Sentinel would give it some ten seconds after its start.
    OldMaster,
    /// It runs and follows a member, present or former, that is not the master any more, and no sentinel knows it: they
    /// learn of replicas from the master alone (`sentinelRefreshInstanceInfo` in `sentinel.c`), so none of them would ever
    /// reconfigure it. Or a failover of ours was cut off: it was made a replica of nobody, and another was elected.
    Orphan,
    /// It has no role yet: it is made to follow the master.
    Joining,
    /// That would cost data.
    Refused(Box<Refusal>),
    /// It is not known.
    Unknown(String),
}

impl Assignment {
    /// The role of a member under these roles.
    pub(crate) fn of(view: &View<'_>, roles: &Roles, member: &Member<'_>, cx: &Cx<'_>) -> Self {
        let master = match roles.decided() {
            Ok(master) => master,
            Err(why) => return Self::Unknown(why.to_owned()),
        };
        if let Some(words) = member.denial() {
            return Self::Unknown(format!("it refuses the password: {words}"));
        }
        if let Probe::Unknown(why) = &member.engine {
            return Self::Unknown(format!("it may run, and could not be asked: {why}"));
        }
        if member.host == master {
            return Self::Master;
        }
        let listing = listing(view, member);
        match &member.engine {
            Probe::Up(_) if is_orphan(view, roles, member) => Self::Orphan,
            Probe::Up(engine) if !engine.is_master() => Self::Replica,
            Probe::Up(engine) if engine.is_empty() => Self::Joining,
            // Right after a failover: Sentinel turns the old master into a replica within seconds.
            Probe::Up(_) if is_being_replaced(view, member) => Self::Replica,
            Probe::Up(engine) => replaced(member, master, &keys(&engine.content), cx),
            Probe::Down(_) if is_orphan(view, roles, member) => Self::Joining,
            _ if member.follows_by_file().is_some() => Self::Replica,
            // Sentinel may know its address from an earlier member; it would be a master until Sentinel notices.
            Probe::Down(_) if has_no_data(view, member) => Self::Joining,
            Probe::Down(_) if listing != Listing::Unknown => Self::OldMaster,
            _ if listing != Listing::Unknown => Self::Replica,
            _ => replaced(
                member,
                master,
                "it does not answer, so its data are not known",
                cx,
            ),
        }
    }
}

/// Whether nothing more is done on a member's host, because its role or its data are in doubt.
pub(crate) fn is_in_doubt(view: &View<'_>, roles: &Roles, member: &Member<'_>, cx: &Cx<'_>) -> bool {
    let assignment = Assignment::of(view, roles, member, cx);
    matches!(assignment, Assignment::Refused(_) | Assignment::Unknown(_))
}

/// Whether a member follows one that is not the master any more, or would once it runs, and the sentinels, which name
/// another, do not know it.
pub(crate) fn is_orphan(view: &View<'_>, roles: &Roles, member: &Member<'_>) -> bool {
    let followed = match &member.engine {
        Probe::Up(engine) if engine.is_master() => None,
        Probe::Up(engine) => Some(engine.follows()),
        Probe::Down(_) => member.follows_by_file(),
        Probe::Denied(_) | Probe::Unknown(_) => None,
    };
    let master = roles.master().filter(|_| roles.are_sentinels());
    if member.engine.up().is_some_and(Engine::follows_nobody) {
        // Sentinel gives it its master back after `failover-timeout`, 180 s by default.
        return master.is_some_and(|master| master != member.host);
    }
    // A copy of another store is not replaced.
    let followed = followed.and_then(|endpoint| view.at(&endpoint.address));
    let (Some(followed), Some(master)) = (followed, master) else {
        return false;
    };
    followed.host != master && member.host != master && listing(view, member) == Listing::Unknown
}

/// Whether a member reports the role master beside the master, and Sentinel, which knows it as a replica, makes it one: within
/// seconds after a failover.
pub(crate) fn is_being_replaced(view: &View<'_>, member: &Member<'_>) -> bool {
    member.engine.up().is_some_and(Engine::is_master) && listing(view, member) == Listing::Up
}

#[derive(PartialEq, Eq)]
enum Listing {
    /// No sentinel knows it.
    Unknown,
    /// The sentinels know it as a replica, and reach it.
    Up,
    /// The sentinels know it as a replica, and do not reach it.
    Down,
}

/// How the sentinels list a member among the replicas.
fn listing(view: &View<'_>, member: &Member<'_>) -> Listing {
    let watching = view.watching();
    let replicas = watching.iter().flat_map(|watch| &watch.sentinel.replicas);
    let own: Vec<&Instance> = replicas
        .filter(|replica| member.addresses.iter().any(|own| own == replica.ip()))
        .collect();
    match own.iter().all(|replica| replica.is_down()) {
        _ if own.is_empty() => Listing::Unknown,
        true => Listing::Down,
        false => Listing::Up,
    }
}

fn keys(content: &Content) -> String {
    match content {
        Content::Keys(0) => "a scan finds keys in it".to_owned(),
        Content::Keys(keys) => format!("dbsize is {keys}"),
        Content::Namespaces => "it has namespaces, whose keys cannot be counted".to_owned(),
        Content::Nothing | Content::Unknown => "it does not tell how many keys it has".to_owned(),
    }
}

/// A member joins although it may have data, where the operator consents.
fn replaced(member: &Member<'_>, master: &HostName, data: &str, cx: &Cx<'_>) -> Assignment {
    let host = member.host;
    if cx.is_allowed(RESYNC, host) {
        return Assignment::Joining;
    }
    let refusal = Refusal::new(
        format!("{host} does not become a replica of {master}"),
        format!("its data would be replaced by a copy of {master}, and {data}"),
        format!(
            "if its data can go, allow it; if the data on {host} is the one that counts and no member has a role yet, list \
             {host} first under hosts; if it is only stopped, start it and plan again"
        ),
    );
    Assignment::Refused(Box::new(refusal.on(host).unless_allowed(RESYNC, host)))
}
