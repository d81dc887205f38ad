//! A host's boot: its container and supervisor are started, and then waited for.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Host, HostError};
use crate::cmd::{self, Cmd, CmdError};
use crate::{files, wait};

/// A host boots in seconds on an idle machine; a test run makes it a busy one.
const BOOT_LIMIT: Duration = Duration::from_mins(3);

/// How long a started supervisor may take to join its cgroup.
const SPAWN_LIMIT: Duration = Duration::from_secs(10);

impl Host<'_> {
    fn log(&self) -> PathBuf {
        self.dir.join("console.log")
    }

    /// Starts the supervisor in a session of its own, so that the host outlives this process and its terminal.
    pub(super) fn spawn(&self, supervisor: &Path) -> Result<(), HostError> {
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
}

/// The beginning of any non-interactive ssh to a host. One whose host is cut off while it runs ends after half a
/// minute, and does not wait for the kernel to give up.
pub(crate) fn ssh(config: &Path, host: &str) -> Cmd {
    let mut cmd = Cmd::new("ssh").arg("-F").arg(config);
    for option in [
        "BatchMode=yes",
        "ConnectTimeout=5",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=6",
    ] {
        cmd = cmd.args(["-o", option]);
    }
    cmd.arg(host)
}
