//! One host in memory, as far as all kinds are alike: files, units and packages.

use std::collections::{BTreeMap, BTreeSet};

use protocol::facts::{FileFact, FileKind, FileMeta, FileQuery, PackageFact, StartedWith, UnitFact};
use protocol::{ActionError, Directive, DirectoryState, FileState, Operation, Text, UnitVerb};
use sha2::{Digest, Sha256};

/// A host.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// What stands at each path.
    pub files: BTreeMap<String, File>,
    /// The units that exist, by full name.
    pub units: BTreeMap<String, Unit>,
    /// The installed packages.
    pub packages: BTreeSet<String>,
    /// What stood at each path before the agent replaced it last: its backup.
    replaced: BTreeMap<String, File>,
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its text; empty for a directory.
    pub text: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner's name.
    pub owner: String,
    /// Group's name.
    pub group: String,
    /// Its time (mtime), microseconds since 1970.
    pub modified_us: i64,
    /// When it was last changed (ctime), microseconds since 1970. A change of owner or mode by the agent does not count.
    pub changed_us: i64,
    /// How far the later of the two lies ahead of the host's clock.
    pub ahead_us: i64,
    /// What it is.
    pub kind: FileKind,
}

/// A systemd unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// Whether it starts at boot.
    pub is_enabled: bool,
    /// When its process was started, microseconds since 1970; `None` where none runs.
    pub started_us: Option<i64>,
    /// How often it was started.
    pub starts: u32,
    /// Whether its process died by itself.
    pub has_failed: bool,
    /// Whether its process was told to end, and has not ended yet.
    pub is_stopping: bool,
    /// The hashes of the files that the agent is about to start it with, and those that its process was started with.
    told: Hashes,
    started_with: Hashes,
}

/// The hash of each file; `None` where none stands there.
type Hashes = BTreeMap<String, Option<String>>;

impl Machine {
    /// Writes a file as somebody on the host would.
    pub fn write(&mut self, path: &str, text: &str, mode: u32, owner: &str, now_us: i64) {
        let file = File::new(FileKind::File, text, mode, (owner, owner), now_us);
        self.files.insert(path.to_owned(), file);
    }

    /// Makes a symbolic link.
    pub fn link(&mut self, path: &str, target: &str, now_us: i64) {
        let link = File::new(FileKind::Link, target, 0o777, ("root", "root"), now_us);
        self.files.insert(path.to_owned(), link);
    }

    /// A file's text; empty where there is none.
    pub fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", |file| &file.text)
    }

    /// The unit, which comes to be where it does not exist.
    pub fn unit(&mut self, name: &str) -> &mut Unit {
        self.units.entry(name.to_owned()).or_default()
    }

    /// Whether a unit's process runs.
    pub fn runs(&self, unit: &str) -> bool {
        self.units.get(unit).is_some_and(|unit| unit.started_us.is_some())
    }

    /// What the agent answers about a file.
    pub fn file_fact(&self, query: &FileQuery) -> FileFact {
        match self.files.get(&query.path) {
            None => FileFact::Absent,
            Some(file) => FileFact::Present(file.meta(query.text)),
        }
    }

    /// What systemd says of a unit.
    pub fn unit_fact(&self, name: &str) -> UnitFact {
        let word = |yes: bool, a: &str, b: &str| if yes { a } else { b }.to_owned();
        let known = self.units.get(name);
        let unit = known.cloned().unwrap_or_default();
        let runs = unit.started_us.is_some();
        let (active, sub) = match (runs, unit.is_stopping, unit.has_failed) {
            (true, true, _) => ("deactivating", "stop-sigterm"),
            (true, false, _) => ("active", "running"),
            (false, _, true) => ("failed", "failed"),
            (false, _, false) => ("inactive", "dead"),
        };
        UnitFact {
            load: word(known.is_some(), "loaded", "not-found"),
            active: active.to_owned(),
            sub: sub.to_owned(),
            enabled: word(
                known.is_some(),
                word(unit.is_enabled, "enabled", "disabled").as_str(),
                "",
            ),
            main_pid: if runs { 100 + unit.starts } else { 0 },
            started_us: unit.started_us.unwrap_or(0),
            invocation: if unit.starts == 0 {
                String::new()
            } else {
                // The first digits differ, as those of systemd do.
                format!("{:08x}{:024}", unit.starts, 0)
            },
            stale: false,
            started_with: unit
                .started_with
                .into_iter()
                .map(|(path, then)| {
                    let is_same = self.sha256(&path) == then;
                    StartedWith { path, is_same }
                })
                .collect(),
        }
    }

    fn sha256(&self, path: &str) -> Option<String> {
        self.files.get(path).map(File::sha256)
    }

    /// Notes what the agent starts a unit with, if that is what the operation does: its process is started next.
    pub fn note(&mut self, operation: &Operation) {
        let (name, verbs, reads) = match operation {
            Operation::Unit { name, verbs, reads } => (name, verbs.clone(), reads),
            Operation::UnitFiles {
                name,
                first,
                verbs,
                reads,
                ..
            } => (name, [first.as_slice(), verbs].concat(), reads),
            _ => return,
        };
        let is_down = !self.runs(name) || verbs.contains(&UnitVerb::Stop);
        if verbs.contains(&UnitVerb::Restart) || verbs.contains(&UnitVerb::Start) && is_down {
            let hashes = reads.iter().map(|path| (path.clone(), self.sha256(path)));
            let hashes = hashes.collect();
            if let Some(unit) = self.units.get_mut(name) {
                unit.told = hashes;
            }
        }
    }

    /// Whether a package is installed.
    pub fn package_fact(&self, name: &str) -> PackageFact {
        PackageFact {
            version: self.packages.contains(name).then(|| "1.0".to_owned()),
            is_partial: false,
        }
    }

    /// Writes a file, makes a directory or changes one, if that is what the operation is; what it says of the state before
    /// is checked as the agent does.
    pub fn put(&mut self, operation: &Operation, now_us: i64) -> Option<Result<(), ActionError>> {
        if let Some((path, _)) = operation.file()
            && let Some(file) = self.files.get(path)
            && file.kind != FileKind::File
        {
            let message = format!("{path} is not a regular file");
            return Some(Err(ActionError::Failed { message }));
        }
        let (path, file, was) = match operation {
            Operation::WriteFile {
                path,
                text,
                mode,
                owner,
                group,
                was,
                trial: _,
            } => {
                let file = File::new(FileKind::File, text.as_str(), *mode, (owner, group), now_us);
                (path, file, was)
            }
            Operation::MakeDirectory {
                path,
                mode,
                owner,
                group,
                was,
            } => {
                let found = self.files.get(path);
                let is_as_seen = match (found, was) {
                    (_, DirectoryState::Any) | (None, DirectoryState::Absent) => true,
                    (Some(found), _) => found.kind == FileKind::Directory,
                    (None, _) => false,
                };
                if !is_as_seen {
                    return Some(Err(changed(path)));
                }
                let file = File::new(FileKind::Directory, "", *mode, (owner, group), now_us);
                (path, file, &FileState::Any)
            }
            Operation::SetAccess {
                path,
                mode,
                owner,
                group,
                was,
            } => {
                let Some(found) = self.files.get(path).cloned() else {
                    return Some(Err(changed(path)));
                };
                let file = File {
                    mode: *mode,
                    owner: owner.clone(),
                    group: group.clone(),
                    ..found
                };
                (path, file, was)
            }
            Operation::SetDirectives { path, directives } => {
                let Some(found) = self.files.get(path).cloned() else {
                    return Some(Err(changed(path)));
                };
                let file = File {
                    text: edited(&found.text, directives),
                    modified_us: now_us,
                    changed_us: now_us,
                    ahead_us: 0,
                    ..found
                };
                (path, file, &FileState::Any)
            }
            Operation::RestoreFile { path, backup, was } => {
                return Some(self.restore(path, backup.is_some(), was, now_us));
            }
            _ => return None,
        };
        let found = self.files.get(path).map(File::sha256);
        let holds = match was {
            FileState::Absent => found.is_none(),
            FileState::Hash(hash) => found.as_ref() == Some(hash),
            FileState::Any => true,
            FileState::Obstructed(_) => false,
        };
        if !holds {
            return Some(Err(changed(path)));
        }
        let before = self.files.insert(path.clone(), file);
        self.replaced.extend(before.map(|before| (path.clone(), before)));
        Some(Ok(()))
    }
}

impl Machine {
    /// Puts back what the agent kept, or takes a file away that it made.
    fn restore(
        &mut self,
        path: &str,
        is_kept: bool,
        was: &FileState,
        now_us: i64,
    ) -> Result<(), ActionError> {
        if self.files.get(path).map(File::state).as_ref() != Some(was) {
            return Err(changed(path));
        }
        if !is_kept {
            self.files.remove(path);
            return Ok(());
        }
        let kept = self.replaced.get(path).cloned().ok_or_else(|| changed(path))?;
        let file = File {
            modified_us: now_us,
            changed_us: now_us,
            ..kept
        };
        self.files.insert(path.to_owned(), file);
        Ok(())
    }
}

fn changed(path: &str) -> ActionError {
    ActionError::Changed {
        what: format!("{path} is not what it was"),
    }
}

/// What the agent makes of a file of directives.
fn edited(text: &str, directives: &[Directive]) -> String {
    let is_ours = |line: &&str| {
        let name = line.split_whitespace().next().unwrap_or_default();
        directives
            .iter()
            .any(|directive| directive.name.eq_ignore_ascii_case(name))
    };
    let kept = text.lines().filter(|line| !is_ours(line)).map(str::to_owned);
    let added = directives.iter().flat_map(|directive| {
        let values = directive.values.iter();
        values.map(|value| format!("{} {value}", directive.name))
    });
    let lines: Vec<String> = kept.chain(added).collect();
    lines.join("\n") + "\n"
}

impl File {
    fn new(kind: FileKind, text: &str, mode: u32, (owner, group): (&str, &str), now_us: i64) -> Self {
        Self {
            text: text.to_owned(),
            mode,
            owner: owner.to_owned(),
            group: group.to_owned(),
            modified_us: now_us,
            changed_us: now_us,
            ahead_us: 0,
            kind,
        }
    }

    /// The hash of its text, as the agent tells it.
    pub fn sha256(&self) -> String {
        base16ct::lower::encode_string(&Sha256::digest(self.text.as_bytes()))
    }

    fn state(&self) -> FileState {
        FileState::Hash(self.sha256())
    }

    fn meta(&self, with_text: bool) -> FileMeta {
        let is_file = self.kind == FileKind::File;
        FileMeta {
            kind: self.kind,
            sha256: if is_file { self.sha256() } else { String::new() },
            len: u64::try_from(self.text.len()).unwrap_or(u64::MAX),
            mode: self.mode,
            owner: self.owner.clone(),
            group: self.group.clone(),
            modified_us: self.modified_us,
            changed_us: self.changed_us,
            ahead_us: self.ahead_us,
            text: (with_text && is_file).then(|| Text::new(self.text.clone())),
            // Of a link the text is what it says.
            target: if self.kind == FileKind::Link {
                self.text.clone()
            } else {
                String::new()
            },
            names: 0,
        }
    }
}

impl Unit {
    /// Its process starts, anew where it runs.
    pub fn start(&mut self, now_us: i64) {
        self.started_us = Some(now_us);
        self.started_with = std::mem::take(&mut self.told);
        self.starts += 1;
        self.has_failed = false;
        self.is_stopping = false;
    }

    /// Its process is stopped.
    pub fn stop(&mut self) {
        self.started_us = None;
        self.has_failed = false;
        self.is_stopping = false;
    }

    /// Its process dies.
    pub fn die(&mut self) {
        self.has_failed = self.started_us.take().is_some();
        self.is_stopping = false;
    }
}
