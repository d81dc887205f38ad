//! A host's processes, found and ended by their cgroup.
//!
//! The kernel keeps the list, so it is right after any crash: there are no pid files that could name another
//! process by now. Every host has one cgroup in each hierarchy that systemd uses, made before its container
//! starts (which else would share one with its neighbours).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{self, WaitError};

/// Where systemd's hierarchy may be mounted: v1's named one, v2 beside v1, v2 alone.
const HIERARCHIES: [&str; 3] = [
    "/sys/fs/cgroup/systemd",
    "/sys/fs/cgroup/unified",
    "/sys/fs/cgroup",
];

/// The labs' common directory in each hierarchy.
const LABS: &str = "clusterctl-lab";

/// SIGKILL works at once, unless a process is stuck in the kernel.
const KILL_LIMIT: Duration = Duration::from_secs(20);

/// The last process is gone a moment before its cgroup may be removed.
const REMOVE_LIMIT: Duration = Duration::from_secs(5);

/// A host's cgroup that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A directory could not be made or removed.
    #[error("cannot {action} the cgroup {}", path.display())]
    Directory {
        /// "make" or "remove".
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No hierarchy is mounted.
    #[error("no cgroup hierarchy of systemd's is mounted under /sys/fs/cgroup")]
    NoHierarchy,
    /// Processes do not end.
    #[error("processes do not end")]
    Wait(#[from] WaitError),
}

/// The cgroups of one host, or of a whole lab.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup {
    dirs: Vec<PathBuf>,
}

impl Cgroup {
    /// All of a lab.
    pub(crate) fn of_lab(tag: &str) -> Self {
        Self::at(&Path::new(LABS).join(tag))
    }

    /// One host of a lab.
    pub(crate) fn of_host(tag: &str, host: &str) -> Self {
        Self::at(&Path::new(LABS).join(tag).join(host))
    }

    fn at(path: &Path) -> Self {
        let mounted = HIERARCHIES
            .iter()
            .map(Path::new)
            .filter(|root| root.join("cgroup.procs").is_file());
        Self {
            dirs: mounted.map(|root| root.join(path)).collect(),
        }
    }

    /// The directories, one a hierarchy.
    pub(crate) fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Makes the directories.
    pub(crate) fn create(&self) -> Result<(), CgroupError> {
        if self.dirs.is_empty() {
            return Err(CgroupError::NoHierarchy);
        }
        for dir in &self.dirs {
            let failed = |source| CgroupError::Directory {
                action: "make",
                path: dir.clone(),
                source,
            };
            fs::create_dir_all(dir).map_err(failed)?;
        }
        Ok(())
    }

    /// The processes in these cgroups and all below them.
    pub(crate) fn processes(&self) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        for dir in &self.dirs {
            walk(dir, &mut |dir| {
                // A cgroup may go away while we look: then it has no processes.
                let list = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
                found.extend(list.lines().filter_map(|line| line.parse::<i32>().ok()));
            });
        }
        // A process of a namespace that we cannot see is listed as 0.
        found.remove(&0);
        found
    }

    /// The host's first process, as this machine numbers it.
    pub(crate) fn leader(&self) -> Option<i32> {
        self.processes().into_iter().find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| is_leader(&status))
        })
    }

    /// Whether the container still has its supervisor and its systemd-nspawn, which live outside of it. Without
    /// them a host works, but does not come back from a reboot.
    pub(crate) fn supervised(&self) -> bool {
        let outside = |pid: &i32| {
            fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| nesting(&status) == 1)
        };
        self.processes().iter().filter(|pid| outside(pid)).count() >= 2
    }

    /// Ends all processes at once.
    pub(crate) fn kill(&self, whose: &str) -> Result<(), CgroupError> {
        wait::until(
            format!("the processes of {whose} to end after SIGKILL"),
            KILL_LIMIT,
            || {
                let processes = self.processes();
                for pid in &processes {
                    kill_one(*pid);
                }
                Ok(processes.is_empty().then_some(()))
            },
        )
    }

    /// Removes the directories; there must be no process left.
    pub(crate) fn remove(&self) -> Result<(), CgroupError> {
        for dir in &self.dirs {
            let mut error = None;
            let gone: Result<(), WaitError> = wait::until("the cgroup to be empty", REMOVE_LIMIT, || {
                walk(dir, &mut |dir| error = fs::remove_dir(dir).err());
                Ok((!dir.exists()).then_some(()))
            });
            if let (Err(_), Some(source)) = (gone, error) {
                return Err(CgroupError::Directory {
                    action: "remove",
                    path: dir.clone(),
                    source,
                });
            }
            // The last lab takes the common directory along; to others it is not empty.
            if let Some(parent) = dir.parent().filter(|parent| parent.ends_with(LABS)) {
                let _ = fs::remove_dir(parent);
            }
        }
        Ok(())
    }

    /// The memory of all processes in bytes; what several share is counted once.
    pub(crate) fn memory(&self) -> u64 {
        let one = |pid: i32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            pss(&rollup)
        };
        self.processes().into_iter().map(one).sum()
    }
}

/// Sends SIGKILL; a process that is gone already is no failure.
pub(crate) fn kill_one(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Calls `each` for the directory and all below it, the deepest first.
fn walk(dir: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), each);
        }
    }
    if dir.is_dir() {
        each(dir);
    }
}

/// Whether a process is number 1 of a container directly below this machine: `NSpid: 4711 1`.
fn is_leader(status: &str) -> bool {
    nesting(status) == 2 && pids(status).nth(1) == Some("1")
}

/// In how many process namespaces, from this machine's inwards, a process is.
fn nesting(status: &str) -> usize {
    pids(status).count()
}

/// A process's numbers, this machine's first.
fn pids(status: &str) -> impl Iterator<Item = &str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .unwrap_or_default()
        .split_whitespace()
}

/// Reads `Pss: 123 kB`.
fn pss(rollup: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_number_one_one_level_down() {
        assert!(is_leader("Name:\tsystemd\nNSpid:\t4711\t1\n"));
        assert!(!is_leader("Name:\tsh\nNSpid:\t4711\n"));
        assert!(!is_leader("Name:\tsh\nNSpid:\t4711\t12\n"));
        assert!(!is_leader("Name:\tnested\nNSpid:\t4711\t12\t1\n"));
    }

    #[test]
    fn proportional_memory_is_read() {
        assert_eq!(
            pss("Rss: 900 kB\nPss:                 12 kB\nPss_Dirty: 3 kB\n"),
            12 * 1024
        );
        assert_eq!(pss(""), 0);
    }
}
