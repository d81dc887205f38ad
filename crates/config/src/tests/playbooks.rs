//! Playbooks, right and wrong.

use insta::assert_snapshot;

use super::playbook;
use crate::Rollout;

#[test]
fn a_playbook_is_read_whole() {
    let read = playbook(
        r#"
title = "Move the store"
hosts = ["db1"]

[[steps]]
uses = "file"
with = { path = "/etc/x", text = "y" }

[[steps]]
id = "restart-it"
uses = "unit"
barrier = true
rollout = "serial"
hosts = "db1"
"#,
    );
    assert_eq!(read.said(), "");
    let playbook = read.value;
    assert_eq!(playbook.title, "Move the store");
    let [file, unit] = playbook.steps.as_slice() else {
        panic!("{:?}", playbook.steps);
    };
    assert_eq!(
        (file.id.as_str(), file.barrier, file.rollout),
        ("file", false, Rollout::Parallel)
    );
    assert_eq!(file.with.entries.len(), 2);
    assert_eq!(
        (unit.id.as_str(), unit.barrier, unit.rollout),
        ("restart-it", true, Rollout::Serial)
    );
    assert_eq!(unit.hosts.as_ref().unwrap()[0].0, "db1");
}

#[test]
fn a_step_is_named_after_its_kind() {
    let read = playbook("[[steps]]\nuses = \"rabbitmq.join\"\n");
    assert_eq!(read.said(), "");
    assert_eq!(read.value.steps[0].id.as_str(), "join");
}

#[test]
fn everything_wrong_with_a_step_is_told_at_once() {
    let read = playbook(
        r#"
titel = "x"
kind = 5

[[steps]]
usess = "file"
barrier = "yes"
rolout = "serial"

[[steps]]
id = "Bad Id"
uses = "file"
rollout = "seriel"
with = 3

[[steps]]
uses = ""

[[steps]]
uses = 7
wiht = {}
"#,
    );
    assert_snapshot!(read.said());
}

#[test]
fn two_steps_of_one_name_are_told_with_both_places() {
    let read = playbook(
        "[[steps]]\nuses = \"file\"\n\n[[steps]]\nuses = \"unit\"\nid = \"file\"\n\n[[steps]]\nuses = \"file\"\n",
    );
    assert_snapshot!(read.said());
}

#[test]
fn steps_are_a_list_of_tables() {
    let said = [
        "",
        "steps = 3",
        "steps = [1]",
        "[steps]\nuses = \"file\"",
        "[[steps]",
    ]
    .map(|text| playbook(text).said());
    assert_snapshot!(said.join("---\n"));
}
