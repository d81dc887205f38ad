//! A store behind Sentinel.

use e2e::Suite;

use super::plain::Plain;
use super::{ALL, FIRST, Story, THEN};
use crate::kvrocks;

/// Of these hosts, with more settings.
fn services(engine: &str, hosts: &[&str], more: &str) -> String {
    format!(
        "[services.duplicates]\nkind = \"kvrocks\"\nengine = {engine:?}\nhosts = {hosts:?}\n\
         password = {{ file = \"secrets/duplicates.password\" }}\n{more}"
    )
}

/// From bare hosts through every change of settings, and a host that is rebuilt.
pub(super) fn keeps_its_data(suite: Suite, engine: &str) -> Story {
    let with = |databases: u32, log: u32, more: &str| {
        let directives = format!("directives = {{ databases = {databases}, slowlog-max-len = {log} }}\n");
        services(engine, &FIRST, &format!("{directives}{more}"))
    };
    let mut story = Story::begin(suite, &with(16, 128, ""));
    story.killed("bare hosts", 40);
    write(&story, 50);

    after_a_failover_nothing_is_due(&story);
    // The engines take the one at their start, the other while they run.
    story.describe(&with(20, 128, ""));
    story.under_load(&format!("{engine}: a directive"), &load(&story));
    for (what, services, percent) in [
        ("a directive of the start", with(21, 20, ""), 50),
        ("a directive of running engines", with(21, 21, ""), 30),
        ("a directive of running engines", with(21, 22, ""), 60),
        ("a directive of running engines", with(21, 23, ""), 90),
        ("what the sentinels watch with", with(21, 23, WATCH[0]), 40),
        ("what the sentinels watch with", with(21, 23, WATCH[1]), 80),
    ] {
        story.describe(&services);
        story.killed(what, percent);
    }
    a_rebuilt_host_is_filled(&mut story, &FIRST);
    a_password_is_changed_as_the_refusal_says(&story, &FIRST);
    assert_eq!(story.kills, 8);
    for host in FIRST {
        let key = format!("REDISCLI_AUTH={NEW} redis-cli --no-auth-warning -h {host} -p 6666 get key50");
        assert_eq!(story.bed.on(host, &key).trim(), "50", "{host}");
    }
    story
}

/// A host joins, and another leaves.
pub(super) fn changes_members(mut story: Story) {
    for (what, hosts, percent) in [("a host joins", &ALL[..], 30), ("a host leaves", &THEN, 60)] {
        let more = format!(
            "directives = {{ databases = 21, slowlog-max-len = 23 }}\n{}",
            WATCH[1]
        );
        story.describe(&services("valkey", hosts, &more));
        story.killed(what, percent);
    }
    for host in THEN {
        assert_eq!(ask(&story, host, "get key50"), "50", "{host}");
    }
}

/// The password that the store has at the end.
const NEW: &str = "another-password-of-32-characters-0123";

const WATCH: [&str; 2] = [
    "sentinel.failover_timeout_ms = 90000\n",
    "sentinel.failover_timeout_ms = 60000\n",
];

fn load(story: &Story) -> Plain {
    Plain(kvrocks::Redis {
        members: story.addresses(&FIRST),
        password: story.bed.secret("duplicates.password"),
    })
}

/// The answer of a host's engine.
fn ask(story: &Story, host: &str, command: &str) -> String {
    let password = story.bed.secret("duplicates.password");
    let ask = format!("REDISCLI_AUTH={password} redis-cli --no-auth-warning -h {host} -p 6666 {command}");
    story.bed.on(host, &ask).trim().to_owned()
}

/// The address of the master, as a host's sentinel names it.
fn master(story: &Story, host: &str) -> String {
    let ask = "redis-cli -p 26379 sentinel get-master-addr-by-name altcraft | head -1";
    story.bed.on(host, ask).trim().to_owned()
}

fn host_of(story: &Story, address: &str) -> &'static str {
    let is_at = |host: &&str| story.bed.lab.address(host).unwrap().to_string() == address;
    ALL.into_iter().find(is_at).expect("a host of the lab")
}

fn write(story: &Story, last: usize) {
    let master = host_of(story, &master(story, "db1"));
    for key in 1..=last {
        ask(story, master, &format!("set key{key} {key}"));
    }
}

/// The engines and the sentinels rewrite their files.
fn after_a_failover_nothing_is_due(story: &Story) {
    let old = master(story, "db1");
    let password = story.bed.secret("duplicates.password");
    story.bed.on(
        "db1",
        &format!(
            "redis-cli -p 26379 sentinel failover altcraft
             export REDISCLI_AUTH={password}
             for i in $(seq 300); do
                 new=$(redis-cli --no-auth-warning -p 26379 sentinel get-master-addr-by-name altcraft 2>/dev/null | head -1)
                 [ \"$new\" != {old} ] && redis-cli -h $new -p 6666 info replication | grep -q connected_slaves:2 && exit 0
                 sleep 0.2
             done; exit 1"
        ),
    );
    let new = master(story, "db2");
    assert_ne!(new, old);
    story.has_nothing_to_do();
    assert_eq!(master(story, "db3"), new);
}

/// A replica's host comes back without anything.
fn a_rebuilt_host_is_filled(story: &mut Story, members: &[&'static str]) {
    let master = host_of(story, &master(story, "db2"));
    let replica = members.iter().find(|host| **host != master).unwrap();
    story.bed.lab.reset(replica).unwrap();
    story.killed("a host is rebuilt", 50);
    assert_eq!(ask(story, replica, "get key50"), "50");
}

/// It is refused and nothing is touched; done by hand in the order of the refusal, nothing is left to do.
fn a_password_is_changed_as_the_refusal_says(story: &Story, members: &[&str]) {
    let bed = &story.bed;
    let old = bed.secret("duplicates.password");
    let files = || -> Vec<String> {
        // A sentinel writes its file whenever it learns of another, as of the host that was rebuilt.
        let ask = "for file in /etc/redis/*.conf /etc/valkey/*.conf; do
                       [ -e $file ] && echo $file && grep -Ev 'known-(replica|slave|sentinel)|epoch' $file | sha256sum
                   done; true";
        members.iter().map(|host| bed.on(host, ask)).collect()
    };
    let before = files();
    bed.write_secret("duplicates.password", NEW);
    bed.clusterctl("apply", &["--yes"])
        .expect(3)
        .says(&["on every member CONFIG SET masterauth, then CONFIG SET requirepass"]);
    assert_eq!(files(), before);
    for command in [
        format!("REDISCLI_AUTH={old} redis-cli -p 6666 config set masterauth {NEW}"),
        format!("REDISCLI_AUTH={old} redis-cli -p 6666 config set requirepass {NEW}"),
        format!("redis-cli -p 26379 sentinel set altcraft auth-pass {NEW}"),
        format!("REDISCLI_AUTH={NEW} redis-cli -p 6666 config rewrite"),
    ] {
        for host in members {
            assert_eq!(bed.on(host, &command).trim(), "OK", "{host}");
        }
    }
    story.has_nothing_to_do();
    bed.clusterctl("status", &[])
        .expect(0)
        .says(&["3 sentinels agree"]);
}
