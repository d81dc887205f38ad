//! What is not done, with why and the way out.

use insta::assert_snapshot;

use super::{Host, INVENTORY, Role, STARTED, converged, fresh, outline, plan_of};

fn app1() -> (&'static str, Host) {
    ("app1", converged(INVENTORY, "app1"))
}

#[test]
fn a_main_json_that_is_no_json_is_not_touched() {
    let broken = Host {
        main: Some("{\n  \"A\": 1,\n  \"B\" 2\n}\n".to_owned()),
        ..fresh()
    };
    assert_snapshot!(plan_of(INVENTORY, &[app1(), ("app2", broken)], &[]));
}

#[test]
fn a_host_without_the_platform_is_not_touched() {
    let bare = Host {
        main: None,
        ..fresh()
    };
    assert_snapshot!(plan_of(INVENTORY, &[app1(), ("app2", bare)], &[]));
}

#[test]
fn a_key_that_stands_there_twice_is_not_guessed() {
    let text = "{ \"SSDB_NOTIFY\": [], \"SSDB_NOTIFY\": [] }";
    let twice = Host {
        main: Some(text.to_owned()),
        ..fresh()
    };
    assert_snapshot!(plan_of(INVENTORY, &[app1(), ("app2", twice)], &[]));
}

#[test]
fn the_master_does_not_move_away_from_a_host_that_cannot_be_seen() {
    let moved = INVENTORY.replace(
        "[services.altcraft]\n",
        "[services.altcraft]\nmaster = \"app2\"\n",
    );
    let app2 = ("app2", converged(INVENTORY, "app2"));
    assert_snapshot!(outline(&moved, std::slice::from_ref(&app2)));
    // The same when main.json was written already, and names the old master no more.
    let mut written = converged(&moved, "app2");
    written.modified_us = STARTED + 1_000_000;
    written.runs = [Some(Role::Slave); 2];
    assert!(outline(&moved, &[("app2", written)]).starts_with("refused: the master does not move to app2"));
    let allowed = plan_of(&moved, &[app2], &["altcraft.master=app2"]);
    assert!(
        allowed.contains("app2 [proctask]: restart proctask.service"),
        "{allowed}"
    );
}

#[test]
fn the_master_does_not_move_to_a_host_that_cannot_be_seen() {
    let moved = INVENTORY.replace(
        "[services.altcraft]\n",
        "[services.altcraft]\nmaster = \"app2\"\n",
    );
    assert!(outline(&moved, &[app1()]).starts_with("refused: the master does not move to app2"));
}

#[test]
fn a_lost_host_does_not_stop_the_other_where_the_master_stays() {
    let moved = INVENTORY.replace("port = 4430", "port = 4431");
    assert_snapshot!(outline(&moved, &[app1()]));
}
