//! The step `users`: the admin, then the application's users, on the primary's own host.
//!
//! A server with access control and without users lets its own host make the first one (the localhost exception,
//! <https://www.mongodb.com/docs/manual/core/localhost-exception/>), so the admin comes first, and makes the others.
//! Whether a password is right is found out by logging in with it; one that is right is not written again.

use std::collections::BTreeSet;

use plan::{Level, Preview};
use protocol::facts::{Bson, Login, MongoCommand, MongoFact, MongoUser, Query};
use protocol::{Action, Fact, Operation, Precondition, Text};
use types::HostName;

use crate::checks::gates;
use crate::observe::queries::{self, HERE, ask_as_nobody};
use crate::observe::view::{Up, View, is_reached, known_admin};
use crate::settings::{Role, Settings, User};
use crate::steps::initiate;
use kit::QUICK;
use kit::{Cx, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut all = StepPlan::nothing();
    let Some(admin) = &settings.admin else {
        return all;
    };
    let view = View::new(settings, cx.facts);
    let planned = initiate::planned(cx);
    let (host, up) = match (&planned, view.primary()) {
        (Some(planned), _) => {
            let node = view.node(planned.seed);
            (planned.seed, node.and_then(|node| node.server.up()))
        }
        (None, Some((node, up))) if is_reached(node.host, cx) => (node.host, Some(up)),
        // Without a primary nothing can be made; the step `check` says so.
        (None, _) => return all,
    };
    // Who knows the admin has users; a server that was never initiated and does not know it has none of ours.
    let is_known = up.is_some_and(|up| known_admin(settings, up).is_some());
    if !is_known {
        // Now the configuration can be looked at: a new primary writes its term into it first.
        let task = first(settings, host, admin, up);
        all.tasks.push(task.gate(gates::committed(&view, 1)));
    }
    let listed = up.filter(|_| is_known).and_then(Up::users);
    if is_known && listed.is_none() && planned.is_none() {
        all.unplanned
            .push((host.clone(), "the primary does not tell its users".to_owned()));
        return all;
    }
    for user in &settings.users {
        // A list is of `admin` alone, and a server that waits to be initiated shows none; who can log in is there.
        let is_listed = listed.is_some() && user.login.auth_db == "admin";
        let roles = listed
            .iter()
            .flatten()
            .find(|(name, _)| is_listed && *name == user.login.name);
        match roles {
            Some((_, roles)) => {
                all.tasks
                    .extend(mend(settings, host, admin, user, roles, cx, &mut all.notes));
            }
            None if !is_listed && is_known && accepts(settings, user, host, cx) => {}
            None => all.tasks.push(make(settings, host, admin, user)),
        }
    }
    all
}

/// Whether the user can log in.
fn accepts(settings: &Settings, user: &User, host: &HostName, cx: &Cx<'_>) -> bool {
    let login = cx.facts.get(host, &queries::login(settings, &user.login));
    matches!(
        login,
        Ok(MongoFact::Replies {
            login: Login::Accepted,
            ..
        })
    )
}

fn role_document(roles: &[Role]) -> Bson {
    let roles = roles.iter().map(|role| {
        Bson::doc([
            ("role", role.role.as_str().into()),
            ("db", role.db.as_str().into()),
        ])
    });
    Bson::Array(roles.collect())
}

/// The first user of all.
fn first(settings: &Settings, host: &HostName, admin: &MongoUser, up: Option<&Up>) -> Task {
    let roles = [Role {
        role: "root".to_owned(),
        db: "admin".to_owned(),
    }];
    let command = MongoCommand::new("createUser", admin.name.as_str())
        .with("pwd", Text::secret(&admin.password))
        .with("roles", role_document(&roles));
    let reason = match up {
        Some(up)
            if !up.has_localhost_exception() && up.asks_for_login() == Some(false) && up.status().is_ok() =>
        {
            "the server does not know it, and asks nobody for a login"
        }
        _ => "there is no user yet: the server lets its own host make the first one",
    };
    task(
        settings,
        host,
        None,
        command,
        &admin.name,
        format!("make the admin {:?}", admin.name),
        reason,
    )
}

fn make(settings: &Settings, host: &HostName, admin: &MongoUser, user: &User) -> Task {
    let name = &user.login.name;
    let mut command = MongoCommand::new("createUser", name.as_str())
        .with("pwd", Text::secret(&user.login.password))
        .with("roles", role_document(&user.roles_when_made()));
    command.db.clone_from(&user.login.auth_db);
    task(
        settings,
        host,
        Some(admin),
        command,
        name,
        format!("make the user {name:?} in {}", user.login.auth_db),
        "there is no such user",
    )
}

/// An existing user's password and roles, where they differ.
fn mend(
    settings: &Settings,
    host: &HostName,
    admin: &MongoUser,
    user: &User,
    roles: &BTreeSet<Role>,
    cx: &Cx<'_>,
    notes: &mut Vec<plan::Note>,
) -> Option<Task> {
    let name = &user.login.name;
    let mut command = MongoCommand::new("updateUser", name.as_str());
    let (mut what, mut why) = (Vec::new(), Vec::new());
    let login = cx.facts.get(host, &queries::login(settings, &user.login));
    if let Ok(MongoFact::Denied(error)) = login {
        command = command.with("pwd", Text::secret(&user.login.password));
        what.push("the password");
        why.push(format!("it cannot log in with the inventory's: {error}"));
        notes.push(plan::Note {
            level: Level::Warning,
            service: None,
            host: Some(host.clone()),
            text: format!("the user {name:?} gets another password: clients that have the old one are refused from then on"),
        });
    }
    let wanted = user.roles.as_ref();
    if let Some(wanted) =
        wanted.filter(|wanted| wanted.iter().collect::<BTreeSet<_>>() != roles.iter().collect())
    {
        command = command.with("roles", role_document(wanted));
        what.push("the roles");
        let has: Vec<String> = roles
            .iter()
            .map(|role| format!("{}@{}", role.role, role.db))
            .collect();
        why.push(if has.is_empty() {
            "it has no role".to_owned()
        } else {
            format!("it has {}", has.join(", "))
        });
    }
    if what.is_empty() {
        return None;
    }
    let title = format!("change {} of the user {name:?}", what.join(" and "));
    Some(task(
        settings,
        host,
        Some(admin),
        command,
        name,
        title,
        why.join("; "),
    ))
}

fn task(
    settings: &Settings,
    host: &HostName,
    user: Option<&MongoUser>,
    command: MongoCommand,
    name: &str,
    title: String,
    reason: impl Into<String>,
) -> Task {
    let preview = Preview::Commands(vec![command.to_string()]);
    let action = Action {
        only_if: vec![is_primary(settings, host)],
        operation: Operation::Mongo {
            address: HERE.to_owned(),
            port: settings.port,
            user: user.cloned(),
            commands: vec![command],
            again_on: Vec::new(),
        },
        limit_ms: QUICK,
    };
    Task::new(host, title, reason, action)
        .part(format!("user-{name}"))
        .preview(preview)
}

/// The host's member is the primary of the set.
pub(crate) fn is_primary(settings: &Settings, host: &HostName) -> Precondition {
    let hello = MongoCommand::new("hello", 1).only(&["setName", "isWritablePrimary"]);
    let reply = Bson::doc([
        ("setName", settings.replica_set.as_str().into()),
        ("isWritablePrimary", true.into()),
    ]);
    Precondition {
        what: format!("{host} is the primary of {}", settings.replica_set),
        query: ask_as_nobody(settings.port, vec![hello]).wrap(),
        fact: Fact::Mongo(MongoFact::Replies {
            login: Login::Nobody,
            replies: vec![Ok(reply)],
        }),
    }
}
