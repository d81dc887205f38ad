//! Access control: the admin, the key file and the users of the application.

use config::{Findings, Reader, SecretRule, Table, Takes, ValueKind};
use protocol::facts::MongoUser;
use types::{Diagnostic, SecretId};

/// The members' common key.
#[derive(Debug, Clone)]
pub(crate) struct Keyfile {
    pub(crate) secret: SecretId,
    pub(crate) path: String,
}

/// A user of the application.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) login: MongoUser,
    /// Roles and their databases; `None` where those that an existing user has are kept.
    pub(crate) roles: Option<Vec<UserRole>>,
}

/// A role of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UserRole {
    pub(crate) role: String,
    pub(crate) db: String,
}

impl User {
    /// The roles of a user that is made.
    ///
    /// The application makes databases of its own beside those that main.json names, so unless the inventory says
    /// otherwise it may read, write and administer all of them, and nothing of the server itself.
    pub(crate) fn roles_when_made(&self) -> Vec<UserRole> {
        let default = ["dbAdminAnyDatabase", "readWriteAnyDatabase"].map(|role| UserRole {
            role: role.to_owned(),
            db: "admin".to_owned(),
        });
        self.roles.clone().unwrap_or_else(|| default.to_vec())
    }
}

/// Other characters are normalised by servers and drivers before they are hashed (`SASLprep`), not all of them alike.
const PASSWORD: SecretRule = SecretRule::PASSWORD.of(Takes::Ascii);
/// The keys that mongod accepts: 6 to 1024 characters of base64.
const KEY: SecretRule = SecretRule::PASSWORD.of(Takes::Base64).at_most(1024);

pub(super) fn read_admin(table: &Table, findings: &Findings) -> Option<MongoUser> {
    let reader = Reader::new(table, "a key of admin", findings);
    let password = reader.required(
        "password",
        reader.secret("password", PASSWORD),
        "password = { file = \"secrets/mongodb.admin\" }",
    );
    let name = reader.string("user").unwrap_or("admin").to_owned();
    reader.finish();
    Some(MongoUser {
        name,
        password: password?,
        // The localhost exception makes users there only.
        auth_db: "admin".to_owned(),
    })
}

/// Something is wrong with a setting, and was reported.
pub(super) struct Reported;

pub(super) fn read_keyfile(reader: &Reader<'_>, has_admin: bool) -> Result<Option<Keyfile>, Reported> {
    let path = reader.string("keyfile_path").unwrap_or("/etc/mongod.keyfile");
    let is_kept = reader.choice("security", &[("managed", false), ("kept", true)]) == Some(true);
    let entry = reader.entry("keyfile");
    match (entry, has_admin) {
        (Some(entry), false) => {
            reader.findings().report(
                Diagnostic::error("a key file needs an admin")
                    .at(
                        entry.key_span,
                        "it switches access control on, and no user could log in",
                    )
                    .hint("admin = { password = { file = \"secrets/mongodb.admin\" } }"),
            );
            Err(Reported)
        }
        (Some(entry), true) if is_kept => {
            reader.findings().report(
                Diagnostic::error("security is kept, and a key file is given")
                    .at(entry.key_span, "it would not be written"),
            );
            Err(Reported)
        }
        (None, true) if !is_kept => {
            reader.required(
                "keyfile",
                None::<()>,
                "with access control, members know each other by a common key: keyfile = { file = \
                 \"secrets/mongodb.keyfile\" }; or security = \"kept\" for a set that has one already",
            );
            Err(Reported)
        }
        (None, _) => Ok(None),
        (Some(_), true) => {
            let secret = reader.secret("keyfile", KEY).ok_or(Reported)?;
            Ok(Some(Keyfile {
                secret,
                path: path.to_owned(),
            }))
        }
    }
}

pub(super) fn read_users(table: &Table, findings: &Findings) -> Vec<User> {
    let users = table.entries.iter().filter_map(|entry| {
        let ValueKind::Table(inner) = &entry.value.kind else {
            let found = format!("the user {} is {}", entry.key, entry.value.kind.describe());
            findings
                .report(Diagnostic::error(found).at(entry.value.span, "expected a table with a password"));
            return None;
        };
        let reader = Reader::new(inner, "a key of a user", findings);
        let password = reader.required(
            "password",
            reader.secret("password", PASSWORD),
            "password = { file = \"secrets/mongodb.NAME\" }",
        );
        let auth_db = reader.string("auth_db").unwrap_or("admin").to_owned();
        let roles = reader.strings("roles");
        reader.finish();
        let roles = roles.map(|roles| roles.into_iter().map(|(text, _)| role(text, &auth_db)).collect());
        Some(User {
            login: MongoUser {
                name: entry.key.clone(),
                password: password?,
                auth_db,
            },
            roles,
        })
    });
    users.collect()
}

/// `readWrite@control`; without a database, that of the user.
fn role(text: &str, auth_db: &str) -> UserRole {
    let (role, db) = text.split_once('@').unwrap_or((text, auth_db));
    UserRole {
        role: role.to_owned(),
        db: db.to_owned(),
    }
}
