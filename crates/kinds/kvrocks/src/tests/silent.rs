//! Members that run and do not answer us: they are in use, and of what they hold nothing is known.

use plan::Facts;
use protocol::facts::{RespFact, RespValue, Silence};
use protocol::{Fact, FactQuery};

use super::{by_hand, inventory, packaged, plan, service, shown};
use crate::tests::rig::Rig as _;
use cases::{host, render};
use fakes::kvrocks::Cluster;
use kit::Service;

const MEMBERS: [&str; 3] = ["db1", "db2", "db3"];

/// What the agent meets at a server that requires TLS.
fn foreign() -> RespFact {
    RespFact::Down(Silence::foreign("it closed the connection"))
}

fn silence_engine(fake: &mut Cluster, name: &str) {
    fake.server_mut(name).shuns = Some(foreign());
}

fn silence_sentinel(fake: &mut Cluster, name: &str) {
    fake.node_mut(name).sentinel.as_mut().unwrap().shuns = Some(foreign());
}

/// Plans, and expects that nothing is done on a host.
fn assert_left_alone(service: &dyn Service, fake: &Cluster, name: &str) {
    let found = plan(service, fake);
    let touched = found.tasks.iter().any(|task| task.host == host(name));
    assert!(!touched, "{name} is touched:\n{}", render(&found));
    let mut refused = found.refusals.iter();
    let is_told = refused.any(|refusal| refusal.host.as_ref().is_none_or(|at| *at == host(name)));
    assert!(
        is_told,
        "nobody says why {name} is left alone:\n{}",
        render(&found)
    );
}

#[test]
fn a_cluster_that_none_of_us_can_ask_is_left_alone() {
    for kind in ["redis", "valkey", "kvrocks"] {
        // Every file is newer than its process, as where somebody edited it, and is to change.
        let more = if kind == "kvrocks" {
            "directives = { max-io-mb = 500 }\n"
        } else {
            "directives = { databases = 32 }\n"
        };
        let service = service(kind, more);
        let mut fake = by_hand(kind);
        for name in MEMBERS {
            fake.edit(name, |text| format!("{text}# edited\n"));
            silence_engine(&mut fake, name);
        }
        for name in MEMBERS {
            silence_sentinel(&mut fake, name);
        }
        for name in MEMBERS {
            assert_left_alone(&*service, &fake, name);
        }
    }
}

#[test]
fn a_replica_that_does_not_answer_is_left_alone_and_the_others_are_not() {
    let service = service("redis", "directives = { databases = 32 }\n");
    let mut fake = by_hand("redis");
    fake.edit("db2", |text| format!("{text}# edited\n"));
    silence_engine(&mut fake, "db2");
    assert_left_alone(&*service, &fake, "db2");
    let found = plan(&*service, &fake);
    assert!(
        found
            .tasks
            .iter()
            .any(|task| task.host == host("db3") && task.disrupts)
    );
    assert!(service.unavailable(&fake.facts(&*service)).contains(&host("db2")));
}

#[test]
fn a_master_that_does_not_answer_is_left_alone() {
    let service = service("redis", "directives = { databases = 32 }\n");
    let mut fake = by_hand("redis");
    fake.edit("db1", |text| format!("{text}# edited\n"));
    silence_engine(&mut fake, "db1");
    assert_left_alone(&*service, &fake, "db1");
}

#[test]
fn a_server_whose_file_names_another_port_is_left_alone_and_the_port_is_told() {
    let service = service("redis", "");
    let mut fake = by_hand("redis");
    for name in MEMBERS {
        fake.edit(name, |text| text.replace("port 6666", "port 7000"));
        fake.restart(name);
    }
    for name in MEMBERS {
        assert_left_alone(&*service, &fake, name);
    }
    let found = shown(&*service, &fake);
    assert!(found.contains("port 7000"), "{found}");
}

#[test]
fn a_server_that_wants_tls_is_told_from_one_that_listens_elsewhere() {
    let service = service("redis", "");
    let mut fake = by_hand("redis");
    fake.edit("db2", |text| {
        format!("{}tls-port 6666\n", text.replace("port 6666", "port 0"))
    });
    silence_engine(&mut fake, "db2");
    let told = |fake: &Cluster| {
        plan(&*service, fake)
            .refusals
            .into_iter()
            .map(|refusal| refusal.why)
            .collect::<String>()
    };
    assert!(
        told(&fake).contains("says port 0, tls-port 6666"),
        "{}",
        told(&fake)
    );
    fake.edit("db2", |text| {
        text.replace("tls-port 6666", "unixsocket /run/redis.sock")
    });
    assert!(
        told(&fake).contains("unixsocket /run/redis.sock"),
        "{}",
        told(&fake)
    );
}

#[test]
fn a_member_that_boots_is_waited_for_and_one_that_wants_tls_is_not() {
    let service = service("redis", "");
    for (silence, passes) in [
        (Silence::refused(), true),
        (Silence::no_answer("timed out"), true),
        (Silence::foreign("it closed the connection"), false),
    ] {
        let mut fake = by_hand("redis");
        fake.server_mut("db2").shuns = Some(RespFact::Down(silence));
        let found = plan(&*service, &fake);
        let refusal = found
            .refusals
            .iter()
            .find(|refusal| refusal.host == Some(host("db2")));
        assert_eq!(
            refusal.map(|refusal| refusal.passing),
            Some(passes),
            "{}",
            render(&found)
        );
    }
}

#[test]
fn a_silent_member_without_files_where_a_package_keeps_data_does_not_join() {
    let service = service("redis", "");
    let mut fake = by_hand("redis");
    // A disk elsewhere: `dir` stands in an included file or in the unit.
    fake.edit("db3", |text| text.replace("slaveof 10.0.0.1 6666\n", ""));
    fake.node_mut("db3").has_data_files = false;
    silence_engine(&mut fake, "db3");
    assert_left_alone(&*service, &fake, "db3");
}

#[test]
fn a_stopped_member_whose_file_includes_others_is_not_known_to_be_empty() {
    for (kind, more) in [
        ("redis", "include /etc/redis/local.conf\n"),
        ("redis", ""),
        ("kvrocks", ""),
    ] {
        let service = service(kind, "");
        let mut fake = by_hand(kind);
        // Nothing says where it keeps its data.
        fake.edit("db3", |text| {
            let text = text.replace("slaveof 10.0.0.1 6666\n", "");
            format!("{text}{more}")
        });
        fake.node_mut("db3").has_data_files = false;
        fake.stop("db3");
        for name in MEMBERS {
            let sentinel = fake.node_mut(name).sentinel.as_mut().unwrap();
            sentinel.watched[0].replicas.remove("10.0.0.3");
        }
        let found = plan(&*service, &fake);
        let is_refused = found.refusals.iter().any(|refusal| refusal.what.contains("db3"));
        assert!(is_refused, "{}", render(&found));
    }
}

#[test]
fn nobody_becomes_the_first_master_beside_members_that_cannot_be_asked() {
    let service = service("redis", "");
    let mut fake = packaged("redis", 3);
    for name in ["db2", "db3"] {
        silence_engine(&mut fake, name);
    }
    let found = plan(&*service, &fake);
    assert!(found.tasks.is_empty(), "{}", render(&found));
}

#[test]
fn a_former_member_that_does_not_answer_is_not_stopped() {
    let mut fake = by_hand("redis");
    fake.nodes.push({
        let mut fourth = fake.node("db3").clone();
        (fourth.name, fourth.address) = ("db4".to_owned(), "10.0.0.4".to_owned());
        fourth
    });
    silence_engine(&mut fake, "db4");
    silence_sentinel(&mut fake, "db4");
    for name in MEMBERS {
        let sentinel = fake.node_mut(name).sentinel.as_mut().unwrap();
        sentinel.watched[0].replicas.insert("10.0.0.4".to_owned());
        sentinel.watched[0].others.insert("10.0.0.4".to_owned());
    }
    let text = inventory("redis", 3, "").replace("[services", "db4 = \"10.0.0.4\"\n[services");
    let service = cases::service(crate::tests::KINDS, &text);
    let found = plan(&*service, &fake);
    let stops = found.tasks.iter().any(|task| task.host == host("db4"));
    assert!(!stops, "{}", render(&found));
    assert!(
        found
            .refusals
            .iter()
            .any(|refusal| refusal.what == "db4 does not leave"),
        "{}",
        render(&found)
    );
}

#[test]
fn a_sentinel_that_does_not_answer_is_neither_seeded_nor_restarted() {
    let service = service("redis", "");
    let mut fake = by_hand("redis");
    for name in MEMBERS {
        // Sentinel keeps its state in its file, so that is newer than the process; one watches masters of others too.
        let path = fake.sentinel_config();
        let text = fake.node(name).machine.text(path).to_owned();
        fake.write(name, path, &text);
        silence_sentinel(&mut fake, name);
    }
    let found = plan(&*service, &fake);
    assert!(found.tasks.is_empty(), "{}", render(&found));
    // The same where the file says nothing: it may be another one than the unit's.
    let path = fake.sentinel_config();
    fake.node_mut("db2").machine.files.remove(path);
    let found = plan(&*service, &fake);
    assert!(found.tasks.is_empty(), "{}", render(&found));
}

#[test]
fn the_status_of_what_could_not_be_asked_is_unknown() {
    let service = service("redis", "");
    let mut fake = by_hand("redis");
    silence_engine(&mut fake, "db2");
    silence_sentinel(&mut fake, "db3");
    fake.stop("db3");
    let status = service.status(&fake.facts(&*service));
    let seen: Vec<String> = status
        .members
        .iter()
        .map(|row| format!("{} {} {:?}", row.host, row.process, row.health))
        .collect();
    assert_eq!(
        seen,
        [
            "db1 redis Healthy",
            "db1 sentinel Healthy",
            "db2 redis Unknown",
            "db2 sentinel Healthy",
            "db3 redis Down",
            "db3 sentinel Unknown",
        ]
    );
}

/// The cluster's answers, where each server replies so to one command.
fn answers(service: &dyn Service, fake: &Cluster, name: &str, command: &[&str], reply: &RespValue) -> Facts {
    cases::answer_all(service, |at, query| {
        let mut fact = fake.tell_fact(at, query)?.ok()?;
        if let (FactQuery::Resp(query), Fact::Resp(RespFact::Replies { replies, .. })) = (query, &mut fact)
            && at.as_str() == name
        {
            for (asked, found) in query.commands.iter().zip(replies) {
                let words: Vec<&str> = asked.args.iter().map(protocol::Text::as_str).collect();
                if words.starts_with(command) {
                    reply.clone_into(found);
                }
            }
        }
        Some(fact)
    })
}

fn error(words: &str) -> RespValue {
    RespValue::Error(words.to_owned())
}

#[test]
fn a_sentinel_that_does_not_know_the_question_is_no_witness_that_there_are_no_replicas() {
    let service = service("redis", "");
    let mut fake = by_hand("redis");
    fake.fail_over();
    // A replica that still follows the old master: the sentinels that know it will tell it.
    fake.server_mut("db3").follows = Some(("10.0.0.1".to_owned(), 6666));
    let mut facts = Facts::default();
    for name in MEMBERS {
        // Redis 4 has SENTINEL SLAVES alone.
        let words = "ERR Unknown sentinel subcommand 'REPLICAS'";
        let found = answers(&*service, &fake, name, &["SENTINEL", "REPLICAS"], &error(words));
        let (at, found) = found.hosts().find(|(at, _)| at.as_str() == name).unwrap();
        facts.add(at.clone(), found.clone());
    }
    let found = cases::plan_steps(&*service, &super::STEPS, &facts);
    assert!(found.tasks.is_empty(), "{}", render(&found));
}

#[test]
fn an_engine_that_does_not_tell_its_role_is_no_replica() {
    let service = service("kvrocks", "directives = { max-io-mb = 500 }\n");
    let fake = by_hand("kvrocks");
    // What Kvrocks 2.6 says while it restores a copy: INFO is empty, and other commands are refused.
    let reply = RespValue::Str("".into());
    let facts = answers(&*service, &fake, "db3", &["INFO"], &reply);
    let found = cases::plan_steps(&*service, &super::STEPS, &facts);
    assert!(
        found.tasks.iter().all(|task| task.host != host("db3")),
        "{}",
        render(&found)
    );
    let loading = error("LOADING kvrocks is restoring the db from backup");
    let facts = answers(&*service, &fake, "db3", &["INFO"], &loading);
    let found = cases::plan_steps(&*service, &super::STEPS, &facts);
    assert!(
        found.tasks.iter().all(|task| task.host != host("db3")),
        "{}",
        render(&found)
    );
    let why = "LOADING kvrocks is restoring the db from backup";
    assert!(
        found.refusals.iter().any(|refusal| refusal.why.contains(why)),
        "{}",
        render(&found)
    );
}

#[test]
fn an_engine_that_does_not_tell_of_all_its_keys_is_not_empty() {
    for (kind, command, words) in [
        (
            "kvrocks",
            ["NAMESPACE", "GET"],
            "ERR admin permission required to perform the command",
        ),
        ("redis", ["INFO", "keyspace"], "ERR unknown command 'INFO'"),
        ("redis", ["SCAN", "0"], "ERR unknown command 'SCAN'"),
        ("redis", ["DBSIZE", ""], "ERR unknown command 'DBSIZE'"),
    ] {
        let mut fake = by_hand(kind);
        let fourth = packaged(kind, 4).nodes.remove(3);
        fake.nodes.push(fourth);
        let four = cases::service(crate::tests::KINDS, &inventory(kind, 4, ""));
        let command: Vec<&str> = command.into_iter().filter(|word| !word.is_empty()).collect();
        let facts = answers(&*four, &fake, "db4", &command, &error(words));
        let found = cases::plan_steps(&*four, &super::STEPS, &facts);
        let is_refused = found
            .refusals
            .iter()
            .any(|refusal| refusal.what.contains("db4 does not become a replica"));
        assert!(is_refused, "{kind} {command:?}: {}", render(&found));
    }
}
