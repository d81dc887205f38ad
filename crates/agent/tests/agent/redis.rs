//! A real Redis server.

use std::io::{Read as _, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use protocol::facts::{RespCommand, RespFact, RespQuery, RespValue, Silence};
use protocol::{Operation, Text};
use tempfile::TempDir;
use types::SecretId;

use crate::Client;
use crate::client::until;

const PASSWORD: &str = "redis-password-0123456789-abcdefgh";
const OTHER: &str = "another-password-0123456789-abcdefg";

struct Server {
    child: Child,
    port: u16,
    _home: TempDir,
}

impl Server {
    fn start(config: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut child = Command::new("redis-server")
            .arg("-")
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed: apt-get install redis-server");
        let config = format!("port {port}\nbind 127.0.0.1\nsave \"\"\n{config}\n");
        child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
        until("redis-server listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            child,
            port,
            _home: home,
        }
    }

    fn query(&self, password: Option<&str>, commands: impl Into<Vec<RespCommand>>) -> RespQuery {
        RespQuery {
            address: "127.0.0.1".to_owned(),
            port: self.port,
            password: password.map(|id| id.parse().unwrap()),
            commands: commands.into(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn client() -> Client {
    let mut client = Client::start();
    client.hand_over(&[("pw", PASSWORD), ("other", OTHER)]);
    client
}

#[test]
fn replies_come_back_without_secrets() {
    let server = Server::start(&format!("requirepass {PASSWORD}\nmasterauth {OTHER}"));
    let mut client = client();
    let known: [SecretId; 1] = ["pw".parse().unwrap()];
    let query = server.query(
        Some("pw"),
        [
            RespCommand::new(["CONFIG", "GET", "requirepass", "masterauth", "masteruser"]).sensitive(&known),
            RespCommand::new(["SET", "k", "v"]),
            RespCommand::new(["INCR", "n"]),
            RespCommand::new(["GET", "none"]),
            RespCommand::new(["NO-SUCH-COMMAND"]),
            RespCommand::new([Text::new("ECHO"), Text::new("x ⟪secret:other⟫")]),
        ],
    );
    let RespFact::Replies {
        authenticated,
        replies,
    } = client.ask(&query).unwrap()
    else {
        panic!("no replies");
    };
    assert!(authenticated);
    let mut pairs = replies[0].pairs();
    pairs.sort_unstable();
    let kept = format!("⟪kept:0+{}⟫", OTHER.len());
    assert_eq!(
        pairs,
        [
            ("masterauth", kept.as_str()),
            ("masteruser", ""),
            ("requirepass", "⟪secret:pw⟫")
        ]
    );
    assert_eq!(replies[1], RespValue::Str(Text::new("OK")));
    assert_eq!((&replies[2], &replies[3]), (&RespValue::Int(1), &RespValue::Nil));
    assert!(matches!(&replies[4], RespValue::Error(text) if text.starts_with("ERR unknown command")));
    assert_eq!(replies[5], RespValue::Str(Text::new("x ⟪secret:other⟫")));
    assert!(!client.has_said(PASSWORD) && !client.has_said(OTHER));
}

#[test]
fn a_wrong_or_missing_password_is_denied_and_none_set_is_told() {
    let server = Server::start(&format!("requirepass {PASSWORD}"));
    let open = Server::start("");
    let mut client = client();
    let commands = || [RespCommand::new(["PING"])];
    let denied = client.ask(&server.query(Some("other"), commands())).unwrap();
    assert!(
        matches!(&denied, RespFact::Denied(why) if why.starts_with("WRONGPASS")),
        "{denied:?}"
    );
    let denied = client.ask(&server.query(None, commands())).unwrap();
    assert!(
        matches!(&denied, RespFact::Denied(why) if why.starts_with("NOAUTH")),
        "{denied:?}"
    );
    let pong = RespFact::Replies {
        authenticated: false,
        replies: vec![RespValue::Str(Text::new("PONG"))],
    };
    assert_eq!(client.ask(&open.query(Some("pw"), commands())).unwrap(), pong);
    let error = client.ask(&open.query(Some("none"), commands())).unwrap_err();
    assert_eq!(error.message, "the secret none is not known to the agent");
}

#[test]
fn a_server_that_is_down_says_why() {
    let mut client = client();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let query = RespQuery {
        address: "localhost".to_owned(),
        port,
        password: None,
        commands: vec![RespCommand::new(["PING"])],
    };
    assert_eq!(client.ask(&query).unwrap(), RespFact::Down(Silence::refused()));
    // One that accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let fact = client.ask(&RespQuery { port, ..query }).unwrap();
    assert_eq!(
        fact,
        RespFact::Down(Silence::no_answer("it did not answer in time"))
    );
}

#[test]
fn commands_change_the_server_and_stop_at_an_error() {
    let server = Server::start(&format!("requirepass {PASSWORD}"));
    let mut client = client();
    let send = |commands: Vec<RespCommand>| Operation::Resp {
        address: "127.0.0.1".to_owned(),
        port: server.port,
        password: Some("pw".parse().unwrap()),
        commands,
    };
    let set = RespCommand::new([Text::new("SET"), Text::new("a"), Text::new("⟪secret:other⟫")]);
    let change = client.act(send(vec![set])).unwrap();
    assert!(
        change.summary.ends_with(": SET a ⟪secret:other⟫"),
        "{}",
        change.summary
    );
    let wrong = RespCommand::new(["INCR", "a"]);
    let after = RespCommand::new(["SET", "b", "1"]);
    let error = client.act(send(vec![wrong, after])).unwrap_err().to_string();
    assert!(error.contains("INCR a: ERR value is not an integer"), "{error}");
    let check = server.query(
        Some("pw"),
        [
            RespCommand::new(["EXISTS", "a"]),
            RespCommand::new(["EXISTS", "b"]),
        ],
    );
    let RespFact::Replies { replies, .. } = client.ask(&check).unwrap() else {
        panic!("no replies");
    };
    assert_eq!(replies, [RespValue::Int(1), RespValue::Int(0)]);
    assert!(!client.has_said(OTHER));
}

/// A server that answers each command in turn with the next of these replies, a row for each connection, and what it was
/// sent.
fn scripted(rows: &[&[&'static str]]) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.to_vec()).collect();
    let talk = std::thread::spawn(move || {
        let mut received = Vec::new();
        for row in rows {
            let (mut stream, _) = listener.accept().unwrap();
            for reply in row {
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).unwrap();
                received.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
                stream.write_all(reply.as_bytes()).unwrap();
            }
        }
        received
    });
    (port, talk)
}

fn follow(port: u16, word: &str, sentinel: &RespQuery, old: &str, commands: Vec<RespCommand>) -> Operation {
    Operation::FollowMaster {
        address: "127.0.0.1".to_owned(),
        port,
        password: None,
        word: word.to_owned(),
        sentinel: sentinel.clone(),
        old: old.to_owned(),
        commands,
    }
}

#[test]
fn a_server_follows_the_master_that_a_sentinel_names_by_then() {
    // A list stands for a sentinel's answer to GET-MASTER-ADDR-BY-NAME: address and port.
    let (engine, sentinel) = (Server::start(""), Server::start(""));
    let mut client = client();
    let named = sentinel.query(None, [RespCommand::new(["LRANGE", "named", "0", "-1"])]);
    let appoint = |ip: &str, port: &str| Operation::Resp {
        address: "127.0.0.1".to_owned(),
        port: sentinel.port,
        password: None,
        commands: vec![
            RespCommand::new(["DEL", "named"]),
            RespCommand::new(["RPUSH", "named", ip, port]),
        ],
    };
    let then = || vec![RespCommand::new(["CONFIG", "SET", "maxclients", "77"])];
    let none = client.act(follow(engine.port, "REPLICAOF", &named, "10.0.0.1", then()));
    assert!(none.unwrap_err().to_string().contains("names no master"));

    client.act(appoint("10.0.0.1", "6666")).unwrap();
    let old = client.act(follow(engine.port, "REPLICAOF", &named, "10.0.0.1", then()));
    assert!(old.unwrap_err().to_string().contains("still names 10.0.0.1"));

    client.act(appoint("127.0.0.2", "1")).unwrap();
    client
        .act(follow(engine.port, "REPLICAOF", &named, "10.0.0.1", then()))
        .unwrap();
    let commands = [
        RespCommand::new(["INFO", "replication"]),
        RespCommand::new(["CONFIG", "GET", "maxclients"]),
    ];
    let Ok(RespFact::Replies { replies, .. }) = client.ask(&engine.query(None, commands)) else {
        panic!("no replies");
    };
    let info = replies[0].as_str().unwrap();
    assert!(
        info.contains("master_host:127.0.0.2\r\nmaster_port:1\r\n"),
        "{info}"
    );
    assert_eq!(replies[1].pairs(), [("maxclients", "77")]);
}

/// Kvrocks refuses to follow its own replica, which the new master is until it has closed its connection (ran, 2.6).
#[test]
fn a_kvrocks_whose_replica_was_promoted_is_asked_again() {
    let refused: &[&str] = &["-ERR can't replicate your own replicas\r\n"];
    let (port, talk) = scripted(&[refused, &["+OK\r\n", "+OK\r\n"]]);
    let (sentinel_port, _sentinel) = scripted(&[&["*2\r\n$8\r\n10.0.0.2\r\n$4\r\n6666\r\n"]]);
    let sentinel = RespQuery {
        address: "127.0.0.1".to_owned(),
        port: sentinel_port,
        password: None,
        commands: vec![RespCommand::new([
            "SENTINEL",
            "GET-MASTER-ADDR-BY-NAME",
            "altcraft",
        ])],
    };
    let then = vec![RespCommand::new(["CONFIG", "REWRITE"])];
    client()
        .act(follow(port, "SLAVEOF", &sentinel, "10.0.0.1", then))
        .unwrap();
    let received = talk.join().unwrap();
    assert_eq!(received[0], received[1]);
    assert!(
        received[1].contains("SLAVEOF\r\n$8\r\n10.0.0.2\r\n$4\r\n6666"),
        "{received:?}"
    );
    assert!(received[2].contains("REWRITE"), "{received:?}");
}
