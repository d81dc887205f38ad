//! Running other programs: every call has a time limit, and an error says what was run and what it answered.
//!
//! The lab is made with the system's own tools (`ip`, `mount`, `ssh-keygen`, ...); this is the one way it calls
//! them, so that no call can hang a test run or fail without a word.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a tool may take that only asks or tells the kernel something.
const TOOL_LIMIT: Duration = Duration::from_mins(1);

/// A program that could not be run, or that failed.
#[derive(Debug, thiserror::Error)]
pub enum CmdError {
    /// The program could not be started.
    #[error("cannot run `{command}`")]
    Start {
        /// The whole command line.
        command: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The program ended with a failure.
    #[error("`{command}` failed ({status}): {stderr}")]
    Failed {
        /// The whole command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// The program was still running when its time was over, and was killed.
    #[error("`{command}` did not end within {} s: {stderr}", limit.as_secs())]
    TimedOut {
        /// The whole command line.
        command: String,
        /// The time it had.
        limit: Duration,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
}

/// What a program wrote, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Whether the program ended with exit code 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }
}

/// A command line with its time limit.
#[derive(Debug, Clone)]
pub(crate) struct Cmd {
    argv: Vec<OsString>,
    limit: Duration,
}

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            argv: vec![program.as_ref().to_owned()],
            limit: TOOL_LIMIT,
        }
    }

    #[must_use]
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.argv
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The command line as a person would type it (without quoting: it is only for messages).
    fn shown(&self) -> String {
        let words: Vec<_> = self.argv.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    /// Runs the command to its end, whatever its exit code.
    pub(crate) fn output(&self) -> Result<Output, CmdError> {
        let start = |source| CmdError::Start {
            command: self.shown(),
            source,
        };
        let (program, args) = self
            .argv
            .split_first()
            .ok_or_else(|| start(std::io::ErrorKind::NotFound.into()))?;
        let mut child = Command::new(program)
            .args(args)
            .env("PATH", search_path())
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let stdout = read_aside(child.stdout.take());
        let stderr = read_aside(child.stderr.take());
        let deadline = Instant::now() + self.limit;
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = child.try_wait().map_err(start)? {
                break Some(status);
            }
            if Instant::now() >= deadline {
                child.kill().and_then(|()| child.wait()).map_err(start)?;
                break None;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        let (stdout, stderr) = (
            stdout.join().unwrap_or_default(),
            stderr.join().unwrap_or_default(),
        );
        match status {
            Some(status) => Ok(Output {
                status,
                stdout,
                stderr,
            }),
            None => Err(CmdError::TimedOut {
                command: self.shown(),
                limit: self.limit,
                stderr: tail(&stderr, 10),
            }),
        }
    }

    /// Runs the command, takes a failure for an error, and returns what it wrote to standard output.
    pub(crate) fn run(&self) -> Result<String, CmdError> {
        let output = self.output()?;
        if output.success() {
            return Ok(output.stdout);
        }
        Err(self.failed(&output))
    }

    /// The error that says that this command ended with a failure.
    pub(crate) fn failed(&self, output: &Output) -> CmdError {
        CmdError::Failed {
            command: self.shown(),
            status: output.status,
            stderr: tail(&output.stderr, 10),
        }
    }
}

/// Where programs are looked for: the user's PATH, then where ip(8) and its like are, which it may lack.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
    path
}

/// Reads a pipe in a thread of its own, so that neither of a child's two pipes can fill up and block it.
fn read_aside(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks has ended: what came before it counts.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The last `lines` lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_the_command_and_its_stderr() {
        let error = Cmd::new("sh")
            .args(["-c", "echo no such cluster >&2; exit 3"])
            .run()
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.contains("no such cluster"),
            "{text}"
        );
    }

    #[test]
    fn a_command_that_hangs_is_ended_at_its_limit() {
        let began = Instant::now();
        let error = Cmd::new("sleep")
            .arg("60")
            .limit(Duration::from_millis(50))
            .run()
            .unwrap_err();
        assert!(matches!(error, CmdError::TimedOut { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn much_output_on_both_pipes_does_not_block() {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero";
        let output = Cmd::new("sh").args(["-c", script]).output().unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (300_000, 300_000));
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
