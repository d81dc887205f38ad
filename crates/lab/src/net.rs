//! The lab's network: a bridge on this machine, and for each host a namespace with one link to it.
//!
//! The hosts have no way out. A host is cut off by its link's end on this machine, so nothing inside the host can
//! tell that from a pulled cable.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cmd::{Cmd, CmdError};
use crate::names::Names;
use crate::range::Range;

/// Where the kernel lists links.
const LINKS: &str = "/sys/class/net";

/// Where `ip netns` keeps namespaces.
const NAMESPACES: &str = "/run/netns";

/// The network could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// `ip` failed.
    #[error("cannot change the lab's network")]
    Command(#[from] CmdError),
    /// A namespace's file stays.
    #[error("cannot remove the network namespace {}", path.display())]
    Namespace {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// How a host is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plug {
    /// There is no link.
    Absent,
    /// Connected.
    In,
    /// Cut off.
    Out,
}

/// How to cut a host off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As a pulled cable: the host sees that its link is down.
    Unplug,
    /// As a switch that forwards nothing: the host's link stays up.
    Silent,
}

/// The network of one lab.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Net<'a> {
    names: &'a Names,
}

impl<'a> Net<'a> {
    pub(crate) fn new(names: &'a Names) -> Self {
        Self { names }
    }

    /// Makes the bridge, or mends what is there.
    pub(crate) fn bridge_up(self, range: Range) -> Result<(), NetError> {
        let bridge = self.names.bridge();
        if !exists(&bridge) {
            ip(&["link", "add", &bridge, "type", "bridge"])?;
        }
        ip(&[
            "addr",
            "replace",
            &format!("{}/24", range.gateway()),
            "dev",
            &bridge,
        ])?;
        ip(&["link", "set", &bridge, "up"])
    }

    /// Makes a host's namespace and link, after clearing what an earlier run left of them.
    pub(crate) fn attach(self, host: &str, range: Range, octet: u8) -> Result<(), NetError> {
        self.detach(host)?;
        let (netns, link) = (self.names.netns(host), self.names.link(host));
        let address = range.address(octet);
        let [a, b, c, d] = address.octets();
        // The same hardware address every time, or the other hosts would look for the old one for a while.
        let hardware = format!("02:cb:{a:02x}:{b:02x}:{c:02x}:{d:02x}");
        ip(&["netns", "add", &netns])?;
        ip(&[
            "link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &netns,
        ])?;
        ip(&["-n", &netns, "link", "set", "eth0", "address", &hardware])?;
        ip(&[
            "-n",
            &netns,
            "addr",
            "add",
            &format!("{address}/24"),
            "dev",
            "eth0",
        ])?;
        ip(&["-n", &netns, "link", "set", "lo", "up"])?;
        ip(&["-n", &netns, "link", "set", "eth0", "up"])?;
        self.plug(host)
    }

    /// Removes a host's link and namespace, as far as they are there.
    pub(crate) fn detach(self, host: &str) -> Result<(), NetError> {
        // The link first: a namespace's own links go some time after it, and block the name until then.
        remove_link(&self.names.link(host))?;
        remove_namespace(&self.names.netns(host))
    }

    /// Connects a host.
    pub(crate) fn plug(self, host: &str) -> Result<(), NetError> {
        ip(&[
            "link",
            "set",
            &self.names.link(host),
            "master",
            &self.names.bridge(),
            "up",
        ])
    }

    /// Cuts a host off.
    pub(crate) fn unplug(self, host: &str, how: Cut) -> Result<(), NetError> {
        let link = self.names.link(host);
        match how {
            Cut::Unplug => ip(&["link", "set", &link, "down"]),
            Cut::Silent => ip(&["link", "set", &link, "nomaster"]),
        }
    }

    /// How a host is connected now.
    pub(crate) fn state(self, host: &str) -> Plug {
        let link = Path::new(LINKS).join(self.names.link(host));
        let Ok(flags) = fs::read_to_string(link.join("flags")) else {
            return Plug::Absent;
        };
        if is_up(&flags) && link.join("master").exists() {
            Plug::In
        } else {
            Plug::Out
        }
    }

    /// Removes all of the lab's network, also of hosts that nobody knows any more.
    pub(crate) fn remove(self) -> Result<(), NetError> {
        let bridge = self.names.bridge();
        for link in listed(&Path::new(LINKS).join(&bridge).join("brif")) {
            remove_link(&link)?;
        }
        let prefix = self.names.netns_prefix();
        for netns in listed(Path::new(NAMESPACES))
            .into_iter()
            .filter(|name| name.starts_with(&prefix))
        {
            remove_namespace(&netns)?;
        }
        remove_link(&bridge)
    }
}

fn ip(args: &[&str]) -> Result<(), NetError> {
    Cmd::new("ip").args(args).run()?;
    Ok(())
}

fn exists(link: &str) -> bool {
    Path::new(LINKS).join(link).exists()
}

fn remove_link(link: &str) -> Result<(), NetError> {
    if exists(link) {
        ip(&["link", "del", link])?;
    }
    Ok(())
}

fn remove_namespace(netns: &str) -> Result<(), NetError> {
    let path = Path::new(NAMESPACES).join(netns);
    if path.exists() {
        // Of a namespace that was never mounted only the file is there, and `ip` complains.
        let removed = ip(&["netns", "del", netns]);
        if path.exists() {
            removed?;
            fs::remove_file(&path).map_err(|source| NetError::Namespace { path, source })?;
        }
    }
    Ok(())
}

fn listed(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Whether a link's flags (`0x1003`) have `IFF_UP`.
fn is_up(flags: &str) -> bool {
    let number = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
    number.is_ok_and(|flags| flags & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_tell_whether_a_link_is_up() {
        assert!(is_up("0x1003\n"));
        assert!(!is_up("0x1002\n"));
        assert!(!is_up(""));
    }
}
