//! The journal from outside: what is written is read again, by the next process that opens the file.
#![expect(clippy::unwrap_used, reason = "a test fails where its helper does")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use plan::{Event, Failure, NodeOutcome, NotRun, Outcome};
use protocol::Change;
use state::{Journal, JournalError, RunEnd, RunInfo, RunNode};
use types::NodeId;

const RUN: &str = "0193aaaa-0000-7000-8000-000000000001";

fn node(id: &str) -> NodeId {
    id.parse().unwrap()
}

fn info(run: &str, started_us: i64) -> RunInfo {
    RunInfo {
        run: run.parse().unwrap(),
        started_us,
        who: "ana@bastion".to_owned(),
        command: "clusterctl apply inventory.toml".to_owned(),
        inventory: "inventory.toml".to_owned(),
        nodes: vec![RunNode {
            node: node("mq/restart@db1"),
            host: "db1".parse().unwrap(),
            title: "restart rabbitmq-server".to_owned(),
            needs: [node("mq/config@db1")].into(),
            disrupts: ["mq".parse().unwrap()].into(),
        }],
    }
}

fn outcome() -> Outcome {
    Outcome {
        done: 1,
        failed: 4,
        not_run: 4,
        interrupted: true,
    }
}

/// One event of every kind: what a format must be able to hold.
fn all_events() -> Vec<(i64, Event)> {
    let finished = |outcome| Event::NodeFinished {
        node: node("mq/restart@db1"),
        outcome,
    };
    let failed = |failure| finished(NodeOutcome::Failed { failure });
    let not_run = |why| finished(NodeOutcome::NotRun { why });
    let text = |text: &str| text.to_owned();
    let events = vec![
        Event::RunStarted { nodes: 9 },
        Event::NodeStarted {
            node: node("mq/restart@db1"),
            host: "db1".parse().unwrap(),
        },
        Event::NodeWaiting {
            node: node("mq/restart@db1"),
            why: text("db1 is running: 2 of 3 members"),
        },
        finished(NodeOutcome::Done {
            change: Some(Change {
                summary: text("wrote /etc/rabbitmq/rabbitmq.conf"),
                backup: Some(text("/etc/rabbitmq/rabbitmq.conf.20261103T101500Z")),
                wrote: None,
            }),
        }),
        finished(NodeOutcome::Done { change: None }),
        failed(Failure::Changed {
            what: text("the file was edited"),
        }),
        failed(Failure::Action {
            message: text("exit status 1"),
        }),
        failed(Failure::Gate {
            title: text("db1 is running"),
            last: text("node down"),
        }),
        failed(Failure::Lost {
            message: text("connection reset"),
        }),
        not_run(NotRun::Dependency {
            on: node("mq/config@db1"),
        }),
        not_run(NotRun::RolloutStopped {
            by: node("mq/restart@db2"),
        }),
        not_run(NotRun::Budget {
            group: "mq".parse().unwrap(),
            unavailable: vec!["db3".parse().unwrap()],
        }),
        not_run(NotRun::FailFast),
        not_run(NotRun::Interrupted),
        Event::Interrupted,
        Event::RunFinished { outcome: outcome() },
    ];
    (1_700_000_000_000_001..).zip(events).collect()
}

fn write_run(journal: &Journal, info: &RunInfo) {
    let mut writer = journal.begin(info).unwrap();
    for (at_us, event) in all_events() {
        writer.append(at_us, &event).unwrap();
    }
    writer.finish(1_700_000_001_000_000, &outcome()).unwrap();
}

fn in_directory(test: impl FnOnce(&Path)) {
    let directory = tempfile::tempdir().unwrap();
    test(directory.path());
}

#[test]
fn what_is_written_is_read_again() {
    in_directory(|directory| {
        let path = directory.join("a/b/journal.db");
        write_run(&Journal::open(&path).unwrap(), &info(RUN, 1_700_000_000_000_000));
        let journal = Journal::open(&path).unwrap();
        let record = journal.run("0193aaaa").unwrap();
        assert_eq!(record.info, info(RUN, 1_700_000_000_000_000));
        assert_eq!(record.events, all_events());
        let end = RunEnd {
            at_us: 1_700_000_001_000_000,
            outcome: outcome(),
        };
        assert_eq!(record.end, Some(end));
        let summary = &journal.runs(10).unwrap()[0];
        assert_eq!((summary.nodes, summary.end), (1, Some(end)));
        assert_eq!(summary.last_us, 1_700_000_000_000_016);
    });
}

#[test]
fn a_file_of_format_1_is_read() {
    in_directory(|directory| {
        let path = directory.join("journal.db");
        let golden = include_str!("golden/journal-1.sql");
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(golden)
            .unwrap();
        let record = Journal::open(&path).unwrap().run(RUN).unwrap();
        assert_eq!(record.info, info(RUN, 1_700_000_000_000_000));
        assert_eq!(record.events, all_events());
        assert_eq!(record.end.map(|end| end.outcome), Some(outcome()));
    });
}

/// If this fails, the format changed: leave the old golden file as it is, add a migration and a new golden file.
#[test]
fn todays_format_is_that_of_the_newest_golden_file() {
    in_directory(|directory| {
        let today = directory.join("today.db");
        write_run(&Journal::open(&today).unwrap(), &info(RUN, 1_700_000_000_000_000));
        let golden = directory.join("golden.db");
        rusqlite::Connection::open(&golden)
            .unwrap()
            .execute_batch(include_str!("golden/journal-1.sql"))
            .unwrap();
        assert_eq!(dump(&today), dump(&golden));
    });
}

/// Tables and rows, without the spaces and comments of the SQL that made them.
fn dump(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let rows = |sql: &str| -> Vec<String> {
        let mut query = connection.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut dump = rows(
        "SELECT m.name || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk \
         FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.cid",
    );
    dump.extend(rows("SELECT 'format ' || user_version FROM pragma_user_version"));
    dump.extend(rows(
        "SELECT json_array(run, started_us, who, command, inventory, node_count, nodes, \
                      ended_us, done, failed, not_run, interrupted) FROM runs",
    ));
    dump.extend(rows(
        "SELECT json_array(run, seq, at_us, event) FROM events ORDER BY seq",
    ));
    dump
}

#[test]
fn a_run_without_an_end_is_unfinished_and_the_newest_comes_first() {
    in_directory(|directory| {
        let journal = Journal::open(directory.join("journal.db")).unwrap();
        write_run(&journal, &info(RUN, 1_000));
        let mut killed = journal.begin(&info("0193bbbb", 2_000)).unwrap();
        killed.append(2_500, &Event::RunStarted { nodes: 1 }).unwrap();
        drop(killed);
        let runs = journal.runs(10).unwrap();
        let ends: Vec<_> = runs
            .iter()
            .map(|run| (run.started_us, run.end.is_some()))
            .collect();
        assert_eq!(ends, [(2_000, false), (1_000, true)]);
        assert_eq!(runs[0].last_us, 2_500);
        assert_eq!(journal.runs(1).unwrap().len(), 1);
        assert_eq!(journal.run("0193bbbb").unwrap().end, None);
    });
}

#[test]
fn a_prefix_must_mean_one_run() {
    in_directory(|directory| {
        let journal = Journal::open(directory.join("journal.db")).unwrap();
        for (at, run) in (0..).zip(["0193", "0193aa", "0193ab", "%"]) {
            journal.begin(&info(run, at)).unwrap();
        }
        let error = |prefix| journal.run(prefix).unwrap_err().to_string();
        assert_eq!(
            error("0193a"),
            "several runs begin with \"0193a\": 0193ab, 0193aa"
        );
        assert_eq!(error("ffff"), "no run begins with \"ffff\"");
        assert!(error("").starts_with("several runs"));
        assert_eq!(journal.run("0193").unwrap().info.run.as_str(), "0193");
        assert_eq!(journal.run("%").unwrap().info.run.as_str(), "%");
    });
}

#[test]
fn files_that_are_no_journal_of_ours_are_refused() {
    in_directory(|directory| {
        let newer = directory.join("newer.db");
        Journal::open(&newer).unwrap();
        rusqlite::Connection::open(&newer)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        let error = Journal::open(&newer).unwrap_err();
        assert!(matches!(
            error,
            JournalError::Newer {
                found: 99,
                known: 1,
                ..
            }
        ));
        assert!(error.to_string().contains("use a newer clusterctl"), "{error}");

        let foreign = directory.join("foreign.db");
        rusqlite::Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE bookmarks (url TEXT)")
            .unwrap();
        assert!(matches!(
            Journal::open(&foreign).unwrap_err(),
            JournalError::Foreign { .. }
        ));

        let text = directory.join("notes.txt");
        std::fs::write(
            &text,
            "not a database, but long enough to be looked at as one".repeat(40),
        )
        .unwrap();
        assert!(matches!(
            Journal::open(&text).unwrap_err(),
            JournalError::Store { doing: "open", .. }
        ));
    });
}

#[test]
fn the_journal_is_for_its_user_alone() {
    in_directory(|directory| {
        let path = directory.join("state/clusterctl/journal.db");
        let journal = Journal::open(&path).unwrap();
        let _writer = journal.begin(&info(RUN, 1)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(path.parent().unwrap().parent().unwrap()), 0o700);
    });
}

#[test]
fn many_may_make_and_write_the_journal_at_once() {
    in_directory(|directory| {
        let path = &directory.join("journal.db");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                scope.spawn(move || {
                    let journal = Journal::open(path).unwrap();
                    write_run(&journal, &info(&format!("run-{writer}"), writer));
                });
            }
        });
        let journal = Journal::open(path).unwrap();
        let runs = journal.runs(100).unwrap();
        assert_eq!(runs.len(), 8);
        for run in runs {
            assert_eq!(journal.run(run.run.as_str()).unwrap().events, all_events());
        }
    });
}

/// A process that is killed closes nothing. Here the connection is leaked instead, and the file is read as it lies.
#[test]
fn every_appended_event_survives_a_kill() {
    in_directory(|directory| {
        let path = directory.join("journal.db");
        let journal = Journal::open(&path).unwrap();
        let mut writer = journal.begin(&info(RUN, 1)).unwrap();
        for (at_us, event) in all_events() {
            writer.append(at_us, &event).unwrap();
        }
        let copy = directory.join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
        let record = Journal::open(&copy).unwrap().run(RUN).unwrap();
        assert_eq!(record.events, all_events());
        assert_eq!(record.end, None);
    });
}
