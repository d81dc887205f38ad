//! Against servers in the test's own process: host keys, jump hosts, refusals and broken connections, each in a few
//! milliseconds.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::common::{endpoint, free_port, host, keygen, options, ssh};
use crate::server::{Behaviour, Server};
use russh::MethodKind;
use russh::keys::{PrivateKey, PublicKey};
use ssh::{Endpoint, Jump, Keepalive, Ssh, SshOptions};
use tempfile::TempDir;
use tokio::net::TcpListener;
use transport::{AgentStream, ConnectError, Session, SessionError, Transport};

/// Keys, and a place for `known_hosts`.
struct Place {
    folder: TempDir,
    identity: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = keygen(folder.path(), "id", &["ed25519"], "");
        Self { folder, identity }
    }

    fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    fn host_key(&self, name: &str, kind: &[&str]) -> PrivateKey {
        let file = keygen(self.folder.path(), name, kind, "");
        russh::keys::load_secret_key(file, None).unwrap()
    }

    fn public(&self) -> PublicKey {
        russh::keys::load_public_key(self.identity.with_extension("pub")).unwrap()
    }

    /// A server that lets our identity in.
    async fn server(&self, host_key: &PrivateKey) -> Server {
        Server::start(Behaviour::new(host_key.clone(), Some(self.public()))).await
    }

    fn endpoint(&self, port: u16) -> Endpoint {
        endpoint(port, &self.identity, &self.known_hosts())
    }

    fn record(&self, port: u16, key: &PrivateKey) {
        let public = PublicKey::new(key.public_key().key_data().clone(), "")
            .to_openssh()
            .unwrap();
        let line = format!("[127.0.0.1]:{port} {public}\n");
        let old = fs::read_to_string(self.known_hosts()).unwrap_or_default();
        fs::write(self.known_hosts(), old + &line).unwrap();
    }

    fn db1(&self, options: SshOptions, port: u16) -> Ssh {
        ssh(options, vec![("db1", self.endpoint(port))])
    }
}

async fn open(ssh: &Ssh, name: &str) -> Result<AgentStream, ConnectError> {
    ssh.open(&host(name)).await
}

async fn refused(ssh: &Ssh) -> ConnectError {
    open(ssh, "db1").await.err().expect("it should not connect")
}

fn accepting() -> SshOptions {
    SshOptions {
        accept_new_host_keys: true,
        ..options()
    }
}

#[tokio::test]
async fn an_unknown_host_key_is_refused() {
    let place = Place::new();
    let server = place.server(&place.host_key("host", &["ed25519"])).await;
    let error = refused(&place.db1(options(), server.port)).await;
    assert!(
        error.message.contains("is not known: ssh-ed25519 SHA256:"),
        "{error}"
    );
    assert!(error.hint.contains("--accept-new-host-keys"), "{}", error.hint);
    assert!(!error.transient);
    assert!(!place.known_hosts().exists());
}

#[tokio::test]
async fn a_new_host_key_is_accepted_once_and_a_changed_one_never() {
    let place = Place::new();
    let server = place.server(&place.host_key("host", &["ed25519"])).await;
    let ssh = place.db1(accepting(), server.port);
    open(&ssh, "db1").await.unwrap();
    open(&ssh, "db1").await.unwrap();
    let recorded = fs::read_to_string(place.known_hosts()).unwrap();
    assert_eq!(recorded.lines().count(), 1, "{recorded}");
    // The next run holds to it.
    open(&place.db1(options(), server.port), "db1").await.unwrap();

    // Another server there, with a key of the same algorithm or of another.
    for kind in [&["ed25519"][..], &["ecdsa"]] {
        let name = format!("other-{}", kind[0]);
        let other = place.server(&place.host_key(&name, kind)).await;
        fs::write(
            place.known_hosts(),
            recorded.replace(&server.port.to_string(), &other.port.to_string()),
        )
        .unwrap();
        let error = refused(&place.db1(accepting(), other.port)).await;
        assert!(error.message.contains("has CHANGED"), "{error}");
        assert!(
            error
                .message
                .contains("known_hosts:1 records ssh-ed25519 SHA256:"),
            "{error}"
        );
        assert!(error.hint.contains("ssh-keygen -R"), "{}", error.hint);
        assert!(!error.transient);
    }
}

#[tokio::test]
async fn the_recorded_one_of_several_host_keys_is_asked_for() {
    let place = Place::new();
    let (ed, ecdsa) = (
        place.host_key("ed", &["ed25519"]),
        place.host_key("ecdsa", &["ecdsa"]),
    );
    let rsa = place.host_key("rsa", &["rsa", "-b", "2048"]);
    let mut behaviour = Behaviour::new(ed.clone(), Some(place.public()));
    behaviour.host_keys.extend([ecdsa.clone(), rsa.clone()]);
    let server = Server::start(behaviour).await;
    for key in [ed, ecdsa, rsa] {
        fs::write(place.known_hosts(), "").unwrap();
        place.record(server.port, &key);
        open(&place.db1(options(), server.port), "db1").await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_identity_is_named() {
    let place = Place::new();
    let key = place.host_key("host", &["ed25519"]);
    let server = Server::start(Behaviour::new(key, None)).await;
    let error = refused(&place.db1(accepting(), server.port)).await;
    let expected = format!(
        "root@127.0.0.1:{}: permission denied (publickey); tried: ",
        server.port
    );
    assert!(error.message.starts_with(&expected), "{error}");
    assert!(error.message.contains("/id (SHA256:"), "{error}");
    assert!(error.hint.contains("authorized_keys"), "{}", error.hint);
    assert!(!error.transient);
}

#[tokio::test]
async fn a_host_without_public_keys_is_named() {
    let place = Place::new();
    let mut behaviour = Behaviour::new(place.host_key("host", &["ed25519"]), None);
    behaviour.methods = vec![MethodKind::Password];
    let server = Server::start(behaviour).await;
    let error = refused(&place.db1(accepting(), server.port)).await;
    assert!(
        error
            .message
            .contains("does not accept public keys, only: password"),
        "{error}"
    );
    assert!(!error.transient);
}

#[tokio::test]
async fn identities_that_cannot_be_used_are_named() {
    let place = Place::new();
    let server = place.server(&place.host_key("host", &["ed25519"])).await;
    let encrypted = keygen(place.folder.path(), "enc", &["ed25519"], "sesame");
    fs::write(place.folder.path().join("junk"), "no key").unwrap();
    let endpoint = Endpoint {
        identity_files: ["missing", "junk"]
            .map(|name| place.folder.path().join(name))
            .to_vec(),
        ..place.endpoint(server.port)
    };
    let error = refused(&ssh(accepting(), vec![("db1", endpoint)])).await;
    assert!(error.message.contains("no identity to offer"), "{error}");
    assert!(error.message.contains("/missing does not exist; "), "{error}");
    assert!(error.message.contains("/junk is not a private key"), "{error}");

    // The server would take it, but nobody gives its passphrase.
    let public = russh::keys::load_public_key(encrypted.with_extension("pub")).unwrap();
    let behaviour = Behaviour::new(place.host_key("host2", &["ed25519"]), Some(public));
    let server = Server::start(behaviour).await;
    let endpoint = Endpoint {
        identity_files: vec![encrypted],
        ..place.endpoint(server.port)
    };
    let error = refused(&ssh(accepting(), vec![("db1", endpoint)])).await;
    assert!(
        error
            .message
            .contains("is encrypted, and no passphrase was given"),
        "{error}"
    );
}

#[tokio::test]
async fn jump_hosts_are_checked_too_and_shared() {
    let place = Place::new();
    let (gate_key, key) = (
        place.host_key("gate", &["ed25519"]),
        place.host_key("host", &["ed25519"]),
    );
    let (gate, server) = (place.server(&gate_key).await, place.server(&key).await);
    let behind = |port| Endpoint {
        jump_hosts: Some(vec![
            format!("root@127.0.0.1:{}", gate.port).parse::<Jump>().unwrap(),
        ]),
        ..place.endpoint(port)
    };
    let jump = Endpoint {
        jump_hosts: Some(vec!["gate".parse().unwrap()]),
        ..behind(server.port)
    };
    place.record(server.port, &key);
    let hosts = || vec![("gate", place.endpoint(gate.port)), ("db1", jump.clone())];
    let error = refused(&ssh(options(), hosts())).await;
    let expected = format!("the jump host root@127.0.0.1:{}: the host key of ", gate.port);
    assert!(error.message.starts_with(&expected), "{error}");
    place.record(gate.port, &gate_key);
    let ssh = ssh(options(), hosts());
    let (one, two) = tokio::join!(open(&ssh, "db1"), open(&ssh, "db1"));
    let session = Session::start(one.unwrap()).await.unwrap();
    assert_eq!(session.hello().pid, 42);
    drop(two.unwrap());
    // A jump host that went away and came back is connected to anew.
    gate.cut();
    while !session.is_over() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let again = open(&ssh, "db1").await.unwrap();
    assert_eq!(Session::start(again).await.unwrap().hello().pid, 42);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_hangs_up_may_be_tried_again() {
    let place = Place::new();
    let port = free_port();
    let error = refused(&place.db1(options(), port)).await;
    assert!(
        error
            .message
            .starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")),
        "{error}"
    );
    assert!(error.transient);

    // As a server with MaxStartups does it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let closing = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_zero_linger().unwrap();
        drop(stream);
        let (stream, _) = listener.accept().await.unwrap();
        drop(stream);
    });
    for how in ["reset", "closed"] {
        let error = refused(&place.db1(options(), port)).await;
        assert!(error.transient, "{how}: {error}");
        assert!(error.message.contains("the SSH handshake"), "{how}: {error}");
    }
    closing.await.unwrap();
}

#[tokio::test]
async fn a_silent_server_is_given_up_in_time() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint {
        connect_timeout: Some(Duration::from_millis(100)),
        ..place.endpoint(listener.local_addr().unwrap().port())
    };
    let error = refused(&ssh(options(), vec![("db1", endpoint)])).await;
    assert_eq!(error.message, "no answer within 100ms while exchanging keys");
    assert!(error.transient);
}

#[tokio::test]
async fn what_will_not_get_better_is_not_transient() {
    let place = Place::new();
    let endpoint = Endpoint {
        address: Some("db1.invalid".to_owned()),
        ..place.endpoint(22)
    };
    let error = refused(&ssh(options(), vec![("db1", endpoint)])).await;
    assert!(
        error.message.starts_with("the name db1.invalid has no address: "),
        "{error}"
    );
    assert!(error.hint.contains("getent hosts db1.invalid"), "{}", error.hint);
    assert!(!error.transient);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let page = "HTTP/1.1 400 Bad Request\r\n".repeat(2000);
        let _hung_up = tokio::io::AsyncWriteExt::write_all(&mut stream, page.as_bytes()).await;
    });
    let error = refused(&place.db1(options(), port)).await;
    assert!(
        error
            .hint
            .contains("the server on this port is not an SSH server"),
        "{error}"
    );
    assert!(!error.transient);
}

#[tokio::test]
async fn a_broken_connection_is_told_to_who_waits() {
    let place = Place::new();
    let server = place.server(&place.host_key("host", &["ed25519"])).await;
    let ssh = place.db1(accepting(), server.port);
    let session = Session::start(open(&ssh, "db1").await.unwrap()).await.unwrap();
    let (waiting, ()) = tokio::join!(session.gather(Vec::new()), async { server.cut() });
    assert_eq!(
        waiting.unwrap_err(),
        SessionError::Lost("connection lost: the server closed it".to_owned())
    );
}

#[tokio::test]
async fn a_host_that_falls_silent_is_noticed() {
    let place = Place::new();
    let server = place.server(&place.host_key("host", &["ed25519"])).await;
    let options = SshOptions {
        keepalive: Keepalive {
            interval: Duration::from_millis(50),
            count: 2,
        },
        ..accepting()
    };
    let ssh = place.db1(options, server.port);
    let session = Session::start(open(&ssh, "db1").await.unwrap()).await.unwrap();
    // Keepalives are answered meanwhile.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!session.is_over());
    server.freeze();
    let lost = session.gather(Vec::new()).await.unwrap_err();
    assert_eq!(
        lost,
        SessionError::Lost("connection lost: the host no longer answers".to_owned())
    );
}

#[tokio::test]
async fn a_line_that_never_ends_is_given_up_after_64_kib() {
    let place = Place::new();
    for (first, expected) in [
        (
            &b""[..],
            "did not run the command that starts the agent; it said: xxxx",
        ),
        (
            b"clusterctl/1 ",
            "did not run the command that starts the agent; it said: ",
        ),
        (
            b"clusterctl/1 error home ",
            "it said: clusterctl/1 error home xxxx",
        ),
        (
            b"clusterctl/1 error home x\n",
            "its cache directory cannot be written: x\nxxxx",
        ),
    ] {
        let key = place.host_key(&format!("host-{}", first.len()), &["ed25519"]);
        let mut behaviour = Behaviour::new(key, Some(place.public()));
        behaviour.endless = Some(first);
        let said = Arc::clone(&behaviour.said);
        let server = Server::start(behaviour).await;
        let endpoint = Endpoint {
            connect_timeout: Some(Duration::from_secs(20)),
            ..place.endpoint(server.port)
        };
        let error = refused(&ssh(accepting(), vec![("db1", endpoint)])).await;
        assert!(error.message.contains(expected), "{first:?}: {error}");
        assert!(error.message.len() < 4096, "{first:?}: {}", error.message.len());
        assert!(!error.transient);
        // What is on its way fits the channel's window.
        let said = said.load(Ordering::SeqCst);
        assert!(said <= 16 << 20, "{first:?}: {said}");
    }
}
