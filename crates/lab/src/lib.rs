//! A cluster of real Linux hosts on one machine, for demos and end-to-end tests.
//!
//! Each host is a container with systemd as its first process, its own address, an SSH server, a user `deploy`
//! with sudo, and Debian's packages of the services that clusterctl clusters. A host can be stopped, lose its
//! power, be cut off from the network, and be made anew; the cluster tests need just that, and nothing outside
//! the lab is ever touched. A lab that was killed at any point is mended by the next [`Lab::up`].
//!
//! ```no_run
//! # fn main() -> Result<(), lab::LabError> {
//! let lab = lab::Lab::open(lab::LabOptions::default())?;
//! lab.up()?;
//! let id = lab.check("db1", "id -un")?;
//! lab.down(false)?;
//! # Ok(()) }
//! ```
//!
//! Nothing here prints: what happens is told to the caller's [`Progress`].

mod cgroup;
mod cmd;
mod files;
mod host;
mod image;
mod lock;
mod mounts;
mod names;
mod net;
mod range;
mod spec;
mod ssh_files;
mod status;
mod tools;
mod wait;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use cgroup::CgroupError;
pub use cmd::{CmdError, Output};
pub use files::FileError;
pub use host::HostError;
pub use image::ImageError;
pub use lock::LockError;
pub use mounts::MountError;
pub use names::NameError;
pub use net::{Cut, NetError};
pub use range::{Range, RangeError};
pub use spec::{HostSpec, SpecError, default_hosts, read_hosts};
pub use ssh_files::SshFilesError;
pub use status::{HostState, HostStatus};
pub use tools::ToolsError;
pub use wait::WaitError;

use cgroup::Cgroup;
use host::{Host, Seed};
use lock::Lock;
use names::Names;
use net::{Net, Plug};
use ssh_files::SshFiles;

/// Takes one line about what the lab does now.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// The name of the lab that is meant when none is named.
pub const DEFAULT_NAME: &str = "lab";

/// How long one lab command waits for another on the same lab, which may be building the image.
const TURN_LIMIT: Duration = Duration::from_mins(30);

/// How long a script of [`Lab::run`] may take.
const SCRIPT_LIMIT: Duration = Duration::from_mins(10);

/// What a host's supervisor runs.
const SUPERVISOR: &str = include_str!("../assets/supervise.sh");

/// What the hosts are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Engine {
    /// systemd-nspawn on an overlay file system.
    #[default]
    Nspawn,
}

/// Which lab, and how it is made.
#[derive(Clone)]
pub struct LabOptions {
    /// The lab's name; two names are two labs, side by side.
    pub name: String,
    /// What the hosts are made with.
    pub engine: Engine,
    /// The hosts; without them those of the last `up`, else [`default_hosts`].
    pub hosts: Option<Vec<HostSpec>>,
    /// The addresses; without them the lab's own or the next free ones.
    pub net: Option<Range>,
    /// Where all labs keep their state.
    pub state: PathBuf,
    /// Where images and packages are cached.
    pub cache: PathBuf,
    /// Who is told what happens.
    pub progress: Progress,
}

impl Default for LabOptions {
    /// The usual lab, in the places that `CLUSTERCTL_LAB_STATE` and `CLUSTERCTL_LAB_CACHE` name, told to nobody.
    fn default() -> Self {
        let place = |variable: &str, usual: &str| {
            std::env::var_os(variable)
                .filter(|path| !path.is_empty())
                .map_or_else(|| usual.into(), PathBuf::from)
        };
        Self {
            name: DEFAULT_NAME.to_owned(),
            engine: Engine::default(),
            hosts: None,
            net: None,
            state: place("CLUSTERCTL_LAB_STATE", names::DEFAULT_STATE),
            cache: place("CLUSTERCTL_LAB_CACHE", "/var/cache/clusterctl-lab"),
            progress: Arc::new(|_| {}),
        }
    }
}

/// Why a lab could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The lab's name.
    #[error("the lab has an unusable name")]
    Name(#[from] NameError),
    /// The list of hosts.
    #[error("cannot tell the lab's hosts")]
    Spec(#[from] SpecError),
    /// The addresses.
    #[error("cannot give the lab its addresses")]
    Range(#[from] RangeError),
    /// The machine.
    #[error("this machine cannot run a lab yet")]
    Tools(#[from] ToolsError),
    /// The image.
    #[error("cannot make the hosts' image")]
    Image(#[from] ImageError),
    /// The network.
    #[error("cannot make the lab's network")]
    Net(#[from] NetError),
    /// The files for SSH clients.
    #[error("cannot let SSH clients in")]
    SshFiles(#[from] SshFilesError),
    /// A file in the lab's directory.
    #[error("cannot keep the lab's state")]
    File(#[from] FileError),
    /// Another command works on the same lab.
    #[error("the lab is in use")]
    Lock(#[from] LockError),
    /// Leftover processes.
    #[error("cannot end the lab's processes")]
    Cgroup(#[from] CgroupError),
    /// Leftover mounts.
    #[error("cannot put away the lab's files")]
    Mount(#[from] MountError),
    /// A place that the shell scripts and mount options of the lab cannot take.
    #[error("{} cannot hold a lab: use an absolute path without blanks, quotes, ',', ':' or '\\'", path.display())]
    Place {
        /// The path.
        path: PathBuf,
    },
    /// One host.
    #[error("host {host}")]
    Host {
        /// Its name.
        host: String,
        /// What is wrong with it.
        #[source]
        source: HostError,
    },
    /// There is no such host.
    #[error("the lab has no host {host:?}; it has {known}")]
    NoSuchHost {
        /// The name that was asked for.
        host: String,
        /// The hosts that there are.
        known: String,
    },
    /// The lab was never up.
    #[error("lab {name:?} is not there; `cargo xtask lab --name {name} up` makes it")]
    NotThere {
        /// Its name.
        name: String,
    },
    /// A command on a host could not be run, or failed.
    #[error("on {host}")]
    Run {
        /// The host.
        host: String,
        /// What happened.
        #[source]
        source: CmdError,
    },
}

/// A lab, which may or may not be up.
pub struct Lab {
    options: LabOptions,
    dir: PathBuf,
    names: Names,
    hosts: Vec<HostSpec>,
    ssh: SshFiles,
}

impl Lab {
    /// Finds a lab by its name; changes nothing.
    pub fn open(options: LabOptions) -> Result<Self, LabError> {
        names::check("lab", &options.name)?;
        check_place(&options.state)?;
        check_place(&options.cache)?;
        let dir = options.state.join(&options.name);
        let hosts = match &options.hosts {
            Some(hosts) => {
                spec::check(hosts)?;
                hosts.clone()
            }
            None => recorded_hosts(&dir)?.unwrap_or_else(default_hosts),
        };
        let names = Names::new(&options.name, &options.state);
        let ssh = SshFiles::new(&dir);
        Ok(Self {
            options,
            dir,
            names,
            hosts,
            ssh,
        })
    }

    /// The lab's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The configuration for `ssh -F`; there once the lab was up.
    pub fn ssh_config(&self) -> &Path {
        &self.ssh.config
    }

    /// The hosts, in the order of their list.
    pub fn hosts(&self) -> &[HostSpec] {
        &self.hosts
    }

    /// A host's address; known once the lab was up.
    pub fn address(&self, host: &str) -> Result<Ipv4Addr, LabError> {
        Ok(self.range()?.address(self.spec(host)?.octet))
    }

    /// Makes the lab and starts all its hosts, or as much of that as is still to be done.
    pub fn up(&self) -> Result<(), LabError> {
        let _turn = self.make_dir_and_lock()?;
        self.drop_former_hosts()?;
        let seed = self.seed()?;
        let began = Instant::now();
        for spec in &self.hosts {
            self.start_or_heal(&seed, spec)?;
        }
        self.wait_up(&seed, &self.hosts, began)?;
        self.say(&format!(
            "lab {:?} is up: ssh -F {} HOST",
            self.options.name,
            self.ssh.config.display()
        ));
        Ok(())
    }

    /// Shuts the hosts down and puts away all that the lab has in the kernel; with `purge` also its files.
    pub fn down(&self, purge: bool) -> Result<(), LabError> {
        tools::require_root()?;
        if !self.dir.is_dir() {
            return self.sweep();
        }
        let _turn = self.lock()?;
        let former = recorded_hosts(&self.dir)?.unwrap_or_default();
        let all: Vec<&HostSpec> = former
            .iter()
            .chain(self.hosts.iter().filter(|s| !former.contains(s)))
            .collect();
        let running: Vec<&HostSpec> = all
            .into_iter()
            .filter(|spec| self.at(&spec.name).has_processes())
            .collect();
        for spec in &running {
            self.at(&spec.name).ask_to_stop().map_err(on(&spec.name))?;
        }
        for spec in &running {
            self.at(&spec.name).finish_stop().map_err(on(&spec.name))?;
        }
        self.sweep()?;
        if purge {
            mounts::remove_tree(&self.dir)?;
            // To the last lab only: the directory is not empty otherwise.
            let _ = std::fs::remove_dir(&self.options.state);
        }
        self.say(&format!(
            "lab {:?} is {}",
            self.options.name,
            if purge { "gone" } else { "down" }
        ));
        Ok(())
    }

    /// Starts a host that is stopped or lost its power, with all its data, and waits until it takes logins.
    pub fn start(&self, host: &str) -> Result<(), LabError> {
        self.range()?;
        let spec = self.spec(host)?;
        let _turn = self.lock()?;
        let seed = self.seed()?;
        let began = Instant::now();
        self.start_or_heal(&seed, spec)?;
        self.wait_up(&seed, std::slice::from_ref(spec), began)
    }

    /// Shuts a host down as an administrator would, and waits for its end.
    pub fn stop(&self, host: &str) -> Result<(), LabError> {
        let (at, _turn) = self.at_locked(host)?;
        at.ask_to_stop().and_then(|()| at.finish_stop()).map_err(on(host))
    }

    /// Cuts a host's power. (Its writes stay in this machine's page cache: that does not test fsync.)
    pub fn kill(&self, host: &str) -> Result<(), LabError> {
        let (at, _turn) = self.at_locked(host)?;
        at.kill().map_err(on(host))
    }

    /// Pulls a host's network cable.
    pub fn cut(&self, host: &str) -> Result<(), LabError> {
        self.cut_how(host, Cut::Unplug)
    }

    /// Cuts a host off in the way given. A start connects a host again, too.
    pub fn cut_how(&self, host: &str, how: Cut) -> Result<(), LabError> {
        let (at, _turn) = self.at_locked(host)?;
        at.cut(how).map_err(on(host))
    }

    /// Connects a host again.
    pub fn heal(&self, host: &str) -> Result<(), LabError> {
        let (at, _turn) = self.at_locked(host)?;
        at.heal().map_err(on(host))
    }

    /// Makes a host anew, without any of its data and with a new host key, and starts it.
    pub fn reset(&self, host: &str) -> Result<(), LabError> {
        {
            let (at, _turn) = self.at_locked(host)?;
            at.destroy().map_err(on(host))?;
        }
        self.start(host)
    }

    /// Runs a script on a host as root over SSH, whatever its exit code.
    pub fn run(&self, host: &str, script: &str) -> Result<Output, LabError> {
        self.script(host, script)?
            .output()
            .map_err(|source| ran(host, source))
    }

    /// Runs a script on a host as root over SSH, takes a failure for an error, and returns what it wrote to standard
    /// output, without the blanks around it.
    pub fn check(&self, host: &str, script: &str) -> Result<String, LabError> {
        let output = self
            .script(host, script)?
            .run()
            .map_err(|source| ran(host, source))?;
        Ok(output.trim().to_owned())
    }

    /// How each host is.
    pub fn status(&self) -> Result<Vec<HostStatus>, LabError> {
        let range = range::recorded(&self.dir)?;
        let one = |spec: &HostSpec| {
            let address = range.map(|range| range.address(spec.octet));
            status::of(&self.at(&spec.name), &spec.name, address).map_err(on(&spec.name))
        };
        self.hosts.iter().map(one).collect()
    }

    fn say(&self, what: &str) {
        (self.options.progress)(what);
    }

    fn script(&self, host: &str, script: &str) -> Result<cmd::Cmd, LabError> {
        self.range()?;
        Ok(host::ssh(&self.ssh.config, &self.spec(host)?.name)
            .arg("--")
            .arg(script)
            .limit(SCRIPT_LIMIT))
    }

    fn spec(&self, host: &str) -> Result<&HostSpec, LabError> {
        self.hosts.iter().find(|spec| spec.name == host).ok_or_else(|| {
            let known: Vec<&str> = self.hosts.iter().map(|spec| spec.name.as_str()).collect();
            LabError::NoSuchHost {
                host: host.to_owned(),
                known: known.join(", "),
            }
        })
    }

    fn range(&self) -> Result<Range, LabError> {
        range::recorded(&self.dir)?.ok_or_else(|| LabError::NotThere {
            name: self.options.name.clone(),
        })
    }

    fn at<'a>(&'a self, host: &'a str) -> Host<'a> {
        Host::new(host, &self.dir, &self.names, &self.options.progress)
    }

    /// One host of a lab that was up, with the lab's lock.
    fn at_locked<'a>(&'a self, host: &'a str) -> Result<(Host<'a>, Lock), LabError> {
        tools::require_root()?;
        self.range()?;
        self.spec(host)?;
        Ok((self.at(host), self.lock()?))
    }

    fn lock(&self) -> Result<Lock, LabError> {
        Ok(Lock::take(&self.dir, TURN_LIMIT, &self.options.progress)?)
    }

    fn make_dir_and_lock(&self) -> Result<Lock, LabError> {
        tools::require_root()?;
        tools::ensure(&self.options.progress)?;
        files::make_dir(&self.dir)?;
        self.lock()
    }

    /// Prepares all that the hosts have in common. The caller holds the lab's lock.
    fn seed(&self) -> Result<Seed<'_>, LabError> {
        tools::require_root()?;
        let range = {
            // All labs choose their addresses one after the other.
            let _choosing = Lock::take(&self.options.state, TURN_LIMIT, &self.options.progress)?;
            range::take(&self.dir, self.options.net, &self.names.bridge())?
        };
        let image = match self.options.engine {
            Engine::Nspawn => image::ensure(&self.options.cache, &self.options.progress)?,
        };
        files::write(&hosts_file(&self.dir), &spec::to_toml(&self.hosts))?;
        let supervisor = self.dir.join("supervise.sh");
        files::write(&supervisor, SUPERVISOR)?;
        let public_key = self.ssh.public_key()?;
        self.ssh.write_config(&self.hosts, range)?;
        Net::new(&self.names).bridge_up(range)?;
        Ok(Seed {
            range,
            hosts: &self.hosts,
            public_key,
            image,
            supervisor,
        })
    }

    /// Hosts of the last `up` that the list no longer has, or has elsewhere.
    fn drop_former_hosts(&self) -> Result<(), LabError> {
        for former in recorded_hosts(&self.dir)?.unwrap_or_default() {
            let at = self.at(&former.name);
            if !self.hosts.iter().any(|spec| spec.name == former.name) {
                self.say(&format!("{}: no longer one of the hosts, removed", former.name));
                at.destroy().map_err(on(&former.name))?;
            } else if !self.hosts.contains(&former) {
                at.ask_to_stop()
                    .and_then(|()| at.finish_stop())
                    .map_err(on(&former.name))?;
            }
        }
        Ok(())
    }

    fn start_or_heal(&self, seed: &Seed<'_>, spec: &HostSpec) -> Result<(), LabError> {
        let at = self.at(&spec.name);
        // A host that lost its link for good can only be connected anew with its start.
        let done = if at.running() && at.plug() != Plug::Absent {
            at.heal()
        } else {
            at.start(seed, spec.octet)
        };
        done.map_err(on(&spec.name))
    }

    fn wait_up(&self, seed: &Seed<'_>, hosts: &[HostSpec], began: Instant) -> Result<(), LabError> {
        let mut keys = Vec::new();
        for spec in &self.hosts {
            keys.push((spec, self.at(&spec.name).public_key().map_err(on(&spec.name))?));
        }
        self.ssh.write_known_hosts(keys, seed.range)?;
        for spec in hosts {
            self.at(&spec.name)
                .wait_up(&self.ssh.config, began)
                .map_err(on(&spec.name))?;
        }
        Ok(())
    }

    /// Removes whatever the lab has in the kernel, known or not.
    fn sweep(&self) -> Result<(), LabError> {
        let all = Cgroup::of_lab(self.names.tag());
        all.kill("the lab")?;
        all.remove()?;
        mounts::unmount_all(&self.dir)?;
        Net::new(&self.names).remove()?;
        Ok(())
    }
}

/// Paths become part of mount options and hook scripts.
fn check_place(path: &Path) -> Result<(), LabError> {
    let text = path.to_string_lossy();
    if path.is_absolute() && !text.contains([' ', '\t', '\n', '\'', '"', ',', ':', '\\', '$', '%']) {
        return Ok(());
    }
    Err(LabError::Place {
        path: path.to_owned(),
    })
}

fn hosts_file(dir: &Path) -> PathBuf {
    dir.join("hosts.toml")
}

fn recorded_hosts(dir: &Path) -> Result<Option<Vec<HostSpec>>, LabError> {
    let path = hosts_file(dir);
    if path.is_file() {
        Ok(Some(read_hosts(&path)?))
    } else {
        Ok(None)
    }
}

fn on(host: &str) -> impl FnOnce(HostError) -> LabError {
    let host = host.to_owned();
    move |source| LabError::Host { host, source }
}

fn ran(host: &str, source: CmdError) -> LabError {
    LabError::Run {
        host: host.to_owned(),
        source,
    }
}
