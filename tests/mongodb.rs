//! MongoDB replica sets on real hosts: built with users, rolled under load, grown and shrunk, cut off halfway.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::{Applying, Bed, DB, MongoClient, tells};
use protocol::facts::MongoCommand;

/// A set of these hosts, with access control and the application's user.
fn with_users(hosts: &[&str], more: &str) -> String {
    format!(
        "[services.mongodb]\nhosts = {hosts:?}\nkeyfile = {{ file = \"secrets/mongodb.keyfile\" }}\n\
         admin = {{ password = {{ file = \"secrets/mongodb.admin\" }} }}\n\
         users.altcraft = {{ password = {{ file = \"secrets/mongodb.altcraft\" }} }}\n{more}"
    )
}

fn rewrite(bed: &Bed, services: &str) {
    bed.write("inventory.toml", &format!("{}\n{services}", bed.hosts()));
}

/// The program with the inventory is done, and has nothing left to do.
fn applies(bed: &Bed, words: &[&str]) {
    let words = [&["--yes"], words].concat();
    let _ = bed.clusterctl("apply", &words).expect(0);
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
}

fn invocations(bed: &Bed) -> [String; 3] {
    DB.map(|host| bed.on(host, "systemctl show -p InvocationID --value mongod"))
}

#[test]
fn bare_hosts_become_a_set_with_users_that_keeps_its_data_whatever_is_done_to_it() {
    let mut bed = Bed::new(&["db1", "db2", "db3", "app1", "app2"], &with_users(&DB, ""));
    let first = bed.build();
    first.says(&["Verified: no changes remain."]);
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    bed.clusterctl("apply", &["--yes"])
        .expect(0)
        .says(&["No changes."]);
    bed.clusterctl("status", &[])
        .expect(0)
        .says(&["rs0: primary db1, 3 of 3 members available"]);
    nobody_learns_a_secret(&bed, &first);

    let client = MongoClient::new(&bed, Some(("altcraft", &bed.secret("mongodb.altcraft"))));
    let nobody = MongoClient::new(&bed, None);
    assert!(nobody.insert("db1", 0).is_err(), "anybody may write");
    client.insert("db1", 1).unwrap();

    let written = a_change_rolls_under_load(&mut bed, &client);
    after_a_failover_the_new_primary_stays(&bed, &client);
    members_come_and_go(&bed, &client);
    a_lost_password_is_set_again(&bed);
    for host in DB {
        let ids = client.ids(host);
        assert!(
            written.is_subset(&ids),
            "{host} lost {:?}",
            written.difference(&ids)
        );
    }
}

fn nobody_learns_a_secret(bed: &Bed, ran: &e2e::Ran) {
    let journal = std::fs::read(bed.folder().join("state/journal.db")).unwrap();
    for secret in ["mongodb.admin", "mongodb.altcraft", "mongodb.keyfile"].map(|name| bed.secret(name)) {
        assert!(!ran.stdout.contains(&secret) && !ran.stderr.contains(&secret));
        assert!(
            !journal
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
        );
    }
    let key = bed.on("db2", "stat -c '%a %U:%G' /etc/mongod.keyfile");
    assert_eq!(key.trim(), "400 mongodb:mongodb");
}

/// An option changes: every member restarts, the primary last, while a client goes on writing.
fn a_change_rolls_under_load(bed: &mut Bed, client: &MongoClient) -> BTreeSet<i64> {
    let before = invocations(bed);
    rewrite(bed, &with_users(&DB, "config.net.maxIncomingConnections = 500\n"));
    bed.clusterctl("plan", &["--detailed-exitcode"])
        .expect(2)
        .says(&["step down the primary db1"]);
    let is_done = AtomicBool::new(false);
    let bed = &*bed;
    let (written, longest) = std::thread::scope(|scope| {
        let load = scope.spawn(|| write_until(client, &is_done));
        applies(bed, &[]);
        is_done.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    for (before, after) in before.iter().zip(invocations(bed)) {
        assert_ne!(*before, after, "a member was not restarted");
    }
    assert!(written.len() > 20, "{} documents were written", written.len());
    // An election of the stand-in's takes two and a half seconds at most.
    assert!(longest < Duration::from_secs(15), "no write for {longest:?}");
    written
}

/// Writes documents to whoever is the primary; returns those that a majority took, and the longest time without one.
fn write_until(client: &MongoClient, is_done: &AtomicBool) -> (BTreeSet<i64>, Duration) {
    let (mut written, mut longest, mut last) = (BTreeSet::new(), Duration::ZERO, Instant::now());
    let mut primary = None;
    for id in 100.. {
        if is_done.load(Ordering::Relaxed) {
            break;
        }
        primary = primary.or_else(|| client.primary(&DB));
        match primary.map(|host| client.insert(host, id)) {
            Some(Ok(())) => {
                written.insert(id);
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            // What became of it is not known: it is not counted.
            _ => primary = None,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    (written, longest)
}

fn after_a_failover_the_new_primary_stays(bed: &Bed, client: &MongoClient) {
    let old = client.primary(&DB).unwrap();
    assert_ne!(
        old, "db1",
        "the primary was restarted last, and handed over before"
    );
    bed.on(old, "systemctl restart mongod");
    let until = Instant::now() + Duration::from_mins(1);
    let is_well = || bed.clusterctl("status", &[]).code == 0;
    while !is_well() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(500));
    }
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
}

fn members_come_and_go(bed: &Bed, client: &MongoClient) {
    let more = "config.net.maxIncomingConnections = 500\n";
    let five = ["db1", "db2", "db3", "app1", "app2"];
    rewrite(bed, &with_users(&five, more));
    bed.clusterctl("plan", &["--detailed-exitcode"]).expect(2).says(&[
        "add app1 and app2 without a vote",
        "grant app2 a vote and priority 1",
    ]);
    applies(bed, &[]);
    assert!(client.ids("app2").contains(&1));

    // One that serves and one that does not.
    rewrite(bed, &with_users(&DB, more));
    bed.on("app2", "systemctl stop mongod");
    applies(bed, &[]);
    for host in ["app1", "app2"] {
        let state = bed.on(
            host,
            "systemctl is-enabled mongod; systemctl is-active mongod; true",
        );
        assert_eq!(
            state.split_whitespace().collect::<Vec<_>>(),
            ["disabled", "inactive"]
        );
    }
    bed.clusterctl("status", &[])
        .expect(0)
        .says(&["3 of 3 members available"]);
}

fn a_lost_password_is_set_again(bed: &Bed) {
    let admin = MongoClient::new(bed, Some(("admin", &bed.secret("mongodb.admin"))));
    let primary = admin.primary(&DB).unwrap();
    let command =
        MongoCommand::new("updateUser", "altcraft").with("pwd", "forgotten-as-soon-as-set-0123456789");
    admin.send(primary, command).unwrap();
    bed.clusterctl("plan", &["--detailed-exitcode"])
        .expect(2)
        .says(&["change the password of the user \"altcraft\""]);
    applies(bed, &[]);
}

/// Applies, and kills the program (SIGKILL) when a node of this name is done; it may have been done before, by the agent
/// that went on to its next safe point.
fn apply_until(bed: &Bed, node: &str) {
    let mut applying = Applying::start(bed, &[]);
    let _ = applying.any(|event| tells(&event, "node-finished", node));
    applying.kill();
}

#[test]
fn a_run_that_is_killed_anywhere_is_finished_by_the_next() {
    let bed = Bed::new(&DB, &with_users(&DB, ""));
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    for node in ["/config@", "/start@", "/initiate@", "/user-admin@", "/version-2@"] {
        apply_until(&bed, node);
        let plan = bed.clusterctl("plan", &["--detailed-exitcode"]);
        assert!([0, 2].contains(&plan.code), "{}{}", plan.stdout, plan.stderr);
    }
    applies(&bed, &[]);
    bed.clusterctl("status", &[])
        .expect(0)
        .says(&["3 of 3 members available"]);
}
