//! Where roles are known from, and what contradicts them.

use std::collections::BTreeMap;

use plan::Refusal;
use types::HostName;

use super::data_loss::lost_its_data;
use super::roles::{Roles, Source};
use crate::observe::{Endpoint, Engine, Member, View};
use formats::directives::unquoted;

/// The masters that are named, each with the hosts that name it.
type Named<'v> = BTreeMap<Endpoint, Vec<&'v HostName>>;

/// The running sentinels.
pub(super) fn sentinels(view: &View<'_>) -> Option<Roles> {
    let mut named = Named::new();
    for watch in view.watching() {
        named
            .entry(watch.master.endpoint())
            .or_default()
            .push(watch.member.host);
    }
    if named.len() > 1 {
        let refusal = Refusal::new(
            "nothing is changed",
            format!("the sentinels name different masters: {}", each(&named, "says")),
            "a failover may be under way: wait a minute and plan again; if they still disagree, make sure that the sentinels \
             reach each other, or have the one that is wrong forget the master (SENTINEL REMOVE) so that it is set up again",
        );
        return Some(Roles::Refused(Box::new(refusal.passing())));
    }
    let (endpoint, by) = named.into_iter().next()?;
    let by = format!("the sentinels on {}", join(&by));
    if let Some(why) = is_replaced(view, &endpoint) {
        let refusal = Refusal::new(
            "nothing is changed",
            format!("according to {by} the master is {endpoint}, {why}"),
            "a failover is under way, or was begun and not ended: Sentinel takes such a master for down within a minute, and \
             elects another; plan again then",
        );
        return Some(Roles::Refused(Box::new(refusal.passing())));
    }
    Some(known(view, &endpoint, &by, Source::Sentinel))
}

/// Why the master that sentinels name is none: it reports the role replica.
fn is_replaced(view: &View<'_>, endpoint: &Endpoint) -> Option<String> {
    let master = view.at(&endpoint.address)?;
    let engine = master.engine.up().filter(|engine| !engine.is_master())?;
    let follows = engine.follows();
    Some(format!(
        "and {} reports the role replica, of {follows}",
        master.host
    ))
}

/// The running replication: the engine that others follow is the master.
pub(super) fn replication(view: &View<'_>) -> Option<Roles> {
    let mut masters = Named::new();
    for (member, engine) in view.engines().filter(|(_, engine)| !engine.is_master()) {
        let endpoint = engine.follows();
        let followed = view
            .at(&endpoint.address)
            .and_then(|followed| followed.engine.up());
        // A replica of a replica follows the master through it.
        if followed.is_none_or(Engine::is_master) {
            let endpoint = with_host(view, endpoint);
            masters.entry(endpoint).or_default().push(member.host);
        }
    }
    for (member, engine) in view.engines().filter(|(_, engine)| engine.is_master()) {
        if engine.number("connected_slaves").is_some_and(|count| count > 0) {
            let endpoint = Endpoint {
                address: member.host.to_string(),
                port: view.settings.port.to_string(),
            };
            masters.entry(endpoint).or_default();
        }
    }
    if masters.len() > 1 {
        let names: Vec<String> = masters.keys().map(Endpoint::to_string).collect();
        return Some(refused(
            format!("there are several masters with replicas: {}", names.join(" and ")),
            "decide which one holds the data that counts, make the other and its replicas follow it by hand (REPLICAOF), \
             and plan again",
        ));
    }
    let (endpoint, replicas) = masters.into_iter().next()?;
    let by = if replicas.is_empty() {
        "its replicas".to_owned()
    } else {
        join(&replicas)
    };
    Some(known(view, &endpoint, &by, Source::Replication))
}

/// The files of sentinels that do not run. The one that saw the latest election is right: Sentinel counts them in
/// `config-epoch`.
pub(super) fn sentinel_files(view: &View<'_>) -> Option<Roles> {
    let name = view.settings.sentinel.master_name.as_str();
    let epoch = |member: &Member<'_>| -> u64 {
        let directives = member.sentinel_directives.as_ref();
        let epoch = directives.and_then(|all| all.after(&["sentinel", "config-epoch", name]).pop());
        epoch.and_then(|epoch| unquoted(epoch).parse().ok()).unwrap_or(0)
    };
    let members = view.members.listed.iter();
    let naming = members.filter_map(|member| Some((epoch(member), member, member.monitors_by_file()?)));
    let naming: Vec<_> = naming.collect();
    let latest = naming.iter().map(|(epoch, ..)| *epoch).max()?;
    let latest = naming.into_iter().filter(|(epoch, ..)| *epoch == latest);
    let named = latest.map(|(_, member, endpoint)| (member, endpoint));
    from_files(view, named, "sentinel.conf")
}

/// The engines' own files.
pub(super) fn engine_files(view: &View<'_>) -> Option<Roles> {
    let members = view.members.listed.iter();
    let named = members.filter_map(|member| Some((member, member.follows_by_file()?)));
    from_files(view, named, &view.settings.config)
}

fn from_files<'v>(
    view: &View<'_>,
    naming: impl Iterator<Item = (&'v Member<'v>, Endpoint)>,
    file: &str,
) -> Option<Roles> {
    let mut named = Named::new();
    for (member, endpoint) in naming {
        named
            .entry(with_host(view, endpoint))
            .or_default()
            .push(member.host);
    }
    if named.len() > 1 {
        return Some(refused(
            format!(
                "nothing runs that knows the master, and the files disagree: in {file}, {}",
                each(&named, "names")
            ),
            "start the engines and sentinels by hand, master first, and plan again",
        ));
    }
    let (endpoint, hosts) = named.into_iter().next()?;
    let by = format!("{file} on {}", join(&hosts));
    Some(known(view, &endpoint, &by, Source::Files))
}

/// The roles under a master that is named, unless it cannot be ours or has lost its data.
fn known(view: &View<'_>, endpoint: &Endpoint, by: &str, source: Source) -> Roles {
    let Some(master) = view.at(&endpoint.address) else {
        return refused(
            format!("according to {by} the master is {endpoint}, which is no host of this service"),
            "add the host to the service, or correct its address in the inventory",
        );
    };
    let (port, ours) = (&endpoint.port, view.settings.port);
    if *port != ours.to_string() {
        return refused(
            format!("according to {by} the master is {endpoint}, and the port of the inventory is {ours}"),
            format!(
                "set port = {port}: sentinels and replicas know each member by address and port, so a running cluster does \
                 not move to another"
            ),
        );
    }
    if let Some(why) = lost_its_data(view, master) {
        return refused(
            format!("according to {by} the master is {}, but {why}", master.host),
            "its replicas would be emptied by following it: keep it stopped until Sentinel has made one of them the \
             master, or restore its data",
        );
    }
    Roles::Known {
        master: master.host.clone(),
        source,
    }
}

pub(super) fn refused(why: String, resolve: impl Into<String>) -> Roles {
    Roles::Refused(Box::new(Refusal::new("nothing is changed", why, resolve)))
}

/// The same endpoint under the name of its host, where that is known.
fn with_host(view: &View<'_>, endpoint: Endpoint) -> Endpoint {
    match view.at(&endpoint.address) {
        Some(member) => Endpoint {
            address: member.host.to_string(),
            ..endpoint
        },
        None => endpoint,
    }
}

/// `db1, db2 says 10.0.0.1:6666, db3 says 10.0.0.2:6666`
fn each(named: &Named<'_>, verb: &str) -> String {
    let each = named
        .iter()
        .map(|(endpoint, by)| format!("{} {verb} {endpoint}", join(by)));
    each.collect::<Vec<_>>().join(", ")
}

pub(super) fn join(hosts: &[&HostName]) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
    names.join(", ")
}
