//! What hosts do in the middle of a rolling change: they are cut off, lose power, have no room, or never come back well.
//! Each time the quorum is kept, what is not touched stays as it was, and an apply once all is over finishes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Applying, Bed, DB, Ran, tells};
use serde_json::Value;

const REDIS: &str = r#"
[services.duplicates]
kind = "kvrocks"
engine = "redis"
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/duplicates.password" }
"#;

/// What redis takes at its start only: a new number is a rolling restart.
fn databases(bed: &Bed, number: u32) {
    let text = format!("[services.duplicates.directives]\ndatabases = {number}\n");
    bed.write("overlay.toml", &text);
}

fn with_overlay(bed: &Bed, verb: &str, words: &[&str]) -> Ran {
    bed.clusterctl(verb, &[&["--overlay", "overlay.toml"], words].concat())
}

/// An apply of which the first restart of a member has begun, and that member's host.
fn at_a_restart(bed: &Bed) -> (Applying, String) {
    let mut applying = Applying::start(bed, &["--overlay", "overlay.toml"]);
    let begun = applying.find(|event| tells(event, "node-started", "duplicates/restart@"));
    let host = begun.unwrap()["host"].as_str().unwrap().to_owned();
    (applying, host)
}

/// Which start of the engine runs on each host.
fn invocations(bed: &Bed) -> Vec<String> {
    let ask = "systemctl show -p InvocationID --value redis-server";
    DB.iter().map(|host| bed.on(host, ask)).collect()
}

/// The cluster serves, as its sentinels see it from a host.
fn quorum(bed: &Bed, from: &str) {
    let said = bed.on(from, "redis-cli -p 26379 sentinel ckquorum altcraft");
    assert!(said.starts_with("OK"), "{said}");
}

/// Applies again, and there is nothing left.
fn finishes(bed: &Bed) {
    let _ = with_overlay(bed, "apply", &["--yes"]).expect(0);
    let _ = with_overlay(bed, "plan", &["--detailed-exitcode"]).expect(0);
    let _ = with_overlay(bed, "status", &[]).expect(0);
}

#[test]
fn whatever_hosts_do_in_a_rolling_change_the_rest_serves_and_the_next_apply_finishes() {
    let bed = Bed::new(&DB, REDIS);
    databases(&bed, 20);
    let _ = bed.build();
    finishes(&bed);
    a_host_is_cut_off(&bed);
    a_host_loses_power(&bed);
    a_file_system_is_full_or_read_only(&bed);
    a_member_never_becomes_healthy(&bed);
}

fn a_host_is_cut_off(bed: &Bed) {
    let before = invocations(bed);
    databases(bed, 21);
    let (applying, host) = at_a_restart(bed);
    bed.lab.cut(&host).unwrap();
    let (rest, code) = applying.end();
    assert_eq!(code, Some(3), "it cannot be complete");
    let others: Vec<&str> = DB.into_iter().filter(|name| *name != host).collect();
    quorum(bed, others[0]);
    let is_done = |event: &&Value| event["outcome"]["outcome"] == "done";
    let mut done = rest.iter().filter(is_done);
    assert!(
        !done.any(|event| tells(event, "node-finished", "/restart")),
        "{rest:?}"
    );
    bed.lab.heal(&host).unwrap();
    let after = invocations(bed);
    for (at, name) in DB.iter().enumerate().filter(|(_, name)| **name != host) {
        assert_eq!(before[at], after[at], "{name} was touched while {host} was away");
    }
    finishes(bed);
}

fn a_host_loses_power(bed: &Bed) {
    databases(bed, 22);
    let (applying, host) = at_a_restart(bed);
    bed.lab.kill(&host).unwrap();
    bed.lab.start(&host).unwrap();
    let (_, code) = applying.end();
    // Whether it was back in time for the run's own patience is its luck.
    assert!([Some(0), Some(3)].contains(&code), "{code:?}");
    finishes(bed);
}

fn a_file_system_is_full_or_read_only(bed: &Bed) {
    let full = "mkdir -p /run/aside && cp -a /etc/redis/. /run/aside/ \
                && mount -t tmpfs -o size=256k,mode=755 tmpfs /etc/redis && cp -a /run/aside/. /etc/redis/ \
                && (cat /dev/zero > /etc/redis/filler 2>/dev/null || true)";
    let read_only = "mount --bind /etc/redis /etc/redis && mount -o remount,bind,ro /etc/redis";
    for (number, break_it, said) in [
        (23, full, "no space left on device"),
        (24, read_only, "read-only file system"),
    ] {
        let script = "sha256sum /etc/redis/redis.conf; ls /etc/redis | grep -v filler";
        let broken = a_replica(bed);
        let before = bed.on(broken, script);
        bed.on(broken, break_it);
        databases(bed, number);
        with_overlay(bed, "apply", &["--yes"])
            .expect(3)
            .says(&["redis.conf", said]);
        assert_eq!(
            bed.on(broken, script),
            before,
            "half a file, or something left behind"
        );
        quorum(bed, "db1");
        bed.on(broken, "umount /etc/redis");
        finishes(bed);
    }
}

/// The first host in the inventory's order whose engine is a replica. What is mounted on a host stays in the mount namespace
/// of the engine's unit until it is started again, and a replica is started again before its file is rewritten: a master's
/// CONFIG REWRITE would fail there although the file system is whole.
fn a_replica(bed: &Bed) -> &'static str {
    let ask = "getent hosts $(redis-cli -p 26379 sentinel get-master-addr-by-name altcraft | head -1)";
    let master = bed.on("db1", ask);
    DB.into_iter().find(|host| !master.contains(host)).unwrap()
}

fn a_member_never_becomes_healthy(bed: &Bed) {
    // The first that is restarted is a replica, in the inventory's order.
    let broken = a_replica(bed);
    let dir = "/etc/systemd/system/redis-server.service.d";
    bed.on(
        broken,
        &format!(
            "mkdir -p {dir} && printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\nRestart=no\\n' \
             > {dir}/broken.conf && systemctl daemon-reload"
        ),
    );
    databases(bed, 25);
    let before = invocations(bed);
    let ran = with_overlay(bed, "apply", &["--yes"]).expect(3);
    ran.says(&[&format!("{broken}: restart redis-server"), "Not run"]);
    quorum(bed, DB.into_iter().find(|host| *host != broken).unwrap());
    for (at, (before, after)) in before.iter().zip(invocations(bed)).enumerate() {
        let is_broken = DB[at] == broken;
        assert!(is_broken || *before == after, "the rollout went on to {}", DB[at]);
    }
    bed.on(
        broken,
        &format!("rm -r {dir} && systemctl daemon-reload && systemctl reset-failed"),
    );
    finishes(bed);
}
