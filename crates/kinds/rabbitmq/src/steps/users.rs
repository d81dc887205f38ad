//! Users: those of the inventory exist, with their passwords, tags and permissions. Others are left alone.
//!
//! Whether a password is right is asked of the broker, which hashes it with the salt that it has; a hash never leaves it.
//! A new password goes to `rabbitmqctl` over standard input. A user stands in the way of a node that is to join, the
//! inventory's own as any other (a reset loses it, and whatever else came with it); so users come after all joins, on
//! one member of the cluster, and a run that died in between is finished by the next.

use config::{Findings, Reader, SecretRule, Takes, ValueKind};
use plan::{Level, Preview};
use protocol::{Command, Operation, Text};
use types::{Diagnostic, HostName};

use crate::observe::view::{Broker, SeenPermission};
use crate::settings::{Permission, Settings, User};
use crate::steps::vhosts::told;
use kit::{Cx, StepPlan, Task};
use kit::{QUICK, action};

/// `rabbitmqctl` decodes the line that it reads by the locale that it was started with, and trims it (`Core.Input`).
const PASSWORD: SecretRule = SecretRule::PASSWORD.of(Takes::TrimmedAscii);

/// Reads `users`.
pub(crate) fn read(reader: &Reader<'_>, findings: &Findings) -> Vec<User> {
    let table = reader.table("users");
    let entries = table.map(|table| table.entries.as_slice()).unwrap_or_default();
    let users = entries.iter().filter_map(|entry| {
        let ValueKind::Table(inner) = &entry.value.kind else {
            let found = format!("the user {} is {}", entry.key, entry.value.kind.describe());
            findings.report(Diagnostic::error(found).at(
                entry.value.span,
                "expected a table: { password = { file = \"...\" } }",
            ));
            return None;
        };
        name(&entry.key, entry.key_span, findings);
        let reader = Reader::new(inner, "a key of a user", findings);
        let password = reader.required(
            "password",
            reader.secret("password", PASSWORD),
            "password = { file = \"secrets/rabbitmq.password\" }",
        );
        let tags = reader.strings("tags").unwrap_or_default();
        let mut tags: Vec<String> = tags.into_iter().map(|(tag, _)| tag.to_owned()).collect();
        tags.sort_unstable();
        tags.dedup();
        let permissions = permissions(&reader, findings);
        reader.finish();
        Some(User {
            name: entry.key.clone(),
            password: password?,
            tags,
            permissions,
        })
    });
    users.collect()
}

/// A name becomes an argument of a command.
fn name(name: &str, span: types::Span, findings: &Findings) {
    if name.is_empty() || name.starts_with('-') || name.chars().any(char::is_control) {
        findings.report(
            Diagnostic::error(format!("{name:?} is not a name")).at(span, "expected printable characters"),
        );
    }
}

/// Reads `permissions` by virtual host; all of them in `/` where the inventory is silent.
fn permissions(reader: &Reader<'_>, findings: &Findings) -> Vec<Permission> {
    let all = |vhost: &str, pattern: &str| Permission {
        vhost: vhost.to_owned(),
        configure: pattern.to_owned(),
        write: pattern.to_owned(),
        read: pattern.to_owned(),
    };
    let Some(table) = reader.table("permissions") else {
        return vec![all("/", ".*")];
    };
    let entries = table.entries.iter().filter_map(|entry| {
        name(&entry.key, entry.key_span, findings);
        match &entry.value.kind {
            ValueKind::String(pattern) => Some(all(&entry.key, pattern)),
            ValueKind::Table(inner) => {
                let reader = Reader::new(inner, "a permission", findings);
                let pattern = |key| reader.string(key).unwrap_or("").to_owned();
                let permission = Permission {
                    vhost: entry.key.clone(),
                    configure: pattern("configure"),
                    write: pattern("write"),
                    read: pattern("read"),
                };
                reader.finish();
                Some(permission)
            }
            other => {
                let found = format!("the permissions in {} are {}", entry.key, other.describe());
                findings.report(Diagnostic::error(found).at(
                    entry.value.span,
                    "expected a pattern, or { configure = \"...\", write = \"...\", read = \"...\" }",
                ));
                None
            }
        }
    });
    entries.collect()
}

/// Reads `vhosts`, and adds those that users have permissions in.
pub(crate) fn vhosts(reader: &Reader<'_>, users: &[User]) -> Vec<String> {
    let mut vhosts: Vec<String> = Vec::new();
    let named = reader.strings("vhosts").unwrap_or_default();
    for (vhost, span) in &named {
        name(vhost, *span, reader.findings());
    }
    let permitted = users.iter().flat_map(|user| &user.permissions);
    let all = named.into_iter().map(|(vhost, _)| vhost);
    for vhost in all.chain(permitted.map(|permission| permission.vhost.as_str())) {
        if !vhosts.iter().any(|known| known == vhost) {
            vhosts.push(vhost.to_owned());
        }
    }
    vhosts
}

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut plan = StepPlan::nothing();
    let Some((host, broker)) = told(settings, cx) else {
        return plan;
    };
    for (at, user) in settings.users.iter().enumerate() {
        let is_there = broker.users.contains(&user.name);
        let password = broker.passwords.get(at).copied().flatten();
        if is_there && password.is_none() {
            let text = format!(
                "whether {} has our password could not be asked: it is left as it is",
                user.name
            );
            plan.note(Level::Warning, Some(host), text);
        }
        plan.tasks.extend(change(host, user, is_there, password, &broker));
    }
    plan
}

/// What is done about a user: in one task, in an order that leaves something to see wherever it is cut off.
fn change(
    host: &HostName,
    user: &User,
    is_there: bool,
    password: Option<bool>,
    broker: &Broker,
) -> Option<Task> {
    let mut commands = Vec::new();
    let mut reasons = Vec::new();
    let ctl = |words: &[&str]| Command::new([&["rabbitmqctl", "-q"], words].concat());
    let with_password = |verb: &str| Command {
        stdin: Some(Text::new(format!("{}\n", Text::secret(&user.password)))),
        ..ctl(&[verb, &user.name])
    };
    if !is_there {
        commands.push(with_password("add_user"));
        reasons.push("it is missing".to_owned());
    } else if password == Some(false) {
        commands.push(with_password("change_password"));
        reasons.push("it has another password".to_owned());
    }
    let at = broker.users.iter().position(|seen| *seen == user.name);
    let tags = at
        .and_then(|at| broker.tags.get(at))
        .map(Vec::as_slice)
        .unwrap_or_default();
    if tags != user.tags {
        let words: Vec<&str> = ["set_user_tags", user.name.as_str()]
            .into_iter()
            .chain(user.tags.iter().map(String::as_str))
            .collect();
        commands.push(ctl(&words));
        if is_there {
            reasons.push(format!(
                "its tags are [{}] instead of [{}]",
                tags.join(", "),
                user.tags.join(", ")
            ));
        }
    }
    for wanted in &user.permissions {
        let is_seen =
            |seen: &&SeenPermission| seen.user == user.name && seen.permission.vhost == wanted.vhost;
        let seen = broker.permissions.iter().find(is_seen);
        if seen.is_some_and(|seen| seen.permission == *wanted) {
            continue;
        }
        let Permission {
            vhost,
            configure,
            write,
            read,
        } = wanted;
        commands.push(ctl(&[
            "set_permissions",
            "-p",
            vhost,
            "--",
            &user.name,
            configure,
            write,
            read,
        ]));
        if is_there {
            let verb = if seen.is_some() { "other" } else { "no" };
            reasons.push(format!("it has {verb} permissions in the virtual host {vhost:?}"));
        }
    }
    if commands.is_empty() {
        return None;
    }
    let verb = if is_there { "change" } else { "make" };
    let shown = commands.iter().map(show).collect();
    let task = Task::new(
        host,
        format!("{verb} the user {}", user.name),
        reasons.join("; "),
        action(Operation::Run { commands }, QUICK),
    );
    Some(task.part(user.name.clone()).preview(Preview::Commands(shown)))
}

fn show(command: &Command) -> String {
    let words = command
        .argv
        .iter()
        .map(|word| if word.is_empty() { "''" } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    match &command.stdin {
        Some(text) => format!("{line}  < {}", text.as_str().trim_end()),
        None => line,
    }
}
