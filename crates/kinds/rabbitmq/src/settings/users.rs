//! Users, permissions and virtual hosts of the inventory.

use config::{Findings, Reader, SecretRule, Takes, ValueKind};
use types::{Diagnostic, SecretId};

/// A user as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: SecretId,
    /// Sorted, each once.
    pub(crate) tags: Vec<String>,
    pub(crate) permissions: Vec<Permission>,
}

/// What a user may do in a virtual host: regular expressions of names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Permission {
    pub(crate) vhost: String,
    pub(crate) configure: String,
    pub(crate) write: String,
    pub(crate) read: String,
}

/// `rabbitmqctl` decodes the line that it reads by the locale that it was started with, and trims it (`Core.Input`).
const PASSWORD: SecretRule = SecretRule::PASSWORD.of(Takes::TrimmedAscii);

/// Reads `users`.
pub(super) fn read(reader: &Reader<'_>, findings: &Findings) -> Vec<User> {
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
pub(super) fn vhosts(reader: &Reader<'_>, users: &[User]) -> Vec<String> {
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
