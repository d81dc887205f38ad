//! The controller is killed; the next apply finishes what was pending.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use e2e::{Bed, DB};
use serde_json::Value;

const RABBITMQ: &str = r#"
[services.rabbitmq]
hosts = ["db1", "db2", "db3"]
cookie = { file = "secrets/rabbitmq.cookie" }
"#;

/// Applies, and kills the program (SIGKILL) as soon as an event fits.
fn apply_until(bed: &Bed, fits: impl Fn(&Value) -> bool) {
    let words = [
        "apply",
        "inventory.toml",
        "--ssh-config",
        "none",
        "--yes",
        "--json",
    ];
    let mut child = bed
        .command(&words)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines
        .map_while(Result::ok)
        .any(|line| fits(&serde_json::from_str(&line).unwrap()));
    assert!(found, "the event never came");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_was_pending_between_a_file_and_its_restart_is_done_by_the_next_apply() {
    let bed = Bed::new(&DB, RABBITMQ);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    // Brokers that run with the cookie of their package.
    for host in DB {
        bed.on(
            host,
            "systemctl enable -q --now rabbitmq-server && rabbitmqctl -q await_startup",
        );
    }
    let invocation = |host| bed.on(host, "systemctl show -p InvocationID --value rabbitmq-server");
    let before = DB.map(invocation);
    apply_until(&bed, |event| {
        event["event"] == "node-finished"
            && event["node"]
                .as_str()
                .is_some_and(|node| node.contains("/cookie@"))
    });
    // At least one cookie was written, and its broker was not restarted.
    let plan = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(2);
    plan.says(&["it runs with another cookie than its file's"]);
    let _ = bed.clusterctl("apply", &["--yes"]).expect(0);
    let after = DB.map(invocation);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
}

#[test]
fn of_two_applies_one_is_told_who_runs_and_an_interrupted_one_is_finished_by_the_next() {
    let bed = Bed::new(&DB, RABBITMQ);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    let words = [
        "apply",
        "inventory.toml",
        "--ssh-config",
        "none",
        "--yes",
        "--json",
    ];
    let mut first = bed
        .command(&words)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    // Brokers take seconds to start: meanwhile the first run holds every host.
    assert!(lines.any(|line| line.contains("node-started") && line.contains("/start@")));
    let second = bed.clusterctl("apply", &["--yes"]).expect(5);
    second.says(&["is locked by", "since", "run"]);

    // Ctrl-C: what runs comes to its end, nothing new starts.
    let pid = first.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let rest: Vec<String> = lines.collect();
    assert_eq!(first.wait().unwrap().code(), Some(130));
    assert!(
        rest.iter().any(|line| line.contains("\"interrupted\"")),
        "{rest:?}"
    );
    assert!(
        !rest
            .iter()
            .any(|line| line.contains("node-started") && line.contains("/join@")),
        "{rest:?}"
    );

    let _ = bed.clusterctl("apply", &["--yes"]).expect(0);
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
}
