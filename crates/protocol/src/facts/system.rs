//! The host itself, and its packages.

use serde::{Deserialize, Serialize};

/// Asks what the host is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OsQuery;

/// What the host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsFact {
    /// `gethostname(2)`.
    pub hostname: String,
    /// `ID` of os-release(5), e.g. `debian`.
    pub id: String,
    /// `VERSION_ID` of os-release(5), e.g. `12`; empty where rolling releases have none.
    pub version: String,
    /// Machine of `uname(2)`, e.g. `x86_64`.
    pub arch: String,
    /// Release of the kernel.
    pub kernel: String,
    /// `/proc/sys/kernel/random/boot_id`: another value means that the host was booted again.
    pub boot_id: String,
    /// The host's wall clock, microseconds since 1970.
    pub now_us: i64,
    /// The effective user of the agent; 0 is root.
    pub uid: u32,
}

/// Asks which version of a package is installed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PackageQuery {
    /// The package's name in the distribution.
    pub name: String,
}

/// The installed version of a package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PackageFact {
    /// `None` where it is not (or not completely) installed.
    pub version: Option<String>,
    /// Whether an installation of it was begun and not ended.
    #[serde(default)]
    pub is_partial: bool,
}

/// Asks which version of a package would be installed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CandidateQuery {
    /// The package's name in the distribution.
    pub name: String,
    /// Nobody needs to know where something stands at this path, and apt, which takes its time, is not asked.
    pub unless: String,
}

/// The version of a package that would be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateFact {
    /// `None` where no source has the package, or where it was not asked for.
    pub version: Option<String>,
}
