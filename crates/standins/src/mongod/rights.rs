//! Authorization: MongoDB's built-in roles, as far as the stand-in's commands can tell them apart.
//!
//! After <https://www.mongodb.com/docs/manual/reference/built-in-roles/> and, for the localhost exception,
//! `authorization_session_impl.cpp`: while there is no user, whoever connects from the host itself may create one on
//! `admin`, initiate and reconfigure the set and see its status, and nothing else.

use bson::{Bson, Document, doc};

/// A role on a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// The databases that it is for.
    pub database: String,
}

/// A user that has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their name.
    pub name: String,
    /// The database that they log in on.
    pub database: String,
    /// What they may.
    pub roles: Vec<Role>,
}

impl User {
    /// What the members are to each other.
    pub fn internal() -> Self {
        let role = Role {
            name: "__system".into(),
            database: "admin".into(),
        };
        Self {
            name: "__system".into(),
            database: "local".into(),
            roles: vec![role],
        }
    }
}

impl Role {
    /// Reads `{role, db}` or a bare name, which means the database at hand.
    pub fn read(from: &Bson, database: &str) -> Option<Self> {
        match from {
            Bson::String(name) => Some(Self {
                name: name.clone(),
                database: database.into(),
            }),
            Bson::Document(role) => Some(Self {
                name: role.get_str("role").ok()?.into(),
                database: role.get_str("db").ok()?.into(),
            }),
            _ => None,
        }
    }

    /// As `usersInfo` tells it.
    pub fn document(&self) -> Document {
        doc! {"role": &self.name, "db": &self.database}
    }

    /// Whether the server has such a role there.
    pub fn exists(&self) -> bool {
        let everywhere = ["read", "readWrite", "dbAdmin", "userAdmin", "dbOwner"];
        let admin_only = [
            "root",
            "readAnyDatabase",
            "readWriteAnyDatabase",
            "userAdminAnyDatabase",
            "dbAdminAnyDatabase",
            "clusterAdmin",
            "clusterManager",
            "clusterMonitor",
            "hostManager",
            "backup",
            "restore",
            "__system",
        ];
        everywhere.contains(&self.name.as_str())
            || self.database == "admin" && admin_only.contains(&self.name.as_str())
    }
}

/// What a command takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a word for the commands that it guards")]
pub enum Need {
    Nothing,
    LoggedIn,
    Configure,
    Status,
    Config,
    Manage,
    Monitor,
    Inspect,
    CreateUser(String),
    Users(String),
    SeeUsers(String),
    Read(String, String),
    Write(String, String),
    Internal,
}

/// Whom the localhost exception lets do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exception {
    /// There are users, or the client is elsewhere.
    None,
    /// A client on the host of a server without users.
    Bootstrap,
    /// A client on the host of an arbiter, which never has users to log in as.
    Arbiter,
}

/// Whether these users may, or somebody whom the localhost exception lets.
pub fn may(users: &[User], need: &Need, exception: Exception) -> bool {
    let excepted = match need {
        // A question for databases is answered before it is known what there is to see (4.9).
        Need::Configure | Need::Status | Need::LoggedIn => true,
        Need::Monitor => exception == Exception::Arbiter,
        Need::CreateUser(database) => database == "admin" || database == "$external",
        _ => false,
    };
    exception != Exception::None && excepted
        || users
            .iter()
            .flat_map(|user| &user.roles)
            .any(|role| grants(role, need))
}

fn grants(role: &Role, need: &Need) -> bool {
    let name = role.name.as_str();
    let is = |names: &[&str]| names.contains(&name);
    if name == "__system" {
        return true;
    }
    match need {
        Need::Nothing | Need::LoggedIn => true,
        Need::Internal => false,
        Need::Configure | Need::Config => {
            is(&["root", "clusterAdmin", "clusterManager"])
                || *need == Need::Config && is(&["clusterMonitor"])
        }
        Need::Status => is(&["root", "clusterAdmin", "clusterManager", "clusterMonitor"]),
        Need::Manage => is(&["root", "clusterAdmin", "clusterManager", "hostManager"]),
        Need::Monitor | Need::Inspect => is(&["root", "clusterAdmin", "clusterMonitor"]),
        Need::CreateUser(on) | Need::Users(on) => {
            is(&["root", "userAdminAnyDatabase"]) || is(&["userAdmin", "dbOwner"]) && role.database == *on
        }
        Need::SeeUsers(on) => grants(role, &Need::Users(on.clone())) || is(&["backup"]),
        Need::Read(on, collection) => reads(role, on, collection),
        Need::Write(on, collection) => writes(role, on, collection),
    }
}

fn reads(role: &Role, on: &str, collection: &str) -> bool {
    let name = role.name.as_str();
    let own = ["local", "config"].contains(&on);
    match name {
        // `root` contains `backup`, which sees all that is to be backed up.
        "root" | "backup" => true,
        "read" | "readWrite" | "dbOwner" => role.database == on,
        "readAnyDatabase" | "readWriteAnyDatabase" => !own,
        "clusterMonitor" | "clusterManager" | "clusterAdmin" => {
            on == "config" || on == "local" && collection == "system.replset"
        }
        _ => false,
    }
}

fn writes(role: &Role, on: &str, collection: &str) -> bool {
    let own = ["local", "config"].contains(&on) || collection.starts_with("system.");
    match role.name.as_str() {
        "root" | "readWriteAnyDatabase" | "restore" => !own,
        "readWrite" | "dbOwner" => role.database == on && !collection.starts_with("system."),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, database: &str) -> Vec<User> {
        let role = Role {
            name: name.into(),
            database: database.into(),
        };
        vec![User {
            name: "u".into(),
            database: "admin".into(),
            roles: vec![role],
        }]
    }

    #[test]
    fn the_localhost_exception_is_narrow() {
        for need in [Need::Configure, Need::Status, Need::CreateUser("admin".into())] {
            assert!(may(&[], &need, Exception::Bootstrap) && !may(&[], &need, Exception::None));
        }
        for need in [
            Need::Config,
            Need::Monitor,
            Need::Manage,
            Need::CreateUser("app".into()),
            Need::SeeUsers("admin".into()),
            Need::Read("local".into(), "oplog.rs".into()),
        ] {
            assert!(!may(&[], &need, Exception::Bootstrap), "{need:?}");
        }
        assert!(may(&[], &Need::Monitor, Exception::Arbiter));
        assert!(!may(&[], &Need::Inspect, Exception::Arbiter));
    }

    #[test]
    fn roles() {
        let read = |db: &str| Need::Read(db.into(), "c".into());
        let write = |db: &str| Need::Write(db.into(), "c".into());
        assert!(may(&user("readWrite", "app"), &write("app"), Exception::None));
        assert!(!may(&user("readWrite", "app"), &write("other"), Exception::None));
        assert!(!may(&user("readWrite", "app"), &Need::Status, Exception::None));
        assert!(may(&user("root", "admin"), &read("local"), Exception::None));
        assert!(!may(
            &user("clusterMonitor", "admin"),
            &read("local"),
            Exception::None
        ));
        assert!(!may(&user("root", "admin"), &Need::Internal, Exception::None));
        assert!(
            !Role {
                name: "root".into(),
                database: "app".into()
            }
            .exists()
        );
    }
}
