//! The controller is killed; the next apply finishes what was pending.

use e2e::{Applying, Bed, DB, tells};

const RABBITMQ: &str = r#"
[services.rabbitmq]
hosts = ["db1", "db2", "db3"]
cookie = { file = "secrets/rabbitmq.cookie" }
"#;

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
    let mut killed = Applying::start(&bed, &[]);
    assert!(
        killed.any(|event| tells(&event, "node-finished", "/cookie@")),
        "the event never came"
    );
    killed.kill();
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
    let mut first = Applying::start(&bed, &[]);
    // Brokers take seconds to start: meanwhile the first run holds every host.
    assert!(first.any(|event| tells(&event, "node-started", "/start@")));
    let second = bed.clusterctl("apply", &["--yes"]).expect(5);
    second.says(&["is locked by", "since", "run"]);

    // Ctrl-C: what runs comes to its end, nothing new starts.
    first.interrupt();
    let (rest, code) = first.end();
    assert_eq!(code, Some(130));
    let mut after = rest.iter().skip_while(|event| event["event"] != "interrupted");
    assert!(after.next().is_some(), "{rest:?}");
    assert!(!after.any(|event| event["event"] == "node-started"), "{rest:?}");

    let _ = bed.clusterctl("apply", &["--yes"]).expect(0);
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
}
