//! `before_disruption`: a program on the controller that may refuse a run which makes members unavailable.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use plan::StepGraph;
use planner::Options;
use protocol::Encoding;
use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use types::{Secret, SecretId};

use crate::operator_files::{FileError, check};

/// How long it may take. The hosts are locked meanwhile.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);
/// How long its last words are waited for once it has ended: a process that it left behind may still hold its output.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How much of its standard error is kept, in bytes.
const KEPT: usize = 16 << 10;
/// How many lines of that are shown, and how many characters of each.
const LINES: usize = 5;
const LINE: usize = 300;

/// The program, and what it must not see.
pub(crate) struct Hook<'a> {
    pub(crate) words: &'a [String],
    /// The inventory's folder, in which it runs.
    pub(crate) folder: &'a Path,
    pub(crate) secrets: &'a [(SecretId, Secret)],
    pub(crate) limit: Duration,
}

/// Why a run does not begin.
#[derive(Debug, Error)]
pub(crate) enum HookError {
    #[error("before_disruption: `{program}` cannot be started, and the run was not begun")]
    Start {
        program: String,
        #[source]
        source: FileError,
    },
    #[error("before_disruption: `{program}` refused the run ({status}), and the run was not begun{said}")]
    Refused {
        program: String,
        status: ExitStatus,
        said: String,
    },
    #[error("before_disruption: `{program}` did not end within {limit:?}, and the run was not begun{said}")]
    TimedOut {
        program: String,
        limit: Duration,
        said: String,
    },
    #[error("before_disruption: the end of `{program}` cannot be waited for, and the run was not begun")]
    Wait {
        program: String,
        #[source]
        source: io::Error,
    },
}

/// Whether a plan is one that the program is asked about: it makes a member unavailable, or the operator consented to
/// something destructive, which may be any of its steps.
pub(crate) fn is_asked(graph: &StepGraph, options: &Options) -> bool {
    let disrupts = graph.nodes().iter().any(|node| !node.disrupts.is_empty());
    disrupts || (!graph.nodes().is_empty() && !options.consents.is_empty())
}

impl Hook<'_> {
    /// Runs it with a plan on its standard input. An error where it does not agree. Where this is dropped, it is killed with
    /// its children.
    pub(crate) async fn ask(&self, plan: String) -> Result<(), HookError> {
        let program = self.words.first().cloned().unwrap_or_default();
        let failed = |source| HookError::Start {
            program: program.clone(),
            source,
        };
        // A name without a folder is looked up in PATH, as everywhere.
        if program.contains('/') {
            check(&self.folder.join(&program)).map_err(failed)?;
        }
        let child = self.command(&program).spawn();
        let mut child = child.map_err(|error| failed(error.into()))?;
        let mut group = Group::of(&child);
        let stderr = child.stderr.take();
        let said = tokio::spawn(async move {
            match stderr {
                Some(stderr) => tail(stderr).await,
                None => Tail::default(),
            }
        });
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read the plan may agree as well.
            tokio::spawn(async move { stdin.write_all(plan.as_bytes()).await });
        }
        let waited = timeout(self.limit, child.wait()).await;
        if waited.is_err() {
            group.kill();
        }
        group.0 = None;
        match waited {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(HookError::Refused {
                program,
                status,
                said: self.last_words(said).await,
            }),
            Ok(Err(source)) => Err(HookError::Wait { program, source }),
            Err(_) => Err(HookError::TimedOut {
                program,
                limit: self.limit,
                said: self.last_words(said).await,
            }),
        }
    }

    /// The command, in a process group of its own, without the variables that hold a secret.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(self.words.iter().skip(1))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if !self.folder.as_os_str().is_empty() {
            command.current_dir(self.folder);
        }
        for (name, value) in std::env::vars_os() {
            let value = value.to_string_lossy();
            if self
                .secrets
                .iter()
                .any(|(_, secret)| value.contains(secret.expose()))
            {
                command.env_remove(name);
            }
        }
        command
    }

    /// The end of what it said, to be added to a sentence.
    async fn last_words(&self, said: tokio::task::JoinHandle<Tail>) -> String {
        let Ok(Ok(tail)) = timeout(LAST_WORDS, said).await else {
            return String::new();
        };
        let mut text = tail.text();
        let spellings = |secret: &Secret| Encoding::ALL.map(|encoding| encoding.spellings(secret.expose()));
        let spellings = self
            .secrets
            .iter()
            .flat_map(|(_, secret)| spellings(secret))
            .flatten();
        let mut spellings: Vec<Secret> = spellings.collect();
        // A secret that another begins with must not leave that one's end in the open.
        spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.expose().len()));
        for spelling in spellings {
            text = text.replace(spelling.expose(), "***");
        }
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LINES));
        let last: Vec<String> = last.map(|line| line.chars().take(LINE).collect()).collect();
        if last.is_empty() {
            return String::new();
        }
        format!("; it said: {}", last.join("\n"))
    }
}

/// A process group, killed where nobody waits for its leader any more.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Its leader was not waited for yet, so the number is still its own.
    fn kill(&self) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(%error, "the processes of before_disruption cannot be killed");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of a stream.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    /// Without the line in whose middle it begins: half a secret would not be found in it.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        if !self.is_cut {
            return text.into_owned();
        }
        text.split_once('\n')
            .map(|(_, whole)| whole.to_owned())
            .unwrap_or_default()
    }
}

async fn tail(mut stream: impl AsyncRead + Unpin) -> Tail {
    let mut tail = Tail::default();
    let mut chunk = vec![0; KEPT];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        tail.bytes
            .extend_from_slice(chunk.get(..read).unwrap_or_default());
        let excess = tail.bytes.len().saturating_sub(KEPT);
        tail.is_cut |= excess > 0;
        tail.bytes.drain(..excess);
    }
    tail
}

#[cfg(test)]
mod tests;
