//! A controller that is gone without a word: its host was cut off, or it was suspended.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent::{Listener, Options, ServeError};
use protocol::{Action, ActionId, ActionRequest, Command, Operation, Request, ToAgent, frame};

use crate::client::{holder, until};

const PATIENCE: Duration = Duration::from_millis(300);

/// What an agent writes its answers to: it takes so many, and then nobody reads any more, as behind a cut cable.
struct Cut(usize);

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            loop {
                std::thread::park();
            }
        }
        self.0 -= 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An agent in this process.
struct Agent {
    requests: File,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Agent {
    fn start(home: &Path, answers: Cut) -> Self {
        let (input, requests) = io::pipe().unwrap();
        let listener = Listener::new(OwnedFd::from(input).into(), PATIENCE);
        let options = Options {
            backups: home.join("backups"),
            lock: home.join("lock"),
            starter: None,
        };
        Self {
            requests: OwnedFd::from(requests).into(),
            served: std::thread::spawn(move || agent::serve(listener, answers, options)),
        }
    }

    fn send(&mut self, request: Request) {
        let frame = frame::encode(&ToAgent { id: 1, request }).unwrap();
        self.requests.write_all(&frame).unwrap();
    }

    fn lock(&mut self) {
        let (holder, had_lock) = (holder("anna@laptop"), false);
        self.send(Request::Lock { holder, had_lock });
    }

    /// A command that makes a file after a while.
    fn begin(&mut self, file: &Path) {
        let script = format!("sleep 1; touch {}", file.display());
        let operation = Operation::Run {
            commands: vec![Command::new(["sh", "-c", &script])],
        };
        let action = Action {
            only_if: Vec::new(),
            operation,
            limit_ms: 30_000,
        };
        self.send(Request::Act(Box::new(ActionRequest {
            id: ActionId {
                node: "a".parse().unwrap(),
                number: 1,
            },
            is_repeated: false,
            action,
        })));
    }
}

fn is_locked(home: &Path) -> bool {
    File::open(home.join("lock")).is_ok_and(|file| file.try_lock().is_err())
}

#[test]
fn the_lock_is_free_soon_after_the_controller_fell_silent_and_not_before() {
    let home = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(home.path(), Cut(usize::MAX));
    agent.lock();
    until("the lock is taken", || is_locked(home.path()));
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE * 3 {
        agent.send(Request::Heartbeat);
        assert!(is_locked(home.path()));
        std::thread::sleep(PATIENCE / 10);
    }
    assert!(matches!(agent.served.join().unwrap(), Err(ServeError::Silent)));
    assert!(!is_locked(home.path()));
}

#[test]
fn the_action_under_way_is_finished_though_nobody_reads_answers() {
    let home = tempfile::tempdir().unwrap();
    let made = home.path().join("made");
    // The greeting and the lock.
    let mut agent = Agent::start(home.path(), Cut(2));
    agent.lock();
    agent.begin(&made);
    agent.send(Request::Gather(Vec::new()));
    let ended = agent.served.join().unwrap();
    assert!(matches!(ended, Err(ServeError::Silent)), "{ended:?}");
    // The lock ends with the process.
    assert!(made.exists(), "the action was cut off");
}
