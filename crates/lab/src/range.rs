//! Which addresses a lab has: a /24 of its own, the same one every time.
//!
//! The usual lab has 10.77.0.0/24. Any other takes the first free one after it, and writes it down in its own
//! directory; a lab that is purged gives it back.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::cmd::{Cmd, CmdError};

/// The file in a lab's directory that holds its range.
pub(crate) const FILE: &str = "range";

/// The second number of the ranges that labs take by themselves.
const FIRST: u8 = 77;
const LAST: u8 = 126;

/// A lab's range that is malformed, or cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The text is not a range.
    #[error("{text:?} is not a range for a lab; write it like 10.90.0.0/24, within a private network")]
    Malformed {
        /// The text.
        text: String,
    },
    /// The lab has another range already.
    #[error("this lab has {has}, not {wanted}: `down --purge` it first to move it")]
    Differs {
        /// What it has.
        has: Range,
        /// What was asked for.
        wanted: Range,
    },
    /// Another lab or network of this machine has it.
    #[error("{range} belongs to {owner}; choose another with --net")]
    Taken {
        /// The range.
        range: Range,
        /// The lab or network interface that has it.
        owner: String,
    },
    /// No range is left.
    #[error("every range from 10.{FIRST}.0.0/24 to 10.{LAST}.0.0/24 is taken; choose one with --net")]
    NoneLeft,
    /// The file of a lab's range could not be read or written.
    #[error("cannot keep a lab's range in {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// This machine's addresses could not be listed.
    #[error("cannot list this machine's addresses")]
    Addresses(#[source] CmdError),
}

/// The addresses A.B.C.0 to A.B.C.255.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range([u8; 3]);

impl Range {
    /// The address that ends in `octet`.
    pub fn address(self, octet: u8) -> Ipv4Addr {
        let [a, b, c] = self.0;
        Ipv4Addr::new(a, b, c, octet)
    }

    /// This machine's address in the lab's network.
    pub fn gateway(self) -> Ipv4Addr {
        self.address(1)
    }

    /// The range as a pattern of OpenSSH's, as in "10.77.0.*".
    pub(crate) fn pattern(self) -> String {
        let [a, b, c] = self.0;
        format!("{a}.{b}.{c}.*")
    }

    /// Whether a network with this address and prefix length has an address in common with the range.
    fn meets(self, address: Ipv4Addr, prefix: u32) -> bool {
        let mask = u32::MAX.checked_shl(32 - prefix.min(24)).unwrap_or(0);
        u32::from(self.address(0)) & mask == u32::from(address) & mask
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/24", self.address(0))
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let malformed = || RangeError::Malformed {
            text: text.to_owned(),
        };
        let address: Ipv4Addr = text
            .strip_suffix("/24")
            .and_then(|address| address.parse().ok())
            .ok_or_else(malformed)?;
        let [a, b, c, last] = address.octets();
        if last != 0 || !address.is_private() {
            return Err(malformed());
        }
        Ok(Self([a, b, c]))
    }
}

/// A range and who has it: another lab, or a network interface of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Used {
    address: Ipv4Addr,
    prefix: u32,
    owner: String,
}

/// The range that the lab in `dir` has written down.
pub(crate) fn recorded(dir: &Path) -> Result<Option<Range>, RangeError> {
    let path = dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RangeError::File { path, source }),
    }
}

/// The range for the lab in `dir`: what it has, else what is asked for, else the first free one. The caller holds
/// the lock of the labs' common directory, and `bridge` is the lab's own interface.
pub(crate) fn take(dir: &Path, wanted: Option<Range>, bridge: &str) -> Result<Range, RangeError> {
    let used = used(dir, bridge)?;
    let range = choose(recorded(dir)?, wanted, &used)?;
    let path = dir.join(FILE);
    std::fs::write(&path, format!("{range}\n")).map_err(|source| RangeError::File { path, source })?;
    Ok(range)
}

fn choose(has: Option<Range>, wanted: Option<Range>, used: &[Used]) -> Result<Range, RangeError> {
    let owner = |range: Range| used.iter().find(|used| range.meets(used.address, used.prefix));
    match (has, wanted) {
        (Some(has), Some(wanted)) if has != wanted => Err(RangeError::Differs { has, wanted }),
        (Some(range), _) | (None, Some(range)) => match owner(range) {
            Some(used) => Err(RangeError::Taken {
                range,
                owner: used.owner.clone(),
            }),
            None => Ok(range),
        },
        (None, None) => (FIRST..=LAST)
            .map(|second| Range([10, second, 0]))
            .find(|range| owner(*range).is_none())
            .ok_or(RangeError::NoneLeft),
    }
}

/// The ranges of the other labs beside `dir`, and of this machine's other networks. The usual lab's range counts
/// as taken for all others, so that it can come back at any time.
fn used(dir: &Path, bridge: &str) -> Result<Vec<Used>, RangeError> {
    let addresses = Cmd::new("ip")
        .args(["-4", "-o", "addr", "show"])
        .run()
        .map_err(RangeError::Addresses)?;
    let mut used = interfaces(&addresses, bridge);
    if dir.file_name().is_some_and(|name| name != crate::DEFAULT_NAME) {
        used.push(Used {
            address: Ipv4Addr::new(10, FIRST, 0, 0),
            prefix: 24,
            owner: format!("lab {}", crate::DEFAULT_NAME),
        });
    }
    let Some(parent) = dir.parent() else {
        return Ok(used);
    };
    let listed = std::fs::read_dir(parent);
    let entries = listed.map_err(|source| RangeError::File {
        path: parent.to_owned(),
        source,
    })?;
    for entry in entries.flatten().filter(|entry| entry.path() != dir) {
        if let Some(range) = recorded(&entry.path()).ok().flatten() {
            let owner = format!("lab {}", entry.file_name().display());
            used.push(Used {
                address: range.address(0),
                prefix: 24,
                owner,
            });
        }
    }
    Ok(used)
}

/// Reads lines like `4: eth0    inet 192.168.1.2/24 brd ...`.
fn interfaces(text: &str, own: &str) -> Vec<Used> {
    let one = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let name = words.next()?;
        let (address, prefix) = words.find(|word| word.contains('/'))?.split_once('/')?;
        (name != own).then_some(Used {
            address: address.parse().ok()?,
            prefix: prefix.parse().ok()?,
            owner: format!("network interface {name}"),
        })
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Range {
        text.parse().unwrap()
    }

    fn used(text: &str) -> Vec<Used> {
        interfaces(text, "cl-lab")
    }

    #[test]
    fn only_private_ranges_of_256_are_ranges() {
        assert_eq!(range("10.77.0.0/24").gateway(), Ipv4Addr::new(10, 77, 0, 1));
        assert_eq!(range("192.168.5.0/24").to_string(), "192.168.5.0/24");
        for bad in ["10.77.0.0", "10.77.0.1/24", "8.8.8.0/24", "10.77.0.0/16", "x/24"] {
            bad.parse::<Range>().unwrap_err();
        }
    }

    #[test]
    fn the_first_free_range_is_taken() {
        assert_eq!(choose(None, None, &[]).unwrap(), range("10.77.0.0/24"));
        let taken =
            used("1: lo    inet 127.0.0.1/8 scope host lo\n3: x    inet 10.77.0.9/24 brd 10.77.0.255");
        assert_eq!(choose(None, None, &taken).unwrap(), range("10.78.0.0/24"));
    }

    #[test]
    fn a_wide_network_of_the_machine_takes_all_its_ranges() {
        let wide = used("2: eth0    inet 10.0.0.5/8 scope global");
        assert!(matches!(choose(None, None, &wide), Err(RangeError::NoneLeft)));
        let narrow = used("2: eth0    inet 10.77.0.5/30 scope global");
        assert_eq!(choose(None, None, &narrow).unwrap(), range("10.78.0.0/24"));
    }

    #[test]
    fn a_lab_keeps_its_range_and_its_own_bridge_is_no_obstacle() {
        let own = used("9: cl-lab    inet 10.77.0.1/24 scope global");
        assert_eq!(
            choose(Some(range("10.77.0.0/24")), None, &own).unwrap(),
            range("10.77.0.0/24")
        );
        let differs = choose(Some(range("10.77.0.0/24")), Some(range("10.90.0.0/24")), &own);
        assert!(matches!(differs, Err(RangeError::Differs { .. })));
    }

    #[test]
    fn a_taken_range_names_its_owner() {
        let taken = used("2: docker0    inet 10.90.0.1/16 scope global");
        let error = choose(None, Some(range("10.90.0.0/24")), &taken).unwrap_err();
        assert!(error.to_string().contains("docker0"), "{error}");
    }

    #[test]
    fn ranges_are_kept_apart_on_disk() {
        let parent = tempfile::tempdir().unwrap();
        let dirs = ["one", "two"].map(|name| parent.path().join(name));
        for dir in &dirs {
            std::fs::create_dir(dir).unwrap();
        }
        let first = take(&dirs[0], None, "none").unwrap();
        let second = take(&dirs[1], None, "none").unwrap();
        assert_ne!(first, second);
        assert_ne!(first, range("10.77.0.0/24"));
        assert_eq!(take(&dirs[0], None, "none").unwrap(), first);
        assert_eq!(recorded(&dirs[1]).unwrap(), Some(second));
    }
}
