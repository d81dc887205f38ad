//! Why there is no connection to a host.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::deadline::TimedOut;
use crate::error::{Advice, is_transient_io, is_transient_ssh};
use crate::known_hosts::HostKeyError;

/// Why there is no connection to a host.
#[derive(Debug, Error)]
pub(crate) enum DialError {
    /// The name has no address.
    #[error("the name {name} has no address")]
    Resolve {
        name: String,
        #[source]
        source: io::Error,
    },
    /// The address to come from is of no use.
    #[error("cannot connect to {name} from {address}, which OpenSSH's configuration names as BindAddress")]
    Bind {
        name: String,
        address: String,
        #[source]
        source: io::Error,
    },
    /// No TCP connection.
    #[error("cannot connect to {address}")]
    Tcp {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// The jump host opens no channel.
    #[error("the jump host {jump} cannot connect to {address}")]
    Jump {
        jump: String,
        address: String,
        #[source]
        source: russh::Error,
    },
    /// The host is not trusted.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    /// The server closed the connection.
    #[error("the server closed the connection during the SSH handshake")]
    HungUp,
    /// The SSH protocol failed.
    #[error("the SSH handshake failed")]
    Handshake(#[source] russh::Error),
    /// The connection took too long.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

impl From<russh::Error> for DialError {
    fn from(error: russh::Error) -> Self {
        // A reset is how a busy server hangs up on what it has not read yet.
        let is_reset = matches!(&error, russh::Error::IO(io) if io.kind() == io::ErrorKind::ConnectionReset);
        if is_reset || has_hung_up(&error) {
            Self::HungUp
        } else {
            Self::Handshake(error)
        }
    }
}

/// Whether the server closed the connection, for which russh has several words.
pub(super) fn has_hung_up(error: &russh::Error) -> bool {
    match error {
        russh::Error::Disconnect | russh::Error::HUP => true,
        russh::Error::IO(error) => error.kind() == io::ErrorKind::UnexpectedEof,
        _ => false,
    }
}

impl Advice for DialError {
    fn hint(&self) -> String {
        match self {
            Self::Resolve { name, .. } => format!(
                "check the spelling, `getent hosts {name}`, or give the host an address in the inventory"
            ),
            Self::Tcp { address, source } if source.kind() == io::ErrorKind::ConnectionRefused => {
                format!("is an SSH server running there, on port {}?", address.port())
            }
            Self::Jump { source, .. } if is_administrative(source) => {
                "is AllowTcpForwarding on in the jump host's sshd_config, and the target reachable from it?"
                    .to_owned()
            }
            Self::HostKey(error) => error.hint(),
            Self::Handshake(russh::Error::Version) => {
                "the server on this port is not an SSH server".to_owned()
            }
            Self::Handshake(russh::Error::NoCommonAlgo { .. }) => {
                "the host's SSH server is too old, or set to other algorithms than OpenSSH's configuration permits here"
                    .to_owned()
            }
            Self::TimedOut(_) => "is the host up, and the port open in the firewalls on the way?".to_owned(),
            Self::HungUp => {
                "a busy server does that, and one that penalises this address: see MaxStartups and \
                             PerSourcePenalties in its sshd_config, and its log"
                    .to_owned()
            }
            Self::Bind { .. } => "set BindAddress to an address of this machine, of the host's family".to_owned(),
            Self::Tcp { .. } | Self::Jump { .. } | Self::Handshake(_) => String::new(),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Bind { .. } | Self::HostKey(_) => false,
            Self::Tcp { source, .. } => is_transient_io(source),
            // "Connect failed" is what a refused connection is called behind a jump host.
            Self::Jump { source, .. } => {
                is_transient_ssh(source)
                    || matches!(
                        source,
                        russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::ConnectFailed)
                    )
            }
            Self::Handshake(error) => is_transient_ssh(error),
            Self::HungUp | Self::TimedOut(_) => true,
        }
    }
}

fn is_administrative(error: &russh::Error) -> bool {
    matches!(
        error,
        russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::AdministrativelyProhibited)
    )
}
