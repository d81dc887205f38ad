//! One host: its root file system, its container, and how it starts, stops and loses power.
//!
//! A host keeps in its directory what makes it itself: `upper` (what it wrote over the image), `image` (which
//! image that was; written last, so a half-made host is never taken for one), `seed` (what the lab put into it)
//! and `console.log`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Progress;
use crate::cgroup::{self, Cgroup, CgroupError};
use crate::cmd::{self, Cmd, CmdError};
use crate::files::{self, FileError};
use crate::mounts::{self, MountError};
use crate::names::Names;
use crate::net::{Net, NetError, Plug};
use crate::range::Range;
use crate::spec::HostSpec;
use crate::ssh_files::{self, SshFilesError};
use crate::wait::{self, WaitError};

/// A host boots in seconds on an idle machine; a test run makes it a busy one.
const BOOT_LIMIT: Duration = Duration::from_mins(3);

/// How long a started supervisor may take to join its cgroup.
const SPAWN_LIMIT: Duration = Duration::from_secs(10);

/// Databases may take their time; after it the host is killed.
const STOP_LIMIT: Duration = Duration::from_mins(2);

/// Between two boots a host has no first process for a moment.
const REBOOT_LIMIT: Duration = Duration::from_secs(3);

/// The file that the image's `lab-ready.service` makes when the host takes logins.
const READY: &str = "run/lab-ready";

/// The host's key, in its root.
const HOST_KEY: &str = "etc/ssh/ssh_host_ed25519_key";

/// A host that could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file of the host.
    #[error("cannot keep the host's files")]
    File(#[from] FileError),
    /// A tool failed.
    #[error("cannot run the host")]
    Command(#[from] CmdError),
    /// Its root file system.
    #[error("cannot set up the host's root file system")]
    Mount(#[from] MountError),
    /// Its network.
    #[error("cannot connect the host")]
    Net(#[from] NetError),
    /// Its processes.
    #[error("cannot control the host's processes")]
    Cgroup(#[from] CgroupError),
    /// Its keys.
    #[error("cannot make the host's key")]
    Key(#[from] SshFilesError),
    /// A wait was over.
    #[error("the host does not answer")]
    Wait(#[from] WaitError),
    /// Its container ended while it booted.
    #[error("its container ended while it booted; {}, at its end, says:\n{tail}", log.display())]
    Died {
        /// The console's log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// It takes no logins.
    #[error(
        "it took no login within {} s of its start ({problem}); {}, at its end, says:\n{tail}",
        limit.as_secs(), log.display()
    )]
    NotUp {
        /// The time it had.
        limit: Duration,
        /// What is still missing.
        problem: String,
        /// The console's log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// It does not run.
    #[error("it does not run")]
    NotRunning,
}

/// What all hosts of a lab have in common when they start.
#[derive(Debug)]
pub(crate) struct Seed<'a> {
    pub(crate) range: Range,
    pub(crate) hosts: &'a [HostSpec],
    pub(crate) public_key: String,
    pub(crate) image: PathBuf,
    pub(crate) supervisor: PathBuf,
}

impl Seed<'_> {
    /// `/etc/hosts` of every host: no 127.0.1.1, which would hide a host's own address from its services.
    fn hosts_file(&self) -> String {
        let line = |host: &HostSpec| format!("{} {}\n", self.range.address(host.octet), host.name);
        std::iter::once("127.0.0.1 localhost\n".to_owned())
            .chain(self.hosts.iter().map(line))
            .collect()
    }
}

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

    fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn upper(&self) -> PathBuf {
        self.dir.join("upper")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("console.log")
    }

    fn net(&self) -> Net<'a> {
        Net::new(self.names)
    }

    fn say(&self, what: &str) {
        (self.progress)(&format!("{}: {what}", self.name));
    }

    /// Whether the host was ever made.
    pub(crate) fn exists(&self) -> bool {
        self.dir.join("image").is_file()
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

    /// What it wrote over its image, in bytes.
    pub(crate) fn disk(&self) -> Result<u64, HostError> {
        if !self.exists() {
            return Ok(0);
        }
        let du = Cmd::new("du")
            .args(["-s", "--block-size=1"])
            .arg(self.upper())
            .output()?;
        // Its exit code also tells of files that went away meanwhile.
        Ok(du
            .stdout
            .split_whitespace()
            .next()
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or(0))
    }

    /// Its public key, as it is on its disk now.
    pub(crate) fn public_key(&self) -> Result<String, HostError> {
        Ok(files::read_or_empty(
            &self.upper().join(HOST_KEY).with_extension("pub"),
        )?)
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
        mounts::unmount_all(&self.dir)?;
        self.net().detach(self.name)?;
        let _ =
            fs::remove_dir(Path::new("/run/systemd/nspawn/propagate").join(self.names.machine(self.name)));
        Ok(())
    }

    /// Forgets all that it ever wrote.
    pub(crate) fn destroy(&self) -> Result<(), HostError> {
        self.clear()?;
        Ok(mounts::remove_tree(&self.dir)?)
    }

    /// Mounts its root, of the image that it was made from, and puts the lab's files into it.
    fn make_root(&self, seed: &Seed<'_>) -> Result<(), HostError> {
        let marker = self.dir.join("image");
        let mut image = PathBuf::from(files::read_or_empty(&marker)?);
        let made = !image.as_os_str().is_empty();
        if !made || !image.is_dir() {
            if made {
                self.say("its image is no longer in the cache: it is made anew");
            }
            mounts::remove_tree(&self.dir)?;
            image.clone_from(&seed.image);
        } else if image != seed.image {
            self.say("keeps the older image that it was made from, until its reset");
        }
        let (root, upper, work) = (self.root(), self.upper(), self.dir.join("work"));
        for dir in [&root, &upper, &work] {
            files::make_dir(dir)?;
        }
        mounts::overlay(&image, &upper, &work, &root)?;
        self.plant(seed)?;
        Ok(files::write(&marker, &image.to_string_lossy())?)
    }

    /// Puts the lab's files into the host's root, unless they are there: what the host changed in them later stays.
    fn plant(&self, seed: &Seed<'_>) -> Result<(), HostError> {
        let (root, marker) = (self.root(), self.dir.join("seed"));
        let hosts_file = seed.hosts_file();
        let planted = format!("{}\n{hosts_file}{}", self.name, seed.public_key);
        if files::read_or_empty(&marker)? == planted {
            return Ok(());
        }
        let put = |path: &str, text: &str| files::write(&root.join(path), text);
        put("etc/hostname", &format!("{}\n", self.name))?;
        put("etc/hosts", &hosts_file)?;
        for home in ["root", "home/deploy"] {
            authorize(&root.join(home).join(".ssh"), &seed.public_key)?;
        }
        let key = root.join(HOST_KEY);
        if !key.is_file() {
            ssh_files::make_key(&key, self.name)?;
        }
        Ok(files::write(&marker, &planted)?)
    }

    /// Starts the supervisor in a session of its own, so that the host outlives this process and its terminal.
    fn spawn(&self, supervisor: &Path) -> Result<(), HostError> {
        let path = self.log();
        let log = File::create(&path).map_err(files::failed("write", &path))?;
        let errors = log.try_clone().map_err(files::failed("write", &path))?;
        let cgroups: Vec<_> = self
            .cgroup
            .dirs()
            .iter()
            .map(|dir| dir.to_string_lossy())
            .collect();
        let mut command = Command::new("setsid");
        command
            .args(["--fork", "sh"])
            .arg(supervisor)
            .arg(cgroups.join(" "))
            .arg("systemd-nspawn")
            .args([
                "--quiet",
                "--register=no",
                "--keep-unit",
                "--boot",
                "--console=read-only",
            ])
            .args(["--resolv-conf=off", "--timezone=off", "--link-journal=no"])
            // Databases lock memory; tests change the host's own network.
            .arg("--capability=CAP_NET_ADMIN,CAP_IPC_LOCK")
            .arg(format!("--machine={}", self.names.machine(self.name)))
            .arg(format!("--hostname={}", self.name))
            .arg(format!(
                "--network-namespace-path=/run/netns/{}",
                self.names.netns(self.name)
            ))
            .arg("--directory")
            .arg(self.root())
            .env_clear()
            .env("PATH", cmd::search_path())
            // The network's part of /proc/sys is the host's own; the rest stays read-only.
            .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        let start = |source: io::Error| CmdError::Start {
            command: "setsid --fork sh".to_owned(),
            source,
        };
        command.status().map_err(start)?;
        wait::until("the host's supervisor to start", SPAWN_LIMIT, || {
            Ok((self.has_processes() || self.log_has_text()).then_some(()))
        })
    }

    /// The supervisor writes only when something went wrong or has ended.
    fn log_has_text(&self) -> bool {
        fs::metadata(self.log()).is_ok_and(|log| log.len() > 0)
    }

    /// Waits until it takes logins through `config`; its start began at `began`.
    pub(crate) fn wait_up(&self, config: &Path, began: Instant) -> Result<(), HostError> {
        let mut problem = String::from("it is still booting");
        let booted = wait::until("the host to boot", BOOT_LIMIT, || {
            if !self.has_processes() {
                return Err(self.died());
            }
            if !self.ready() {
                return Ok(None);
            }
            let login = ssh(config, self.name).arg("true").output()?;
            if !login.success() {
                problem = format!("ssh says: {}", cmd::tail(&login.stderr, 2));
            }
            Ok(login.success().then_some(()))
        });
        match booted {
            Err(HostError::Wait(over)) => Err(HostError::NotUp {
                limit: over.limit,
                problem,
                log: self.log(),
                tail: self.log_tail(),
            }),
            Err(other) => Err(other),
            Ok(()) => {
                self.say(&format!("up after {:.1} s", began.elapsed().as_secs_f64()));
                Ok(())
            }
        }
    }

    fn died(&self) -> HostError {
        HostError::Died {
            log: self.log(),
            tail: self.log_tail(),
        }
    }

    fn log_tail(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        cmd::tail(&String::from_utf8_lossy(&text), 12)
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
    pub(crate) fn cut(&self, how: crate::Cut) -> Result<(), HostError> {
        Ok(self.net().unplug(self.name, how)?)
    }
}

/// The directory of all hosts' directories.
pub(crate) fn hosts_dir(lab_dir: &Path) -> PathBuf {
    lab_dir.join("hosts")
}

/// The beginning of any non-interactive ssh to a host.
pub(crate) fn ssh(config: &Path, host: &str) -> Cmd {
    Cmd::new("ssh")
        .arg("-F")
        .arg(config)
        .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", host])
}

/// Lets the lab's key in, as the owner of the home that `.ssh` stands in.
fn authorize(ssh_dir: &Path, public_key: &str) -> Result<(), FileError> {
    let path = ssh_dir.join("authorized_keys");
    files::make_dir(ssh_dir)?;
    files::write(&path, public_key)?;
    let owner = fs::metadata(ssh_dir).map_err(files::failed("read", ssh_dir))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .and_then(|()| chown(&path, Some(owner.uid()), Some(owner.gid())))
        .map_err(files::failed("set the owner of", &path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::default_hosts;

    #[test]
    fn every_host_knows_all_hosts_by_their_outer_addresses() {
        let hosts = default_hosts();
        let seed = Seed {
            range: "10.78.0.0/24".parse().unwrap(),
            hosts: &hosts[..2],
            public_key: String::new(),
            image: PathBuf::new(),
            supervisor: PathBuf::new(),
        };
        assert_eq!(
            seed.hosts_file(),
            "127.0.0.1 localhost\n10.78.0.11 db1\n10.78.0.12 db2\n"
        );
    }
}
