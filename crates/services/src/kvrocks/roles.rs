//! Who is the master, who follows it, and who has no role yet.
//!
//! Roles are run-time state: after a failover Sentinel has the engines rewrite their files, and a tool that writes
//! roles back from an inventory makes two masters. So whoever knows is asked, in this order: the sentinels that run; the
//! replication that runs; what the sentinels' files say, where the sentinels do not run; what the engines' files say,
//! where those do not run or were not restarted yet. Only where nobody has a role, the first host of the inventory is
//! the master.

use std::collections::BTreeMap;

use plan::{Consent, Refusal};
use types::HostName;

use super::directives::unquoted;
use super::view::{Member, Talk, View, field, is_flagged_down};
use crate::step::Cx;

/// The consent that lets a node's own data be replaced by the master's.
pub(super) const RESYNC: &str = "kvrocks.resync";

/// What is known of the roles.
pub(super) enum Roles {
    /// There is a master.
    Known {
        /// It.
        master: HostName,
        /// Who says so.
        source: Source,
    },
    /// Nobody has a role: this one becomes the master.
    First(HostName),
    /// They contradict each other.
    Refused(Box<Refusal>),
    /// The one to ask is out of reach.
    Unknown(String),
}

/// Who knows the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The sentinels: roles are theirs.
    Sentinel,
    /// The engines, as they replicate now.
    Replication,
    /// Files, of sentinels or of engines.
    Files,
}

/// What becomes of a member.
pub(super) enum Fate {
    /// It is the master, or becomes it.
    Master,
    /// It follows the master, or will once it runs; its file is not touched.
    Replica,
    /// Nobody has a role for it: it is made to follow the master.
    Joins,
    /// That would cost data.
    Refused(Box<Refusal>),
    /// It cannot be told.
    Unknown(String),
}

impl Roles {
    /// The master, present or future.
    pub(super) fn master(&self) -> Option<&HostName> {
        match self {
            Self::Known { master, .. } | Self::First(master) => Some(master),
            Self::Refused(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether the sentinels hand out the roles.
    pub(super) fn are_sentinels(&self) -> bool {
        matches!(self, Self::Known { source, .. } if *source == Source::Sentinel)
    }

    /// Finds out.
    pub(super) fn find(view: &View<'_>) -> Self {
        let found = sentinels(view)
            .or_else(|| replication(view))
            .or_else(|| sentinel_files(view))
            .or_else(|| engine_files(view));
        if let Some(roles) = found {
            return roles;
        }
        match view.members.first() {
            None => Self::Unknown("the service has no host".to_owned()),
            Some(first) => match (first.unreachable, &first.engine) {
                (Some(why), _) => Self::Unknown(format!(
                    "no member has a role yet, and {}, which would be the master, cannot be reached: {why}",
                    first.host
                )),
                (None, Talk::Denied(_)) if !first.has_newer_file() => Self::Unknown(format!(
                    "no member has a role yet, and {}, which would be the master, refuses the password",
                    first.host
                )),
                _ => Self::First(first.host.clone()),
            },
        }
    }
}

/// What the sentinels that run say.
fn sentinels(view: &View<'_>) -> Option<Roles> {
    let watching = view.watching();
    let mut named: BTreeMap<(&str, &str), Vec<&HostName>> = BTreeMap::new();
    for (member, _, master) in &watching {
        let address = (field(master, "ip"), field(master, "port"));
        named.entry(address).or_default().push(member.host);
    }
    if named.len() > 1 {
        let sayings = named
            .iter()
            .map(|((address, port), hosts)| format!("{} says {}", join(hosts), endpoint(address, port)));
        return Some(refused(
            "nothing is changed",
            &format!(
                "the sentinels name different masters: {}",
                sayings.collect::<Vec<_>>().join(", ")
            ),
            "a failover may be under way: wait a minute and plan again; if they still disagree, see to it that the sentinels \
             reach each other, or let the one that is wrong forget the master (SENTINEL REMOVE) so that it is set up anew",
        ));
    }
    let ((address, port), hosts) = named.into_iter().next()?;
    Some(known(
        view,
        address,
        port,
        &format!("the sentinels on {}", join(&hosts)),
        Source::Sentinel,
    ))
}

/// What the replication that runs says: the node that others follow is the master.
fn replication(view: &View<'_>) -> Option<Roles> {
    let up = || {
        view.members
            .iter()
            .filter_map(|member| Some((member, member.engine.up()?)))
    };
    let mut masters: BTreeMap<(String, String), Vec<&HostName>> = BTreeMap::new();
    for (member, engine) in up().filter(|(_, engine)| !engine.is_master()) {
        let (address, port) = (engine.info("master_host"), engine.info("master_port"));
        let followed = view.at(address);
        // A replica of a replica follows the master through it.
        if followed
            .and_then(|followed| followed.engine.up())
            .is_some_and(|followed| !followed.is_master())
        {
            continue;
        }
        let name = followed.map_or(address, |followed| followed.host.as_str());
        masters
            .entry((name.to_owned(), port.to_owned()))
            .or_default()
            .push(member.host);
    }
    for (member, engine) in up().filter(|(_, engine)| engine.is_master()) {
        if engine.number("connected_slaves").is_some_and(|count| count > 0) {
            masters
                .entry((member.host.to_string(), view.settings.port.to_string()))
                .or_default();
        }
    }
    if masters.len() > 1 {
        let names: Vec<String> = masters
            .keys()
            .map(|(address, port)| endpoint(address, port))
            .collect();
        return Some(refused(
            "nothing is changed",
            &format!("there are several masters with replicas: {}", names.join(" and ")),
            "decide which one holds the data that counts, make the other and its replicas follow it by hand (REPLICAOF), \
             and plan again",
        ));
    }
    let ((address, port), followers) = masters.into_iter().next()?;
    let who = if followers.is_empty() {
        "its replicas".to_owned()
    } else {
        join(&followers)
    };
    Some(known(view, &address, &port, &who, Source::Replication))
}

/// What the files of sentinels that do not run say. The one that saw the latest election knows best: Sentinel counts
/// them in `config-epoch`.
fn sentinel_files(view: &View<'_>) -> Option<Roles> {
    let name = view.settings.sentinel.master_name.as_str();
    let mut latest: Option<u64> = None;
    let mut named: BTreeMap<(String, String), Vec<&HostName>> = BTreeMap::new();
    for member in &view.members {
        let Some(directives) = member.sentinel_directives() else {
            continue;
        };
        let Some((address, port)) = super::sentinel::monitored_by_file(&directives, name) else {
            continue;
        };
        let epoch = directives
            .after(&["sentinel", "config-epoch", name])
            .pop()
            .and_then(|epoch| unquoted(epoch).parse().ok())
            .unwrap_or(0);
        if latest.is_some_and(|latest| epoch > latest) {
            named.clear();
        } else if latest.is_some_and(|latest| epoch < latest) {
            continue;
        }
        latest = Some(epoch);
        let address = view
            .at(&address)
            .map_or(address, |member| member.host.to_string());
        named.entry((address, port)).or_default().push(member.host);
    }
    from_files(view, named, "sentinel.conf")
}

/// What the engines' own files say.
fn engine_files(view: &View<'_>) -> Option<Roles> {
    let mut named: BTreeMap<(String, String), Vec<&HostName>> = BTreeMap::new();
    for member in &view.members {
        if let Some((address, port)) = member.follows_by_file(view.settings) {
            let address = view
                .at(&address)
                .map_or(address, |member| member.host.to_string());
            named.entry((address, port)).or_default().push(member.host);
        }
    }
    from_files(view, named, &view.settings.config)
}

fn from_files(
    view: &View<'_>,
    named: BTreeMap<(String, String), Vec<&HostName>>,
    file: &str,
) -> Option<Roles> {
    if named.len() > 1 {
        let sayings = named
            .iter()
            .map(|((address, port), hosts)| format!("{} names {}", join(hosts), endpoint(address, port)));
        return Some(refused(
            "nothing is changed",
            &format!(
                "nothing runs that knows the master, and the files disagree: in {file}, {}",
                sayings.collect::<Vec<_>>().join(", ")
            ),
            "start the engines and sentinels by hand, master first, and plan again",
        ));
    }
    let ((address, port), hosts) = named.into_iter().next()?;
    let who = format!("{file} on {}", join(&hosts));
    Some(known(view, &address, &port, &who, Source::Files))
}

fn known(view: &View<'_>, address: &str, port: &str, who: &str, source: Source) -> Roles {
    match view.at(address) {
        Some(master) => Roles::Known {
            master: master.host.clone(),
            source,
        },
        None => refused(
            "nothing is changed",
            &format!(
                "according to {who} the master is {}, which is no host of this service",
                endpoint(address, port)
            ),
            "add the host to the service, or correct its address in the inventory",
        ),
    }
}

fn refused(what: &str, why: &str, way_out: &str) -> Roles {
    Roles::Refused(Box::new(Refusal {
        service: None,
        host: None,
        what: what.to_owned(),
        why: why.to_owned(),
        way_out: way_out.to_owned(),
        consent: None,
    }))
}

/// What becomes of a member under these roles.
pub(super) fn fate(view: &View<'_>, roles: &Roles, member: &Member<'_>, cx: &Cx<'_>) -> Fate {
    let master = match roles {
        Roles::Known { master, .. } | Roles::First(master) => master,
        Roles::Refused(refusal) => return Fate::Unknown(refusal.why.clone()),
        Roles::Unknown(why) => return Fate::Unknown(why.clone()),
    };
    if member.host == master {
        return Fate::Master;
    }
    let listed = listing(view, member);
    match &member.engine {
        Talk::Up(engine) if !engine.is_master() => Fate::Replica,
        Talk::Up(engine) if engine.is_empty() => Fate::Joins,
        // Right after a failover: Sentinel turns the old master into a replica within seconds.
        Talk::Up(_) if listed == Listing::Up => Fate::Replica,
        Talk::Up(engine) => {
            let holds = match engine.keys {
                Some(0) => "a scan finds keys in it".to_owned(),
                Some(keys) => format!("dbsize is {keys}"),
                None => "it does not tell how much it holds".to_owned(),
            };
            consented(member, master, &holds, cx)
        }
        Talk::Denied(words) if !member.has_newer_file() => {
            Fate::Unknown(format!("it refuses the password: {words}"))
        }
        _ if listed != Listing::Unknown || member.follows_by_file(view.settings).is_some() => Fate::Replica,
        _ if holds_nothing(view, member) => Fate::Joins,
        _ if matches!(
            roles,
            Roles::Known {
                source: Source::Files,
                ..
            }
        ) && member.is_active() =>
        {
            Fate::Replica
        }
        _ => consented(
            member,
            master,
            "it does not answer, so nobody knows what it holds",
            cx,
        ),
    }
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

/// Whether an engine that does not answer holds no data for certain: nothing is where its package keeps it, and its file
/// does not put it elsewhere.
fn holds_nothing(view: &View<'_>, member: &Member<'_>) -> bool {
    let packaged = view.settings.engine.defaults().data_dir;
    let dir = member.directives(view.settings);
    let dir = dir.as_ref().and_then(|directives| directives.last("dir"));
    member.has_no_data_files && dir.is_none_or(|dir| unquoted(dir) == packaged)
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

pub(super) fn endpoint(address: &str, port: &str) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

fn join(hosts: &[&HostName]) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
    names.join(", ")
}
