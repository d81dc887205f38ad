//! Sets that somebody else made: taken over without a change that is not due.

use super::{AUTH, CONF, KEY, THREE, assert_settled, built, by_hand, converge, service, shown};
use crate::tests::rig::Rig as _;

#[test]
fn a_set_made_by_hand_from_the_runbook_is_adopted() {
    assert_settled(&*service(""), &by_hand());
}

#[test]
fn what_the_inventory_does_not_say_is_kept() {
    let mut cluster = by_hand();
    super::reconfigure(&mut cluster, |at, member| match at {
        1 => member.extend([("priority".to_owned(), 5.into())]),
        2 => member.extend([
            ("priority".to_owned(), 0.into()),
            ("hidden".to_owned(), true.into()),
            ("secondaryDelaySecs".to_owned(), 3600.into()),
            (
                "tags".to_owned(),
                protocol::facts::Bson::doc([("dc", "b".into())]),
            ),
        ]),
        _ => {}
    });
    for name in THREE {
        cluster.edit(name, |text| {
            format!("# ours\n{text}setParameter:\n  ttlMonitorSleepSecs: 30\n")
        });
        cluster.restart(name);
    }
    assert_settled(&*service(""), &cluster);
}

#[test]
fn addresses_in_another_order_and_a_port_left_to_its_default_are_the_same() {
    let mut cluster = by_hand();
    for name in THREE {
        cluster.edit(name, |text| {
            text.replace("  port: 27017\n", "")
                .replace(&format!("127.0.0.1,{name}"), &format!("{name}, 127.0.0.1"))
        });
        cluster.restart(name);
    }
    assert_settled(&*service(""), &cluster);
}

#[test]
fn a_set_with_access_control_is_adopted_with_its_key_and_users() {
    let own = service(AUTH);
    let mut cluster = built(&*own);
    for name in THREE {
        // As the runbook's authors would have written it.
        cluster.edit(name, |text| text.replace("  authorization: enabled\n", ""));
        cluster.restart(name);
        let roles = vec![("root".to_owned(), "admin".to_owned())];
        cluster
            .node_mut(name)
            .disk
            .data
            .users
            .get_mut("admin.altcraft")
            .unwrap()
            .1 = roles;
    }
    assert_settled(&*own, &cluster);
}

#[test]
fn a_key_that_is_not_ours_to_know_is_kept() {
    let mut cluster = built(&*service(AUTH));
    for name in THREE {
        cluster.write_file(name, KEY, "⟪kept:0+100⟫\n⟪kept:101+100⟫\n", 0o600, "mongodb");
        cluster.restart(name);
    }
    let kept = service("security = \"kept\"\nadmin = { password = { file = \"admin\" } }\n");
    assert_settled(&*kept, &cluster);
    let found = shown(&*service(AUTH), &cluster);
    assert!(found.contains("holds another key"), "{found}");
}

#[test]
fn after_a_failover_the_new_primary_stays() {
    for more in [AUTH, ""] {
        let service = service(more);
        let mut cluster = built(&*service);
        cluster.step_down();
        assert_eq!(cluster.primary(), Some("db2"));
        assert_settled(&*service, &cluster);
    }
}

#[test]
fn a_set_without_access_control_may_get_users_and_keep_its_doors() {
    let service = service(
        "security = \"kept\"\nadmin = { password = { file = \"admin\" } }\nusers.altcraft = { password = { file = \"x\" } }\n",
    );
    let mut cluster = by_hand();
    converge(&*service, &mut cluster);
    assert!(!cluster.node("db1").machine.text(CONF).contains("security"));
}
