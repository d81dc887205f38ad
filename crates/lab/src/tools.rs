//! The programs that the lab needs on this machine, and how they get there.

use std::time::Duration;

use crate::Progress;
use crate::cmd::{self, Cmd, CmdError};

/// A program that the lab calls, and the Debian package that brings it.
const TOOLS: [(&str, &str); 5] = [
    ("systemd-nspawn", "systemd-container"),
    ("mmdebstrap", "mmdebstrap"),
    ("ip", "iproute2"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
];

/// Downloads depend on the network.
const INSTALL_LIMIT: Duration = Duration::from_mins(10);

/// The machine lacks something that the lab needs.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// Only root may make containers and networks.
    #[error("the lab needs root for its containers and networks: run it with sudo")]
    NotRoot,
    /// The packages could not be installed.
    #[error("cannot install {packages}, which the lab needs")]
    Install {
        /// The packages.
        packages: String,
        /// What apt-get said.
        #[source]
        source: CmdError,
    },
}

/// Refuses anyone but root.
pub(crate) fn require_root() -> Result<(), ToolsError> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(ToolsError::NotRoot)
    }
}

/// Installs the packages whose programs are missing, and says so.
pub(crate) fn ensure(progress: &Progress) -> Result<(), ToolsError> {
    let mut missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(program, _)| !on_path(program))
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    progress(&format!("installing with apt-get: {packages}"));
    let apt = |args: &[&str]| {
        let env = [
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-q",
            "-o",
            "DPkg::Lock::Timeout=300",
        ];
        Cmd::new("env").args(env).args(args).limit(INSTALL_LIMIT).run()
    };
    apt(&["update"])
        .and_then(|_| apt(&[&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat()))
        .map_err(|source| ToolsError::Install { packages, source })?;
    Ok(())
}

fn on_path(program: &str) -> bool {
    std::env::split_paths(&cmd::search_path()).any(|dir| dir.join(program).is_file())
}
