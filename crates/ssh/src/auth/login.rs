//! A login under way.

use russh::keys::HashAlg;
use russh::keys::agent::client::AgentClient;
use tokio::net::UnixStream;

use super::error::{List, Unused};
use crate::deadline::Deadline;
use crate::dial::Connection;
use crate::keyring::Keyring;
use crate::target::Target;

/// The identities that were offered to one server so far, and all that offering needs.
pub(super) struct Login<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) target: &'a Target,
    pub(super) keyring: &'a Keyring,
    pub(super) deadline: &'a Deadline,
    pub(super) agent: Option<AgentClient<UnixStream>>,
    pub(super) offered: List,
    pub(super) unused: Unused,
    /// The hashes for RSA signatures that the server takes, the best first, once it was asked; none is SHA-1.
    pub(super) rsa_hashes: Option<Vec<Option<HashAlg>>>,
}
