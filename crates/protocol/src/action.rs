//! What can be changed on a host.
//!
//! An [`Action`] is one typed change with what must still hold when it is made. The agent checks every
//! [`Precondition`] right before it acts, on the host itself; one that no longer holds stops the action with
//! "changed since the plan". An action is safe to be cut off: a file is written whole or not at all, and a sequence of
//! commands is ordered so that the next plan sees where it stopped. It is done once, however often it is sent: see
//! [`crate::Record`].

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::facts::{
    DirectoryState, FileState, HttpEndpoint, HttpRequest, MongoCommand, MongoUser, RespCommand, RespQuery,
    SsdbCommand, SsdbReach,
};
use crate::{Fact, FactError, FactQuery, Text};
use types::SecretId;

/// One change on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// What must still be so.
    pub only_if: Vec<Precondition>,
    /// The change.
    pub operation: Operation,
    /// Time limit in milliseconds.
    pub limit_ms: u64,
}

/// Something that was true when the plan was made, and that the action relies on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Precondition {
    /// In words, for the message when it no longer holds: `db2 holds no queue`.
    pub what: String,
    /// The question.
    pub query: FactQuery,
    /// The answer that it must still have.
    pub fact: Fact,
}

impl Precondition {
    /// Whether an answer is still the one that the action relies on. Of a command its exit status counts: what it prints
    /// may differ from one time to the next. Of a unit its process counts, and not that a file of it was written meanwhile.
    pub fn holds(&self, answer: &Result<Fact, FactError>) -> bool {
        match (answer, &self.fact) {
            (Ok(Fact::Command(now)), Fact::Command(then)) => now.status == then.status,
            (Ok(Fact::Unit(now)), Fact::Unit(then)) => now.is_same_process(then),
            (now, then) => now.as_ref() == Ok(then),
        }
    }
}

/// The change itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Writes a file atomically, after a backup of what stood there.
    WriteFile {
        /// Absolute path; its directory exists.
        path: String,
        /// The content.
        text: Text,
        /// Permission bits.
        mode: u32,
        /// Owner's name.
        owner: String,
        /// Group's name.
        group: String,
        /// The state that the text was made from.
        was: FileState,
        /// A program that tries the file before it takes its place; without one nothing does.
        #[serde(default)]
        trial: Option<Trial>,
    },
    /// Puts a file back that this run replaced, as far as it is still what this run wrote; the backup stays.
    RestoreFile {
        /// Absolute path.
        path: String,
        /// Where the file is kept that stood there before; `None` where nothing did, and the file is removed.
        backup: Option<String>,
        /// What this run wrote.
        was: FileState,
    },
    /// Makes a directory and gives it these permissions; its parents are made where they are missing.
    MakeDirectory {
        /// Absolute path.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Owner's name.
        owner: String,
        /// Group's name.
        group: String,
        /// What stood there when the plan was made.
        #[serde(default)]
        was: DirectoryState,
    },
    /// Tells systemd to do something with a unit; several verbs are one change.
    Unit {
        /// The unit's name.
        name: String,
        /// What to do, in order.
        verbs: Vec<UnitVerb>,
        /// The files that a process reads when it is started: the agent notes what it is started with.
        #[serde(default)]
        reads: Vec<String>,
    },
    /// Installs packages from the distribution's repositories.
    InstallPackages {
        /// Their names.
        names: Vec<String>,
    },
    /// Runs commands one after another, and stops at the first that fails.
    Run {
        /// The commands.
        commands: Vec<Command>,
    },
    /// Sends commands to a server that speaks RESP, and stops at the first error.
    Resp {
        /// Name or address.
        address: String,
        /// Port.
        port: u16,
        /// The password for AUTH.
        password: Option<SecretId>,
        /// The commands.
        commands: Vec<RespCommand>,
    },
    /// Has a server that speaks RESP follow the master that a sentinel names at that moment: when the plan is made, nobody
    /// has been elected.
    FollowMaster {
        /// Name or address.
        address: String,
        /// Port.
        port: u16,
        /// The password for AUTH.
        password: Option<SecretId>,
        /// The command's name: `REPLICAOF` or `SLAVEOF`.
        word: String,
        /// Asks the sentinel for the master: address and port.
        sentinel: RespQuery,
        /// The address of the master before. While the sentinel still names it, the action fails.
        old: String,
        /// The commands that are sent then.
        commands: Vec<RespCommand>,
    },
    /// Sends commands to a server that speaks SSDB's protocol, and stops at the first that is not `ok`.
    Ssdb {
        /// Name or address.
        address: String,
        /// Port.
        port: u16,
        /// The password for `auth`.
        password: Option<SecretId>,
        /// The commands.
        commands: Vec<SsdbCommand>,
        /// Sends them again and again until the server has come so far; without it they are sent once.
        until: Option<SsdbReach>,
    },
    /// Sends commands to a MongoDB server, and stops at the first error.
    Mongo {
        /// Name or address.
        address: String,
        /// Port.
        port: u16,
        /// The user that sends them; `None` without a login, as the localhost exception requires it.
        user: Option<MongoUser>,
        /// The commands.
        commands: Vec<MongoCommand>,
        /// The codes of errors after which a command is sent again until the time limit, such as 109
        /// (`ConfigurationInProgress`).
        again_on: Vec<i32>,
    },
    /// Sends requests to a server that speaks HTTP, and stops at the first that is not answered with a status of 2xx.
    Http {
        /// The server.
        at: HttpEndpoint,
        /// The requests.
        requests: Vec<HttpRequest>,
        /// How the bodies of answers begin after which a request is sent again until the time limit, such as `Code: 999`
        /// of ClickHouse, whose session with the quorum is over.
        #[serde(default)]
        again_on: Vec<String>,
    },
    /// Gives a file another owner and mode, and leaves its content and the time of its last change alone.
    SetAccess {
        /// Absolute path.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Owner's name.
        owner: String,
        /// Group's name.
        group: String,
        /// The state that was seen.
        was: FileState,
    },
    /// Edits a file of lines `NAME VALUE` as it stands then, after a backup: the lines of each directive go, and those
    /// that are given are added at the end. Owner and mode stay.
    SetDirectives {
        /// Absolute path of a file that is there.
        path: String,
        /// The directives.
        directives: Vec<Directive>,
    },
    /// Changes what a unit finds on the disk before it is told to start: one change, in this order.
    UnitFiles {
        /// The unit's name.
        name: String,
        /// What systemd is told first.
        first: Vec<UnitVerb>,
        /// The changes.
        files: Vec<FileChange>,
        /// What systemd is told then.
        verbs: Vec<UnitVerb>,
        /// The files that a process reads when it is started, as in [`Self::Unit`].
        #[serde(default)]
        reads: Vec<String>,
    },
}

/// How a file is tried before it takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Program and arguments; [`CANDIDATE`] in one of them stands for the path of the file that is tried. Where it does not
    /// end with status 0, the file is not replaced, and what it said is the error.
    pub argv: Vec<String>,
}

/// What stands for the path of a file that is tried, as in Ansible's `validate`.
pub const CANDIDATE: &str = "%s";

impl Trial {
    /// The program with the path of the file that is tried.
    pub fn of(&self, candidate: &str) -> Vec<String> {
        let words = self.argv.iter();
        words.map(|word| word.replace(CANDIDATE, candidate)).collect()
    }
}

/// A directive of a configuration file of lines `NAME VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    /// Its name; upper and lower case are the same.
    pub name: String,
    /// A line for each value.
    pub values: Vec<String>,
}

/// A change of what stands at a path, as a part of [`Operation::UnitFiles`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileChange {
    /// Removes a file; one that is gone is as wanted.
    Remove {
        /// Absolute path.
        path: String,
        /// The state that was seen.
        was: FileState,
    },
    /// Renames a directory within its parent; nothing is replaced.
    MoveAside {
        /// Absolute path.
        path: String,
        /// The new path, where nothing stands.
        to: String,
    },
    /// Makes a directory.
    MakeDirectory {
        /// Absolute path.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Owner's name.
        owner: String,
        /// Group's name.
        group: String,
    },
}

impl FileChange {
    /// The path that it is about.
    pub fn path(&self) -> &str {
        match self {
            Self::Remove { path, .. } | Self::MoveAside { path, .. } | Self::MakeDirectory { path, .. } => {
                path
            }
        }
    }
}

impl Operation {
    /// The file whose content or access it changes, and the state that it presumes.
    pub fn file(&self) -> Option<(&str, Option<&FileState>)> {
        match self {
            Self::WriteFile { path, was, .. }
            | Self::SetAccess { path, was, .. }
            | Self::RestoreFile { path, was, .. } => Some((path, Some(was))),
            Self::SetDirectives { path, .. } => Some((path, None)),
            _ => None,
        }
    }
}

impl Operation {
    /// The unit whose process it starts, or starts again.
    pub fn started_unit(&self) -> Option<&str> {
        match self {
            Self::Unit { name, verbs, .. } | Self::UnitFiles { name, verbs, .. } => {
                let starts = |verb| matches!(verb, &UnitVerb::Start | &UnitVerb::Restart);
                verbs.iter().any(starts).then_some(name)
            }
            _ => None,
        }
    }

    /// Whether it changes what a file says.
    pub fn writes(&self, file: &str) -> bool {
        match self {
            Self::WriteFile { path, .. }
            | Self::SetDirectives { path, .. }
            | Self::RestoreFile { path, .. } => path == file,
            _ => false,
        }
    }

    /// The files that a process reads which it starts.
    pub fn reads(&self) -> &[String] {
        match self {
            Self::Unit { reads, .. } | Self::UnitFiles { reads, .. } => reads,
            _ => &[],
        }
    }

    /// Whether it may be done a second time where it is not known how the first time ended: what is there already is left
    /// as it is. Everything else would happen twice.
    pub fn is_idempotent(&self) -> bool {
        match self {
            Self::WriteFile { .. }
            | Self::RestoreFile { .. }
            | Self::MakeDirectory { .. }
            | Self::SetAccess { .. }
            | Self::SetDirectives { .. }
            | Self::InstallPackages { .. } => true,
            Self::Unit { verbs, .. } => {
                let has = |verb| verbs.contains(&verb);
                // A stop with a start is a restart.
                !(has(UnitVerb::Restart) || has(UnitVerb::Stop) && has(UnitVerb::Start))
            }
            // What it has reached is not sent for again.
            Self::Ssdb { until, .. } => until.is_some(),
            // A directory that was moved aside would be moved aside again.
            Self::UnitFiles { .. }
            | Self::Run { .. }
            | Self::Resp { .. }
            | Self::FollowMaster { .. }
            | Self::Mongo { .. }
            | Self::Http { .. } => false,
        }
    }
}

/// What systemd is told, in `systemctl`'s words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnitVerb {
    /// `daemon-reload`.
    DaemonReload,
    /// `enable`.
    Enable,
    /// `disable`.
    Disable,
    /// `start`.
    Start,
    /// `stop`.
    Stop,
    /// `restart`.
    Restart,
    /// `reload`.
    Reload,
    /// `reset-failed`: starts that failed do not count any more.
    ResetFailed,
}

impl UnitVerb {
    /// The word for `systemctl`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DaemonReload => "daemon-reload",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::ResetFailed => "reset-failed",
        }
    }
}

/// One command of a sequence. Secrets go to standard input: the arguments are plain strings by type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments; no shell is involved.
    pub argv: Vec<String>,
    /// What it reads.
    pub stdin: Option<Text>,
}

impl Command {
    /// A command without input.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: None,
        }
    }
}

/// What an action did.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Change {
    /// One line for people, without secrets.
    pub summary: String,
    /// Where the file that stood there before was kept.
    pub backup: Option<String>,
    /// The SHA-256 of the file that was put in its place, in hexadecimal; `None` where none was.
    #[serde(default)]
    pub wrote: Option<String>,
}

/// In a text, such as the journal, a hash that is not there is not written; on the wire every field has its place.
impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_left_out = serializer.is_human_readable() && self.wrote.is_none();
        let mut fields = serializer.serialize_struct("Change", if is_left_out { 2 } else { 3 })?;
        fields.serialize_field("summary", &self.summary)?;
        fields.serialize_field("backup", &self.backup)?;
        if !is_left_out {
            fields.serialize_field("wrote", &self.wrote)?;
        }
        fields.end()
    }
}

/// Why an action was not done, or not completely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum ActionError {
    /// A precondition no longer holds; nothing was done.
    #[error("changed since the plan: {what}")]
    Changed {
        /// What no longer holds, and what was found instead, without secrets.
        what: String,
    },
    /// The action failed.
    #[error("{message}")]
    Failed {
        /// What failed and what the system or the service said.
        message: String,
    },
    /// The action did not end within its time limit.
    #[error("not done within {limit_ms} ms: {what}")]
    TimedOut {
        /// What was under way.
        what: String,
        /// The limit.
        limit_ms: u64,
    },
    /// The action began, and its result is not known: the agent or its connection ended before it did.
    #[error("cut off: {what}")]
    CutOff {
        /// How far it came, as far as that is known.
        what: String,
    },
    /// The action took longer than its time limit, and was left to end because stopping it would do harm.
    #[error("not done within {limit_ms} ms: {what} still runs as PID {pid} and is left to end")]
    LeftRunning {
        /// What was under way.
        what: String,
        /// The limit.
        limit_ms: u64,
        /// Its process.
        pid: u32,
    },
}

impl ActionError {
    /// The words for people in it.
    pub(crate) fn words(&mut self) -> &mut String {
        match self {
            Self::Changed { what }
            | Self::TimedOut { what, limit_ms: _ }
            | Self::CutOff { what }
            | Self::LeftRunning {
                what,
                limit_ms: _,
                pid: _,
            }
            | Self::Failed { message: what } => what,
        }
    }
}
