//! The agent's record of actions, in the conversations that the executor's fake hosts play too.

use std::fs;
use std::path::PathBuf;

use protocol::{Action, ActionError, Change, Command, Operation, Request, Response};
use tempfile::TempDir;

use crate::Client;
use crate::client::{act, fake_apt, holder, until};

#[path = "../../../protocol/conformance.rs"]
mod conversations;

use conversations::{Event, Host, Step};

/// An agent after another, and what their actions wrote: a line each time, then they wait until a file `go` is there.
struct Real {
    client: Option<Client>,
    directory: TempDir,
}

impl Real {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The commands of an action that writes to a file.
    fn script(&self, file: &str) -> String {
        let folder = self.directory.path().display();
        format!("cd {folder}; echo line >> {file}; echo > begun; while ! test -e go; do sleep 0.01; done")
    }

    fn operation(&self, step: &Step) -> Operation {
        if step.is_idempotent {
            return Operation::InstallPackages {
                names: vec![file(step)],
            };
        }
        Operation::Run {
            commands: vec![Command::new(["sh", "-c", &self.script(&file(step))])],
        }
    }
}

fn file(step: &Step) -> String {
    format!("no-such-package-{}", step.number)
}

impl Host for Real {
    fn play(&mut self, step: &Step) -> Option<Result<Change, ActionError>> {
        // The last argument is the package.
        let path = fake_apt(
            &self.directory,
            &format!("for last; do :; done; {}", self.script("$last")),
        );
        let prepare = |command: &mut std::process::Command| {
            command.env("PATH", path);
        };
        let mut client = match &mut self.client {
            Some(former) => {
                former.hang_up();
                former.wait();
                former.successor_with(prepare)
            }
            None => Client::start_with(prepare),
        };
        let mut holder = holder("test@here");
        holder.run = step.run.parse().unwrap();
        until("the lock is free", || {
            let (holder, had_lock) = (holder.clone(), step.had_lock);
            client.request(Request::Lock { holder, had_lock }) == Response::Locked
        });
        let action = Action {
            only_if: Vec::new(),
            operation: self.operation(step),
            limit_ms: 30_000,
        };
        let request = act(step.number, step.is_repeated, action);
        let (begun, go) = (self.path("begun"), self.path("go"));
        let answer = if let Event::Answered(_) = step.event {
            fs::write(&go, "").unwrap();
            match client.request(request) {
                Response::Acted(result) => Some(result),
                other => panic!("{other:?}"),
            }
        } else {
            for file in [&begun, &go] {
                if file.exists() {
                    fs::remove_file(file).unwrap();
                }
            }
            client.send(request);
            until("the action is under way", || begun.exists());
            if step.event == Event::Killed {
                client.kill();
            }
            client.hang_up();
            fs::write(&go, "").unwrap();
            None
        };
        self.client = Some(client);
        answer
    }

    fn done(&mut self, step: &Step) -> usize {
        let text = fs::read_to_string(self.path(&file(step))).unwrap_or_default();
        text.lines().count()
    }
}

#[test]
fn the_agent_keeps_its_record_as_the_fake_hosts_do() {
    conversations::check(|| Real {
        client: None,
        directory: tempfile::tempdir().unwrap(),
    });
}
