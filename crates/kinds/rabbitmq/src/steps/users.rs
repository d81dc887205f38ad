//! The step `users`: the users of the inventory exist, with their passwords, tags and permissions. Others are left alone.
//!
//! Whether a password is right is asked of the broker, which hashes it with the salt that it has; a hash never leaves it.
//! A new password goes to `rabbitmqctl` over standard input. A user stands in the way of a node that is to join, the
//! inventory's own as any other (a reset loses it, and whatever else came with it); so users come after all joins, on
//! one member of the cluster, and a run that died in between is finished by the next.

use plan::Level;
use protocol::{Command, Text};
use types::HostName;

use crate::observe::{Broker, SeenPermission, SeenUser, View};
use crate::rules::commands::{ctl, run};
use crate::rules::contact::contact;
use crate::settings::{Permission, Settings, User};
use kit::{Cx, QUICK, StepPlan, Task};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut plan = StepPlan::nothing();
    // The step `policies` says why there is no contact.
    let Ok(contact) = contact(&view, cx) else {
        return plan;
    };
    for (at, user) in settings.users.iter().enumerate() {
        let seen = contact.broker.users.iter().find(|seen| seen.name == user.name);
        let has_password = contact.broker.passwords.get(at).copied().flatten();
        if seen.is_some() && has_password.is_none() {
            let text = format!(
                "whether {} has our password could not be asked: it is left as it is",
                user.name
            );
            plan.note(Level::Warning, Some(contact.host), text);
        }
        let mut change = match seen {
            Some(seen) => Change::of(user, seen, has_password == Some(false)),
            None => Change::new_user(user),
        };
        change.permissions(user, seen, &contact.broker);
        plan.tasks.extend(change.task(contact.host, user, seen.is_some()));
    }
    plan
}

/// The change of a user: in one task, in an order that leaves something to see wherever it is cut off.
struct Change {
    commands: Vec<Command>,
    reasons: Vec<String>,
}

impl Change {
    fn new_user(user: &User) -> Self {
        let mut commands = vec![with_password("add_user", user)];
        if !user.tags.is_empty() {
            commands.push(set_tags(user));
        }
        let reasons = vec!["it is missing".to_owned()];
        Self { commands, reasons }
    }

    fn of(user: &User, seen: &SeenUser, has_other_password: bool) -> Self {
        let (mut commands, mut reasons) = (Vec::new(), Vec::new());
        if has_other_password {
            commands.push(with_password("change_password", user));
            reasons.push("it has another password".to_owned());
        }
        if seen.tags != user.tags {
            commands.push(set_tags(user));
            let (seen, wanted) = (seen.tags.join(", "), user.tags.join(", "));
            reasons.push(format!("its tags are [{seen}] instead of [{wanted}]"));
        }
        Self { commands, reasons }
    }

    /// Adds permissions that the user lacks, or has otherwise.
    fn permissions(&mut self, user: &User, known: Option<&SeenUser>, broker: &Broker) {
        for wanted in &user.permissions {
            let is_seen =
                |seen: &&SeenPermission| seen.user == user.name && seen.permission.vhost == wanted.vhost;
            let seen = broker.permissions.iter().find(is_seen);
            if seen.is_some_and(|seen| seen.permission == *wanted) {
                continue;
            }
            self.commands.push(set_permissions(user, wanted));
            if known.is_some() {
                let verb = if seen.is_some() { "other" } else { "no" };
                let vhost = &wanted.vhost;
                self.reasons
                    .push(format!("it has {verb} permissions in the virtual host {vhost:?}"));
            }
        }
    }

    fn task(self, host: &HostName, user: &User, exists: bool) -> Option<Task> {
        if self.commands.is_empty() {
            return None;
        }
        let verb = if exists { "change" } else { "make" };
        let title = format!("{verb} the user {}", user.name);
        let task = run(host, title, self.reasons.join("; "), self.commands, QUICK);
        Some(task.part(user.name.clone()))
    }
}

fn with_password(verb: &str, user: &User) -> Command {
    Command {
        stdin: Some(Text::new(format!("{}\n", Text::secret(&user.password)))),
        // With another word beside these two, Debian's wrapper keeps standard input from the command, which waits for ever
        // (seen with 4.0.5).
        ..Command::new(["rabbitmqctl", verb, &user.name])
    }
}

fn set_tags(user: &User) -> Command {
    let tags = user.tags.iter().map(String::as_str);
    let words: Vec<&str> = ["set_user_tags", &user.name].into_iter().chain(tags).collect();
    ctl(&words)
}

fn set_permissions(user: &User, permission: &Permission) -> Command {
    let Permission {
        vhost,
        configure,
        write,
        read,
    } = permission;
    ctl(&[
        "set_permissions",
        "-p",
        vhost,
        "--",
        &user.name,
        configure,
        write,
        read,
    ])
}
