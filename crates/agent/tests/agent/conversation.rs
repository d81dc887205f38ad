//! Greeting, lock, order, and the end of the connection.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use protocol::facts::{CommandQuery, FileQuery, OsQuery, ResolveQuery, TcpQuery};
use protocol::{Action, Command, Fact, FactQuery, Operation, Query, Request, Response, VERSION};

use crate::Client;
use crate::client::{binary, holder, is_alive, until};

fn sh(script: &str) -> Command {
    Command::new(["sh", "-c", script])
}

fn run(commands: impl Into<Vec<Command>>) -> Action {
    Action {
        only_if: Vec::new(),
        operation: Operation::Run {
            commands: commands.into(),
        },
        limit_ms: 30_000,
    }
}

fn lock(who: &str) -> Request {
    Request::Lock {
        holder: holder(who),
        had_lock: false,
    }
}

fn slow(script: &str) -> FactQuery {
    let query = CommandQuery {
        argv: vec!["sh".into(), "-c".into(), script.into()],
        limit_ms: 60_000,
    };
    query.wrap()
}

#[test]
fn it_greets_and_ends_with_the_connection() {
    let mut client = Client::start();
    assert_eq!(client.hello.version, VERSION);
    assert!(client.hello.pid > 0);
    client.hang_up();
    assert!(client.wait().success());
}

#[test]
fn a_crash_would_leave_no_secrets_on_the_disk() {
    let client = Client::start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", client.hello.pid)).unwrap();
    let core = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().next(), Some("0"));
}

#[test]
fn answers_are_in_the_order_of_the_queries_and_as_quick_as_the_slowest() {
    let mut client = Client::start();
    let begun = Instant::now();
    let mut queries = vec![
        slow("sleep 0.5; echo a"),
        OsQuery.wrap(),
        slow("sleep 0.5; echo b"),
    ];
    queries.push(FileQuery::meta("/etc/passwd").wrap());
    queries.push(slow("sleep 0.5; echo c"));
    let facts = client.gather(queries);
    let said = |place: usize| match &facts[place] {
        Ok(Fact::Command(fact)) => fact.stdout.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!([said(0), said(2), said(4)], ["a\n", "b\n", "c\n"]);
    assert!(matches!(facts[1], Ok(Fact::Os(_))) && matches!(facts[3], Ok(Fact::File(_))));
    assert!(
        begun.elapsed() < Duration::from_millis(1400),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn requests_overtake_slower_ones() {
    let mut client = Client::start();
    let slow = client.send(Request::Gather(vec![slow("sleep 20")]));
    let quick = client.send(Request::Gather(vec![OsQuery.wrap()]));
    assert!(matches!(client.answer(quick), Response::Facts(_)));
    assert_ne!(slow, quick);
}

#[test]
fn names_and_ports_are_asked_on_the_host() {
    let mut client = Client::start();
    let localhost = client
        .ask(&ResolveQuery {
            name: "localhost".into(),
        })
        .unwrap();
    assert!(!localhost.addresses.is_empty());
    let none = client
        .ask(&ResolveQuery {
            name: "no-such-host.invalid".into(),
        })
        .unwrap();
    assert!(none.addresses.is_empty());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let query = TcpQuery {
        host: "127.0.0.1".into(),
        port: port.local_addr().unwrap().port(),
    };
    assert_eq!(client.ask(&query).unwrap(), protocol::facts::TcpFact::Open);
}

#[test]
fn the_lock_is_held_until_the_process_ends() {
    let mut first = Client::start();
    assert_eq!(first.request(lock("anna@laptop")), Response::Locked);
    assert_eq!(first.request(lock("anna@laptop")), Response::Locked);
    let mut second = first.successor();
    let answer = second.request(lock("ben@desk"));
    assert_eq!(answer, Response::LockedBy(holder("anna@laptop")));
    first.hang_up();
    first.wait();
    assert_eq!(second.request(lock("ben@desk")), Response::Locked);
}

#[test]
fn a_sequence_stops_between_two_commands_when_the_connection_ends() {
    let mut client = Client::start();
    let mark = |name: &str| client.home.path().join(name);
    let (begun, ended, next) = (mark("begun"), mark("ended"), mark("next"));
    client.begin(run([
        sh(&format!(
            "touch {}; sleep 1; touch {}",
            begun.display(),
            ended.display()
        )),
        sh(&format!("touch {}", next.display())),
    ]));
    until("the first command runs", || begun.exists());
    client.hang_up();
    assert!(client.wait().success());
    assert!(ended.exists(), "the running command was finished");
    assert!(!next.exists(), "nothing new was started");
}

#[test]
fn facts_are_abandoned_and_their_processes_stopped() {
    let mut client = Client::start();
    let pid_file = client.home.path().join("pid");
    client.send(Request::Gather(vec![slow(&format!(
        "echo $$ > {}; sleep 60",
        pid_file.display()
    ))]));
    until("the command runs", || {
        fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n'))
    });
    let pid = fs::read_to_string(&pid_file).unwrap();
    let begun = Instant::now();
    client.hang_up();
    assert!(client.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    until("its process ends", || !is_alive(&pid));
}

#[test]
fn what_is_no_frame_ends_it_with_an_error() {
    let mut child = std::process::Command::new(binary())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("the input is not made of a controller's frames"),
        "{said}"
    );
}

#[test]
fn unknown_arguments_are_refused() {
    let output = std::process::Command::new(binary())
        .arg("--listen")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("--listen") && said.contains("--backups DIR"),
        "{said}"
    );
}
