//! A server that speaks SSDB's protocol, as far as the agent does; the lab's stand-in shows the rest.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::facts::{Silence, SsdbCommand, SsdbFact, SsdbQuery, SsdbReach, SsdbReply};
use protocol::{Operation, Text};

use crate::Client;

const PASSWORD: &str = "ssdb-password-0123456789-abcdefgh";
const OTHER: &str = "another-password-0123456789-abcdefg";

/// How many changes the servers of this process were told.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Serves on a port that is returned; without a password it lets everybody in.
fn serve(password: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || talk(stream, password));
        }
    });
    port
}

fn talk(stream: TcpStream, password: Option<&str>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut is_let_in = password.is_none();
    while let Some(request) = read(&mut reader) {
        let words: Vec<&str> = request.iter().map(String::as_str).collect();
        let reply = match words.as_slice() {
            ["auth", given] => {
                is_let_in = password.is_none_or(|password| password == *given);
                if is_let_in {
                    vec!["ok", "1"]
                } else {
                    vec!["error", "invalid password"]
                }
            }
            _ if !is_let_in => vec!["noauth", "authentication required"],
            ["ping"] => vec!["ok"],
            ["info"] => {
                let seq = format!(
                    "    min_seq  : 0\n    max_seq  : {}",
                    CHANGES.load(Ordering::SeqCst)
                );
                write(&mut stream, &["ok", "ssdb-server", "binlogs", &seq]);
                continue;
            }
            ["set" | "del", ..] => {
                CHANGES.fetch_add(1, Ordering::SeqCst);
                vec!["ok", "1"]
            }
            ["get", "password"] => vec!["ok", OTHER],
            ["get", _] => vec!["not_found"],
            ["keys", ..] => vec!["ok", "anna", "ben"],
            _ => vec!["client_error", "Unknown Command"],
        };
        write(&mut stream, &reply);
    }
}

fn read(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut items = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Ok(len) = line.trim().parse() else {
            return Some(items);
        };
        let mut item = vec![0; len];
        reader.read_exact(&mut item).ok()?;
        reader.read_line(&mut String::new()).ok()?;
        items.push(String::from_utf8(item).unwrap());
    }
}

fn write(stream: &mut TcpStream, items: &[&str]) {
    let parts: Vec<String> = items
        .iter()
        .map(|item| format!("{}\n{item}\n", item.len()))
        .collect();
    let text = parts.concat();
    stream.write_all(format!("{text}\n").as_bytes()).unwrap();
}

fn client() -> Client {
    let mut client = Client::start();
    client.hand_over(&[("pw", PASSWORD), ("other", OTHER)]);
    client
}

fn query(port: u16, password: Option<&str>, commands: Vec<SsdbCommand>) -> SsdbQuery {
    SsdbQuery {
        address: "127.0.0.1".to_owned(),
        port,
        password: password.map(|id| id.parse().unwrap()),
        commands,
    }
}

fn reply(status: &str, items: &[&str]) -> SsdbReply {
    SsdbReply {
        status: status.to_owned(),
        items: items.iter().map(|item| Text::new(*item)).collect(),
    }
}

#[test]
fn replies_come_back_without_secrets_and_private_ones_without_their_words() {
    let port = serve(Some(PASSWORD));
    let mut client = client();
    let commands = vec![
        SsdbCommand::new(["keys", "", "", "2"]).private(),
        SsdbCommand::new(["get", "password"]),
        SsdbCommand::new(["get", "none"]),
        SsdbCommand::new(["nonsense"]),
    ];
    let fact = client.ask(&query(port, Some("pw"), commands)).unwrap();
    let replies = vec![
        reply("ok", &["⟪kept:0+4⟫", "⟪kept:0+3⟫"]),
        reply("ok", &["⟪secret:other⟫"]),
        reply("not_found", &[]),
        reply("client_error", &["Unknown Command"]),
    ];
    assert_eq!(
        fact,
        SsdbFact::Replies {
            asks_password: true,
            replies
        }
    );
    assert!(!client.has_said(PASSWORD) && !client.has_said(OTHER) && !client.has_said("anna"));
}

#[test]
fn a_wrong_or_missing_password_is_denied_and_none_set_is_told() {
    let (closed, open) = (serve(Some(PASSWORD)), serve(None));
    let mut client = client();
    let mut ask = |port, password| client.ask(&query(port, password, Vec::new())).unwrap();
    let denied = |why: &str| SsdbFact::Denied(why.to_owned());
    assert_eq!(ask(closed, Some("other")), denied("error: invalid password"));
    assert_eq!(ask(closed, None), denied("noauth: authentication required"));
    assert_eq!(
        ask(open, Some("pw")),
        SsdbFact::Replies {
            asks_password: false,
            replies: Vec::new()
        }
    );
    assert!(matches!(ask(1, None), SsdbFact::Down(why) if why == Silence::refused()));
}

#[test]
fn commands_are_sent_once_or_until_the_server_has_come_so_far() {
    let port = serve(Some(PASSWORD));
    let mut client = client();
    let send = |commands: Vec<SsdbCommand>, until| Operation::Ssdb {
        address: "127.0.0.1".to_owned(),
        port,
        password: Some("pw".parse().unwrap()),
        commands,
        until,
    };
    let set = || SsdbCommand::new(["set", "k", "⟪secret:other⟫"]);
    let change = client.act(send(vec![set()], None)).unwrap();
    assert!(
        change.summary.ends_with(": set k ⟪secret:other⟫"),
        "{}",
        change.summary
    );
    let reach = |at_least| SsdbReach {
        command: SsdbCommand::new(["info"]),
        pattern: r"max_seq\s*:\s*(\d+)".to_owned(),
        at_least,
    };
    let commands = || vec![set(), SsdbCommand::new(["del", "k"])];
    let change = client.act(send(commands(), Some(reach(10)))).unwrap();
    assert!(change.summary.ends_with("del k, 5 times"), "{}", change.summary);
    assert_eq!(CHANGES.load(Ordering::SeqCst), 11);
    let change = client.act(send(commands(), Some(reach(11)))).unwrap();
    assert!(change.summary.ends_with(", 0 times"), "{}", change.summary);
    let wrong = vec![SsdbCommand::new(["nonsense"]), set()];
    let error = client.act(send(wrong, None)).unwrap_err().to_string();
    assert!(
        error.ends_with("nonsense: client_error: Unknown Command"),
        "{error}"
    );
    assert_eq!(CHANGES.load(Ordering::SeqCst), 11);
    assert!(!client.has_said(OTHER));
}
