//! An action that is sent again after its answer was lost: done once, wherever the connection broke, and the host stays
//! locked as long as a command of the lost agent runs.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::frame;
use protocol::{
    Action, ActionError, Change, Command, Operation, Precondition, Query, Request, Response, Text, ToAgent,
};

use crate::Client;
use crate::client::{act, fake_apt, holder, is_alive, until};

type Answer = Result<Change, ActionError>;

fn sh(script: &str) -> Action {
    Action {
        only_if: Vec::new(),
        operation: Operation::Run {
            commands: vec![Command::new(["sh", "-c", script])],
        },
        limit_ms: 30_000,
    }
}

/// A command that appends a line to a file when it is let go on, which a second file does.
struct Append {
    directory: tempfile::TempDir,
    waits: bool,
}

impl Append {
    fn new(waits: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, waits }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn action(&self) -> Action {
        let [lines, begun, go] = ["lines", "begun", "go"].map(|name| self.path(name).display().to_string());
        let wait = format!("echo $$ > {begun}; while ! test -e {go}; do sleep 0.01; done");
        let wait = if self.waits { wait } else { String::new() };
        sh(&format!("{wait}\necho line >> {lines}"))
    }

    fn wait_for_begin(&self) {
        until("the command runs", || {
            fs::read_to_string(self.path("begun")).is_ok_and(|pid| pid.ends_with('\n'))
        });
    }

    fn let_go(&self) {
        fs::write(self.path("go"), "").unwrap();
    }

    fn lines(&self) -> usize {
        fs::read_to_string(self.path("lines"))
            .unwrap_or_default()
            .lines()
            .count()
    }
}

fn answer(client: &mut Client, request: Request) -> Answer {
    match client.request(request) {
        Response::Acted(result) => result,
        other => panic!("{other:?}"),
    }
}

fn is_cut_off(answer: &Answer) -> bool {
    matches!(answer, Err(ActionError::CutOff { .. }))
}

/// A successor of an agent that is gone, with its lock.
fn successor(client: &Client) -> Client {
    let mut next = client.successor();
    next.wait_for_lock();
    next
}

#[test]
fn without_the_run_lock_nothing_is_changed() {
    let append = Append::new(false);
    let mut client = Client::start();
    let answer = client.request(act(1, false, append.action()));
    assert!(
        matches!(&answer, Response::Failed(why) if why.contains("run lock")),
        "{answer:?}"
    );
    assert_eq!(append.lines(), 0);
}

#[test]
fn a_command_whose_answer_was_lost_three_times_is_done_once() {
    let append = Append::new(false);
    let mut client = Client::start();
    client.take_lock(false);
    client.send(act(1, false, append.action()));
    until("the command was run", || append.lines() == 1);
    for _ in 0..3 {
        client.hang_up();
        client = successor(&client);
        client.send(act(1, true, append.action()));
    }
    client.hang_up();
    client = successor(&client);
    let again = answer(&mut client, act(1, true, append.action()));
    assert!(again.unwrap().summary.starts_with("ran sh -c"));
    assert_eq!(append.lines(), 1);
    let other = answer(&mut client, act(2, false, append.action()));
    assert_eq!(
        (other.is_ok(), append.lines()),
        (true, 2),
        "another action is done"
    );
}

#[test]
fn a_request_that_arrived_by_half_was_not_begun_and_is_done() {
    let append = Append::new(false);
    let mut client = Client::start();
    client.take_lock(false);
    let request = act(1, false, append.action());
    let frame = frame::encode(&ToAgent { id: 77, request }).unwrap();
    client.send_bytes(&frame[..frame.len() / 2]);
    client.hang_up();
    let mut next = successor(&client);
    let done = answer(&mut next, act(1, true, append.action()));
    assert_eq!((done.is_ok(), append.lines()), (true, 1));
}

#[test]
fn a_command_that_was_under_way_is_carried_on_and_answered_to_the_next_connection() {
    let append = Append::new(true);
    let mut client = Client::start();
    client.take_lock(false);
    client.send(act(1, false, append.action()));
    append.wait_for_begin();
    client.hang_up();
    let mut next = client.successor();
    let locked = next.request(Request::Lock {
        holder: holder("test@here"),
        had_lock: true,
    });
    assert_eq!(locked, Response::LockedBy(holder("test@here")));
    append.let_go();
    next.wait_for_lock();
    let done = answer(&mut next, act(1, true, append.action()));
    assert_eq!((done.is_ok(), append.lines()), (true, 1));
}

#[test]
fn an_agent_that_is_killed_in_the_middle_leaves_the_host_locked_until_its_command_ends() {
    let append = Append::new(true);
    let mut client = Client::start();
    client.take_lock(false);
    client.send(act(1, false, append.action()));
    append.wait_for_begin();
    client.kill();
    let mut next = client.successor();
    let mut other = holder("ben@desk");
    other.run = "r2".parse().unwrap();
    let Response::LockedBy(found) = next.request(Request::Lock {
        holder: other,
        had_lock: false,
    }) else {
        panic!("two runs at once");
    };
    let pid = fs::read_to_string(append.path("begun")).unwrap();
    let who = format!("test@here, whose sh still runs as PID {}", pid.trim());
    assert_eq!((found.who, found.run), (who, holder("").run));
    append.let_go();
    next.wait_for_lock();
    assert!(!is_alive(&pid));
    let repeated = answer(&mut next, act(1, true, append.action()));
    assert!(is_cut_off(&repeated), "{repeated:?}");
    assert_eq!(append.lines(), 1);
}

#[test]
fn a_daemon_that_a_command_left_behind_does_not_hold_the_lock() {
    let mut client = Client::start();
    let pid_file = client.home.path().join("pid");
    let script = format!("sleep 300 & echo $! > {}", pid_file.display());
    client.perform(sh(&script)).unwrap();
    let daemon = fs::read_to_string(&pid_file).unwrap();
    client.kill();
    let mut next = client.successor();
    next.take_lock(true);
    assert!(is_alive(&daemon), "it would prove nothing");
    std::process::Command::new("kill")
        .arg(daemon.trim())
        .status()
        .unwrap();
}

#[test]
fn an_idempotent_action_whose_agent_was_killed_is_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let begun = directory.path().join("begun");
    let slow = fake_apt(&directory, &format!("touch {}; sleep 1", begun.display()));
    let mut client = Client::start_with(|command| {
        command.env("PATH", &slow);
    });
    client.take_lock(false);
    let install = || Action {
        only_if: Vec::new(),
        operation: Operation::InstallPackages {
            names: vec!["no-such-package".to_owned()],
        },
        limit_ms: 30_000,
    };
    client.send(act(1, false, install()));
    until("apt-get runs", || begun.exists());
    client.kill();
    let mut next = client.successor_with(|command| {
        command.env("PATH", &slow);
    });
    next.wait_for_lock();
    let done = answer(&mut next, act(1, true, install()));
    assert_eq!(done.unwrap().summary, "installed no-such-package");
}

#[test]
fn a_sequence_that_stops_at_the_end_of_the_connection_is_not_begun_again() {
    let append = Append::new(true);
    let mut action = append.action();
    let Operation::Run { commands } = &mut action.operation else {
        panic!("it runs commands");
    };
    let next_file = append.path("next").display().to_string();
    commands.push(Command::new(["touch", &next_file]));
    let mut client = Client::start();
    client.take_lock(false);
    client.send(act(1, false, action.clone()));
    append.wait_for_begin();
    client.hang_up();
    append.let_go();
    let mut next = successor(&client);
    let repeated = answer(&mut next, act(1, true, action));
    let Err(ActionError::CutOff { what }) = repeated else {
        panic!("{repeated:?}");
    };
    assert_eq!(what, format!("the connection ended before touch {next_file}"));
    assert_eq!((append.lines(), Path::new(&next_file).exists()), (1, false));
}

#[test]
fn a_precondition_that_did_not_hold_is_asked_again() {
    let append = Append::new(false);
    let mark = append.path("mark");
    let query = protocol::facts::FileQuery::meta(mark.to_str().unwrap());
    let action = Action {
        only_if: vec![Precondition {
            what: "there is no mark".to_owned(),
            query: query.wrap(),
            fact: protocol::Fact::File(protocol::facts::FileFact::Absent),
        }],
        ..append.action()
    };
    fs::write(&mark, "").unwrap();
    let mut client = Client::start();
    client.take_lock(false);
    let first = answer(&mut client, act(1, false, action.clone()));
    assert!(matches!(first, Err(ActionError::Changed { .. })), "{first:?}");
    fs::remove_file(&mark).unwrap();
    let second = answer(&mut client, act(1, true, action));
    assert_eq!((second.is_ok(), append.lines()), (true, 1));
}

#[test]
fn another_run_knows_nothing_of_the_actions_of_the_last() {
    let append = Append::new(false);
    let mut client = Client::start();
    client.take_lock(false);
    answer(&mut client, act(1, false, append.action())).unwrap();
    client.hang_up();
    client.wait();
    let mut next = client.successor();
    let mut other = holder("ben@desk");
    other.run = "r2".parse().unwrap();
    let lock = Request::Lock {
        holder: other,
        had_lock: false,
    };
    assert_eq!(next.request(lock), Response::Locked);
    answer(&mut next, act(1, false, append.action())).unwrap();
    assert_eq!(append.lines(), 2);
    next.hang_up();
    next.wait();
    // The first run comes back: what it sent before is not known any more, and not repeated.
    let mut back = successor(&next);
    assert!(is_cut_off(&answer(&mut back, act(1, true, append.action()))));
    assert_eq!(append.lines(), 2);
}

#[test]
fn no_secret_stands_in_the_record() {
    let secret = "hunter2-hunter2-hunter2-hunter2-";
    let mut client = Client::start();
    client.hand_over(&[("pw", secret)]);
    let mut action = sh("cat >&2; exit 1");
    let Operation::Run { commands } = &mut action.operation else {
        panic!("it runs a command");
    };
    commands[0].stdin = Some(Text::new("⟪secret:pw⟫"));
    let error = client.perform(action).unwrap_err().to_string();
    assert!(error.ends_with("exit status 1\n***"), "{error}");
    let record = fs::read(client.record()).unwrap();
    let holds = |text: &str| record.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("exit status 1") && !holds(secret));
}

#[test]
fn apt_is_left_to_end_when_its_time_is_over_and_keeps_the_host_locked_until_then() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (begun, go, ended) = (path("begun"), path("go"), path("ended"));
    let script = format!(
        "echo $$ > {}; while ! test -e {}; do echo unpacking; sleep 0.01; done; echo done; touch {}",
        begun.display(),
        go.display(),
        ended.display()
    );
    let slow = fake_apt(&directory, &script);
    let mut client = Client::start_with(|command| {
        command.env("PATH", &slow);
    });
    let error = client
        .perform(Action {
            only_if: Vec::new(),
            operation: Operation::InstallPackages {
                names: vec!["no-such-package".to_owned()],
            },
            limit_ms: 1500,
        })
        .unwrap_err();
    let pid = fs::read_to_string(&begun).unwrap();
    let said = error.to_string();
    let told = format!("still runs as PID {} and is left to end", pid.trim());
    assert!(
        said.starts_with("not done within 1500 ms: apt-get ") && said.ends_with(&told),
        "{said}"
    );
    // The agent ends with its connection, and does not take it along.
    client.hang_up();
    assert!(client.wait().success());
    assert!(is_alive(&pid));
    let mut next = client.successor();
    let Response::LockedBy(found) = next.request(Request::Lock {
        holder: holder("test@here"),
        had_lock: true,
    }) else {
        panic!("apt-get is at work");
    };
    let who = format!("test@here, whose apt-get still runs as PID {}", pid.trim());
    assert_eq!(found.who, who);
    fs::write(&go, "").unwrap();
    next.wait_for_lock();
    assert!(ended.exists(), "it was stopped in the middle");
}

#[test]
fn what_apt_said_is_told_where_it_fails() {
    let directory = tempfile::tempdir().unwrap();
    let slow = fake_apt(&directory, "echo fetching; echo E: no such thing >&2; exit 100");
    let mut client = Client::start_with(|command| {
        command.env("PATH", &slow);
    });
    let error = client
        .act(Operation::InstallPackages {
            names: vec!["no-such-package".to_owned()],
        })
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot install no-such-package:\nE: no such thing"),
        "{error}"
    );
}

#[test]
fn a_program_that_is_missing_is_named() {
    let mut client = Client::start();
    let action = Action {
        operation: Operation::Run {
            commands: vec![Command::new(["/no/such/program"])],
        },
        ..sh("")
    };
    let error = client.perform(action).unwrap_err().to_string();
    assert!(
        error.ends_with("cannot start /no/such/program: no such file or directory"),
        "{error}"
    );
}
