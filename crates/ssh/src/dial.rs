//! From a target to an encrypted connection whose far end is the right host: TCP or a channel of the jump host, key
//! exchange, and the check of the host's key. Nobody is logged in yet.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{self, DisconnectReason, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::{Preferred, compression};
use thiserror::Error;

use crate::config::Family;
use crate::deadline::{Deadline, TimedOut};
use crate::error::{Advice, excerpt, is_transient_io, is_transient_ssh};
use crate::known_hosts::{Check, Found, HostKeyError, KnownHosts, preferred_algorithms};
use crate::options::SshOptions;
use crate::socket::Socket;
use crate::target::Target;

/// What the agent may send before it must wait for us: facts of a host come in one go.
const WINDOW: u32 = 8 << 20;

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
fn has_hung_up(error: &russh::Error) -> bool {
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

/// Why a connection ended, for those who find it dead.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending(Arc<Mutex<Option<String>>>);

impl Ending {
    /// The reason, once there is one.
    pub(crate) fn reason(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, reason: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(reason);
    }
}

/// A connection. It ends when it is dropped and none of its channels is left.
pub(crate) struct Connection {
    pub(crate) handle: Handle<Client>,
    pub(crate) ending: Ending,
    pub(crate) label: String,
    /// The connection that this one goes through.
    _via: Option<Arc<Connection>>,
}

/// Our side of the conversation with a server.
pub(crate) struct Client {
    check: Check,
    ending: Ending,
    /// Kept beside the error that ends the exchange, which a failing shutdown of the socket would replace.
    distrust: Arc<Mutex<Option<HostKeyError>>>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let checked = match self.check.check_revoked(shown).await {
            Ok(()) => self.check.check(shown),
            refused => refused,
        };
        match checked {
            Ok(()) => Ok(true),
            Err(error) => {
                *self.distrust.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Ok(false)
            }
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.ending
                    .set(format!("the server said {:?}", excerpt(&info.message)));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                self.ending.set(match &error {
                    russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout => {
                        "the host no longer answers".to_owned()
                    }
                    error if has_hung_up(error) => "the server closed it".to_owned(),
                    other => other.to_string(),
                });
                Err(error)
            }
        }
    }
}

/// Connects to a target, through the connection to its jump host if it has one.
pub(crate) async fn dial(
    target: &Target,
    via: Option<Arc<Connection>>,
    options: &SshOptions,
    known_hosts: &Arc<KnownHosts>,
    deadline: &Deadline,
) -> Result<Connection, DialError> {
    let found = known_hosts.find(&target.known_hosts, &target.recorded_as)?;
    let config = Arc::new(config(options, target, &found));
    let (ending, distrust) = (Ending::default(), Arc::default());
    let client = Client {
        check: Check {
            known_hosts: Arc::clone(known_hosts),
            host: target.recorded_as.clone(),
            found,
            new_keys: target.new_keys.clone(),
            accept_new: options.accept_new_host_keys,
            is_hashed: target.hash_known_hosts,
            policy: target.policy.clone(),
            revoked_keys: target.revoked_host_keys.clone(),
        },
        ending: ending.clone(),
        distrust: Arc::clone(&distrust),
    };
    let doing = "exchanging keys";
    let handle = match &via {
        None => {
            let stream = deadline.run("connecting", tcp(target)).await??;
            deadline
                .run(doing, client::connect_stream(config, stream, client))
                .await?
        }
        Some(via) => {
            let stream = deadline.run("connecting through the jump host", forward(via, target));
            let stream = stream.await??;
            deadline
                .run(doing, client::connect_stream(config, stream, client))
                .await?
        }
    };
    let refused = distrust.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (refused, handle) {
        (Some(error), _) => Err(error.into()),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(handle)) => Ok(Connection {
            handle,
            ending,
            label: target.label(),
            _via: via,
        }),
    }
}

fn config(options: &SshOptions, target: &Target, found: &[Found]) -> client::Config {
    let policy = &target.policy;
    let asked_for = preferred_algorithms(found, policy);
    let patience = u32::try_from(options.keepalive.count).unwrap_or(u32::MAX - 2);
    client::Config {
        window_size: WINDOW,
        // Keepalives begin with the login. This ends what falls silent before it, and what was given up in the middle of
        // an exchange; afterwards the answers to keepalives are activity enough.
        inactivity_timeout: Some(options.keepalive.interval * (patience + 2)),
        keepalive_interval: Some(options.keepalive.interval),
        keepalive_max: options.keepalive.count,
        nodelay: true,
        preferred: Preferred {
            kex: Cow::Owned(policy.key_exchanges()),
            key: Cow::Owned(asked_for.keys),
            host_key_certificates: Cow::Owned(asked_for.certificates),
            cipher: Cow::Owned(policy.ciphers()),
            mac: Cow::Owned(policy.macs()),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        limits: policy.limits(),
        ..client::Config::default()
    }
}

/// A TCP connection to the first of a name's addresses that takes one.
async fn tcp(target: &Target) -> Result<Socket, DialError> {
    let unresolved = |source| DialError::Resolve {
        name: target.address.clone(),
        source,
    };
    let addresses = tokio::net::lookup_host((target.address.as_str(), target.port))
        .await
        .map_err(unresolved)?;
    let from = sources(target).await?;
    let is_wanted = |address: &SocketAddr| match target.family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    };
    let mut last = None;
    for address in addresses.filter(is_wanted) {
        let source = match &from {
            None => None,
            Some((name, from)) => {
                let Some(same) = from.iter().find(|from| from.is_ipv4() == address.is_ipv4()) else {
                    last = Some(DialError::Bind {
                        name: target.address.clone(),
                        address: name.clone(),
                        source: io::Error::other("it has no address of the host's family"),
                    });
                    continue;
                };
                Some(SocketAddr::new(*same, 0))
            }
        };
        match Socket::connect(address, source).await {
            Ok(stream) => return Ok(stream),
            Err(source) => last = Some(DialError::Tcp { address, source }),
        }
    }
    Err(last.unwrap_or_else(|| unresolved(io::Error::other("it has no address of the host's family"))))
}

/// The addresses of this machine that `BindAddress` names.
async fn sources(target: &Target) -> Result<Option<(String, Vec<IpAddr>)>, DialError> {
    let Some(name) = &target.bind_address else {
        return Ok(None);
    };
    match tokio::net::lookup_host((name.as_str(), 0)).await {
        Ok(found) => Ok(Some((name.clone(), found.map(|address| address.ip()).collect()))),
        Err(source) => Err(DialError::Bind {
            name: target.address.clone(),
            address: name.clone(),
            source,
        }),
    }
}

async fn forward(via: &Connection, target: &Target) -> Result<russh::ChannelStream<client::Msg>, DialError> {
    let port = u32::from(target.port);
    match via
        .handle
        .channel_open_direct_tcpip(target.address.clone(), port, "127.0.0.1", 0)
        .await
    {
        Ok(channel) => Ok(channel.into_stream()),
        Err(source) => Err(DialError::Jump {
            jump: via.label.clone(),
            address: format!("{}:{port}", target.address),
            source,
        }),
    }
}
