//! Which file is written when, and what is put back: tasks in the order of a playbook, and the order in which they run.

use super::*;
use protocol::{FileState, Text};

/// A file, of the step 0.
fn file(host: &str, path: &str) -> Placed {
    let operation = Operation::WriteFile {
        path: path.to_owned(),
        text: Text::new(""),
        mode: 0o644,
        owner: String::new(),
        group: String::new(),
        was: FileState::Any,
        trial: None,
    };
    placed("config", 0, path, host, operation, false)
}

/// A restart with a file, of the step 2.
fn restart(host: &str, path: &str) -> Placed {
    let operation = Operation::Unit {
        name: "db.service".to_owned(),
        verbs: vec![UnitVerb::Restart],
        reads: vec![path.to_owned()],
    };
    placed("restart", 2, "", host, operation, true)
}

/// The start of a process that is down, with a file, of the step 1.
fn start(host: &str, path: &str) -> Placed {
    let operation = Operation::Unit {
        name: "db.service".to_owned(),
        verbs: vec![UnitVerb::Start],
        reads: vec![path.to_owned()],
    };
    placed("start", 1, "", host, operation, false)
}

/// Something else, without a disruption.
fn other(step: &str, at: usize, host: &str) -> Placed {
    placed(step, at, "", host, Operation::Run { commands: Vec::new() }, false)
}

fn placed(step: &str, at: usize, part: &str, host: &str, operation: Operation, disrupts: bool) -> Placed {
    let host: HostName = host.parse().unwrap();
    let id = NodeId::of("db", &step.parse().unwrap(), part.trim_start_matches('/'), &host);
    let task = Task::new(&host, "", "", kit::action(operation, 0)).disrupting(disrupts);
    Placed::new(id, at, task)
}

/// What is done in which order; steps 1 and 2 are serial.
fn order(all: Vec<Placed>) -> Vec<String> {
    let arranged = arrange(all, |step| step > 0);
    let line = |placed: &Placed| {
        let id = placed.id.as_str().trim_start_matches("db/");
        let after = placed
            .proof
            .as_ref()
            .map(|proof| format!(" after {}", proof.as_str().trim_start_matches("db/")));
        let files: Vec<&str> = placed
            .files
            .iter()
            .map(|id| id.as_str().trim_start_matches("db/"))
            .collect();
        let puts_back = if files.is_empty() {
            String::new()
        } else {
            format!(", or puts back {}", files.join(" "))
        };
        format!("{}: {id}{}{puts_back}", placed.step, after.unwrap_or_default())
    };
    arranged.iter().map(line).collect()
}

const ALL: [&str; 3] = ["db1", "db2", "db3"];

#[test]
fn a_members_file_is_written_in_its_turn_and_after_the_first_has_proven_it() {
    let files = ALL.map(|host| file(host, "/a"));
    let rest = [other("step-down", 2, "db1")];
    let restarts = ["db2", "db3"].map(|host| restart(host, "/a"));
    let all = files
        .into_iter()
        .chain([other("members", 1, "db1")])
        .chain(restarts)
        .chain(rest);
    let all: Vec<Placed> = all.chain([restart("db1", "/a")]).collect();
    assert_eq!(
        order(all),
        [
            "1: members@db1",
            "2: config.a@db2",
            "2: restart@db2, or puts back config.a@db2",
            "2: config.a@db3 after restart@db2",
            "2: restart@db3, or puts back config.a@db3",
            "2: config.a@db1 after restart@db2",
            "2: step-down@db1",
            "2: restart@db1, or puts back config.a@db1",
        ]
    );
}

#[test]
fn a_member_that_needs_no_restart_gets_its_file_after_the_first_that_does() {
    let all = vec![file("db1", "/a"), file("db2", "/a"), restart("db2", "/a")];
    assert_eq!(
        order(all),
        [
            "2: config.a@db2",
            "2: restart@db2, or puts back config.a@db2",
            "2: config.a@db1 after restart@db2",
        ]
    );
}

#[test]
fn where_nothing_restarts_one_member_is_first() {
    let all = ALL.map(|host| file(host, "/a")).to_vec();
    assert_eq!(
        order(all),
        [
            "0: config.a@db1",
            "0: config.a@db2 after config.a@db1",
            "0: config.a@db3 after config.a@db1"
        ]
    );
}

#[test]
fn members_that_are_down_are_not_held_back() {
    let all = vec![
        file("db1", "/a"),
        file("db2", "/a"),
        file("db3", "/a"),
        start("db1", "/a"),
        restart("db2", "/a"),
        restart("db3", "/a"),
    ];
    assert_eq!(
        order(all),
        [
            "0: config.a@db1",
            "1: start@db1",
            "2: config.a@db2",
            "2: restart@db2, or puts back config.a@db2",
            "2: config.a@db3 after restart@db2",
            "2: restart@db3, or puts back config.a@db3",
        ]
    );
}

#[test]
fn what_is_taken_while_the_process_runs_is_its_turn_where_no_file_needs_a_restart() {
    let take = |host: &str| {
        let mut taking = other("set", 1, host);
        taking.task.takes.push("/a".to_owned());
        taking
    };
    let all = vec![file("db1", "/a"), file("db2", "/a"), take("db1"), take("db2")];
    assert_eq!(
        order(all),
        [
            "1: config.a@db1",
            "1: set@db1, or puts back config.a@db1",
            "1: config.a@db2 after set@db1",
            "1: set@db2, or puts back config.a@db2",
        ]
    );
    let all = vec![
        file("db1", "/a"),
        file("db2", "/a"),
        take("db1"),
        take("db2"),
        restart("db1", "/a"),
    ];
    assert_eq!(
        order(all),
        [
            "1: set@db1",
            "1: set@db2",
            "2: config.a@db1",
            "2: restart@db1, or puts back config.a@db1",
            "2: config.a@db2 after restart@db1",
        ]
    );
}

#[test]
fn a_file_is_not_written_where_what_would_prove_it_is_refused() {
    let removed = |all: Vec<Placed>, stopped: &str| {
        let mut all = all;
        let is_stopped = |step: usize, host: &HostName| step < 2 && host.as_str() == stopped;
        let removed = remove_unproven(&mut all, |step| step > 0, is_stopped);
        let ids = removed
            .iter()
            .map(|placed| placed.id.as_str().trim_start_matches("db/").to_owned());
        ids.collect::<Vec<String>>()
    };
    let files = || ALL.map(|host| file(host, "/a")).to_vec();
    assert_eq!(removed(files(), "db1"), ["config.a@db1"]);
    let started = files().into_iter().chain([start("db1", "/a")]).collect();
    assert_eq!(removed(started, "db1"), [""; 0], "it is down");
    let proven = files().into_iter().chain([restart("db2", "/a")]).collect();
    assert_eq!(removed(proven, "db1"), [""; 0], "db2 proves it");
}

#[test]
fn a_member_that_has_the_file_already_comes_first() {
    let all = vec![
        file("db2", "/a"),
        file("db3", "/a"),
        restart("db2", "/a"),
        restart("db3", "/a"),
        other("step-down", 2, "db1"),
        restart("db1", "/a"),
    ];
    assert_eq!(
        order(all),
        [
            "2: step-down@db1",
            "2: restart@db1",
            "2: config.a@db2 after restart@db1",
            "2: restart@db2, or puts back config.a@db2",
            "2: config.a@db3 after restart@db1",
            "2: restart@db3, or puts back config.a@db3",
        ]
    );
}

#[test]
fn a_turn_that_needs_others_first_keeps_its_place() {
    let canary = |host: &str| {
        placed(
            "canary",
            2,
            host,
            host,
            Operation::Run { commands: Vec::new() },
            false,
        )
    };
    let all = vec![
        file("db2", "/a"),
        canary("db1"),
        restart("db2", "/a"),
        canary("db3"),
        restart("db1", "/a"),
    ];
    assert_eq!(
        order(all),
        [
            "2: canary.db1@db1",
            "2: config.a@db2",
            "2: restart@db2, or puts back config.a@db2",
            "2: canary.db3@db3",
            "2: restart@db1",
        ]
    );
}

#[test]
fn a_member_that_is_started_and_then_changed_keeps_its_place() {
    let changed = Placed {
        step: 2,
        ..file("db2", "/a")
    };
    let demoted = Placed {
        step: 2,
        ..file("db1", "/a")
    };
    let all = vec![
        start("db2", "/a"),
        demoted,
        restart("db1", "/a"),
        changed,
        restart("db2", "/a"),
    ];
    assert_eq!(
        order(all),
        [
            "1: start@db2",
            "2: config.a@db1",
            "2: restart@db1, or puts back config.a@db1",
            "2: config.a@db2",
            "2: restart@db2",
        ]
    );
}

#[test]
fn what_is_written_again_in_the_turn_is_put_back_last() {
    let again = Operation::SetDirectives {
        path: "/a".to_owned(),
        directives: Vec::new(),
    };
    let all = vec![
        file("db1", "/a"),
        other("failover", 2, "db2"),
        placed("again", 2, "", "db1", again, false),
        restart("db1", "/a"),
    ];
    assert_eq!(
        order(all),
        [
            "2: failover@db2",
            "2: config.a@db1",
            "2: again@db1",
            "2: restart@db1, or puts back config.a@db1 again@db1",
        ]
    );
}
