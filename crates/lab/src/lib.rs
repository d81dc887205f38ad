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
//! A program that Debian has no package of (mongod, ssdb-server, ...) is put into the hosts from a file of the caller's:
//! a stand-in or a real one, see [`LabOptions::programs`] and `programs.rs`.
//!
//! Nothing here prints: what happens is told to the caller's [`Progress`].

mod cgroup;
mod cmd;
mod error;
mod files;
mod host;
mod image;
mod inotify;
mod lab;
mod lock;
mod mounts;
mod names;
mod net;
mod options;
mod overlay;
mod programs;
mod range;
mod spec;
mod ssh_files;
mod status;
mod suite;
mod tools;
mod wait;

use std::sync::Arc;

pub use cgroup::CgroupError;
pub use cmd::{CmdError, Output};
pub use error::LabError;
pub use files::FileError;
pub use host::HostError;
pub use image::ImageError;
pub use lab::Lab;
pub use lock::LockError;
pub use mounts::MountError;
pub use names::NameError;
pub use net::{Cut, NetError};
pub use options::{Engine, LabOptions};
pub use programs::{Programs, ProgramsError, programs_in};
pub use range::{Range, RangeError};
pub use spec::{HostSpec, SpecError, default_hosts, read_hosts};
pub use ssh_files::SshFilesError;
pub use status::{HostState, HostStatus};
pub use suite::{Suite, SuiteError};
pub use tools::ToolsError;
pub use wait::WaitError;

/// Takes one line about what the lab does now.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// The name of the lab that is meant when none is named.
pub const DEFAULT_NAME: &str = "lab";
