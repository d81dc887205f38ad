//! The lab itself: what its hosts share, and what can be done to them.
//!
//! Every change holds the lock on the lab's directory, so two commands on one lab take turns.

use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cgroup::Cgroup;
use crate::host::{self, Host, Seed};
use crate::lock::Lock;
use crate::names::Names;
use crate::net::Net;
use crate::options::check_place;
use crate::ssh_files::SshFiles;
use crate::{
    CmdError, Cut, Engine, HostError, HostSpec, HostStatus, LabError, LabOptions, Output, Programs, Range,
    Suite, cmd, default_hosts, files, image, inotify, mounts, names, overlay, programs, range, read_hosts,
    spec, status, suite, tools,
};

/// How long one lab command waits for another on the same lab, which may be building the image.
const TURN_LIMIT: Duration = Duration::from_mins(40);

/// How long a script of [`Lab::run`] may take.
const SCRIPT_LIMIT: Duration = Duration::from_mins(10);

/// What a host's supervisor runs.
const SUPERVISOR: &str = include_str!("../assets/supervise.sh");

/// A lab, which may or may not be up.
pub struct Lab {
    options: LabOptions,
    dir: PathBuf,
    names: Names,
    hosts: Vec<HostSpec>,
    suite: Suite,
    programs: Programs,
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
        let programs = match &options.programs {
            Some(programs) => {
                programs::check(programs)?;
                programs.clone()
            }
            None => programs::recorded(&dir)?,
        };
        let suite = suite::of_lab(&dir, options.suite)?;
        let names = Names::new(&options.name, &options.state);
        let ssh = SshFiles::new(&dir);
        Ok(Self {
            options,
            dir,
            names,
            hosts,
            suite,
            programs,
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

    /// What the root's inventory needs laid over it to describe this lab; there once the lab was up.
    pub fn overlay(&self) -> PathBuf {
        overlay::path(&self.dir)
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
        if let Some(raised) = inotify::make_room()? {
            self.say(&raised);
        }
        let began = Instant::now();
        for spec in &self.hosts {
            self.start_or_heal(&seed, spec)?;
        }
        self.wait_up(&seed, &self.hosts, began)?;
        self.say(&format!(
            "lab {:?} is up ({}): ssh -F {} HOST",
            self.options.name,
            self.suite,
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
        for spec in &all {
            self.at(&spec.name).ask_to_stop().map_err(on(&spec.name))?;
        }
        for spec in &all {
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
        at.stop().map_err(on(host))
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
            range::take(&self.dir, self.options.net, &self.names.bridge()).inspect_err(|_| {
                // Of a lab that never came to be nothing stays (a directory with anything in it does).
                let _ = std::fs::remove_dir(&self.dir);
            })?
        };
        let image = match self.options.engine {
            Engine::Nspawn => image::ensure(self.suite, &self.options.cache, &self.options.progress)?,
        };
        suite::write_record(&self.dir, self.suite)?;
        files::write(&hosts_file(&self.dir), &spec::to_toml(&self.hosts))?;
        programs::write_record(&self.dir, &self.programs)?;
        let supervisor = self.dir.join("supervise.sh");
        files::write(&supervisor, SUPERVISOR)?;
        let public_key = self.ssh.public_key()?;
        self.ssh.write_config(&self.hosts, range)?;
        overlay::write(&self.dir, &self.hosts, range)?;
        Net::new(&self.names).bridge_up(range)?;
        Ok(Seed {
            range,
            hosts: &self.hosts,
            programs: &self.programs,
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
        let running = at.running();
        if running && at.whole() {
            return at
                .tell_older_image(seed)
                .and_then(|()| at.heal())
                .map_err(on(&spec.name));
        }
        if running {
            self.say(&format!(
                "{}: lost its supervisor or its link, restarting it",
                spec.name
            ));
            at.stop().map_err(on(&spec.name))?;
        }
        at.start(seed, spec.octet).map_err(on(&spec.name))
    }

    fn wait_up(&self, seed: &Seed<'_>, hosts: &[HostSpec], began: Instant) -> Result<(), LabError> {
        let mut keys = Vec::new();
        for spec in &self.hosts {
            keys.push((spec, self.at(&spec.name).public_key().map_err(on(&spec.name))?));
        }
        self.ssh.write_known_hosts(keys, seed.range)?;
        let wait = |spec: &HostSpec| {
            let up = self.at(&spec.name).wait_up(&self.ssh.config, began);
            up.map_err(on(&spec.name))
        };
        std::thread::scope(|scope| {
            let waits: Vec<_> = hosts.iter().map(|spec| scope.spawn(move || wait(spec))).collect();
            waits
                .into_iter()
                .try_for_each(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
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
