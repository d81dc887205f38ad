//! What processes were started with, in a file beside the run lock.
//!
//! The times of a file do not tell what a process read of it: clocks are stepped, and `cp -p` brings an old time along. So
//! the agent notes the hashes of the files that a process is about to read whenever it starts one, with the invocation
//! of its unit. Hashes stay on the host, in a file that only its owner reads. It is lost with a reboot, and so are the
//! processes that it is about.
//!
//! It also notes the changes of owner and mode that the agent made: they set a file's ctime and are no reason for a restart.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use protocol::bounds::Limits;
use protocol::facts::StartedWith;
use protocol::frame::{self, Decoder, Message};
use serde::{Deserialize, Serialize};
use tree::{Place, sha256};

/// How many entries of each sort are kept; the oldest go.
const MOST: usize = 128;

/// All that was noted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stamps {
    starts: Vec<Start>,
    accesses: Vec<AccessChange>,
}

/// A start of a unit.
#[derive(Debug, Serialize, Deserialize)]
struct Start {
    unit: String,
    invocation: String,
    files: Vec<Content>,
}

/// What stood at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    path: String,
    /// `None` where nothing did.
    sha256: Option<String>,
}

/// A change of a file's owner or mode: its ctime before and after.
#[derive(Debug, Serialize, Deserialize)]
struct AccessChange {
    path: String,
    from_us: i64,
    to_us: i64,
}

impl Message for Stamps {
    const LONGEST: usize = 1 << 20;
    const LIMITS: Limits = Limits {
        levels: Limits::ANSWER.levels,
        bytes: 16 << 20,
    };
}

impl Content {
    /// What stands at each of the paths now; those that cannot be read are skipped.
    pub(crate) fn of(paths: &[String]) -> Vec<Self> {
        paths.iter().filter_map(|path| Self::at(path)).collect()
    }

    fn at(path: &str) -> Option<Self> {
        let file = match Place::find(Path::new(path)).ok()? {
            Some(place) => place.file().ok()?,
            None => None,
        };
        let sha256 = match file {
            Some(mut file) => Some(sha256(&file.read().ok()?)),
            None => None,
        };
        let path = path.to_owned();
        Some(Self { path, sha256 })
    }
}

impl Stamps {
    /// What was noted; nothing where that cannot be read, and then the times of files decide.
    pub(crate) fn read(lock: &Path) -> Self {
        Self::try_read(&place(lock)).unwrap_or_default()
    }

    fn try_read(path: &Path) -> Option<Self> {
        let mut file = Place::find(path).ok()??.file().ok()??;
        let is_ours =
            file.meta.uid() == rustix::process::geteuid().as_raw() && file.meta.mode().trailing_zeros() >= 6;
        let bytes = is_ours.then(|| file.read().ok())??;
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        decoder.next().ok()?
    }

    /// Puts it in the place of what was noted before. The caller has the run lock, whose directory this is. It need not
    /// outlive a power cut: no process does.
    fn write(&self, lock: &Path) -> io::Result<()> {
        let (path, new) = (place(lock), lock.with_extension("started-new"));
        let bytes = frame::encode(self).map_err(io::Error::other)?;
        // Left by an agent that was killed.
        let _removed = fs::remove_file(&new).is_ok();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&bytes)?;
        fs::rename(&new, &path)
    }

    /// The agent started a unit, whose process read these.
    pub(crate) fn started(mut self, lock: &Path, unit: &str, invocation: String, files: Vec<Content>) {
        self.starts.retain(|start| start.unit != unit);
        let unit = unit.to_owned();
        self.starts.push(Start {
            unit,
            invocation,
            files,
        });
        keep_newest(&mut self.starts);
        // Without the note the times of the files decide.
        let _written = self.write(lock).is_ok();
    }

    /// The agent changed the owner or mode of a file, and nothing else.
    pub(crate) fn access_changed(mut self, lock: &Path, path: &str, was: &Metadata, is: &Metadata) {
        let (from_us, to_us) = (self.changed_us(path, was), ctime_us(is));
        self.accesses.retain(|change| change.path != path);
        let path = path.to_owned();
        self.accesses.push(AccessChange { path, from_us, to_us });
        keep_newest(&mut self.accesses);
        let _written = self.write(lock).is_ok();
    }

    /// When a file was last changed otherwise than in owner or mode by an agent.
    pub(crate) fn changed_us(&self, path: &str, meta: &Metadata) -> i64 {
        let changed = ctime_us(meta);
        let noted = |change: &&AccessChange| change.path == path && change.to_us == changed;
        self.accesses
            .iter()
            .find(noted)
            .map_or(changed, |change| change.from_us)
    }

    /// The files that a unit's process was started with, if this invocation is one that was noted.
    pub(crate) fn started_with(&self, unit: &str, invocation: &str) -> Vec<StartedWith> {
        let is_it = |start: &&Start| start.unit == unit && start.invocation == invocation;
        let files = self.starts.iter().find(is_it).map(|start| &start.files);
        let compare = |then: &Content| {
            let now = Content::at(&then.path)?;
            Some(StartedWith {
                path: now.path.clone(),
                is_same: now == *then,
            })
        };
        files.into_iter().flatten().filter_map(compare).collect()
    }
}

fn place(lock: &Path) -> PathBuf {
    lock.with_extension("started")
}

fn keep_newest<T>(entries: &mut Vec<T>) {
    let over = entries.len().saturating_sub(MOST);
    entries.drain(..over);
}

fn ctime_us(meta: &Metadata) -> i64 {
    meta.ctime() * 1_000_000 + meta.ctime_nsec() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    const UNIT: &str = "a.service";

    fn host() -> (TempDir, PathBuf, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let lock = at("run.lock");
        let paths = ["conf", "key"].map(|name| at(name).to_str().unwrap().to_owned());
        fs::write(&paths[0], "port 1").unwrap();
        (directory, lock, paths.to_vec())
    }

    fn start(lock: &Path, unit: &str, invocation: &str, paths: &[String]) {
        Stamps::read(lock).started(lock, unit, invocation.to_owned(), Content::of(paths));
    }

    fn told(lock: &Path, invocation: &str) -> Vec<bool> {
        let files = Stamps::read(lock).started_with(UNIT, invocation);
        files.iter().map(|file| file.is_same).collect()
    }

    #[test]
    fn a_process_runs_with_a_file_until_its_content_changes_whatever_its_time_says() {
        let (_directory, lock, paths) = host();
        start(&lock, UNIT, "i1", &paths);
        assert_eq!(told(&lock, "i1"), [true, true]);
        // Written again with what it had: the time is another, the content is not.
        fs::write(&paths[0], "port 1").unwrap();
        assert_eq!(told(&lock, "i1"), [true, true]);
        fs::write(&paths[0], "port 2").unwrap();
        fs::write(&paths[1], "secret").unwrap();
        assert_eq!(told(&lock, "i1"), [false, false]);
        let kept = fs::metadata(place(&lock)).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_stamp_of_another_invocation_or_of_anybody_else_is_none() {
        let (_directory, lock, paths) = host();
        assert!(told(&lock, "i1").is_empty());
        start(&lock, UNIT, "i1", &paths);
        assert!(told(&lock, "i2").is_empty());
        start(&lock, UNIT, "i2", &paths);
        assert!(told(&lock, "i1").is_empty() && !told(&lock, "i2").is_empty());
        fs::set_permissions(place(&lock), Permissions::from_mode(0o622)).unwrap();
        assert!(told(&lock, "i2").is_empty());
        fs::write(place(&lock), "half").unwrap();
        assert!(told(&lock, "i2").is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_not_told() {
        let (directory, lock, mut paths) = host();
        paths.push(directory.path().to_str().unwrap().to_owned());
        start(&lock, UNIT, "i1", &paths);
        assert_eq!(told(&lock, "i1"), [true, true]);
        fs::remove_file(&paths[0]).unwrap();
        fs::create_dir(&paths[0]).unwrap();
        assert_eq!(told(&lock, "i1"), [true]);
    }

    #[test]
    fn of_many_units_the_oldest_go() {
        let (_directory, lock, paths) = host();
        for number in 0..=MOST {
            start(&lock, &format!("{number}.service"), "i", &paths);
        }
        let stamps = Stamps::read(&lock);
        assert_eq!(stamps.starts.len(), MOST);
        assert!(stamps.started_with("0.service", "i").is_empty());
        assert!(!stamps.started_with("1.service", "i").is_empty());
    }

    #[test]
    fn a_change_of_the_mode_by_an_agent_leaves_the_time_of_the_last_change_alone() {
        let (_directory, lock, paths) = host();
        let path = &paths[0];
        let meta = || fs::metadata(path).unwrap();
        let seen = || Stamps::read(&lock).changed_us(path, &meta());
        let first = meta();
        for mode in [0o600, 0o640] {
            let was = meta();
            // The kernel's clock of files ticks.
            while ctime_us(&meta()) == ctime_us(&was) {
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
            Stamps::read(&lock).access_changed(&lock, path, &was, &meta());
            assert_eq!(seen(), ctime_us(&first));
        }
        while ctime_us(&meta()) == ctime_us(&first) || seen() == ctime_us(&first) {
            fs::write(path, "port 2").unwrap();
        }
        assert!(seen() > ctime_us(&first));
    }
}
