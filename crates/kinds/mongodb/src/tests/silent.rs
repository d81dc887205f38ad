//! Servers that run and tell nothing: they may be in use, and are never taken for stopped.

use kit::Service;
use plan::{Refusal, Verdict};
use serde_json::Value;

use super::{AUTH, CONF, Cluster, THREE, assert_settled, built, by_hand, converge, plan, service, shown};
use crate::tests::rig::Rig as _;
use crate::tests::troubled::PACE;
use cases::host;
use fakes::{FakeCluster as _, Fault};

/// A change that every member would be restarted for.
const ROLLED: &str = "config.net.maxIncomingConnections = 500\n";

/// The refusals of a plan that changes nothing.
fn refused(service: &dyn Service, cluster: &Cluster) -> Vec<Refusal> {
    let found = plan(service, cluster);
    assert!(found.tasks.is_empty(), "{}", cases::render(&found));
    found.refusals
}

/// The operator edits the files of all members, which are restarted with them.
fn edited(more: &str, edit: impl Fn(&str, &str) -> String) -> Cluster {
    let mut cluster = built(&*service(more));
    for name in THREE {
        cluster.edit(name, |text| edit(name, text));
        cluster.restart(name);
    }
    cluster
}

/// The same, which binds them to other addresses.
fn bound(more: &str, bind: impl Fn(&str) -> String) -> Cluster {
    edited(more, |name, text| {
        let ours = format!("bindIp: \"127.0.0.1,{name}\"");
        assert!(text.contains(&ours), "{text}");
        text.replace(&ours, &bind(name))
    })
}

#[test]
fn members_that_require_tls_are_left_alone() {
    for more in ["", AUTH] {
        let cluster = edited(more, |_, text| {
            text.replace("net:\n", "net:\n  tls:\n    mode: requireTLS\n")
        });
        for inventory in [more.to_owned(), format!("{more}{ROLLED}")] {
            let refusals = refused(&*service(&inventory), &cluster);
            assert_eq!(refusals.len(), 3, "{refusals:?}");
            for refusal in refusals {
                assert!(
                    !refusal.passing && refusal.why.contains("does not speak TLS"),
                    "{refusal:?}"
                );
            }
        }
    }
}

#[test]
fn members_on_another_port_are_left_alone() {
    for more in ["", AUTH] {
        let cluster = edited(more, |_, text| text.replace("port: 27017", "port: 27020"));
        let refusals = refused(&*service(&format!("{more}{ROLLED}")), &cluster);
        assert_eq!(refusals.len(), 3, "{refusals:?}");
        for refusal in refusals {
            assert!(
                !refusal.passing && refusal.resolve.contains("port = 27020"),
                "{refusal:?}"
            );
        }
    }
}

#[test]
fn members_on_private_addresses_only_keep_them() {
    let address = |name: &str| format!("bindIp: {}", name.replace("db", "10.0.0."));
    for more in ["", AUTH] {
        assert_settled(&*service(more), &bound(more, address));
        assert_settled(&*service(more), &bound(more, |name| format!("bindIp: {name}")));
        assert_settled(&*service(more), &bound(more, |_| "bindIpAll: true".to_owned()));
    }
    assert_settled(&*service("bind = [\"host\"]\n"), &bound("", address));
    // Where the inventory names more, they are restarted in turns.
    let mut cluster = bound("", address);
    converge(&*service("bind = [\"127.0.0.1\", \"host\"]\n"), &mut cluster);
    assert!(cluster.node("db2").machine.text(CONF).contains("127.0.0.1,db2"));
}

/// Whatever the file says, mongod runs with the options of its command line
/// (<https://www.mongodb.com/docs/manual/reference/configuration-options/>).
#[test]
fn members_whose_command_line_overrides_the_file_are_left_alone() {
    let wrong = [
        ("--port", "net.port", Value::from(27_020)),
        ("--bind_ip", "net.bindIp", "127.0.0.1".into()),
        ("--bind_ip_all", "net.bindIpAll", true.into()),
        ("--replSet", "replication.replSetName", "rs9".into()),
    ];
    for option in wrong {
        for is_running in [true, false] {
            let mut cluster = built(&*service(AUTH));
            for name in THREE {
                cluster.node_mut(name).options.push(option.clone());
                if is_running && option.1 != "net.bindIpAll" {
                    cluster.restart(name);
                } else {
                    cluster.stop(name);
                }
            }
            let refusals = refused(&*service(&format!("{AUTH}{ROLLED}")), &cluster);
            let tells = |refusal: &&Refusal| !refusal.passing && refusal.why.contains(option.1);
            assert_eq!(refusals.iter().filter(tells).count(), 3, "{refusals:?}");
        }
    }
    // As the inventory says.
    let mut cluster = built(&*service(AUTH));
    for name in THREE {
        let options = [
            ("--port", "net.port", Value::from(27_017)),
            ("--replSet", "replication.replSetName", "rs0".into()),
        ];
        cluster.node_mut(name).options.extend(options);
        cluster.restart(name);
    }
    assert_settled(&*service(AUTH), &cluster);
}

#[test]
fn members_of_another_file_are_left_alone() {
    let mut cluster = by_hand();
    for name in THREE {
        let text = cluster.node(name).machine.text(CONF).to_owned();
        cluster.write_file(name, "/etc/mongod.other.conf", &text, 0o644, "root");
    }
    let refusals = refused(
        &*service(&format!("config_path = \"/etc/mongod.other.conf\"\n{ROLLED}")),
        &cluster,
    );
    assert_eq!(refusals.len(), 3, "{refusals:?}");
    assert!(
        refusals[0]
            .why
            .contains("was started with the file /etc/mongod.conf"),
        "{refusals:?}"
    );
}

#[test]
fn a_set_that_starts_is_waited_for_and_not_restarted() {
    for more in ["", AUTH] {
        let service = service(&format!("{more}{ROLLED}"));
        let mut cluster = built(&*super::service(more));
        cluster.pace = PACE;
        for name in THREE {
            cluster.inject(&Fault::Crash(host(name)));
            cluster.inject(&Fault::Revive(host(name)));
        }
        let refusals = refused(&*service, &cluster);
        assert!(
            refusals.len() == 3 && refusals.iter().all(|refusal| refusal.passing),
            "{refusals:?}"
        );
        // They answer, and elect.
        cluster.advance(cluster.now_us + 5_000_000);
        let refusals = refused(&*service, &cluster);
        assert!(refusals.len() == 1 && refusals[0].passing, "{refusals:?}");
        assert!(refusals[0].why.contains("it has no primary"), "{refusals:?}");
        cluster.advance(cluster.now_us + 30_000_000);
        converge(&*service, &mut cluster);
    }
}

/// Three of three rolling changes ended so right after a kill, while the member was coming back.
#[test]
fn a_member_that_comes_back_is_waited_for_before_others_restart() {
    let own = service(AUTH);
    let service = service(&format!("{AUTH}{ROLLED}"));
    let mut cluster = built(&*own);
    cluster.pace = PACE;
    cluster.edit("db3", |text| {
        text.replace("net:\n", "net:\n  maxIncomingConnections: 500\n")
    });
    cluster.inject(&Fault::Crash(host("db3")));
    assert!(cluster.write(1));
    cluster.inject(&Fault::Revive(host("db3")));
    let waits = |cluster: &Cluster| {
        let found = plan(&*service, cluster);
        assert!(
            !found.tasks.iter().any(|task| task.disrupts),
            "{}",
            cases::render(&found)
        );
        let all: Vec<&str> = found
            .refusals
            .iter()
            .map(|refusal| refusal.what.as_str())
            .collect();
        assert!(all.contains(&"no member is restarted"), "{all:?}");
        assert!(
            found.refusals.iter().all(|refusal| refusal.passing),
            "{:?}",
            found.refusals
        );
    };
    waits(&cluster);
    // It answers, and has not caught up.
    cluster.advance(cluster.now_us + 3_000_000);
    waits(&cluster);
    cluster.advance(cluster.now_us + 10_000_000);
    converge(&*service, &mut cluster);
}

#[test]
fn a_set_that_elects_is_waited_for_and_one_without_a_majority_is_not() {
    let service = service(AUTH);
    let mut cluster = built(&*service);
    cluster.pace = PACE;
    cluster.inject(&Fault::Cut(host("db1")));
    cluster.node_mut("db1").is_reachable = false;
    let refusals = refused(&*service, &cluster);
    assert!(refusals.len() == 1 && refusals[0].passing, "{refusals:?}");
    cluster.inject(&Fault::Down(host("db2")));
    cluster.node_mut("db2").is_reachable = false;
    let refusals = refused(&*service, &cluster);
    assert!(refusals.len() == 1 && !refusals[0].passing, "{refusals:?}");
}

#[test]
fn a_removal_waits_for_members_that_come_back() {
    let of = |hosts: &[&str]| crate::tests::service_with_warnings(&super::inventory(hosts, AUTH));
    let mut cluster = built(&*of(&["db1", "db2", "db3", "db4"]));
    cluster.pace = PACE;
    cluster.inject(&Fault::Crash(host("db2")));
    cluster.inject(&Fault::Revive(host("db2")));
    let service = of(&THREE);
    let refusals = refused(&*service, &cluster);
    assert!(
        refusals
            .iter()
            .any(|refusal| refusal.what == "db4:27017 is not removed from the set"),
        "{refusals:?}"
    );
    assert!(refusals.iter().all(|refusal| refusal.passing), "{refusals:?}");
    cluster.advance(cluster.now_us + 20_000_000);
    assert!(shown(&*service, &cluster).contains("remove db4:27017"));
}

/// It was waited for up to an hour.
#[test]
fn a_gate_fails_whose_process_has_ended_and_waits_for_one_that_starts() {
    let service = service(&format!("{AUTH}{ROLLED}"));
    let mut cluster = built(&*super::service(AUTH));
    cluster.pace = PACE;
    let found = plan(&*service, &cluster);
    let restart = found.tasks.iter().find(|task| task.disrupts).expect("a restart");
    cluster.inject(&Fault::Crash(restart.host.clone()));
    let verdict = cluster.judge(&*service, &restart.gates[0]);
    assert!(
        matches!(&verdict, Verdict::Fail(why) if why.contains("has ended: `journalctl -u mongod.service`")),
        "{verdict:?}"
    );
    cluster.inject(&Fault::Revive(restart.host.clone()));
    let verdict = cluster.judge(&*service, &restart.gates[0]);
    assert!(matches!(verdict, Verdict::Wait(_)), "{verdict:?}");
}
