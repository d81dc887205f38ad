//! Running a program: no shell, a time limit, and nothing left behind.
//!
//! Each program gets a process group of its own, so that its children end with it; those that left the group, as the child
//! of `su -c` does (Debian's `rabbitmqctl` is one), are found by their parents. Its output is read while it
//! runs and kept up to a limit, so that a chatty program neither blocks nor fills the memory. A program of an action is
//! noted in the run's record before it begins; one that must not be stopped in the middle, such as `dpkg`, is left to end.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use thiserror::Error;

use crate::record_file::{Process, RecordError, RecordFile};
use crate::start::{ARGUMENT, GO};
use tree::error_text;

/// How much of each output stream is kept.
pub(crate) const OUTPUT_LIMIT: usize = 1 << 20;
/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// How often a program that keeps its pipes open is checked.
const TICK: Duration = Duration::from_millis(50);
/// Where programs of administration are, which a plain user's PATH does not name.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a program has no result.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    #[error("no program is given")]
    Empty,
    #[error("cannot start {program}: {}", error_text(source))]
    Start { program: String, source: io::Error },
    #[error("lost track of {program}: {}", error_text(source))]
    Lost { program: String, source: io::Error },
    #[error("{program} is not started: {source}")]
    Unrecorded { program: String, source: RecordError },
    #[error("{program} did not end in time")]
    TimedOut { program: String },
    #[error("{program} did not end in time; it still runs as PID {pid}, and is left to end")]
    LeftRunning { program: String, pid: u32 },
    #[error("{program} was stopped, because the connection ended")]
    Abandoned { program: String },
}

/// A program to run.
pub(crate) struct Program<'a> {
    /// Its name and arguments.
    pub(crate) argv: &'a [String],
    /// What it reads; nothing else than this, never the agent's own input.
    pub(crate) stdin: &'a [u8],
    /// Additions to its environment.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// When it must have ended.
    pub(crate) until: Instant,
    /// Stops it early.
    pub(crate) stop: Option<&'a AtomicBool>,
    /// How much of each output stream is kept.
    pub(crate) keep: usize,
    /// Where its process is noted for as long as it runs, and the agent's own program, which starts it then.
    pub(crate) record: Option<(&'a RecordFile, Option<&'a Path>)>,
    /// Whether it is left to end when its time is over, instead of being ended in the middle. Its output goes to a file
    /// in memory: it must not break when nobody reads it any more.
    pub(crate) is_left_to_end: bool,
}

/// What it did.
pub(crate) struct Output {
    /// Exit status; 128 + N where signal N ended it.
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Output {
    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl<'a> Program<'a> {
    /// A program without input.
    pub(crate) fn new(argv: &'a [String], until: Instant) -> Self {
        Self {
            argv,
            stdin: &[],
            env: &[],
            until,
            stop: None,
            keep: OUTPUT_LIMIT,
            record: None,
            is_left_to_end: false,
        }
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Result<Output, ProcessError> {
        let program = self.argv.first().ok_or(ProcessError::Empty)?;
        let files = self.is_left_to_end.then(OutputFiles::new).transpose();
        let files = files.map_err(|source| self.not_started(source))?;
        let mut child = self.spawn(program, files.as_ref())?;
        let process = self.note(&mut child)?;
        let mut pipes = Pipes::of(&mut child, self.stdin, self.keep);
        let ended = self.wait(&mut child, &mut pipes);
        let is_left = matches!(ended, Ok(End::Left)) || ended.is_err() && self.is_left_to_end;
        let program = program.clone();
        let pid = child.id();
        if ended.is_err() && !is_left {
            end_group(&mut child, &mut pipes);
        }
        if let Some((record, _)) = self.record.filter(|_| !is_left)
            && let Some(process) = process
        {
            record.reaped(process);
        }
        match ended {
            Ok(End::Exited(status)) => {
                let (stdout, stderr) = match files {
                    Some(files) => files.read(self.keep),
                    None => (pipes.stdout.kept, pipes.stderr.kept),
                };
                Ok(Output {
                    status: code(status),
                    stdout,
                    stderr,
                })
            }
            Ok(End::TimedOut) => Err(ProcessError::TimedOut { program }),
            Ok(End::Left) => Err(ProcessError::LeftRunning { program, pid }),
            Ok(End::Stopped) => Err(ProcessError::Abandoned { program }),
            Err(source) => Err(ProcessError::Lost { program, source }),
        }
    }

    fn not_started(&self, source: io::Error) -> ProcessError {
        ProcessError::Start {
            program: self.argv.first().cloned().unwrap_or_default(),
            source,
        }
    }

    fn spawn(&self, program: &str, files: Option<&OutputFiles>) -> Result<Child, ProcessError> {
        let starter = self.record.and_then(|(_, starter)| starter);
        let mut command = match starter {
            Some(starter) => {
                let mut command = Command::new(starter);
                command.arg(ARGUMENT).arg(program);
                command
            }
            None => Command::new(program),
        };
        let output = |file: Option<io::Result<File>>| match file {
            Some(file) => file.map(Stdio::from),
            None => Ok(Stdio::piped()),
        };
        let stdout = output(files.map(|files| files.stdout.try_clone()));
        let stderr = output(files.map(|files| files.stderr.try_clone()));
        command
            .args(&self.argv[1..])
            .env("PATH", path())
            .env("LC_ALL", "C.UTF-8")
            .env_remove("LANGUAGE")
            .envs(self.env.iter().copied())
            .stdin(if self.stdin.is_empty() && starter.is_none() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(stdout.map_err(|source| self.not_started(source))?)
            .stderr(stderr.map_err(|source| self.not_started(source))?)
            .process_group(0);
        command.spawn().map_err(|source| self.not_started(source))
    }

    /// Notes the process in the record, and lets it begin.
    fn note(&self, child: &mut Child) -> Result<Option<Process>, ProcessError> {
        let Some((record, starter)) = self.record else {
            return Ok(None);
        };
        let program = self.argv.first().map_or("", String::as_str);
        match record.started(child.id(), program) {
            Ok(process) => {
                // One that is gone already says so by its exit status.
                if let Some(stdin) = child.stdin.as_mut().filter(|_| starter.is_some()) {
                    let _told = stdin.write_all(GO).is_ok();
                }
                Ok(Some(process))
            }
            Err(source) => {
                // Without the byte it ends by itself; one that was started at once is ended.
                child.stdin = None;
                if starter.is_none() {
                    let _gone = kill_process_group(Pid::from_child(child), Signal::KILL).is_err();
                }
                let _reaped = child.wait().is_ok();
                Err(ProcessError::Unrecorded {
                    program: program.to_owned(),
                    source,
                })
            }
        }
    }

    fn wait(&self, child: &mut Child, pipes: &mut Pipes<'_>) -> io::Result<End> {
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(status) = child.try_wait()? {
                // What it wrote last is still in the pipes; a daemon that it left behind may hold them open.
                pipes.pump(Duration::ZERO)?;
                return Ok(End::Exited(status));
            }
            let left = self.until.saturating_duration_since(Instant::now());
            let stopped = self.stop.is_some_and(|stop| stop.load(Ordering::SeqCst));
            if (left.is_zero() || stopped) && self.is_left_to_end {
                return Ok(End::Left);
            }
            if left.is_zero() || stopped {
                end_group(child, pipes);
                return Ok(if stopped { End::Stopped } else { End::TimedOut });
            }
            if pipes.are_closed() {
                std::thread::sleep(pause.min(left));
                pause = (pause * 2).min(TICK);
            } else {
                pipes.pump(TICK.min(left))?;
            }
        }
    }
}

enum End {
    Exited(ExitStatus),
    TimedOut,
    Left,
    Stopped,
}

/// Files in memory for the output of a program that may outlive the agent.
struct OutputFiles {
    stdout: File,
    stderr: File,
}

impl OutputFiles {
    fn new() -> io::Result<Self> {
        let file = |name| memfd_create(name, MemfdFlags::CLOEXEC).map(File::from);
        Ok(Self {
            stdout: file("stdout")?,
            stderr: file("stderr")?,
        })
    }

    /// The end of each, where it is longer than that: what a program says last tells why it failed.
    fn read(self, keep: usize) -> (Vec<u8>, Vec<u8>) {
        let read = |mut file: File| -> io::Result<Vec<u8>> {
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(keep as u64)))?;
            let mut kept = Vec::new();
            file.read_to_end(&mut kept)?;
            Ok(kept)
        };
        // What cannot be read is not said; the exit status still tells.
        (
            read(self.stdout).unwrap_or_default(),
            read(self.stderr).unwrap_or_default(),
        )
    }
}

/// The session's own PATH first, then where the programs of administration are.
fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(PATH);
    path
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .unwrap_or(-1)
}

/// Asks a process group to end, then ends it. The leader is reaped last: until then its number names the group.
fn end_group(child: &mut Child, pipes: &mut Pipes<'_>) {
    let group = Pid::from_child(child);
    let descendants = Process::descendants(child.id());
    let until = Instant::now() + GRACE;
    // An error means that nobody of the group is left, which is what is wanted.
    let mut alive = kill_process_group(group, Signal::TERM).is_ok();
    while alive && Instant::now() < until {
        if pipes.are_closed() || pipes.pump(TICK / 5).is_err() {
            std::thread::sleep(TICK / 5);
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        alive = matches!(waitid(WaitId::Pid(group), options), Ok(None));
    }
    let _gone = kill_process_group(group, Signal::KILL).is_err();
    for process in descendants.iter().filter(|process| process.is_running()) {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        let _gone = pid.map(|pid| kill_process(pid, Signal::KILL));
    }
    let _reaped = child.wait().is_ok();
}

/// The ends of a child's pipes that are ours.
struct Pipes<'a> {
    stdin: Option<File>,
    unwritten: &'a [u8],
    stdout: Stream,
    stderr: Stream,
}

/// One output stream.
struct Stream {
    pipe: Option<File>,
    kept: Vec<u8>,
    keep: usize,
}

impl<'a> Pipes<'a> {
    fn of(child: &mut Child, stdin: &'a [u8], keep: usize) -> Self {
        Self {
            stdin: child.stdin.take().and_then(|pipe| unblocked(pipe.into())),
            unwritten: stdin,
            stdout: Stream::new(child.stdout.take().map(Into::into), keep),
            stderr: Stream::new(child.stderr.take().map(Into::into), keep),
        }
    }

    fn are_closed(&self) -> bool {
        self.stdin.is_none() && self.stdout.pipe.is_none() && self.stderr.pipe.is_none()
    }

    /// Moves what can be moved; waits so long until something can.
    fn pump(&mut self, wait: Duration) -> io::Result<()> {
        let mut polled = Vec::with_capacity(3);
        if let Some(pipe) = &self.stdin {
            polled.push(PollFd::new(pipe, PollFlags::OUT));
        }
        for pipe in [&self.stdout.pipe, &self.stderr.pipe].into_iter().flatten() {
            polled.push(PollFd::new(pipe, PollFlags::IN));
        }
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut polled, Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.feed();
        self.stdout.drain()?;
        self.stderr.drain()
    }

    fn feed(&mut self) {
        let Some(pipe) = &mut self.stdin else { return };
        while !self.unwritten.is_empty() {
            match pipe.write(self.unwritten) {
                Ok(written) => self.unwritten = &self.unwritten[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It reads no further: that is its own business, its exit status tells.
                Err(_) => break,
            }
        }
        self.stdin = None;
    }
}

impl Stream {
    fn new(pipe: Option<OwnedFd>, keep: usize) -> Self {
        Self {
            pipe: pipe.and_then(unblocked),
            kept: Vec::new(),
            keep,
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut buffer = [0; 16 << 10];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    let room = self.keep.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&buffer[..read.min(room)]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.pipe = None;
        Ok(())
    }
}

/// The pipe as a file that never blocks; `None` where the system does not allow that, which it always does.
fn unblocked(pipe: OwnedFd) -> Option<File> {
    rustix::io::ioctl_fionbio(&pipe, true).ok()?;
    Some(File::from(pipe))
}

/// Shorthand for argument lists.
pub(crate) fn argv<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Vec<String> {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit_ms: u64) -> (Vec<String>, Instant) {
        let until = Instant::now() + Duration::from_millis(limit_ms);
        (argv(["sh", "-c", script]), until)
    }

    #[test]
    fn output_and_status_come_back() {
        let (argv, until) = sh("echo out; echo err >&2; exit 3", 5000);
        let output = Program::new(&argv, until).run().unwrap();
        assert_eq!(output.status, 3);
        assert_eq!(
            (output.stdout_text(), output.stderr_text()),
            ("out\n".into(), "err\n".into())
        );
    }

    #[test]
    fn a_signal_counts_from_128() {
        let (argv, until) = sh("kill -9 $$", 5000);
        assert_eq!(Program::new(&argv, until).run().unwrap().status, 137);
    }

    #[test]
    fn large_input_and_output_pass_each_other() {
        let input = vec![b'x'; 4 << 20];
        let (argv, until) = sh("cat", 20_000);
        let mut program = Program::new(&argv, until);
        program.stdin = &input;
        let output = program.run().unwrap();
        assert_eq!((output.status, output.stdout.len()), (0, OUTPUT_LIMIT));
    }

    #[test]
    fn a_daemon_that_holds_the_pipes_open_is_not_waited_for() {
        let begun = Instant::now();
        let (argv, until) = sh("sleep 4 & echo started", 20_000);
        let output = Program::new(&argv, until).run().unwrap();
        assert_eq!(output.stdout_text(), "started\n");
        assert!(begun.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn a_group_that_ignores_the_request_to_end_is_ended() {
        let (argv, until) = sh("trap '' TERM; sleep 60 & echo $!; wait; sleep 60", 200);
        let begun = Instant::now();
        let error = Program::new(&argv, until).run().err().unwrap();
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_child_in_a_session_of_its_own_ends_with_a_program_that_took_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("pid");
        let script = format!("setsid sh -c 'sleep 60; :' & echo $! > {}; wait", noted.display());
        let (argv, until) = sh(&script, 500);
        let child = std::thread::scope(|scope| {
            scope.spawn(|| Program::new(&argv, until).run().err().unwrap());
            loop {
                let pid = std::fs::read_to_string(&noted).unwrap_or_default();
                if let Ok(pid) = pid.trim().parse() {
                    return Process::descendants(std::process::id())
                        .into_iter()
                        .find(|process| process.pid == pid)
                        .unwrap();
                }
                std::thread::yield_now();
            }
        });
        let until = Instant::now() + Duration::from_secs(5);
        while child.is_running() {
            assert!(Instant::now() < until, "it is still there");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_missing_program_is_named() {
        let argv = argv(["/no/such/program"]);
        let error = Program::new(&argv, Instant::now() + TICK).run().err().unwrap();
        assert_eq!(
            error.to_string(),
            "cannot start /no/such/program: no such file or directory"
        );
        let none: [String; 0] = [];
        assert!(matches!(
            Program::new(&none, Instant::now()).run(),
            Err(ProcessError::Empty)
        ));
    }
}
