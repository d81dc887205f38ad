//! Which lab is meant, and where it keeps what it needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{DEFAULT_NAME, HostSpec, LabError, Programs, Progress, Range, Suite, names};

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
    /// The hosts; without them those of the last `up`, else [`crate::default_hosts`].
    pub hosts: Option<Vec<HostSpec>>,
    /// The Debian release that the hosts run; without it the one that the lab was made with, else [`Suite::default`].
    pub suite: Option<Suite>,
    /// The addresses; without them the lab's own or the next free ones.
    pub net: Option<Range>,
    /// Programs that Debian has no package of, put into every host when it starts; without them those of the last `up`.
    pub programs: Option<Programs>,
    /// Where all labs keep their state.
    pub state: PathBuf,
    /// Where images and packages are cached.
    pub cache: PathBuf,
    /// The receiver of progress.
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
            suite: None,
            net: None,
            programs: None,
            state: place("CLUSTERCTL_LAB_STATE", names::DEFAULT_STATE),
            cache: place("CLUSTERCTL_LAB_CACHE", "/var/cache/clusterctl-lab"),
            progress: Arc::new(|_| {}),
        }
    }
}

/// Paths become part of mount options and hook scripts.
pub(crate) fn check_place(path: &Path) -> Result<(), LabError> {
    let text = path.to_string_lossy();
    if path.is_absolute() && !text.contains([' ', '\t', '\n', '\'', '"', ',', ':', '\\', '$', '%']) {
        return Ok(());
    }
    Err(LabError::Place {
        path: path.to_owned(),
    })
}
