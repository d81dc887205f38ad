//! Name resolution and reachability, as the host itself sees them.

use serde::{Deserialize, Serialize};

use super::Silence;

/// In place of an address: the host itself, at whatever addresses of it somebody listens on the port.
pub const THIS_HOST: &str = "*";

/// Asks the host's own resolver (nsswitch.conf(5), as programs on the host see it) for a name's addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResolveQuery {
    /// The name.
    pub name: String,
}

/// The addresses of a name, in the resolver's order, without repetition; empty where it does not resolve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveFact {
    /// Numeric addresses.
    pub addresses: Vec<String>,
}

/// Asks whether a port accepts connections from this host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TcpQuery {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Whether a port accepts connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TcpFact {
    /// The port accepts connections.
    Open,
    /// The port does not, and why, e.g. `connection refused`.
    Closed(Silence),
}
