//! Pauses and the program before a disruption, right and wrong.

use insta::assert_snapshot;

use super::inventory;
use crate::{Pause, Until};

/// 2026-12-24T08:00:00Z.
const CHRISTMAS_EVE: i64 = 1_798_099_200_000_000;

fn of_host(paused: &str) -> Option<Pause> {
    let read = inventory(&format!("[hosts.db1]\npaused = {paused}\n"));
    assert_eq!(read.said(), "");
    read.value.hosts[&"db1".parse().unwrap()].paused.clone()
}

#[test]
fn a_host_and_a_service_are_paused_until_a_moment_or_without_end() {
    let read = inventory(
        r#"
before_disruption = ["agree", "--all"]

[hosts]
db1 = { address = "10.0.0.1", paused = { reason = " its disk is replaced ", until = "2026-12-24T08:00:00Z" } }
db2 = {}

[services.mq]
kind = "rabbitmq"
hosts = ["db1", "db2"]
paused = { reason = "a customer's release" }
"#,
    );
    assert_eq!(read.said(), "");
    let inventory = read.value;
    assert_eq!(inventory.hosts[&"db2".parse().unwrap()].paused, None);
    let host = inventory.hosts[&"db1".parse().unwrap()].paused.as_ref().unwrap();
    let until = Until {
        text: "2026-12-24T08:00:00Z".to_owned(),
        at_us: CHRISTMAS_EVE,
    };
    assert_eq!(
        (host.reason.as_str(), &host.until),
        ("its disk is replaced", &Some(until))
    );
    assert!(!host.is_over(CHRISTMAS_EVE - 1) && host.is_over(CHRISTMAS_EVE));
    let service = &inventory.services[0];
    let endless = service.paused.as_ref().unwrap();
    assert_eq!(
        (endless.reason.as_str(), &endless.until),
        ("a customer's release", &None)
    );
    assert!(!endless.is_over(i64::MAX));
    assert_eq!(service.settings.entries.len(), 0, "no setting of its kind");
    assert_eq!(inventory.before_disruption.unwrap(), ["agree", "--all"]);
}

#[test]
fn a_moment_is_the_same_in_every_zone_and_spelling() {
    for (written, at_us) in [
        ("\"2026-12-24T08:00:00Z\"", CHRISTMAS_EVE),
        ("\"2026-12-24 10:30:00+02:30\"", CHRISTMAS_EVE),
        ("\"2026-12-23T23:00-09:00\"", CHRISTMAS_EVE),
        ("2026-12-24T08:00:00.5Z", CHRISTMAS_EVE),
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T00:00:00Z", 951_782_400_000_000),
        ("2000-03-01T00:00:00Z", 951_868_800_000_000),
        ("2100-03-01T00:00:00Z", 4_107_542_400_000_000),
    ] {
        let pause = of_host(&format!("{{ reason = \"x\", until = {written} }}")).unwrap();
        assert_eq!(pause.until.unwrap().at_us, at_us, "{written}");
    }
}

#[test]
fn what_is_no_pause_is_told_at_its_place_with_an_example() {
    assert_snapshot!(
        inventory(
            r#"
before_disruption = "agree --all"

[hosts]
db1 = { paused = true }
db2 = { paused = { until = "2026-12-24T08:00:00Z" } }
db3 = { paused = { reason = " ", until = "tomorrow" } }
db4 = { paused = { reason = "x", until = "2026-12-24T08:00:00", since = "now" } }
db5 = { paused = { reason = "x", until = "2026-02-29T08:00:00Z" } }
db6 = { paused = { reason = 7, until = 2026-12-24 } }
db7 = { paused = { reason = "x", until = 60 } }

[services.mq]
kind = "rabbitmq"
hosts = ["db1"]
paused = "for a release"
"#
        )
        .said()
    );
}

#[test]
fn what_is_no_program_with_arguments_is_told() {
    for written in ["[]", "[\"\"]", "[7]", "[\"agree\", \"\\u0000\"]", "true"] {
        let said = inventory(&format!("before_disruption = {written}\n[hosts]\ndb1 = {{}}\n")).said();
        assert!(
            said.contains("invalid value for before_disruption"),
            "{written}: {said}"
        );
        assert!(said.contains("no shell reads it"), "{written}: {said}");
    }
}
