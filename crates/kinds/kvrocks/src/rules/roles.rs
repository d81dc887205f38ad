//! Who is the master, who follows it, and who has no role yet.
//!
//! Roles are run-time state: after a failover Sentinel has the engines rewrite their files, and a tool that writes
//! roles back from an inventory makes two masters. So whoever knows is asked, in this order: the sentinels that run; the
//! replication that runs; what the sentinels' files say, where the sentinels do not run; what the engines' files say,
//! where those do not run or were not restarted yet. Only where nobody has a role, the first host of the inventory is
//! the master.

use std::collections::BTreeMap;

use plan::Refusal;
use types::HostName;

use crate::observe::replies::{Talk, field};
use crate::observe::view::View;
use crate::observe::view::monitored_by_file;
use crate::rules::data_loss::lost_its_data;
use formats::directives::unquoted;

/// What is known of the roles.
pub(crate) enum Roles {
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
pub(crate) enum Source {
    /// The sentinels: roles are theirs.
    Sentinel,
    /// The engines, as they replicate now.
    Replication,
    /// Files, of sentinels or of engines.
    Files,
}

impl Roles {
    /// The master, present or future.
    pub(crate) fn master(&self) -> Option<&HostName> {
        match self {
            Self::Known { master, .. } | Self::First(master) => Some(master),
            Self::Refused(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether the sentinels hand out the roles.
    pub(crate) fn are_sentinels(&self) -> bool {
        matches!(self, Self::Known { source, .. } if *source == Source::Sentinel)
    }

    /// Whether the cluster replicates, as opposed to what files only promise.
    pub(crate) fn are_in_force(&self) -> bool {
        matches!(self, Self::Known { source, .. } if *source != Source::Files)
    }

    /// Finds out.
    pub(crate) fn find(view: &View<'_>) -> Self {
        let found = sentinels(view)
            .or_else(|| replication(view))
            .or_else(|| sentinel_files(view))
            .or_else(|| engine_files(view));
        if let Some(roles) = found {
            return roles;
        }
        if let Some(refusal) = elsewhere(view) {
            return refusal;
        }
        match view.members.first() {
            None => Self::Unknown("the service has no host".to_owned()),
            Some(first) => match (first.unreachable, &first.engine) {
                (Some(why), _) => Self::Unknown(format!(
                    "no member has a role yet, and {}, which would be the master, cannot be reached: {why}",
                    first.host
                )),
                (None, Talk::Denied(_)) if first.is_denied() => Self::Unknown(format!(
                    "no member has a role yet, and {}, which would be the master, refuses the password",
                    first.host
                )),
                _ => Self::First(first.host.clone()),
            },
        }
    }
}

/// None of the members has a role, and hosts that are none watch a master of the same name: all members were replaced at
/// once, it seems, and to begin anew would leave the data behind.
fn elsewhere(view: &View<'_>) -> Option<Roles> {
    let hosts: Vec<&HostName> = view.strange_stores().map(|other| other.host).collect();
    let name = &view.settings.sentinel.master_name;
    (!hosts.is_empty()).then(|| {
        refused(
            "nothing is changed",
            &format!(
                "no member has a role yet, and the sentinels on {}, which are no hosts of this service, watch a master {name}",
                join(&hosts)
            ),
            "if they were its hosts before, name a majority of them until the new ones have joined; if they are another \
             store, give this one another sentinel.master_name",
        )
    })
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
        let Some((address, port)) = monitored_by_file(&directives, name) else {
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
    let (what, at) = ("nothing is changed", endpoint(address, port));
    let Some(master) = view.at(address) else {
        return refused(
            what,
            &format!("according to {who} the master is {at}, which is no host of this service"),
            "add the host to the service, or correct its address in the inventory",
        );
    };
    let wanted = view.settings.port;
    if port != wanted.to_string() {
        return refused(
            what,
            &format!("according to {who} the master is {at}, and the port of the inventory is {wanted}"),
            &format!(
                "set port = {port}: sentinels and replicas know each member by address and port, so a cluster that \
                 lives does not move to another"
            ),
        );
    }
    if let Some(why) = lost_its_data(view, master) {
        return refused(
            what,
            &format!("according to {who} the master is {}, but {why}", master.host),
            "its replicas would be emptied by following it: keep it stopped until Sentinel has made one of them the \
             master, or restore its data",
        );
    }
    Roles::Known {
        master: master.host.clone(),
        source,
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

pub(crate) fn endpoint(address: &str, port: &str) -> String {
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
