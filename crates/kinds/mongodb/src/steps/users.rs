//! The step `users`: the admin, then the application's users, on the primary's own host.
//!
//! A server with access control and without users lets its own host make the first one (the localhost exception,
//! <https://www.mongodb.com/docs/manual/core/localhost-exception/>), so the admin comes first, and makes the others.
//! Whether a password is right is found out by logging in with it; one that is right is not written again.

use std::collections::BTreeSet;

use kit::{Cx, QUICK, StepPlan, Task};
use plan::{Level, Note};
use protocol::facts::{Bson, Login, MongoCommand, MongoFact, MongoUser};
use protocol::{Operation, Text};
use types::HostName;

use super::tasks::command_task;
use crate::checks::gates;
use crate::observe::is_reached;
use crate::observe::queries::{self, HERE};
use crate::observe::{Server, View};
use crate::rules::doubt::lacks_sha_256;
use crate::rules::initiation::planned_set;
use crate::rules::preconditions::is_primary;
use crate::settings::{Settings, User, UserRole};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut all = StepPlan::nothing();
    let Some(admin) = &settings.admin else {
        return all;
    };
    let view = View::new(settings, cx.facts);
    let planned = planned_set(&view, cx);
    let (host, server) = match (&planned, view.primary()) {
        (Some(planned), _) => {
            let seed = view.members.listed(planned.seed);
            (planned.seed, seed.and_then(|seed| seed.server.up()))
        }
        (None, Some((primary, server))) if is_reached(primary.host, cx) => (primary.host, Some(server)),
        // Without a primary no user can be made; the step `check` says so.
        (None, _) => return all,
    };
    let users = Users {
        settings,
        host,
        admin,
        cx,
    };
    // A server that knows the admin has users; one that was never initiated and does not know it has none of ours.
    let is_known = server.is_some_and(|server| server.known_admin(settings).is_some());
    if !is_known {
        // From here on the configuration is visible: a new primary writes its term into it first.
        let task = users.create_admin(server);
        all.tasks.push(task.gate(gates::committed(&view, 1)));
    }
    let listed = server
        .filter(|_| is_known)
        .and_then(|server| server.users.as_ref());
    if is_known && listed.is_none() && planned.is_none() {
        let why = "the primary does not tell its users".to_owned();
        all.unplanned.push((host.clone(), why));
        return all;
    }
    for user in &settings.users {
        let id = (user.login.auth_db.clone(), user.login.name.clone());
        // A server that waits to be initiated shows no list; a user that can log in exists.
        match listed.map(|listed| listed.get(&id)) {
            Some(Some(roles)) => all.tasks.extend(users.change(user, roles, &mut all.notes)),
            None if is_known && users.accepts(user) => {}
            // It exists.
            None if is_known && users.has_sha_1_alone(user) => all.notes.push(users.untested(user)),
            _ => all.tasks.push(users.create(user)),
        }
    }
    all
}

/// The users of a set, made and changed on its primary by the admin.
struct Users<'a> {
    settings: &'a Settings,
    host: &'a HostName,
    admin: &'a MongoUser,
    cx: &'a Cx<'a>,
}

impl Users<'_> {
    fn login(&self, user: &User) -> Option<&MongoFact> {
        let query = queries::login(self.settings, &user.login);
        self.cx.facts.get(self.host, &query).ok()
    }

    /// Whether the user can log in.
    fn accepts(&self, user: &User) -> bool {
        let login = self.login(user);
        matches!(
            login,
            Some(MongoFact::Replies {
                login: Login::Accepted,
                ..
            })
        )
    }

    fn has_sha_1_alone(&self, user: &User) -> bool {
        matches!(self.login(user), Some(MongoFact::Denied(error)) if lacks_sha_256(error))
    }

    fn untested(&self, user: &User) -> Note {
        Note {
            level: Level::Warning,
            service: None,
            host: Some(self.host.clone()),
            text: format!(
                "the user {:?} has credentials for SCRAM-SHA-1 alone: whether its password is the inventory's is not known, \
                 and it is left as it is",
                user.login.name
            ),
        }
    }

    /// Creates the first user of all.
    fn create_admin(&self, server: Option<&Server>) -> Task {
        let roles = [UserRole {
            role: "root".to_owned(),
            db: "admin".to_owned(),
        }];
        let name = &self.admin.name;
        let command = MongoCommand::new("createUser", name.as_str())
            .with("pwd", Text::secret(&self.admin.password))
            .with("roles", role_document(&roles));
        let is_open = |server: &Server| {
            !server.has_localhost_exception && server.requires_login == Some(false) && server.status.is_some()
        };
        let reason = if server.is_some_and(is_open) {
            "the server does not know it, and requires no login"
        } else {
            "there is no user yet: the server lets its own host create the first one"
        };
        self.task(
            None,
            command,
            name,
            format!("create the admin {name:?}"),
            reason.to_owned(),
        )
    }

    fn create(&self, user: &User) -> Task {
        let (name, auth_db) = (&user.login.name, &user.login.auth_db);
        let mut command = MongoCommand::new("createUser", name.as_str())
            .with("pwd", Text::secret(&user.login.password))
            .with("roles", role_document(&user.roles_when_made()));
        command.db.clone_from(auth_db);
        let title = format!("create the user {name:?} in {auth_db}");
        self.task(
            Some(self.admin),
            command,
            name,
            title,
            "it does not exist yet".to_owned(),
        )
    }

    /// Changes an existing user's password and roles, where they differ.
    fn change(&self, user: &User, roles: &BTreeSet<UserRole>, notes: &mut Vec<Note>) -> Option<Task> {
        let name = &user.login.name;
        let mut command = MongoCommand::new("updateUser", name.as_str());
        command.db.clone_from(&user.login.auth_db);
        let (mut what, mut why) = (Vec::new(), Vec::new());
        if self.has_sha_1_alone(user) {
            notes.push(self.untested(user));
        } else if let Some(MongoFact::Denied(error)) = self.login(user) {
            command = command.with("pwd", Text::secret(&user.login.password));
            what.push("the password");
            why.push(format!("it cannot log in with the inventory's: {error}"));
            notes.push(Note {
                level: Level::Warning,
                service: None,
                host: Some(self.host.clone()),
                text: format!("the user {name:?} gets another password: clients that have the old one are refused from then on"),
            });
        }
        let differ =
            |desired: &&Vec<UserRole>| desired.iter().collect::<BTreeSet<_>>() != roles.iter().collect();
        if let Some(desired) = user.roles.as_ref().filter(differ) {
            command = command.with("roles", role_document(desired));
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
        Some(self.task(Some(self.admin), command, name, title, why.join("; ")))
    }

    fn task(
        &self,
        login: Option<&MongoUser>,
        command: MongoCommand,
        name: &str,
        title: String,
        reason: String,
    ) -> Task {
        let operation = Operation::Mongo {
            address: HERE.to_owned(),
            port: self.settings.port,
            user: login.cloned(),
            commands: vec![command],
            again_on: Vec::new(),
        };
        let only_if = is_primary(self.settings, self.host);
        command_task(self.host, title, reason, operation, only_if, QUICK).part(format!("user-{name}"))
    }
}

fn role_document(roles: &[UserRole]) -> Bson {
    let roles = roles.iter().map(|role| {
        Bson::doc([
            ("role", role.role.as_str().into()),
            ("db", role.db.as_str().into()),
        ])
    });
    Bson::Array(roles.collect())
}
