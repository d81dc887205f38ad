//! The record of a run's actions, in a file beside the run lock.
//!
//! It outlives the agent, so that the next one knows what was begun over a connection that was lost, and no reboot, for
//! which `/run` is made. Entries are appended one after another, each before what it announces: an agent that is killed
//! at any instant leaves a record that claims rather too much than too little. Of a last entry that was cut off the whole
//! ones before it are read.
//!
//! It also names the processes that actions started. The lock itself dies with the agent; a command that runs on without
//! its agent keeps the host locked through its entry here, until it ends. Children do not inherit the lock's descriptor
//! instead, because whatever daemon a command leaves behind would inherit it too, and hold the lock for ever.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use protocol::bounds::Limits;
use protocol::frame::{self, Decoder, FrameError, Message};
use protocol::{ActionError, ActionId, ActionRequest, Change, Record};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::RunId;

use crate::mutex::locked;
use tree::error_text;

/// The longest record that is read back; a longer one counts as gone.
const LIMIT: u64 = 64 << 20;

/// Why the record cannot be kept.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    #[error("cannot {what} the record of actions {}: {}", path.display(), error_text(source))]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the record of actions {} is not a file of our own: remove it", .0.display())]
    Foreign(PathBuf),
    #[error("the record of actions {} has an incomplete entry", .0.display())]
    Broken(PathBuf),
    #[error("the record of actions cannot be written: {0}")]
    Frame(#[from] FrameError),
}

/// A process, told from a later one with the same number by its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the boot.
    started: u64,
    /// The program, for people.
    pub(crate) program: String,
}

/// An entry of the file.
#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    /// The record begins. Always the first.
    Run {
        run: RunId,
        is_incomplete: bool,
        boot: String,
    },
    Begun(ActionId),
    Ended(ActionId, Result<Change, ActionError>),
    Forgotten(ActionId),
    Started(Process),
    /// The process has ended.
    Reaped(Process),
}

impl Message for Entry {
    const LONGEST: usize = 1 << 20;
    const LIMITS: Limits = Limits {
        levels: Limits::ANSWER.levels,
        bytes: 4 << 20,
    };
}

/// The record of the run that holds the lock.
#[derive(Debug)]
pub(crate) struct RecordFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    record: Record,
    /// An entry was written in part and could not be removed: entries after it could not be read.
    is_broken: bool,
}

/// What an earlier agent left.
pub(crate) struct Found {
    path: PathBuf,
    file: File,
    /// How much of the file is whole entries.
    len: u64,
    record: Option<Record>,
    /// The processes of which it is not known that they ended, of this boot.
    processes: Vec<Process>,
}

impl Found {
    /// Reads what an earlier agent left. The caller has the lock.
    pub(crate) fn read(path: &Path) -> Result<Self, RecordError> {
        // A link in its place is nothing of ours.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(opened.map_err(|errno| failed(path, "open")(errno.into()))?);
        let meta = file.metadata().map_err(failed(path, "inspect"))?;
        let is_ours = meta.uid() == rustix::process::geteuid().as_raw() && meta.mode().trailing_zeros() >= 6;
        if !(meta.is_file() && is_ours) {
            return Err(RecordError::Foreign(path.to_owned()));
        }
        let mut bytes = Vec::new();
        if meta.len() <= LIMIT {
            file.read_to_end(&mut bytes).map_err(failed(path, "read"))?;
        }
        let (record, processes, len) = replay(&bytes);
        Ok(Self {
            path: path.to_owned(),
            file,
            len,
            record,
            processes,
        })
    }

    /// A process of an earlier action that still runs.
    pub(crate) fn running(&self) -> Option<&Process> {
        self.processes.iter().find(|process| process.is_running())
    }

    /// Goes on with the run's own record, or begins a new one.
    pub(crate) fn open(mut self, run: &RunId, had_lock: bool) -> Result<RecordFile, RecordError> {
        let path = self.path;
        let is_same = self.record.as_ref().is_some_and(|record| record.run() == run);
        let record = Record::open(self.record, run, had_lock);
        let len = if is_same { self.len } else { 0 };
        self.file.set_len(len).map_err(failed(&path, "cut"))?;
        self.file
            .seek(SeekFrom::Start(len))
            .map_err(failed(&path, "write"))?;
        let is_incomplete = record.is_incomplete();
        let file = RecordFile {
            path,
            state: Mutex::new(State {
                file: self.file,
                record,
                is_broken: false,
            }),
        };
        if !is_same {
            let entry = Entry::Run {
                run: run.clone(),
                is_incomplete,
                boot: boot(),
            };
            file.write(&entry, |_| {})?;
        }
        Ok(file)
    }
}

impl RecordFile {
    /// The answer to a request that needs nothing done.
    pub(crate) fn answer(&self, request: &ActionRequest) -> Option<Result<Change, ActionError>> {
        locked(&self.state).record.answer(request)
    }

    /// The action begins: afterwards, not before, it may be done.
    pub(crate) fn begin(&self, id: &ActionId) -> Result<(), RecordError> {
        self.write(&Entry::Begun(id.clone()), |record| record.begin(id.clone()))
    }

    /// The action ended like this; there is no secret in it.
    pub(crate) fn end(&self, id: &ActionId, result: &Result<Change, ActionError>) -> Result<(), RecordError> {
        self.write(&Entry::Ended(id.clone(), result.clone()), |record| {
            record.end(id.clone(), result.clone());
        })
    }

    /// The action stopped before it had done anything.
    pub(crate) fn forget(&self, id: &ActionId) -> Result<(), RecordError> {
        self.write(&Entry::Forgotten(id.clone()), |record| record.forget(id))
    }

    /// A process was started, and waits until this is written.
    pub(crate) fn started(&self, pid: u32, program: &str) -> Result<Process, RecordError> {
        let process = Process::of(pid, program).map_err(failed(&self.path, "find a process for"))?;
        self.write(&Entry::Started(process.clone()), |_| {})?;
        Ok(process)
    }

    /// A process has ended. Where that cannot be written, the next reader of the record finds out that it does not run.
    pub(crate) fn reaped(&self, process: Process) {
        let _written = self.write(&Entry::Reaped(process), |_| {}).is_ok();
    }

    /// Appends an entry, and notes in memory what it says. An entry that was written in part is removed, or what comes
    /// after it could not be read.
    fn write(&self, entry: &Entry, note: impl FnOnce(&mut Record)) -> Result<(), RecordError> {
        let bytes = frame::encode(entry)?;
        let mut state = locked(&self.state);
        if state.is_broken {
            return Err(RecordError::Broken(self.path.clone()));
        }
        let end = state
            .file
            .stream_position()
            .map_err(failed(&self.path, "write"))?;
        if let Err(source) = state.file.write_all(&bytes).and_then(|()| state.file.sync_data()) {
            let cut = state.file.set_len(end);
            let cut = cut.and_then(|()| state.file.seek(SeekFrom::Start(end)));
            state.is_broken = cut.is_err();
            return Err(failed(&self.path, "write")(source));
        }
        note(&mut state.record);
        Ok(())
    }
}

impl Process {
    fn of(pid: u32, program: &str) -> io::Result<Self> {
        let (_, _, started) = stat(pid)?;
        Ok(Self {
            pid,
            started,
            program: program.to_owned(),
        })
    }

    /// Whether it runs. A zombie has ended, and waits for its parent only.
    pub(crate) fn is_running(&self) -> bool {
        stat(self.pid)
            .is_ok_and(|(state, _, started)| started == self.started && !matches!(state, 'Z' | 'X' | 'x'))
    }

    /// The children of a process, and theirs, in whatever session they are.
    pub(crate) fn descendants(pid: u32) -> Vec<Self> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let all = pids.filter_map(|pid: u32| Some((pid, stat(pid).ok()?.1)));
        let all: Vec<(u32, u32)> = all.collect();
        let mut family = vec![pid];
        let mut at = 0;
        while let Some(&parent) = family.get(at) {
            family.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        let children = family.iter().skip(1);
        children.filter_map(|pid| Self::of(*pid, "").ok()).collect()
    }
}

/// The state, the parent and the start of a process.
fn stat(pid: u32) -> io::Result<(char, u32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name stands in parentheses, and may hold any character.
    let mut fields = text
        .rsplit_once(") ")
        .map(|(_, rest)| rest.split(' '))
        .ok_or(io::ErrorKind::InvalidData)?;
    let state = fields.next().and_then(|field| field.chars().next());
    let parent = fields.next().and_then(|field| field.parse().ok());
    let started = fields.nth(17).and_then(|field| field.parse().ok());
    let found = state.zip(parent).zip(started);
    let ((state, parent), started) = found.ok_or(io::ErrorKind::InvalidData)?;
    Ok((state, parent, started))
}

/// Tells this boot of the host from others. A container that shares its host's gets another `/run` when it boots.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// What the entries come to, and how long the whole ones among them are.
fn replay(bytes: &[u8]) -> (Option<Record>, Vec<Process>, u64) {
    let mut record: Option<Record> = None;
    let mut processes = Vec::new();
    let mut written_in = String::new();
    let mut at = 0;
    while let Some((entry, len)) = first(&bytes[at..]) {
        match (entry, &mut record) {
            (
                Entry::Run {
                    run,
                    is_incomplete,
                    boot,
                },
                None,
            ) => {
                record = Some(Record::open(None, &run, is_incomplete));
                written_in = boot;
            }
            (Entry::Begun(id), Some(record)) => record.begin(id),
            (Entry::Ended(id, result), Some(record)) => record.end(id, result),
            (Entry::Forgotten(id), Some(record)) => record.forget(&id),
            (Entry::Started(process), Some(_)) => processes.push(process),
            (Entry::Reaped(ended), Some(_)) => processes.retain(|process| *process != ended),
            // No record of ours begins or goes on like that.
            (Entry::Run { .. }, Some(_)) | (_, None) => break,
        }
        at += len;
    }
    if written_in != boot() {
        processes.clear();
    }
    (record, processes, at as u64)
}

/// The first entry, and its length.
fn first(bytes: &[u8]) -> Option<(Entry, usize)> {
    let len = 4 + u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let mut decoder = Decoder::default();
    decoder.push(bytes.get(..len)?);
    Some((decoder.next().ok()??, len))
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> RecordError + use<> {
    let path = path.to_owned();
    move |source| RecordError::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Action, Command, Operation};

    fn run(name: &str) -> RunId {
        name.parse().unwrap()
    }

    fn request(is_repeated: bool) -> ActionRequest {
        ActionRequest {
            id: ActionId {
                node: "a".parse().unwrap(),
                number: 1,
            },
            is_repeated,
            action: Action {
                only_if: Vec::new(),
                operation: Operation::Run {
                    commands: vec![Command::new(["true"])],
                },
                limit_ms: 1,
            },
        }
    }

    fn open(path: &Path, name: &str, had_lock: bool) -> RecordFile {
        Found::read(path).unwrap().open(&run(name), had_lock).unwrap()
    }

    fn is_cut_off(answer: Option<&Result<Change, ActionError>>) -> bool {
        matches!(answer, Some(Err(ActionError::CutOff { .. })))
    }

    #[test]
    fn the_next_agent_of_the_run_reads_what_the_last_one_wrote_up_to_any_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("actions");
        let record = open(&path, "r1", false);
        let empty = std::fs::read(&path).unwrap().len();
        record.begin(&request(false).id).unwrap();
        let begun = std::fs::read(&path).unwrap().len();
        let failed = Err(ActionError::Failed { message: "no".into() });
        record.end(&request(false).id, &failed).unwrap();
        drop(record);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let answer = open(&path, "r1", true).answer(&request(true));
            match cut {
                // Nothing is left of the record that there must have been.
                _ if cut < empty => assert!(is_cut_off(answer.as_ref()), "{cut}"),
                _ if cut < begun => assert_eq!(answer, None, "{cut}"),
                _ if cut < whole.len() => assert!(is_cut_off(answer.as_ref()), "{cut}"),
                _ => assert_eq!(answer, Some(failed.clone())),
            }
        }
    }

    #[test]
    fn another_run_drops_the_record_and_nobody_else_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("actions");
        open(&path, "r1", false).begin(&request(false).id).unwrap();
        assert_eq!(open(&path, "r2", false).answer(&request(true)), None);
        assert!(is_cut_off(
            open(&path, "r1", true).answer(&request(true)).as_ref()
        ));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_process_is_found_as_long_as_it_runs_and_not_taken_for_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("actions");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let record = open(&path, "r1", false);
        let process = record.started(child.id(), "sleep").unwrap();
        let running = || Found::read(&path).unwrap().running().cloned();
        assert_eq!(running(), Some(process.clone()));
        let other = Process {
            started: process.started + 1,
            ..process.clone()
        };
        assert!(!other.is_running());
        child.kill().unwrap();
        // A zombie until it is waited for.
        while process.is_running() {
            std::thread::yield_now();
        }
        assert_eq!(running(), None);
        child.wait().unwrap();
        record.reaped(process);
        assert_eq!(running(), None);
    }

    #[test]
    fn a_file_that_others_can_write_is_no_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("actions");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        assert!(matches!(Found::read(&path), Err(RecordError::Foreign(_))));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(matches!(Found::read(&path), Err(RecordError::Io { .. })));
    }
}
