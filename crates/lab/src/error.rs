//! What can go wrong with a lab, by what it was about; the sources tell the rest.

use std::path::PathBuf;

use crate::{
    CgroupError, CmdError, FileError, HostError, ImageError, LockError, MountError, NameError, NetError,
    ProgramsError, RangeError, SpecError, SshFilesError, SuiteError, ToolsError,
};

/// Why a lab could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The lab's name.
    #[error("the lab has an unusable name")]
    Name(#[from] NameError),
    /// The list of hosts.
    #[error("cannot tell the lab's hosts")]
    Spec(#[from] SpecError),
    /// The Debian release.
    #[error("cannot tell what the lab's hosts run")]
    Suite(#[from] SuiteError),
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
    /// The programs that Debian has no package of.
    #[error("cannot tell the lab's programs")]
    Programs(#[from] ProgramsError),
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
        /// The cause.
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
