//! What hosts do in the middle of a rolling change: they are cut off, lose power, have no room, or never come back well.
//! Each time the quorum is kept, what is not touched stays as it was, and an apply once all is over finishes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use e2e::{Bed, DB, Ran};
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

/// An apply in the background, and what it tells.
struct Applying {
    child: Child,
    lines: Box<dyn Iterator<Item = Value>>,
}

impl Applying {
    fn start(bed: &Bed) -> Self {
        let words = "apply inventory.toml --ssh-config none --overlay overlay.toml --yes --json";
        let words: Vec<&str> = words.split(' ').collect();
        let mut child = bed
            .command(&words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = lines
            .map_while(Result::ok)
            .map(|line| serde_json::from_str(&line).unwrap());
        Self {
            child,
            lines: Box::new(lines),
        }
    }

    /// Reads on until the first restart of a member has begun; the host.
    fn until_a_restart(&mut self) -> String {
        let begun = self.lines.find(|event| {
            let node = event["node"].as_str().unwrap_or_default();
            event["event"] == "node-started" && node.starts_with("duplicates/restart@")
        });
        begun.unwrap()["host"].as_str().unwrap().to_owned()
    }

    /// Its exit code, and the names of the nodes that were done.
    fn end(mut self) -> (i32, Vec<String>) {
        let done = self
            .lines
            .by_ref()
            .filter(|event| event["outcome"]["outcome"] == "done");
        let done = done
            .map(|event| event["node"].as_str().unwrap().to_owned())
            .collect();
        (self.child.wait().unwrap().code().unwrap(), done)
    }
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
    let mut applying = Applying::start(bed);
    let host = applying.until_a_restart();
    bed.lab.cut(&host).unwrap();
    let (code, done) = applying.end();
    assert_eq!(code, 3, "it cannot be complete");
    let others: Vec<&str> = DB.into_iter().filter(|name| *name != host).collect();
    quorum(bed, others[0]);
    assert!(!done.iter().any(|node| node.contains("/restart")), "{done:?}");
    bed.lab.heal(&host).unwrap();
    let after = invocations(bed);
    for (at, name) in DB.iter().enumerate().filter(|(_, name)| **name != host) {
        assert_eq!(before[at], after[at], "{name} was touched while {host} was away");
    }
    finishes(bed);
}

fn a_host_loses_power(bed: &Bed) {
    databases(bed, 22);
    let mut applying = Applying::start(bed);
    let host = applying.until_a_restart();
    bed.lab.kill(&host).unwrap();
    bed.lab.start(&host).unwrap();
    let (code, _) = applying.end();
    // Whether it was back in time for the run's own patience is its luck.
    assert!([0, 3].contains(&code), "{code}");
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
        let before = bed.on("db2", script);
        bed.on("db2", break_it);
        databases(bed, number);
        with_overlay(bed, "apply", &["--yes"])
            .expect(3)
            .says(&["redis.conf", said]);
        assert_eq!(
            bed.on("db2", script),
            before,
            "half a file, or something left behind"
        );
        quorum(bed, "db1");
        bed.on("db2", "umount /etc/redis");
        finishes(bed);
    }
}

fn a_member_never_becomes_healthy(bed: &Bed) {
    let ask = "getent hosts $(redis-cli -p 26379 sentinel get-master-addr-by-name altcraft | head -1)";
    let master = bed.on("db1", ask);
    // The first that is restarted is a replica, in the inventory's order.
    let broken = DB.into_iter().find(|host| !master.contains(host)).unwrap();
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
