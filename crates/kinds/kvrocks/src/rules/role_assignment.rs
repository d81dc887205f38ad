//! What becomes of each member under the roles that were found, and what must not be lost on the way.

use plan::{Consent, Refusal};
use types::HostName;

use crate::observe::replies::{Content, Talk, field, is_flagged_down};
use crate::observe::view::{Member, View};
use crate::rules::data_loss::holds_nothing;
use crate::rules::roles::Roles;
use kit::Cx;

/// The consent that lets a node's own data be replaced by the master's.
pub(crate) const RESYNC: &str = "kvrocks.resync";

/// What becomes of a member.
pub(crate) enum Fate {
    /// It is the master, or becomes it.
    Master,
    /// It follows the master, or will once it runs; its file is not touched.
    Replica,
    /// Sentinel knows it as a replica, it does not run or is about to start, and its file would make it a master: it was the
    /// master, and another was elected meanwhile. Its file gets the role that Sentinel would give it some ten seconds after
    /// its start.
    Returns,
    /// It runs and follows a member, present or former, that is the master no more, and no sentinel knows it: they learn of
    /// replicas from the master alone (`sentinelRefreshInstanceInfo` in `sentinel.c`), so none of them would ever turn it.
    Astray,
    /// Nobody has a role for it: it is made to follow the master.
    Joins,
    /// That would cost data.
    Refused(Box<Refusal>),
    /// It cannot be told.
    Unknown(String),
}

/// What becomes of a member under these roles.
pub(crate) fn fate(view: &View<'_>, roles: &Roles, member: &Member<'_>, cx: &Cx<'_>) -> Fate {
    let master = match roles {
        Roles::Known { master, .. } | Roles::First(master) => master,
        Roles::Refused(refusal) => return Fate::Unknown(refusal.why.clone()),
        Roles::Unknown(why) => return Fate::Unknown(why.clone()),
    };
    if let (Talk::Denied(words), true) = (&member.engine, member.is_denied()) {
        return Fate::Unknown(format!("it refuses the password: {words}"));
    }
    if member.host == master {
        return Fate::Master;
    }
    let listed = listing(view, member);
    match &member.engine {
        Talk::Up(_) if is_astray(view, roles, member) => Fate::Astray,
        Talk::Up(engine) if !engine.is_master() => Fate::Replica,
        Talk::Up(engine) if engine.is_empty() => Fate::Joins,
        // Right after a failover: Sentinel turns the old master into a replica within seconds.
        Talk::Up(_) if listed == Listing::Up => Fate::Replica,
        Talk::Up(engine) => {
            let holds = match engine.content {
                Content::Keys(0) => "a scan finds keys in it".to_owned(),
                Content::Keys(keys) => format!("dbsize is {keys}"),
                Content::Namespaces => "it has namespaces, whose keys cannot be counted".to_owned(),
                Content::Nothing | Content::Unknown => "it does not tell how much it holds".to_owned(),
            };
            consented(member, master, &holds, cx)
        }
        Talk::Down(_) if is_astray(view, roles, member) => Fate::Joins,
        _ if member.follows_by_file(view.settings).is_some() => Fate::Replica,
        // Sentinel may know its address from a former life; it would serve as a master until Sentinel notices.
        _ if holds_nothing(view, member) => Fate::Joins,
        Talk::Down(_) if listed != Listing::Unknown => Fate::Returns,
        _ if listed != Listing::Unknown => Fate::Replica,
        _ => consented(
            member,
            master,
            "it does not answer, so nobody knows what it holds",
            cx,
        ),
    }
}

/// Whether nothing more is done on a member's host, because its role or its data are in doubt.
pub(crate) fn is_stopped(view: &View<'_>, roles: &Roles, member: &Member<'_>, cx: &Cx<'_>) -> bool {
    matches!(fate(view, roles, member, cx), Fate::Refused(_) | Fate::Unknown(_))
}

/// Whether a member follows one that is the master no more, or would once it runs, and the sentinels, which name another,
/// do not know it.
pub(crate) fn is_astray(view: &View<'_>, roles: &Roles, member: &Member<'_>) -> bool {
    let followed = match &member.engine {
        Talk::Up(engine) if engine.is_master() => None,
        Talk::Up(engine) => Some(engine.info("master_host").to_owned()),
        Talk::Down(_) => member.follows_by_file(view.settings).map(|(address, _)| address),
        Talk::Denied(_) => None,
    };
    // What is copied from elsewhere is nobody's to replace.
    let followed = followed.and_then(|address| view.at(&address));
    let master = roles.master().filter(|_| roles.are_sentinels());
    let (Some(followed), Some(master)) = (followed, master) else {
        return false;
    };
    followed.host != master && member.host != master && listing(view, member) == Listing::Unknown
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
    let rows = watching.iter().flat_map(|(_, sentinel, _)| &sentinel.replicas);
    let mut listing = Listing::Unknown;
    for row in rows.filter(|row| member.addresses.iter().any(|own| own == field(row, "ip"))) {
        if !is_flagged_down(row) {
            return Listing::Up;
        }
        listing = Listing::Down;
    }
    listing
}

fn consented(member: &Member<'_>, master: &HostName, holds: &str, cx: &Cx<'_>) -> Fate {
    let host = member.host;
    if cx.is_allowed(RESYNC, host) {
        return Fate::Joins;
    }
    Fate::Refused(Box::new(Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("{host} does not become a replica of {master}"),
        why: format!("it would lose what it holds to a copy of {master}, and {holds}"),
        way_out: format!(
            "if that can go, allow it; if the data on {host} is the one that counts and no member has a role yet, list \
             {host} first under hosts; if it is only stopped, start it and plan again"
        ),
        consent: Some(Consent {
            action: RESYNC.to_owned(),
            host: host.clone(),
        }),
    }))
}
