//! What `lab status` tells about a host.

use std::net::Ipv4Addr;

use crate::host::{Host, HostError};
use crate::net::Plug;

/// How a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// It was never made, or was purged.
    Absent,
    /// It is made, but does not run.
    Off,
    /// It runs, but takes no logins yet.
    Booting,
    /// It runs and takes logins.
    Up,
    /// It runs, but is cut off from the network.
    Cut,
}

impl std::fmt::Display for HostState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Absent => "absent",
            Self::Off => "off",
            Self::Booting => "booting",
            Self::Up => "up",
            Self::Cut => "cut",
        })
    }
}

/// A host and how it is.
#[derive(Debug, Clone)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Its address, once the lab was up.
    pub address: Option<Ipv4Addr>,
    /// How it is.
    pub state: HostState,
    /// The memory of its processes, in bytes (its share of what it shares).
    pub memory: u64,
    /// What it wrote over its image, in bytes.
    pub disk: u64,
}

pub(crate) fn of(host: &Host<'_>, name: &str, address: Option<Ipv4Addr>) -> Result<HostStatus, HostError> {
    let state = match (host.has_processes(), host.plug()) {
        (false, _) if host.exists() => HostState::Off,
        (false, _) => HostState::Absent,
        (true, Plug::Out | Plug::Absent) => HostState::Cut,
        (true, Plug::In) if host.ready() => HostState::Up,
        (true, Plug::In) => HostState::Booting,
    };
    Ok(HostStatus {
        name: name.to_owned(),
        address,
        state,
        memory: host.memory(),
        disk: host.disk()?,
    })
}
