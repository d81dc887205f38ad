//! What a service tells those that use it: where it is reached, and with which password.
//!
//! An application's configuration repeats the addresses, ports and passwords of its databases. The inventory says each
//! once, at the service that it belongs to; whoever uses that service takes it from here.

use types::{HostName, SecretId};

/// What clients need to know of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Where they connect to, in the inventory's order: the members, or who knows where they are (the sentinels).
    pub endpoints: Vec<Endpoint>,
    /// The name that they ask for there: the replica set's, or the master's of the sentinels.
    pub name: Option<String>,
    /// Who may log in, as far as the inventory says.
    pub logins: Vec<Login>,
}

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host.
    pub host: HostName,
    /// The port.
    pub port: u16,
}

/// Who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user; `None` where a password is all that is asked for.
    pub user: Option<String>,
    /// The password.
    pub password: SecretId,
    /// The database that the user is of, where users are those of a database.
    pub database: Option<String>,
    /// The virtual hosts in which the user has permissions, where a service has such.
    pub vhosts: Vec<String>,
}

impl Offer {
    /// All hosts with the same port, and the password that all clients share.
    pub fn shared(hosts: &[HostName], port: u16, password: &SecretId) -> Self {
        Self {
            endpoints: Endpoint::all(hosts, port),
            name: None,
            logins: vec![Login {
                user: None,
                password: password.clone(),
                database: None,
                vhosts: Vec::new(),
            }],
        }
    }
}

impl Endpoint {
    /// All hosts with the same port.
    pub fn all(hosts: &[HostName], port: u16) -> Vec<Self> {
        let endpoints = hosts.iter().map(|host| Self {
            host: host.clone(),
            port,
        });
        endpoints.collect()
    }
}
