//! Which hosts a lab has: the usual five, or those of a TOML file.
//!
//! ```toml
//! [hosts]      # name = last part of the host's address
//! db1 = 11
//! db2 = 12
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::names::{self, NameError};

/// A file of hosts that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML of the expected form.
    #[error("{} does not list hosts", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The mistake, and its place.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The file names no host.
    #[error("{} lists no host under [hosts]", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A host's name cannot be used.
    #[error("a host of the lab has an unusable name")]
    Name(#[source] NameError),
    /// Two hosts have one address, or a host has one that is not for hosts.
    #[error("host {host}: {octet} cannot end its address (2 to 254, each once; .1 is this machine)")]
    Octet {
        /// The host.
        host: String,
        /// The last part of its address.
        octet: u8,
    },
}

/// One host that a lab is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSpec {
    /// Its name, also its hostname.
    pub name: String,
    /// The last part of its address.
    pub octet: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecFile {
    hosts: BTreeMap<String, u8>,
}

/// The hosts of a lab that names no others: three for data, two for applications.
pub fn default_hosts() -> Vec<HostSpec> {
    [("db1", 11), ("db2", 12), ("db3", 13), ("app1", 21), ("app2", 22)]
        .map(|(name, octet)| HostSpec {
            name: name.to_owned(),
            octet,
        })
        .into()
}

/// Reads a file of hosts, in the order of their addresses.
pub fn read_hosts(path: &Path) -> Result<Vec<HostSpec>, SpecError> {
    let read = |source| SpecError::Read {
        path: path.to_owned(),
        source,
    };
    parse(path, &std::fs::read_to_string(path).map_err(read)?)
}

fn parse(path: &Path, text: &str) -> Result<Vec<HostSpec>, SpecError> {
    let file: SpecFile = toml::from_str(text).map_err(|source| SpecError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let mut hosts: Vec<HostSpec> = file
        .hosts
        .into_iter()
        .map(|(name, octet)| HostSpec { name, octet })
        .collect();
    hosts.sort_by_key(|host| host.octet);
    if hosts.is_empty() {
        return Err(SpecError::Empty {
            path: path.to_owned(),
        });
    }
    check(&hosts)?;
    Ok(hosts)
}

/// Checks the names and addresses of the hosts.
pub(crate) fn check(hosts: &[HostSpec]) -> Result<(), SpecError> {
    let mut taken = [false; 256];
    for host in hosts {
        names::check("host", &host.name).map_err(SpecError::Name)?;
        let octet = usize::from(host.octet);
        if !(2..=254).contains(&host.octet) || taken[octet] {
            return Err(SpecError::Octet {
                host: host.name.clone(),
                octet: host.octet,
            });
        }
        taken[octet] = true;
    }
    Ok(())
}

/// The same list as a file, to be read by later commands.
pub(crate) fn to_toml(hosts: &[HostSpec]) -> String {
    hosts.iter().fold(String::from("[hosts]\n"), |mut text, host| {
        let _ = writeln!(text, "{} = {}", host.name, host.octet);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<HostSpec>, SpecError> {
        parse(Path::new("hosts.toml"), text)
    }

    #[test]
    fn what_is_written_can_be_read() {
        assert_eq!(read(&to_toml(&default_hosts())).unwrap(), default_hosts());
    }

    #[test]
    fn impossible_lists_are_refused() {
        assert!(matches!(read("[hosts]\n"), Err(SpecError::Empty { .. })));
        assert!(matches!(
            read("[hosts]\na = 11\nb = 11\n"),
            Err(SpecError::Octet { .. })
        ));
        assert!(matches!(read("[hosts]\na = 1\n"), Err(SpecError::Octet { .. })));
        assert!(matches!(read("[hosts]\nA = 11\n"), Err(SpecError::Name(_))));
        assert!(matches!(read("[host]\na = 11\n"), Err(SpecError::Parse { .. })));
        assert!(matches!(read("[hosts]\na = 300\n"), Err(SpecError::Parse { .. })));
    }
}
