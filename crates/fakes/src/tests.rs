//! Hosts in memory check and tell what the agent checks and tells.

use protocol::facts::FileQuery;
use protocol::{ActionError, FileState, Operation, UnitVerb};

use super::Machine;

fn write(text: &str, was: FileState) -> Operation {
    Operation::WriteFile {
        path: "/etc/a".to_owned(),
        text: text.into(),
        mode: 0o640,
        owner: "root".to_owned(),
        group: "adm".to_owned(),
        was,
        trial: None,
    }
}

#[test]
fn a_file_is_written_only_over_what_was_seen() {
    let mut machine = Machine::default();
    assert_eq!(machine.put(&write("1", FileState::Absent), 1), Some(Ok(())));
    let seen = machine.file_fact(&FileQuery::text("/etc/a"));
    assert_eq!(seen.text().map(protocol::Text::as_str), Some("1"));
    assert_eq!(machine.put(&write("2", seen.state()), 2), Some(Ok(())));
    let again = machine.put(&write("3", seen.state()), 3);
    assert!(matches!(again, Some(Err(ActionError::Changed { .. }))));
    assert_eq!(machine.text("/etc/a"), "2");
}

#[test]
fn a_unit_that_is_started_again_is_another_invocation() {
    let mut machine = Machine::default();
    assert!(!machine.unit_fact("a.service").exists());
    machine.unit("a.service").start(5);
    let first = machine.unit_fact("a.service");
    machine.unit("a.service").start(7);
    let second = machine.unit_fact("a.service");
    assert!(first.is_active() && second.started_us == 7 && first.invocation != second.invocation);
    machine.unit("a.service").die();
    assert_eq!(machine.unit_fact("a.service").active, "failed");
}

#[test]
fn what_an_agent_started_a_unit_with_is_told_until_somebody_else_starts_it() {
    let mut machine = Machine::default();
    machine.write("/a", "1", 0o644, "root", 1);
    machine.unit("a.service");
    let start = Operation::Unit {
        name: "a.service".to_owned(),
        verbs: vec![UnitVerb::Start],
        reads: vec!["/a".to_owned(), "/none".to_owned()],
    };
    let told = |machine: &Machine| -> Vec<bool> {
        let fact = machine.unit_fact("a.service");
        fact.started_with.iter().map(|file| file.is_same).collect()
    };
    machine.note(&start);
    machine.unit("a.service").start(2);
    // One that runs is not started.
    machine.write("/a", "2", 0o644, "root", 3);
    machine.note(&start);
    assert_eq!(told(&machine), [false, true]);
    machine.unit("a.service").start(4);
    assert!(told(&machine).is_empty());
}
