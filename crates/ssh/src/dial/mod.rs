//! From a target to an encrypted connection whose far end is the right host: TCP or a channel of the jump host, key
//! exchange, and the check of the host's key. Nobody is logged in yet.

mod error;

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{self, DisconnectReason, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::{Preferred, compression};

use crate::config::Family;
use crate::deadline::Deadline;
use crate::error::excerpt;
use crate::known_hosts::{Check, Found, HostKeyError, KnownHosts, preferred_algorithms};
use crate::options::SshOptions;
use crate::socket::Socket;
use crate::target::Target;
use error::has_hung_up;

pub(crate) use error::DialError;

/// What the agent may send before it must wait for us: facts of a host come in one go.
const WINDOW: u32 = 8 << 20;

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
