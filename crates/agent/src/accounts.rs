//! Names and numbers of users and groups.
//!
//! A static binary cannot load the system's name service modules. So `/etc/passwd` and `/etc/group` are read here,
//! which answers for service accounts, and `getent` is asked for the others (LDAP, systemd-userdb).

use std::fs;
use std::time::{Duration, Instant};

use tree::{Access, TreeError};

use crate::process::{Program, argv};

/// How long the host's name service may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Which of the two databases.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Database {
    Users,
    Groups,
}

impl Database {
    fn name(self) -> &'static str {
        match self {
            Self::Users => "passwd",
            Self::Groups => "group",
        }
    }

    /// The name of a number, or the number itself where it has none.
    pub(crate) fn name_of(self, id: u32) -> String {
        let number = id.to_string();
        self.find(&number, |line| (line.id == id).then(|| line.name.to_owned()))
            .unwrap_or(number)
    }

    /// The number of a name; a name that is a number stands for itself.
    pub(crate) fn id_of(self, name: &str) -> Option<u32> {
        self.find(name, |line| (line.name == name).then_some(line.id))
            .or_else(|| name.parse().ok())
    }

    fn find<T>(self, key: &str, matches: impl Fn(Line<'_>) -> Option<T>) -> Option<T> {
        let text = fs::read_to_string(format!("/etc/{}", self.name())).unwrap_or_default();
        let found = text.lines().filter_map(Line::parse).find_map(&matches);
        found.or_else(|| {
            let argv = argv(["getent", self.name(), key]);
            let output = Program::new(&argv, Instant::now() + LIMIT).run().ok()?;
            let text = output.stdout_text();
            text.lines().filter_map(Line::parse).find_map(&matches)
        })
    }
}

/// Looks names up.
pub(crate) fn access(mode: u32, owner: &str, group: &str) -> Result<Access, TreeError> {
    let id = |database: Database, what, name: &str| {
        database.id_of(name).ok_or_else(|| TreeError::NoAccount {
            what,
            name: name.to_owned(),
        })
    };
    let (uid, gid) = (
        id(Database::Users, "user", owner)?,
        id(Database::Groups, "group", group)?,
    );
    Ok(Access::new(mode, uid, gid))
}

/// The part of a line that both databases have in common: `name:password:number:...`.
struct Line<'a> {
    name: &'a str,
    id: u32,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?.parse().ok()?;
        Some(Self { name, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name_and_strangers_a_number() {
        assert_eq!(Database::Users.name_of(0), "root");
        assert_eq!(Database::Groups.name_of(0), "root");
        assert_eq!(Database::Users.id_of("root"), Some(0));
        assert_eq!(Database::Users.name_of(3_999_999_999), "3999999999");
        assert_eq!(Database::Groups.id_of("no-such-group"), None);
        assert_eq!(Database::Groups.id_of("1234567"), Some(1_234_567));
    }
}
