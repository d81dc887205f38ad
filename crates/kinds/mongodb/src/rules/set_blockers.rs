//! Why nothing can be changed in a set as a whole.

use kit::Probe;
use plan::Refusal;
use protocol::facts::{Bson, Login};
use types::HostName;

use super::stored_data;
use crate::observe::{Member, Membership, Server, View};

/// The oldest version whose commands are used here.
const OLDEST: (u32, u32) = (4, 4);

const NOTHING: &str = "nothing is changed in the set";

/// Everything that speaks against any change of the set.
pub(crate) fn set_blockers(view: &View<'_>) -> Vec<Refusal> {
    let found = [
        rejected_admin(view),
        too_old(view),
        two_sets(view),
        set_on_other_hosts(view),
        clients_without_login(view),
    ];
    found.into_iter().flatten().collect()
}

/// A listed host whose server refuses the admin although there are users.
pub(crate) fn rejects_admin<'v>(view: &'v View<'_>) -> Option<&'v Member<'v>> {
    let rejects = |member: &&Member<'_>| member.server.up().is_some_and(|server| server.rejects_admin);
    view.listed().iter().find(rejects)
}

fn rejected_admin(view: &View<'_>) -> Option<Refusal> {
    let host = rejects_admin(view)?.host;
    // One that starts or copies has no users yet.
    let is_known = |member: &Member<'_>| {
        member
            .server
            .up()
            .is_some_and(|server| server.login == Login::Accepted)
    };
    let is_passing = view.listed().iter().any(is_known);
    let refusal = match &view.settings.admin {
        None => Refusal::new(
            NOTHING,
            format!("{host} requires a login, and the inventory names no admin"),
            "add admin = { user = \"...\", password = { file = \"...\" } }, and security = \"kept\" to leave key file and \
             access control as they are",
        ),
        Some(admin) => Refusal::new(
            NOTHING,
            format!("{host} does not accept the password of the user {:?}", admin.name),
            format!(
                "name a user with the role root and its password under admin; if {:?} is to be that user, create it or change \
                 its password in the shell",
                admin.name
            ),
        ),
    };
    Some(if is_passing { refusal.passing() } else { refusal })
}

fn too_old(view: &View<'_>) -> Option<Refusal> {
    let (major, minor) = view.version().filter(|version| *version < OLDEST)?;
    Some(Refusal::new(
        NOTHING,
        format!("MongoDB {major}.{minor} does not tell whether a configuration is committed"),
        "upgrade to 4.4 or later, one release after the other",
    ))
}

/// Two sets can have one name: they differ in the id that each got when it was initiated.
fn two_sets(view: &View<'_>) -> Option<Refusal> {
    let mut first: Option<(&HostName, &Bson)> = None;
    for (member, server) in view.in_set() {
        let Some(id) = server.config.as_ref().and_then(|config| config.set_id()) else {
            continue;
        };
        match first {
            None => first = Some((member.host, id)),
            Some((_, known)) if known == id => {}
            Some((host, _)) => {
                return Some(Refusal::new(
                    NOTHING,
                    format!(
                        "{host} and {} are members of two sets that are both named {:?}",
                        member.host, view.settings.replica_set
                    ),
                    "decide which one holds the data, and empty the data directories of the other's members by hand",
                ));
            }
        }
    }
    None
}

/// A set of that name on hosts that are not listed, which no listed host is in: a second one would be made beside it.
fn set_on_other_hosts(view: &View<'_>) -> Option<Refusal> {
    let members = view.members.former.iter();
    let members: Vec<&str> = members
        .filter(|member| !view.has_set() && member.membership() == Some(&Membership::Member))
        .map(|member| member.host.as_str())
        .collect();
    if members.is_empty() {
        return None;
    }
    Some(Refusal::new(
        "no second set is created",
        format!(
            "{} has a set named {:?}, and no host that the inventory lists for it is a member",
            members.join(", "),
            view.settings.replica_set
        ),
        "list one of its members until the new ones have the data, or give the new set another replica_set",
    ))
}

/// Access control is not switched on while clients use the set without a login.
fn clients_without_login(view: &View<'_>) -> Option<Refusal> {
    if !view.settings.manages_auth() {
        return None;
    }
    // The data of a joining member are another matter.
    let is_in_use = |member: &Member<'_>, server: &Server| {
        server.membership == Membership::Member || (!view.has_set() && stored_data::found(member).is_some())
    };
    let is_open = |member: &&Member<'_>| match &member.server {
        Probe::Up(server) => server.requires_login == Some(false) && is_in_use(member, server),
        _ => false,
    };
    let open = view.listed().iter().find(is_open)?;
    Some(Refusal::new(
        "access control is not switched on",
        format!(
            "{} is in use without it: its clients would be cut off, and so would members that have no key yet",
            open.host
        ),
        "leave admin and keyfile out to manage the set as it is; or create the users, give the clients their passwords, \
         switch it on by hand with security.transitionToAuth \
         (https://www.mongodb.com/docs/manual/tutorial/enforce-keyfile-access-control-in-existing-replica-set/), and plan \
         again",
    ))
}
