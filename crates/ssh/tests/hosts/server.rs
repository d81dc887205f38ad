//! An SSH server in the test's own process, on the loopback: it answers the bootstrap like a host that has the agent,
//! and can be told to behave badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a server behaves.
#[derive(Clone)]
pub(crate) struct Behaviour {
    pub(crate) host_keys: Vec<PrivateKey>,
    /// Who may log in; nobody where it is none.
    pub(crate) identity: Option<PublicKey>,
    pub(crate) methods: Vec<MethodKind>,
    /// What it says to the command that starts the agent, and then goes on with an `x` after the other for ever; the
    /// agent's greeting where it is none.
    pub(crate) endless: Option<&'static [u8]>,
    /// How much of it was said.
    pub(crate) said: Arc<AtomicU64>,
}

impl Behaviour {
    pub(crate) fn new(host_key: PrivateKey, identity: Option<PublicKey>) -> Self {
        Self {
            host_keys: vec![host_key],
            identity,
            methods: vec![MethodKind::PublicKey],
            endless: None,
            said: Arc::default(),
        }
    }
}

/// A running server. Its connections can be frozen: bytes are taken and go nowhere, as behind a cut cable.
pub(crate) struct Server {
    pub(crate) port: u16,
    task: JoinHandle<()>,
    frozen: watch::Sender<bool>,
    cuts: watch::Sender<u32>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(Config {
            keys: behaviour.host_keys.clone(),
            methods: MethodSet::from(&behaviour.methods[..]),
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            nodelay: true,
            ..Config::default()
        });
        let (frozen, cuts) = (watch::channel(false).0, watch::channel(0).0);
        let (frozen_seen, cuts_seen) = (frozen.subscribe(), cuts.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ours, theirs) = tokio::io::duplex(1 << 20);
                tokio::spawn(pass(stream, ours, frozen_seen.clone(), cuts_seen.subscribe()));
                let client = Client {
                    behaviour: behaviour.clone(),
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, theirs, client).await {
                        let _ended = session.await;
                    }
                });
            }
        });
        Self {
            port,
            task,
            frozen,
            cuts,
        }
    }

    /// Nothing comes through any more, and nobody is told.
    pub(crate) fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// The connections of now break.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

/// Carries bytes between the socket and the server, as long as it is let.
async fn pass(
    mut stream: TcpStream,
    mut server: tokio::io::DuplexStream,
    mut frozen: watch::Receiver<bool>,
    mut cuts: watch::Receiver<u32>,
) {
    let copying = async {
        let is_frozen = async { frozen.wait_for(|frozen| *frozen).await.is_ok() };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut stream, &mut server) => {}
            true = is_frozen => std::future::pending().await,
        }
    };
    let is_cut = async { cuts.changed().await.is_ok() };
    tokio::select! {
        () = copying => {}
        true = is_cut => {}
    }
}

struct Client {
    behaviour: Behaviour,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: russh::server::PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(self.judge(offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(self.judge(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        assert!(command.starts_with(b"exec sh -c '"));
        session.channel_success(channel)?;
        if let Some(first) = self.behaviour.endless {
            session.data(channel, first)?;
            let (handle, said) = (session.handle(), Arc::clone(&self.behaviour.said));
            tokio::spawn(async move {
                let piece = vec![b'x'; 16 << 10];
                while handle.data(channel, piece.clone()).await.is_ok() {
                    said.fetch_add(piece.len() as u64, Ordering::SeqCst);
                }
            });
            return Ok(());
        }
        session.data(channel, &b"clusterctl/1 start\n"[..])?;
        let hello = protocol::Hello {
            version: protocol::VERSION,
            pid: 42,
            uid: 0,
            key: protocol::SealingKey([7; 32]),
        };
        session.data(channel, protocol::frame::encode(&hello).unwrap())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        match TcpStream::connect((host, u16::try_from(port).unwrap())).await {
            Ok(mut stream) => {
                reply.accept().await;
                tokio::spawn(async move {
                    let mut channel = channel.into_stream();
                    let _ended = tokio::io::copy_bidirectional(&mut stream, &mut channel).await;
                    let _closed = stream.shutdown().await;
                });
            }
            Err(_) => reply.reject(russh::ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }
}

impl Client {
    fn judge(&self, key: &PublicKey) -> Auth {
        match &self.behaviour.identity {
            Some(identity) if identity.key_data() == key.key_data() => Auth::Accept,
            _ => Auth::reject(),
        }
    }
}
