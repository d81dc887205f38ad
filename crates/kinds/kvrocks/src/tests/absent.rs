//! Directives that are taken out of the file.

use insta::assert_snapshot;

use super::{assert_settled, built, converge, converge_from_everywhere, errors, inventory, service, shown};
use crate::tests::rig::Rig as _;
use fakes::kvrocks::Cluster;

/// A cluster that was built with these directives.
fn with(kind: &str, directives: &str) -> Cluster {
    let service = service(kind, &format!("directives = {{ {directives} }}\n"));
    built(&*service, kind)
}

#[test]
fn what_the_engine_takes_is_set_to_its_default() {
    let fake = with("redis", "maxmemory = \"100mb\", loglevel = \"warning\"");
    let absent = service("redis", "absent = [\"maxmemory\", \"loglevel\"]\n");
    let found = shown(&*absent, &fake);
    assert!(
        !found.contains("| maxmemory") && !found.contains("| loglevel"),
        "{found}"
    );
    assert!(!found.contains("restart"), "{found}");
    let set = "set maxmemory, loglevel in the running redis, because it runs with maxmemory \"104857600\" instead of its \
               default \"0\"; it runs with loglevel \"warning\" instead of its default \"notice\"";
    assert_eq!(found.matches(set).count(), 3, "{found}");
    converge_from_everywhere(&*absent, &fake);
}

#[test]
fn what_it_does_not_take_is_restarted_for_and_the_failover_does_not_bring_it_back() {
    let fake = with("redis", "databases = 32");
    let absent = service("redis", "absent = [\"databases\"]\n");
    let found = shown(&*absent, &fake);
    let restart = "restart redis-server.service (disrupts), because it runs with databases \"32\" instead of its default \
                   \"16\"";
    assert_eq!(found.matches(restart).count(), 3, "{found}");
    // CONFIG REWRITE writes what the old master runs with.
    let again = "db1 [config]: take databases out of /etc/redis/redis.conf again";
    assert!(found.contains(again), "{found}");
    assert!(
        found.contains("$ sed -i -e /^[[:space:]]*databases[[:space:]]/Id /etc/redis/redis.conf"),
        "{found}"
    );
    converge_from_everywhere(&*absent, &fake);
}

#[test]
fn one_without_a_known_default_is_restarted_for_while_its_line_is_there() {
    let key = "hash-max-ziplist-entries";
    let mut fake = with("redis", &format!("{key} = 64"));
    let absent = service("redis", &format!("absent = [\"{key}\"]\n"));
    let found = shown(&*absent, &fake);
    let restart = format!("because it was started with {key} \"64\", which is to be absent");
    assert_eq!(found.matches(&restart).count(), 3, "{found}");
    converge(&*absent, &mut fake);
    // A file that is newer than its process is no reason.
    fake.edit("db2", |text| format!("{text}# more\n"));
    assert_settled(&*absent, &fake);
}

/// CONFIG REWRITE of Kvrocks writes every directive, defaults too (recorded, 2.6).
#[test]
fn a_line_of_kvrocks_that_says_the_default_is_left() {
    let mut fake = with("kvrocks", "max-io-mb = 500, workers = 4");
    let absent = service("kvrocks", "absent = [\"max-io-mb\", \"workers\"]\n");
    let found = shown(&*absent, &fake);
    assert!(
        !found.contains("| max-io-mb") && !found.contains("| workers"),
        "{found}"
    );
    converge_from_everywhere(&*absent, &fake);
    converge(&*absent, &mut fake);
    fake.edit("db2", |text| format!("{text}max-io-mb 0\nworkers 8\n"));
    assert_settled(&*absent, &fake);
    fake.edit("db2", |text| text.replace("max-io-mb 0", "max-io-mb 5"));
    let found = shown(&*absent, &fake);
    assert!(found.contains("db2: change /etc/kvrocks/kvrocks.conf"), "{found}");
}

#[test]
fn another_name_of_it_is_taken_out_too() {
    let mut fake = with("valkey", "slowlog-max-len = 256");
    // As CONFIG REWRITE writes it (ran: Valkey 8.1.1).
    let new = "commandlog-slow-execution-max-len";
    fake.edit("db2", |text| text.replace("slowlog-max-len", new));
    let absent = service("valkey", "absent = [\"slowlog-max-len\"]\n");
    let found = shown(&*absent, &fake);
    assert!(!found.contains(&format!("| {new}")), "{found}");
    converge_from_everywhere(&*absent, &fake);
}

#[test]
fn what_cannot_be_absent() {
    let wrong = |kind: &str, more: &str| errors(&inventory(kind, 3, more)).join("\n");
    assert_snapshot!(
        wrong(
            "redis",
            "absent = [\"port\", \"primaryauth\", \"a b\", \"max*\", \"slave-priority\", \"Dir\", \"masteruser\", \"include\"]\n\
             directives = { replica-priority = 5 }\n"
        ),
        @r#"
    "port" cannot be absent: managed by the service itself; set port of the service
    "primaryauth" cannot be absent: managed by the service itself; set password of the service: all members share it
    "a b" cannot be absent: not the name of a key; one word
    "max*" cannot be absent: not the name of a directive; letters, digits, dots, hyphens and underscores
    "slave-priority" cannot be absent: it is set as well; leave one of the two
    "Dir" cannot be absent: without it the engine looks elsewhere for its data; leave it where it is
    "masteruser" cannot be absent: it is not compared with the running server; take it out of the file by hand
    "include" cannot be absent: it is not compared with the running server; take it out of the file by hand
    "#
    );
    assert_snapshot!(wrong("kvrocks", "absent = [\"use-rsid-psync\", \"log-level\", \"timeout\"]\n"), @r#"
    "use-rsid-psync" cannot be absent: managed by the service itself; it is always yes: without it a restarted old master can keep stray writes
    "log-level" cannot be absent: CONFIG REWRITE of Kvrocks writes every directive, and the default of this one is not known here; set it in directives
    "#);
}
