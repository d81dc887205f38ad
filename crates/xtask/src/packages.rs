//! The programs that tests run on this machine, and how they get there: as Debian's packages, with nothing started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::{say, stage};

/// A program that tests run.
struct Tool {
    /// The program.
    program: &'static str,
    /// Debian's package of it.
    package: &'static str,
    /// The units that the package turns on, which nobody here asked for.
    units: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    Tool {
        program: "redis-server",
        package: "redis-server",
        units: &["redis-server.service"],
    },
    Tool {
        program: "erl",
        package: "erlang-base",
        units: &["epmd.service", "epmd.socket"],
    },
    Tool {
        program: "sshd",
        package: "openssh-server",
        units: &["ssh.service", "ssh.socket"],
    },
    Tool {
        program: "ssh",
        package: "openssh-client",
        units: &[],
    },
    Tool {
        program: "ssh-agent",
        package: "openssh-client",
        units: &[],
    },
];

/// Where Debian's maintainer scripts ask whether they may start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

const NO: &str =
    "#!/bin/sh\n# Written by `cargo xtask test` while it installs packages; may be deleted.\nexit 101\n";

/// Installs what is missing, and says so. No service is started, now or at the next boot.
pub(crate) fn ensure() -> anyhow::Result<()> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| find(tool.program).is_none()).collect();
    if missing.is_empty() {
        say("all programs that the tests need are there");
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the tests need packages that only root can install: apt-get install {}",
            packages.join(" ")
        );
    }
    let _policy = Policy::forbid(Path::new(POLICY))?;
    stage::run(&mut apt(&["update"]))?;
    stage::run(apt(&["install", "-y", "--no-install-recommends"]).args(&packages))?;
    for unit in missing.iter().flat_map(|tool| tool.units) {
        // A machine without systemd turned nothing on.
        let _turned_off = Command::new("systemctl")
            .args(["disable", "--quiet", unit])
            .stderr(Stdio::null())
            .status()
            .is_ok();
    }
    Ok(())
}

/// Where a program is. Users' paths often lack the directories of the administrator's programs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(administrators)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

fn apt(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    command
}

/// Forbids that packages start services; lets them again when it goes, unless somebody else had forbidden it.
struct Policy<'a> {
    ours: Option<&'a Path>,
}

impl<'a> Policy<'a> {
    fn forbid(path: &'a Path) -> anyhow::Result<Self> {
        // One of ours is what a killed run left behind.
        if path.exists() && std::fs::read_to_string(path).ok().as_deref() != Some(NO) {
            return Ok(Self { ours: None });
        }
        std::fs::write(path, NO)
            .and_then(|()| {
                std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            })
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { ours: Some(path) })
    }
}

impl Drop for Policy<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.ours
            && let Err(error) = std::fs::remove_file(path)
        {
            say(&format!(
                "{} cannot be deleted: {error}. It keeps packages from starting services",
                path.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_where_only_root_looks() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }

    #[test]
    fn a_policy_is_left_as_it_was_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy-rc.d");
        drop(Policy::forbid(&path).unwrap());
        assert!(!path.exists());

        std::fs::write(&path, NO).unwrap();
        {
            let _left_by_a_killed_run = Policy::forbid(&path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), NO);
        }
        assert!(!path.exists());

        std::fs::write(&path, "#!/bin/sh\nexit 0\n").unwrap();
        drop(Policy::forbid(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "#!/bin/sh\nexit 0\n");
    }
}
