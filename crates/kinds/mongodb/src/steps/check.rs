//! The step `check`: what stands in the way of everything, and what is worth knowing before anything is touched.

use std::collections::BTreeMap;

use plan::{Consent, Level, Note, Refusal};
use types::HostName;

use crate::observe::view::{Node, Place, Server, Up, View};
use crate::rules::stored_data::{self, Holding};
use crate::settings::Settings;
use crate::status::duration;
use crate::steps::start::starts;
use formats::replset::host_of;
use kit::{Cx, StepPlan};

/// The consent to take a member out of the set.
pub(crate) const REMOVE: &str = "mongodb.remove";

/// The oldest version whose commands are spoken here.
const OLDEST: (u32, u32) = (4, 4);

/// Plans the step: it has no tasks.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    all.refusals.extend(whole(&view));
    all.refusals.extend(no_primary(&view, cx, &mut all.notes));
    for host in cx.hosts {
        let Some(node) = view.node(host) else {
            continue;
        };
        all.refusals.extend(obstacle(&view, node, cx));
        note_node(&view, node, &mut all);
    }
    note_set(&view, &mut all);
    for name in view.strangers() {
        all.refusals.extend(stranger(&view, &name, cx));
    }
    all
}

pub(crate) fn refusal(
    host: Option<&HostName>,
    what: impl Into<String>,
    why: impl Into<String>,
    way_out: impl Into<String>,
) -> Refusal {
    Refusal {
        service: None,
        host: host.cloned(),
        what: what.into(),
        why: why.into(),
        way_out: way_out.into(),
        consent: None,
    }
}

/// Why nothing can be done with the set as a whole.
pub(crate) fn whole(view: &View<'_>) -> Vec<Refusal> {
    let found = [
        locked_out(view),
        too_old(view),
        two_sets(view),
        elsewhere(view),
        without_login(view),
    ];
    found.into_iter().flatten().collect()
}

/// Why a host cannot be worked on; `None` where nothing speaks against it.
pub(crate) fn obstacle(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let (settings, host) = (view.settings, node.host);
    if let Some(Err(bad)) = node.conf() {
        return Some(refusal(
            Some(host),
            format!("{} is not changed on {host}", settings.config_path),
            bad.why,
            "correct the file by hand: mongod would not start with it either",
        ));
    }
    let nothing = format!("nothing is changed on {host}");
    let up = match &node.server {
        Server::Up(up) => up,
        Server::Denied(error) => {
            let way_out = "see what the server's log says of the login";
            return Some(refusal(
                Some(host),
                nothing,
                format!("it refuses the admin: {error}"),
                way_out,
            ));
        }
        Server::Down(_) | Server::Unknown(_) => return None,
    };
    match up.place(&settings.replica_set) {
        Place::Foreign(set) => Some(refusal(
            Some(host),
            nothing,
            format!(
                "it is a member of another set, {set:?}, and the inventory says {:?}",
                settings.replica_set
            ),
            "set replica_set in the inventory to that name and list its hosts, or take the host out of that set and empty \
             its data directory by hand",
        )),
        Place::Removed(words) if !is_ours(view, up) => Some(refusal(
            Some(host),
            nothing,
            format!("it was a member of a set that does not know it any more: {words}"),
            "stop mongod there, move its data directory away, and start it empty",
        )),
        // Standing outside, with data: copying the set's data would destroy them.
        Place::Standalone | Place::Blank if view.has_set() => match node.holding(settings) {
            Holding::Nothing => None,
            Holding::Unknown(why) => stored_data::unproven(host, &why, cx),
            Holding::Something(what) => Some(refusal(
                Some(host),
                format!("{host} does not join the set"),
                format!("it holds {what}, and the data of a joining member are replaced by the set's"),
                "move its data into the set (mongodump, mongorestore), then empty its data directory",
            )),
        },
        _ => None,
    }
}

/// Whether a member that was removed had been one of this very set.
pub(crate) fn is_ours(view: &View<'_>, up: &Up) -> bool {
    let ours = view.config().and_then(|config| config.set_id().cloned());
    let its = up.config().and_then(|config| config.set_id().cloned());
    ours.is_some() && ours == its
}

fn locked_out(view: &View<'_>) -> Option<Refusal> {
    let locked = |node: &&Node<'_>| node.server.up().is_some_and(Up::locks_us_out);
    let node = view.nodes.iter().find(locked)?;
    let (why, way_out) = match &view.settings.admin {
        None => (
            format!("{} asks for a login, and the inventory names no admin", node.host),
            "add admin = { user = \"...\", password = { file = \"...\" } }, and security = \"kept\" to leave key file and \
             access control as they are"
                .to_owned(),
        ),
        Some(admin) => (
            format!("{} does not accept the password of the user {:?}", node.host, admin.name),
            format!(
                "name a user with the role root and its password under admin; if {:?} is to be that user, make it or change \
                 its password in the shell",
                admin.name
            ),
        ),
    };
    Some(refusal(None, "nothing is changed in the set", why, way_out))
}

fn too_old(view: &View<'_>) -> Option<Refusal> {
    let (major, minor) = view.version().filter(|version| *version < OLDEST)?;
    Some(refusal(
        None,
        "nothing is changed in the set",
        format!("MongoDB {major}.{minor} does not tell whether a configuration is committed"),
        "upgrade to 4.4 or later, one release after the other",
    ))
}

/// Two sets can have one name: what tells them apart is an id that each got when it was initiated.
fn two_sets(view: &View<'_>) -> Option<Refusal> {
    let mut first: Option<(&HostName, _)> = None;
    for (node, up) in view.members() {
        let Some(id) = up.config().and_then(|config| config.set_id().cloned()) else {
            continue;
        };
        match &first {
            None => first = Some((node.host, id)),
            Some((_, known)) if *known == id => {}
            Some((host, _)) => {
                return Some(refusal(
                    None,
                    "nothing is changed in the set",
                    format!(
                        "{host} and {} are members of two sets that are both named {:?}",
                        node.host, view.settings.replica_set
                    ),
                    "decide which one holds the data, and empty the data directories of the other's members by hand",
                ));
            }
        }
    }
    None
}

/// Access control is not switched on under clients that log in nowhere.
fn without_login(view: &View<'_>) -> Option<Refusal> {
    if !view.settings.manages_auth() {
        return None;
    }
    let set = &view.settings.replica_set;
    // What a newcomer holds is another matter.
    let in_use = |node: &Node<'_>, up: &Up| {
        up.place(set) == Place::Member || (!view.has_set() && node.held(view.settings).is_some())
    };
    let open = view.nodes.iter().find(|node| {
        node.server
            .up()
            .is_some_and(|up| in_use(node, up) && up.asks_for_login() == Some(false))
    })?;
    Some(refusal(
        None,
        "access control is not switched on",
        format!(
            "{} is in use without it: its clients would be cut off, and so would members that have no key yet",
            open.host
        ),
        "leave admin and keyfile out to manage the set as it is; or make the users, give the clients their passwords, switch \
         it on by hand with security.transitionToAuth \
         (https://www.mongodb.com/docs/manual/tutorial/enforce-keyfile-access-control-in-existing-replica-set/), and plan \
         again",
    ))
}

fn no_primary(view: &View<'_>, cx: &Cx<'_>, notes: &mut Vec<Note>) -> Option<Refusal> {
    if !view.has_set()
        || view.primary().is_some()
        || view
            .nodes
            .iter()
            .any(|node| node.server.up().is_some_and(Up::locks_us_out))
    {
        return None;
    }
    let states: Vec<String> = view
        .nodes
        .iter()
        .map(|node| {
            let state = match (&node.server, node.unreachable) {
                (_, Some(_)) => "not reached".to_owned(),
                (Server::Up(_), None) => view
                    .seen(node.host)
                    .map_or("no member".to_owned(), |seen| seen.words),
                _ => "not answering".to_owned(),
            };
            format!("{} {state}", node.host)
        })
        .collect();
    let states = states.join(", ");
    if view.nodes.iter().any(|node| starts(view, node, cx)) {
        let text = format!(
            "the set has no primary ({states}); stopped members are started, and the rest is planned then"
        );
        notes.push(Note {
            level: Level::Warning,
            service: None,
            host: None,
            text,
        });
        return None;
    }
    if let Some(name) = view.leader_name() {
        return Some(refusal(
            None,
            "nothing is changed in the set",
            format!("its primary is {name}, where this run cannot ask or tell anything"),
            "let a host lead that can be reached (rs.stepDown() in the shell there), or bring that one into reach: it must \
             be under [hosts] until it is out of the set",
        ));
    }
    Some(refusal(
        None,
        "nothing is changed in the set",
        format!("it has no primary: {states}"),
        "if an election is going on, wait and plan again; else bring back as many members as make a majority. A set whose \
         majority is lost for good is never mended automatically: \
         https://www.mongodb.com/docs/manual/tutorial/reconfigure-replica-set-with-unavailable-members/",
    ))
}

/// A member on a host that is listed, under another port. Those on hosts that are not listed leave.
fn stranger(view: &View<'_>, name: &str, cx: &Cx<'_>) -> Option<Refusal> {
    let host = host_of(name).filter(|host| view.settings.hosts.contains(host))?;
    if cx.is_allowed(REMOVE, &host) {
        return None;
    }
    let port = view.settings.port;
    Some(Refusal {
        consent: Some(Consent {
            action: REMOVE.to_owned(),
            host: host.clone(),
        }),
        ..refusal(
            Some(&host),
            format!("{name} is not removed from the set"),
            format!("the set knows {host} as {name}, and the inventory says port {port}"),
            "set that port in the inventory, or allow its removal",
        )
    })
}

/// A set of that name that no listed host is in, on hosts that are not listed: a second one would be made beside it.
fn elsewhere(view: &View<'_>) -> Option<Refusal> {
    let set = &view.settings.replica_set;
    let is_member = |node: &&Node<'_>| {
        let up = node.server.up();
        up.is_some_and(|up| up.place(set) == Place::Member)
    };
    let members = view
        .others
        .iter()
        .filter(is_member)
        .map(|node| node.host.as_str());
    let members: Vec<&str> = members.filter(|_| !view.has_set()).collect();
    if members.is_empty() {
        return None;
    }
    Some(refusal(
        None,
        "no second set is made",
        format!(
            "{} has a set named {set:?}, and no host that the inventory lists for it is a member",
            members.join(", ")
        ),
        "list one of its members until the new ones have the data, or give the new set another replica_set",
    ))
}

fn note_node(view: &View<'_>, node: &Node<'_>, all: &mut StepPlan) {
    let settings = view.settings;
    if let Some(Ok(conf)) = node.conf()
        && conf.get("storage.journal.enabled").is_some()
    {
        let version = node.server.up().and_then(Up::version);
        if version.is_none_or(|version| version >= (6, 1)) {
            let text = format!(
                "{} sets storage.journal.enabled, and MongoDB 6.1 and later do not start with it: take the line out",
                settings.config_path
            );
            all.note(Level::Warning, Some(node.host), text);
        }
    }
    let Some(up) = node.server.up() else {
        if let Server::Down(why) = &node.server
            && node.is_active()
        {
            let text = format!(
                "{} runs and does not answer on port {}: {why}",
                settings.unit, settings.port
            );
            all.note(Level::Warning, Some(node.host), text);
        }
        return;
    };
    if up.place(&settings.replica_set) == Place::Member && !up.serves() {
        let state = view.seen(node.host).map_or(String::new(), |seen| seen.words);
        all.note(
            Level::Warning,
            Some(node.host),
            format!("it is {state} in the set"),
        );
    }
    if let Some(lag) = view.lag_s(node.host).filter(|lag| *lag > settings.max_lag_s) {
        all.note(
            Level::Warning,
            Some(node.host),
            format!("it is {lag} s behind the primary"),
        );
    }
}

fn note_set(view: &View<'_>, all: &mut StepPlan) {
    if let Some((node, up)) = view.primary() {
        let window = up.window_s().map_or(String::new(), |seconds| {
            format!(
                "; its oplog goes back {}: a member that is away longer has to copy everything again",
                duration(seconds)
            )
        });
        all.note(Level::Info, None, format!("{} is the primary{window}", node.host));
    }
    // One note for all of the same kind.
    let mut versions: BTreeMap<(u32, u32), Vec<&str>> = BTreeMap::new();
    for node in &view.nodes {
        if let Some(version) = node.server.up().and_then(Up::version) {
            versions.entry(version).or_default().push(node.host.as_str());
        }
    }
    if versions.len() > 1 {
        let all_of = |((major, minor), hosts): (&(u32, u32), &Vec<&str>)| {
            format!("{major}.{minor} on {}", hosts.join(", "))
        };
        let text: Vec<String> = versions.iter().map(all_of).collect();
        all.note(
            Level::Warning,
            None,
            format!("members run several versions: {}", text.join("; ")),
        );
    }
}
