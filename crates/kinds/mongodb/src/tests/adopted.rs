//! Sets that somebody else made: taken over without a change that is not due.

use super::{AUTH, CONF, KEY, THREE, assert_settled, built, by_hand, converge, service, shown};
use crate::tests::world::Rig as _;

#[test]
fn a_set_made_by_hand_from_the_runbook_is_adopted() {
    assert_settled(&*service(""), &by_hand());
}

#[test]
fn what_the_inventory_does_not_say_is_kept() {
    let mut world = by_hand();
    super::reconfigure(&mut world, |at, member| match at {
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
        world.edit(name, |text| {
            format!("# ours\n{text}setParameter:\n  ttlMonitorSleepSecs: 30\n")
        });
        world.restart(name);
    }
    assert_settled(&*service(""), &world);
}

#[test]
fn addresses_in_another_order_and_a_port_left_to_its_default_are_the_same() {
    let mut world = by_hand();
    for name in THREE {
        world.edit(name, |text| {
            text.replace("  port: 27017\n", "")
                .replace(&format!("127.0.0.1,{name}"), &format!("{name}, 127.0.0.1"))
        });
        world.restart(name);
    }
    assert_settled(&*service(""), &world);
}

#[test]
fn a_set_with_access_control_is_adopted_with_its_key_and_users() {
    let own = service(AUTH);
    let mut world = built(&*own);
    for name in THREE {
        // As the runbook's authors would have written it.
        world.edit(name, |text| text.replace("  authorization: enabled\n", ""));
        world.restart(name);
        let roles = vec![("root".to_owned(), "admin".to_owned())];
        world
            .node_mut(name)
            .disk
            .data
            .users
            .get_mut("altcraft")
            .unwrap()
            .1 = roles;
    }
    assert_settled(&*own, &world);
}

#[test]
fn a_key_that_is_not_ours_to_know_is_kept() {
    let mut world = built(&*service(AUTH));
    for name in THREE {
        world.write_file(name, KEY, "⟪kept:0+100⟫\n⟪kept:101+100⟫\n", 0o600, "mongodb");
        world.restart(name);
    }
    let kept = service("security = \"kept\"\nadmin = { password = { file = \"admin\" } }\n");
    assert_settled(&*kept, &world);
    let found = shown(&*service(AUTH), &world);
    assert!(found.contains("holds another key"), "{found}");
}

#[test]
fn after_a_failover_the_new_primary_stays() {
    for more in [AUTH, ""] {
        let service = service(more);
        let mut world = built(&*service);
        world.step_down();
        assert_eq!(world.primary(), Some("db2"));
        assert_settled(&*service, &world);
    }
}

#[test]
fn a_set_without_access_control_may_get_users_and_keep_its_doors() {
    let service = service(
        "security = \"kept\"\nadmin = { password = { file = \"admin\" } }\nusers.altcraft = { password = { file = \"x\" } }\n",
    );
    let mut world = by_hand();
    converge(&*service, &mut world);
    assert!(!world.node("db1").machine.text(CONF).contains("security"));
}
