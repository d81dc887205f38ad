//! SSDB mirrors on real hosts: two services side by side, adopted, rolled, stalled, and filled anew.

use e2e::{Bed, DB};

const SSDB: &str = r#"
[services.hbsupp]
kind = "ssdb"
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/hbsupp.password" }
canary_timeout = 5

[services.notify]
kind = "ssdb"
hosts = ["db1", "db2", "db3"]
port = 4430
password = { file = "secrets/notify.password" }
"#;

/// One command to a server, with its answer.
fn ask(bed: &Bed, host: &str, command: &str) -> String {
    let password = bed.secret("hbsupp.password");
    bed.on(
        host,
        &format!("echo {command} | /usr/local/ssdb/tools/ssdb-cli -h {host} -p 4420 -a {password}"),
    )
}

fn invocations(bed: &Bed) -> [String; 3] {
    DB.map(|host| {
        bed.on(
            host,
            "systemctl show -p InvocationID --value ssdb-hbsupp ssdb-notify",
        )
    })
}

#[test]
fn bare_hosts_become_mirrors_and_changes_roll_through_them() {
    let bed = Bed::new(&DB, SSDB);
    bed.build().says(&["no changes remain"]);
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    bed.clusterctl("status", &[])
        .expect(0)
        .says(&["hbsupp (ssdb): healthy, 3 of 3 in sync with all others"]);
    ask(&bed, "db1", "set user data");
    let before = invocations(&bed);

    // One service changes; the other, on the same hosts, is not touched.
    bed.write("capacity.toml", "[services.hbsupp]\ncapacity = 2000\n");
    let overlay = ["--overlay", "capacity.toml"];
    let words = [&overlay[..], &["--yes"]].concat();
    let _ = bed.clusterctl("apply", &words).expect(0);
    for (host, (before, after)) in DB.iter().zip(before.iter().zip(invocations(&bed))) {
        let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
        assert_ne!(before[0], after[0], "{host}: hbsupp");
        assert_eq!(before.last(), after.last(), "{host}: notify");
        assert_eq!(ask(&bed, host, "get user"), "ok\ndata");
    }
    a_stalled_link(&bed);
    a_mirror_that_fell_behind(&bed, &overlay);
}

/// A link of db3 says SYNC and brings nothing: a canary finds it, and the next apply heals it.
fn a_stalled_link(bed: &Bed) {
    bed.on(
        "db3",
        "echo db2 > /usr/local/ssdb/var-hbsupp/stall; chown ssdb: /usr/local/ssdb/var-hbsupp/stall
         for i in $(seq 100); do test -e /usr/local/ssdb/var-hbsupp/stall || exit 0; sleep 0.1; done; exit 1",
    );
    // Nothing shows it.
    bed.clusterctl("status", &[]).expect(0).says(&["healthy"]);
    let failed = bed.clusterctl("apply", &["--yes"]);
    assert_ne!(failed.code, 0, "{}", failed.stdout);
    failed.says(&["db3 does not see the canary of db2; its link says SYNC"]);
    assert!(ask(bed, "db2", "get clusterctl.canary.db2").starts_with("ok"));
    let _ = bed.clusterctl("apply", &["--yes"]).expect(0);
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    assert_eq!(ask(bed, "db2", "get clusterctl.canary.db2"), "not_found");
}

/// db3 misses more changes than binlogs of 2,000 keep, and is out of sync.
fn fall_behind(bed: &Bed) {
    bed.on("db3", "systemctl stop ssdb-hbsupp");
    let password = bed.secret("hbsupp.password");
    // A binlog is trimmed when it holds 10,000 changes more than its capacity. Each part is less than that, and db2, which runs,
    // has it before the next.
    bed.on(
        "db1",
        &format!(
            "cli() {{ /usr/local/ssdb/tools/ssdb-cli -h $1 -p 4420 -a {password}; }}
             for part in $(seq 14); do
                 seq 0 999 | sed \"s/.*/set key-& $part/\" | cli db1 > /dev/null
                 for i in $(seq 300); do
                     echo get key-999 | cli db2 | grep -qx $part && continue 2
                     sleep 0.1
                 done
                 exit 1
             done"
        ),
    );
    bed.on(
        "db3",
        "systemctl start ssdb-hbsupp
         for i in $(seq 100); do
             echo info | /usr/local/ssdb/tools/ssdb-cli -h db3 -p 4420 -a $(grep -m1 auth /usr/local/ssdb/ssdb-hbsupp.conf | cut -d' ' -f2) \
             | grep -q OUT_OF_SYNC && exit 0
             sleep 0.1
         done; exit 1",
    );
}

/// db3 is filled again, with consent, and its old data stay.
fn a_mirror_that_fell_behind(bed: &Bed, overlay: &[&str]) {
    let with = |words: &[&'static str]| -> Vec<&str> { overlay.iter().chain(words).copied().collect() };
    let _ = bed.clusterctl("apply", &with(&["--yes"])).expect(0);
    fall_behind(bed);
    let password = bed.secret("hbsupp.password");
    bed.clusterctl("plan", overlay).says(&[
        "--allow ssdb.wipe=db3",
        "it needs changes of db1 that are no longer in the binlog there",
    ]);
    let _ = bed
        .clusterctl("apply", &with(&["--yes", "--allow", "ssdb.wipe=db3"]))
        .expect(0);
    assert_eq!(ask(bed, "db3", "get key-9"), "ok\n14");
    assert_eq!(ask(bed, "db3", "get user"), "ok\ndata");
    bed.on("db3", "test -d /usr/local/ssdb/var-hbsupp.before-*/data");
    let _ = bed.clusterctl("plan", &with(&["--detailed-exitcode"])).expect(0);
    // Changes flow both ways.
    ask(bed, "db3", "set last word");
    bed.on(
        "db1",
        &format!(
            "for i in $(seq 100); do
                 echo get last | /usr/local/ssdb/tools/ssdb-cli -h db1 -p 4420 -a {password} | grep -qx word && exit 0
                 sleep 0.1
             done; exit 1"
        ),
    );
}

#[test]
fn mirrors_made_by_hand_from_the_runbook_are_adopted_and_its_mistakes_listed() {
    let only_one = &SSDB[..SSDB.find("[services.notify]").unwrap()];
    let bed = Bed::new(&DB, only_one);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    let password = bed.secret("hbsupp.password");
    for host in DB {
        let peers: Vec<String> = DB
            .iter()
            .filter(|peer| **peer != host)
            .map(|peer| {
                format!(
                    "\tslaveof:\n\t\tid: {peer}\n\t\ttype: mirror\n\t\thost: {peer}\n\t\tport: 4420\n\t\tauth: \
                     {password}\n\t\trecv_timeout: 900\n"
                )
            })
            .collect();
        let peers = peers.concat();
        let address = bed.lab.address(host).unwrap();
        // What the runbook says, in the sample of upstream.
        bed.on(
            host,
            &format!(
                "cd /usr/local/ssdb; mkdir var-hbsupp; chown ssdb: var-hbsupp
                 sed -e 's/\\.\\/var/.\\/var-hbsupp/' -e 's/ip: .*/ip: {address}/' -e 's/port: .*/port: 4420/' \
                     -e 's/#auth: .*/auth: {password}/' ssdb.conf > ssdb-hbsupp.conf
                 cat > part <<'END'\n\tcapacity: 100000000\n{peers}END
                 sed -i -e '/sync_speed: -1/r part' ssdb-hbsupp.conf; rm part
                 systemctl enable -q --now ssdb-hbsupp"
            ),
        );
    }
    bed.on(
        "db3",
        &format!(
            "for i in $(seq 200); do
                 echo info | /usr/local/ssdb/tools/ssdb-cli -h db3 -p 4420 -a {password} > /tmp/info
                 [ $(grep -c 'status .*SYNC' /tmp/info) = 4 ] && exit 0
                 sleep 0.1
             done; cat /tmp/info >&2; exit 1"
        ),
    );
    ask(&bed, "db2", "set user data");
    // The file's own readers: its sample logged with debug, so its log has the password.
    assert!(bed.on("db1", "cat /usr/local/ssdb/log.txt").contains(&password));
    bed.clusterctl("plan", &["--detailed-exitcode"]).expect(2).says(&[
        "capacity moves below binlog",
        "the log level becomes info",
        "addresses take the place of",
    ]);
    let _ = bed.clusterctl("apply", &["--yes"]).expect(0);
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    for host in DB {
        assert_eq!(ask(&bed, host, "get user"), "ok\ndata");
        assert!(ask(&bed, host, "info").contains("capacity : 100000000"));
    }
    let file = bed.on("db1", "cat /usr/local/ssdb/ssdb-hbsupp.conf");
    assert!(
        file.contains("# Limit sync speed to *MB/s, -1: no limit"),
        "{file}"
    );
}

/// All that a server holds, item by item.
fn contents(bed: &Bed, host: &str) -> String {
    let asked = [
        "scan ! ~ 5000",
        "hlist ! ~ 1000",
        "hgetall hash",
        "zlist ! ~ 1000",
        "zrange zset 0 1000",
        "qlist ! ~ 1000",
        "qrange jobs 0 1000",
    ];
    let password = bed.secret("hbsupp.password");
    let cli = format!("/usr/local/ssdb/tools/ssdb-cli -h {host} -p 4420 -a {password}");
    let lines = asked.map(|command| format!("echo \"{command}\""));
    bed.on(host, &format!("{{ {}; }} | {cli}", lines.join("; ")))
}

/// The members come to hold the same, and what was there, too.
fn assert_same(bed: &Bed, hosts: &[&str], expected: &str) {
    for host in hosts {
        let mut found = String::new();
        for _ in 0..50 {
            found = contents(bed, host);
            if found == expected {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        assert_eq!(found, expected, "{host}");
    }
}

/// Takes all items out of the queue, and waits until these have none either.
fn empty_queue(bed: &Bed, hosts: &[&str]) {
    while ask(bed, "db1", "qpop jobs").starts_with("ok") {}
    assert_same(bed, hosts, &contents(bed, "db1"));
}

/// A host with keys, hashes, sorted sets and queues beside it: it is added, replaced and filled again once the queues are empty,
/// and then every member has every item once, also after a cut and a power loss.
#[test]
fn every_member_holds_every_item_once_whatever_happens_to_a_host() {
    let two = SSDB[..SSDB.find("[services.notify]").unwrap()].replace(", \"db3\"]", "]\ncapacity = 2000");
    let bed = Bed::new(&DB, &two);
    bed.build().says(&["no changes remain"]);
    for command in [
        "set user data",
        "hset hash field 1",
        "zset zset member 5",
        "qpush jobs a b c",
    ] {
        ask(&bed, "db1", command);
    }
    let expected = contents(&bed, "db1");
    assert_same(&bed, &["db2"], &expected);

    let hosts =
        |file: &str, hosts: &[&str]| bed.write(file, &format!("[services.hbsupp]\nhosts = {hosts:?}\n"));
    hosts("replaced.toml", &["db1", "db3"]);
    hosts("three.toml", &DB);
    let (replaced, three) = (["--overlay", "replaced.toml"], ["--overlay", "three.toml"]);
    let apply = |overlay: &[&'static str], words: &[&'static str]| {
        bed.clusterctl("apply", &[overlay, &["--yes"], words].concat())
    };
    for overlay in [replaced, three] {
        bed.clusterctl("plan", &overlay)
            .says(&["db3 does not become a mirror of the others", "holds queues"]);
        let refused = apply(&overlay, &[]);
        assert_ne!(refused.code, 0, "{}", refused.stdout);
        assert_same(&bed, &["db1", "db2"], &expected);
    }

    empty_queue(&bed, &["db2"]);
    let expected = contents(&bed, "db1");
    let _ = apply(&replaced, &[]).expect(0);
    assert_same(&bed, &["db1", "db3"], &expected);
    bed.on("db2", "! systemctl is-active -q ssdb-hbsupp");

    // What is written meanwhile comes to the one that is added again.
    ask(&bed, "db3", "hset hash other 2");
    let expected = contents(&bed, "db3");
    assert_same(&bed, &["db1"], &expected);
    let _ = apply(&three, &[]).expect(0);
    assert_same(&bed, &DB, &expected);
    ask(&bed, "db3", "qpush jobs d e");
    let expected = contents(&bed, "db3");
    assert_same(&bed, &DB, &expected);

    bed.lab.cut("db2").unwrap();
    ask(&bed, "db1", "qpush jobs f");
    bed.lab.heal("db2").unwrap();
    let _ = apply(&three, &[]).expect(0);
    let expected = contents(&bed, "db1");
    assert_same(&bed, &DB, &expected);

    bed.lab.kill("db2").unwrap();
    ask(&bed, "db1", "qpush jobs g");
    bed.lab.start("db2").unwrap();
    let _ = apply(&three, &[]).expect(0);
    let expected = contents(&bed, "db1");
    assert_same(&bed, &DB, &expected);

    fall_behind(&bed);
    let wipe = ["--allow", "ssdb.wipe=db3"];
    let refused = apply(&three, &wipe);
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    refused.says(&["db3 is not filled again", "holds queues"]);
    empty_queue(&bed, &["db2"]);
    let _ = apply(&three, &wipe).expect(0);
    let expected = contents(&bed, "db1");
    assert_same(&bed, &DB, &expected);
    bed.on("db3", "test -d /usr/local/ssdb/var-hbsupp.before-*/data");
    let _ = bed
        .clusterctl("plan", &[&three[..], &["--detailed-exitcode"]].concat())
        .expect(0);
}
