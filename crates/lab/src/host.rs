//! One host: its root file system, its container, and how it starts, stops and loses power.
//!
//! A host keeps in its directory what makes it itself: `upper` (what it wrote over the image), `image` (which
//! image that was; written last, so a half-made host is never taken for one), `seed` (what the lab put into it)
//! and `console.log`.

mod boot;
mod error;
mod root;
mod seed;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use boot::ssh;
pub use error::HostError;
pub(crate) use seed::Seed;

use crate::Progress;
use crate::cgroup::{self, Cgroup};
use crate::cmd::Cmd;
use crate::mounts;
use crate::names::Names;
use crate::net::{Cut, Net, Plug};
use crate::wait::{self, WaitError};

/// Databases may take their time; after it the host is killed.
const STOP_LIMIT: Duration = Duration::from_mins(2);

/// Between two boots a host has no first process for a moment.
const REBOOT_LIMIT: Duration = Duration::from_secs(3);

/// The file that the image's `lab-ready.service` makes when the host takes logins.
const READY: &str = "run/lab-ready";

/// One host of a lab.
pub(crate) struct Host<'a> {
    name: &'a str,
    dir: PathBuf,
    names: &'a Names,
    cgroup: Cgroup,
    progress: &'a Progress,
}

impl<'a> Host<'a> {
    /// The host `name` of the lab in `lab_dir`.
    pub(crate) fn new(name: &'a str, lab_dir: &Path, names: &'a Names, progress: &'a Progress) -> Self {
        let cgroup = Cgroup::of_host(names.tag(), name);
        Self {
            name,
            dir: hosts_dir(lab_dir).join(name),
            names,
            cgroup,
            progress,
        }
    }

    fn net(&self) -> Net<'a> {
        Net::new(self.names)
    }

    fn say(&self, what: &str) {
        (self.progress)(&format!("{}: {what}", self.name));
    }

    /// Whether the host has processes; a host about to reboot is given the time to.
    pub(crate) fn running(&self) -> bool {
        let look = || {
            if self.cgroup.processes().is_empty() {
                return Ok(Some(false));
            }
            Ok(self.cgroup.leader().map(|_| true))
        };
        wait::until::<_, WaitError>("a first process", REBOOT_LIMIT, look).unwrap_or(false)
    }

    /// Whether it runs and takes logins, without a wait.
    pub(crate) fn ready(&self) -> bool {
        self.cgroup
            .leader()
            .is_some_and(|leader| Path::new(&format!("/proc/{leader}/root/{READY}")).exists())
    }

    /// Whether it runs with all that a start gives it: its supervisor and its link cannot be given back later.
    pub(crate) fn whole(&self) -> bool {
        self.cgroup.supervised() && self.plug() != Plug::Absent
    }

    /// How it is connected.
    pub(crate) fn plug(&self) -> Plug {
        self.net().state(self.name)
    }

    /// Whether any of its processes is left.
    pub(crate) fn has_processes(&self) -> bool {
        !self.cgroup.processes().is_empty()
    }

    /// The memory of its processes in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.cgroup.memory()
    }

    /// Makes what it needs and starts its container; does not wait for it to boot.
    pub(crate) fn start(&self, seed: &Seed<'_>, octet: u8) -> Result<(), HostError> {
        self.clear()?;
        self.make_root(seed)?;
        self.net().attach(self.name, seed.range, octet)?;
        self.cgroup.create()?;
        self.spawn(&seed.supervisor)
    }

    /// Ends and undoes whatever an earlier run left running, mounted or connected. Keeps its files.
    pub(crate) fn clear(&self) -> Result<(), HostError> {
        self.cgroup.kill(self.name)?;
        self.cgroup.remove()?;
        self.clear_nspawn();
        mounts::unmount_all(&self.dir)?;
        Ok(self.net().detach(self.name)?)
    }

    /// Removes what systemd-nspawn leaves in /run when it is killed. It is small and in nobody's way, so a failure
    /// does not matter.
    fn clear_nspawn(&self) {
        let run = Path::new("/run/systemd/nspawn");
        let _ = fs::remove_dir(run.join("propagate").join(self.names.machine(self.name)));
        if let Ok(root) = fs::metadata(self.root()) {
            let _ = fs::remove_file(run.join(format!("locks/inode-{}:{}", root.dev(), root.ino())));
        }
    }

    /// Forgets all that it ever wrote.
    pub(crate) fn destroy(&self) -> Result<(), HostError> {
        self.clear()?;
        Ok(mounts::remove_tree(&self.dir)?)
    }

    /// Shuts the host down.
    pub(crate) fn stop(&self) -> Result<(), HostError> {
        self.ask_to_stop()?;
        self.finish_stop()
    }

    /// Asks the host to shut down; does not wait for it.
    pub(crate) fn ask_to_stop(&self) -> Result<(), HostError> {
        if let Some(leader) = self.cgroup.leader() {
            // systemd's own signal for "power off", which needs no running shell or bus in the host.
            let sent = Cmd::new("kill")
                .args(["-s", "RTMIN+4", &leader.to_string()])
                .output()?;
            if !sent.success() {
                self.say("has ended by itself");
            }
        }
        Ok(())
    }

    /// Waits for the host's end, hastens it when it takes too long, and puts away its mounts and links.
    pub(crate) fn finish_stop(&self) -> Result<(), HostError> {
        let halted = wait::until::<_, WaitError>("the host to shut down", STOP_LIMIT, || {
            Ok(self.cgroup.leader().is_none().then_some(()))
        });
        if halted.is_err() {
            self.say(&format!(
                "did not shut down within {} s: killed",
                STOP_LIMIT.as_secs()
            ));
        }
        // Its container's own end follows at once; remains of a killed lab have to be ended anyway.
        let _ = wait::until::<_, WaitError>("its container to end", REBOOT_LIMIT, || {
            Ok((!self.has_processes()).then_some(()))
        });
        self.clear()
    }

    /// A power cut: everything ends at once, in the middle of whatever it does.
    pub(crate) fn kill(&self) -> Result<(), HostError> {
        let leader = self.cgroup.leader().ok_or(HostError::NotRunning)?;
        // With its first process the kernel ends the whole host at one instant.
        cgroup::kill_one(leader);
        self.clear()
    }

    /// Connects it again.
    pub(crate) fn heal(&self) -> Result<(), HostError> {
        Ok(self.net().plug(self.name)?)
    }

    /// Cuts it off.
    pub(crate) fn cut(&self, how: Cut) -> Result<(), HostError> {
        Ok(self.net().unplug(self.name, how)?)
    }
}

/// The directory of all hosts' directories.
pub(crate) fn hosts_dir(lab_dir: &Path) -> PathBuf {
    lab_dir.join("hosts")
}
