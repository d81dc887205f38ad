//! The settings of a replica set, with the runbook's defaults.

use config::{Findings, Inventory, Reader, SecretRule, ServiceDecl, Table, Takes, Value as Toml, ValueKind};
use protocol::facts::MongoUser;
use serde_json::Value;
use types::{Diagnostic, HostName, SecretId, ServiceName, Span};

pub(crate) mod member_options;

use member_options::MemberOptions;

/// What the inventory says of a replica set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: ServiceName,
    pub(crate) hosts: Vec<HostName>,
    /// Hosts of the inventory that are in no set of it, and may have been in this one.
    pub(crate) others: Vec<HostName>,
    /// What it says of the members, in the order of `hosts`.
    pub(crate) members: Vec<MemberOptions>,
    pub(crate) replica_set: String,
    pub(crate) port: u16,
    pub(crate) config_path: String,
    pub(crate) unit: String,
    /// Empty where it is not installed by us.
    pub(crate) package: String,
    /// Where the server keeps its data.
    pub(crate) data_dir: String,
    /// Owner of the key file, and group of the same name.
    pub(crate) owner: String,
    /// The addresses to listen on; [`OWN_NAME`] stands for the member's own name.
    pub(crate) bind: Vec<String>,
    /// More keys of mongod.conf, by dotted path, in the order in which they are written.
    pub(crate) config: Vec<(String, Value)>,
    /// Who asks and changes things; `None` where the set has no access control, or nobody manages it.
    pub(crate) admin: Option<MongoUser>,
    /// The key that members know each other by; `None` where it is not managed.
    pub(crate) keyfile: Option<Keyfile>,
    pub(crate) users: Vec<User>,
    /// How far a member may be behind and count as healthy, in seconds.
    pub(crate) max_lag_s: i64,
}

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
    pub(crate) roles: Option<Vec<Role>>,
}

/// A role of a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Role {
    pub(crate) role: String,
    pub(crate) db: String,
}

/// The word that stands for the member's own name in `bind`.
pub(crate) const OWN_NAME: &str = "host";

impl Settings {
    /// The name of a host's member in the set's configuration.
    pub(crate) fn member_name(&self, host: &HostName) -> String {
        format!("{host}:{}", self.port)
    }

    /// The host of a member's name.
    pub(crate) fn host_of(&self, name: &str) -> Option<&HostName> {
        self.hosts.iter().find(|host| self.member_name(host) == name)
    }

    /// What the inventory says of a host's member.
    pub(crate) fn options(&self, host: &HostName) -> Option<&MemberOptions> {
        let at = self.hosts.iter().position(|other| other == host)?;
        self.members.get(at)
    }

    /// Whether access control is ours to switch on: there is a key for the members, and an admin.
    pub(crate) fn manages_auth(&self) -> bool {
        self.keyfile.is_some()
    }

    /// The keys of mongod.conf as they should be on a host; `None` for one that must not be there.
    pub(crate) fn conf(&self, host: &HostName) -> Vec<(String, Option<Value>)> {
        let bind: Vec<&str> = self
            .bind
            .iter()
            .map(|address| {
                if address == OWN_NAME {
                    host.as_str()
                } else {
                    address
                }
            })
            .collect();
        let mut keys = vec![
            (
                "replication.replSetName".to_owned(),
                Some(self.replica_set.as_str().into()),
            ),
            ("net.port".to_owned(), Some(self.port.into())),
            ("net.bindIp".to_owned(), Some(bind.join(",").into())),
            // mongod does not start with both.
            ("net.bindIpAll".to_owned(), None),
        ];
        if let Some(keyfile) = &self.keyfile {
            keys.push(("security.keyFile".to_owned(), Some(keyfile.path.as_str().into())));
            keys.push(("security.authorization".to_owned(), Some("enabled".into())));
        }
        let more = self.config.iter();
        keys.extend(more.map(|(path, value)| (path.clone(), Some(value.clone()))));
        keys
    }
}

impl User {
    /// The roles of a user that is made.
    ///
    /// The application makes databases of its own beside those that main.json names, so unless the inventory says
    /// otherwise it may read, write and administer all of them, and nothing of the server itself.
    pub(crate) fn roles_when_made(&self) -> Vec<Role> {
        let default = ["dbAdminAnyDatabase", "readWriteAnyDatabase"].map(|role| Role {
            role: role.to_owned(),
            db: "admin".to_owned(),
        });
        self.roles.clone().unwrap_or_else(|| default.to_vec())
    }
}

pub(crate) fn read(decl: &ServiceDecl, inventory: &Inventory, findings: &Findings) -> Option<Settings> {
    let reader = Reader::new(&decl.settings, "a setting of mongodb", findings);
    let text = |key, default: &str| reader.string(key).unwrap_or(default).to_owned();
    let admin = reader.table("admin").map(|table| read_admin(table, findings));
    let keyfile = read_keyfile(&reader, admin.is_some());
    let users = reader.table("users").map(|table| read_users(table, findings));
    if let Some(value) = reader.value("users")
        && admin.is_none()
    {
        findings.report(
            Diagnostic::error("users need an admin")
                .at(value.span, "nobody could make them")
                .hint("admin = { password = { file = \"secrets/mongodb.admin\" } }"),
        );
    }
    let port = reader.port("port").unwrap_or(27017);
    let settings = Settings {
        name: decl.name.clone(),
        hosts: decl.hosts.clone(),
        others: inventory.hosts_without(&decl.kind),
        members: member_options::read(&reader, &decl.hosts, findings),
        replica_set: text("replica_set", "rs0"),
        port,
        config_path: text("config_path", "/etc/mongod.conf"),
        unit: text("unit", "mongod.service"),
        package: reader
            .string("package")
            .filter(|name| *name != "none")
            .unwrap_or_default()
            .to_owned(),
        data_dir: text("data_dir", "/var/lib/mongodb"),
        owner: text("owner", "mongodb"),
        bind: read_bind(&reader),
        config: reader
            .table("config")
            .map(|table| read_config(table, findings))
            .unwrap_or_default(),
        users: users.unwrap_or_default(),
        max_lag_s: reader.int("max_lag_s", 1..=86_400).unwrap_or(10),
        // Last: what is wrong with the others is reported first.
        admin: match admin {
            Some(admin) => Some(admin?),
            None => None,
        },
        keyfile: keyfile.ok()?,
    };
    reader.finish();
    member_options::check(&settings, decl.kind_span, findings);
    Some(settings)
}

/// Other characters are normalised by servers and drivers before they are hashed (`SASLprep`), not all of them alike.
const PASSWORD: SecretRule = SecretRule::PASSWORD.of(Takes::Ascii);
/// What mongod takes for a key: 6 to 1024 characters of base64.
const KEY: SecretRule = SecretRule::PASSWORD.of(Takes::Base64).at_most(1024);

fn read_admin(table: &Table, findings: &Findings) -> Option<MongoUser> {
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
struct Reported;

fn read_keyfile(reader: &Reader<'_>, has_admin: bool) -> Result<Option<Keyfile>, Reported> {
    let path = reader.string("keyfile_path").unwrap_or("/etc/mongod.keyfile");
    let is_kept = reader.choice("security", &[("managed", false), ("kept", true)]) == Some(true);
    let entry = reader.entry("keyfile");
    match (entry, has_admin) {
        (Some(entry), false) => {
            reader.findings().report(
                Diagnostic::error("a key file needs an admin")
                    .at(
                        entry.key_span,
                        "it switches access control on, and nobody could log in",
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

fn read_users(table: &Table, findings: &Findings) -> Vec<User> {
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
fn role(text: &str, auth_db: &str) -> Role {
    let (role, db) = text.split_once('@').unwrap_or((text, auth_db));
    Role {
        role: role.to_owned(),
        db: db.to_owned(),
    }
}

fn read_bind(reader: &Reader<'_>) -> Vec<String> {
    let Some(addresses) = reader.strings("bind") else {
        return vec!["127.0.0.1".to_owned(), OWN_NAME.to_owned()];
    };
    for (address, span) in &addresses {
        if address.is_empty() || address.contains([',', ' ']) {
            let diagnostic = Diagnostic::error(format!("{address:?} is not an address"));
            reader
                .findings()
                .report(diagnostic.at(*span, "one address for each string"));
        }
    }
    // The agent asks there, and the localhost exception holds there only.
    if let Some(value) = reader.value("bind")
        && !addresses
            .iter()
            .any(|(address, _)| ["127.0.0.1", "localhost", "0.0.0.0"].contains(address))
    {
        let diagnostic = Diagnostic::error("bind leaves out 127.0.0.1");
        reader
            .findings()
            .report(diagnostic.at(value.span, "members are asked there, each on its own host"));
    }
    addresses
        .into_iter()
        .map(|(address, _)| address.to_owned())
        .collect()
}

/// Keys of mongod.conf: dotted paths, tables below tables, or both.
fn read_config(table: &Table, findings: &Findings) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    collect("", table, findings, &mut keys);
    keys
}

fn collect(prefix: &str, table: &Table, findings: &Findings, keys: &mut Vec<(String, Value)>) {
    for entry in &table.entries {
        let path = if prefix.is_empty() {
            entry.key.clone()
        } else {
            format!("{prefix}.{}", entry.key)
        };
        if let ValueKind::Table(inner) = &entry.value.kind {
            collect(&path, inner, findings, keys);
            continue;
        }
        if let Some(why) = managed(&path) {
            findings.report(
                Diagnostic::error(format!("{path} is not for config"))
                    .at(entry.key_span, "not set this way")
                    .hint(why),
            );
            continue;
        }
        keys.extend(scalar(&path, &entry.value, entry.key_span, findings).map(|value| (path, value)));
    }
}

fn scalar(path: &str, value: &Toml, span: Span, findings: &Findings) -> Option<Value> {
    let found = match &value.kind {
        ValueKind::String(text) if !text.chars().any(char::is_control) => Some(text.as_str().into()),
        ValueKind::Int(number) => Some((*number).into()),
        ValueKind::Bool(flag) => Some((*flag).into()),
        ValueKind::Float(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    if found.is_none() {
        let message = format!("{path} is {}", value.kind.describe());
        findings.report(Diagnostic::error(message).at(span, "expected a string, a number or a boolean"));
    }
    found
}

/// How to say what a key says that the service manages itself, or why it is not said; `None` for all others.
fn managed(path: &str) -> Option<&'static str> {
    Some(match path {
        "replication.replSetName" => "set replica_set of the service",
        "net.port" => "set port of the service",
        "net.bindIp" | "net.bindIpAll" => "set bind of the service",
        "security.keyFile" | "security.authorization" => "set admin and keyfile of the service",
        "storage.journal.enabled" => {
            "MongoDB 6.1 and later do not start with it, and all others have a journal anyway"
        }
        _ => return None,
    })
}
