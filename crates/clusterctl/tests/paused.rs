//! What is paused is told, and nothing is asked of it: no host here answers anybody.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An inventory of one service, with these pauses of its two hosts.
fn inventory(db1: &str, db2: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let text = format!(
        "[hosts]\ndb1 = {{ address = \"127.0.0.1\", paused = {db1} }}\n\
         db2 = {{ address = \"127.0.0.1\", paused = {db2} }}\n\n\
         [ssh]\nuser = \"nobody\"\nport = 1\nconnect_timeout = 1\n\n\
         [services.mq]\nkind = \"rabbitmq\"\nhosts = [\"db1\", \"db2\"]\ncookie = {{ file = \"cookie\" }}\n"
    );
    for (name, text, mode) in [
        ("inventory.toml", text.as_str(), 0o644),
        ("cookie", "Kc7mT0pQxVb3nR9sLwZe5yHuJ2dGfA81", 0o600),
        ("agent", "no agent", 0o644),
    ] {
        fs::write(home.path().join(name), text).unwrap();
        fs::set_permissions(home.path().join(name), Permissions::from_mode(mode)).unwrap();
    }
    home
}

/// The exit code, and what was written to standard output.
fn run(home: &TempDir, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_clusterctl"))
        .args(words)
        .args(["--ssh-config", "none", "--agent", "agent", "--color", "never"])
        .current_dir(home.path())
        .env("XDG_STATE_HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

const PAUSED: &str = "{ reason = \"its disk is replaced\", until = \"9999-12-24T08:00:00Z\" }";

#[test]
fn with_nothing_else_to_do_plan_and_apply_end_as_without_changes() {
    let home = inventory(PAUSED, "{ reason = \"x\" }");
    for words in [&["plan"][..], &["plan", "--detailed-exitcode"], &["apply"]] {
        let (code, said) = run(&home, words);
        assert_eq!(code, Some(0), "{words:?}: {said}");
        let end = "Paused\n  db1: until 9999-12-24T08:00:00Z, its disk is replaced\n  db2: x\n\n\
                   No changes. The cluster matches the inventory, except for what is paused (1 service, 2 hosts).\n";
        assert_eq!(said, end, "{words:?}");
    }
}

#[test]
fn a_status_shows_the_pause_of_each_member() {
    let home = inventory(PAUSED, PAUSED);
    let (code, said) = run(&home, &["status"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("paused until 9999-12-24T08:00:00Z: its disk"),
        "{said}"
    );
    let (_, json) = run(&home, &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["paused"][1]["host"], "db2");
    assert_eq!(json["paused"][1]["until"], "9999-12-24T08:00:00Z");
}

#[test]
fn a_host_whose_pause_is_over_is_asked_again() {
    let home = inventory("{ reason = \"x\", until = \"2001-01-01T00:00:00Z\" }", PAUSED);
    let (code, said) = run(&home, &["plan"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("db1: its pause ended at 2001-01-01T00:00:00Z"),
        "{said}"
    );
    assert!(
        said.contains("db1 cannot be reached") && !said.contains("db2 cannot be reached"),
        "{said}"
    );
}
