//! The program itself: its exit codes, its version, and what a `kill -9` leaves.

use std::process::{Command, Stdio};
use std::time::Duration;

use bson::doc;
use rustix::process::{Pid, Signal, kill_process};

use super::harness::Client;

fn mongod() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mongod"));
    command.stdin(Stdio::null());
    command
}

#[test]
fn it_says_what_it_is_and_refuses_like_the_real_one() {
    let output = mongod().arg("--version").output().unwrap();
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("stand-in for clusterctl's lab")
    );
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("mongod.conf");
    for (text, version, says) in [
        ("net:\n\tport: 1\n", "7.0.14", "illegal map value"),
        (
            "storage:\n  journal:\n    enabled: true\n",
            "6.1.0",
            "Unrecognized option: storage.journal.enabled",
        ),
        (
            "storage:\n  journal:\n    enabled: true\n  dbPath: /no/such\n",
            "6.0.9",
            "NonExistentPath",
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        let mut command = mongod();
        let output = command
            .env("STANDIN_MONGOD_VERSION", version)
            .arg("-f")
            .arg(&config)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let error = String::from_utf8(said).unwrap();
        assert!(error.contains(says), "{error}");
        let expected = if says == "NonExistentPath" { 100 } else { 2 };
        assert_eq!(output.status.code(), Some(expected));
    }
    let output = mongod().args(["--config", "/no/such.conf"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// What a file says is checked up to the use of its options: `OutputConfig` stands before `BeginStartupOptionStorage`
/// (`util/options_parser/options_parser_init.cpp`), and so before a log, a data directory or a fork. The words of refusals are
/// those of a start (recorded of 4.9), the form of the answer is the manual's:
/// <https://www.mongodb.com/docs/manual/tutorial/convert-command-line-options-to-yaml/>.
#[test]
fn output_config_shows_the_options_and_touches_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (config, log) = (dir.path().join("mongod.conf"), dir.path().join("log"));
    let tried = |text: &str, version: &str| {
        std::fs::write(&config, text).unwrap();
        let mut command = mongod();
        command.env("STANDIN_MONGOD_VERSION", version).arg("--config");
        let output = command.arg(&config).arg("--outputConfig").output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let good = format!(
        "storage:\n  dbPath: /no/such\nprocessManagement:\n  fork: true\nsystemLog:\n  destination: file\n  path: {}\n\
         replication:\n  replSetName: rs0\n",
        log.display()
    );
    let (status, said, error) = tried(&good, "4.2.0");
    assert_eq!((status, error.as_str()), (Some(0), ""));
    assert!(said.contains("replication:\n  replSetName: rs0\n"), "{said}");
    assert!(said.contains("outputConfig: true\n"), "{said}");
    assert!(!log.exists());
    // The set without a key is found out where options are used.
    let unused = "replication:\n  replSetName: rs0\nsecurity:\n  authorization: enabled\n";
    assert_eq!(tried(unused, "7.0.14").0, Some(0));

    for (text, version, status, says) in [
        ("net:\n\tport: 1\n", "7.0.14", 2, "Error parsing YAML config file"),
        (
            "replication:\n  replSetNam: rs0\n",
            "7.0.14",
            2,
            "Unrecognized option: replication.replSetNam\ntry '",
        ),
        (
            "net:\n  port: abc\n",
            "7.0.14",
            2,
            "Error parsing option \"net.port\" as int: Did not consume whole string.",
        ),
        (
            "security:\n  authorization: maybe\n",
            "7.0.14",
            1,
            "security.authorization expects either 'enabled' or 'disabled'",
        ),
        (&*good, "4.0.28", 2, "unrecognised option '--outputConfig'"),
    ] {
        let (found, said, error) = tried(text, version);
        assert_eq!(found, Some(status), "{text}");
        assert!(format!("{said}{error}").contains(says), "{said}{error}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_kill_9_and_sigterm_ends_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let start = || {
        let mut command = mongod();
        command
            .arg("--dbpath")
            .arg(dir.path())
            .args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1"]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    for (round, signal) in [(0, Signal::KILL), (1, Signal::TERM)] {
        let mut child = start();
        let mut client = loop {
            match Client::connect(&format!("127.0.0.1:{port}")).await {
                Ok(client) => break client,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert_eq!(client.ids().await, (0..round).collect::<Vec<_>>());
        client.insert(round).await.unwrap();
        assert!(client.ask("admin", doc! {"ping": 1}).await.is_ok());
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.success(), round == 1);
    }
}
