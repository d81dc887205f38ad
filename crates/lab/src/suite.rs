//! The Debian release that a lab's hosts run: services are tested as the distributions of today ship them.
//!
//! A lab keeps the suite that it was made with: its hosts' data is that suite's.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::files::{self, FileError};

/// A Debian release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Suite {
    /// Debian 12.
    #[default]
    Bookworm,
    /// Debian 13.
    Trixie,
}

/// A suite that is not the one meant, or none.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// There is no such suite.
    #[error("no lab runs {name:?}; there are {}", names())]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The lab's hosts run another one.
    #[error(
        "its hosts run {recorded}, and {wanted} is asked for: delete it first (down --purge), or take another --name"
    )]
    Other {
        /// What they run.
        recorded: Suite,
        /// What is asked for.
        wanted: Suite,
    },
    /// The lab's record cannot be read or written.
    #[error("cannot keep the lab's suite")]
    File(#[from] FileError),
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 2] = [Self::Bookworm, Self::Trixie];

    /// Its name, as Debian's archive has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// The services to be clustered, as far as this suite has them: comma-separated packages.
    pub(crate) const fn services(self) -> &'static str {
        match self {
            Self::Bookworm => {
                "default-jre-headless,rabbitmq-server,redis-server,redis-sentinel,clickhouse-server,\
                 clickhouse-client,zookeeperd"
            }
            // ClickHouse left Debian; Valkey came.
            Self::Trixie => {
                "default-jre-headless,rabbitmq-server,redis-server,redis-sentinel,valkey-server,valkey-sentinel,\
                 zookeeperd"
            }
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Suite {
    type Err = SuiteError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|suite| suite.name() == name);
        found.ok_or_else(|| SuiteError::Unknown {
            name: name.to_owned(),
        })
    }
}

/// The suite of a lab: the one that it was made with, else the one asked for, else the usual one.
pub(crate) fn of_lab(dir: &Path, wanted: Option<Suite>) -> Result<Suite, SuiteError> {
    let text = files::read_or_empty(&record(dir))?;
    match (text.trim(), wanted) {
        // A lab that was made before suites were recorded runs the only one that there was.
        ("", None) => Ok(Suite::default()),
        ("", Some(wanted)) if !is_made(dir) => Ok(wanted),
        ("", Some(wanted)) => agree(Suite::default(), wanted),
        (recorded, None) => recorded.parse(),
        (recorded, Some(wanted)) => agree(recorded.parse()?, wanted),
    }
}

/// Writes down which suite a lab runs.
pub(crate) fn write_record(dir: &Path, suite: Suite) -> Result<(), FileError> {
    files::write(&record(dir), suite.name())
}

fn agree(recorded: Suite, wanted: Suite) -> Result<Suite, SuiteError> {
    if recorded == wanted {
        return Ok(wanted);
    }
    Err(SuiteError::Other { recorded, wanted })
}

fn record(dir: &Path) -> PathBuf {
    dir.join("suite")
}

/// Whether a lab was up.
fn is_made(dir: &Path) -> bool {
    dir.join("hosts.toml").is_file()
}

fn names() -> String {
    Suite::ALL.map(Suite::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_keeps_the_suite_that_it_was_made_with() {
        let dir = tempfile::tempdir().unwrap();
        let of_lab = |wanted| of_lab(dir.path(), wanted);
        assert_eq!(of_lab(None).unwrap(), Suite::Bookworm);
        assert_eq!(of_lab(Some(Suite::Trixie)).unwrap(), Suite::Trixie);
        write_record(dir.path(), Suite::Trixie).unwrap();
        assert_eq!(of_lab(None).unwrap(), Suite::Trixie);
        let error = of_lab(Some(Suite::Bookworm)).unwrap_err();
        assert!(
            matches!(
                error,
                SuiteError::Other {
                    recorded: Suite::Trixie,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_lab_without_a_record_of_its_suite_runs_the_first_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("hosts.toml"), "[hosts]\ndb1 = 11\n").unwrap();
        of_lab(dir.path(), Some(Suite::Bookworm)).unwrap();
        of_lab(dir.path(), Some(Suite::Trixie)).unwrap_err();
    }

    #[test]
    fn a_suite_has_its_name_and_no_other() {
        for suite in Suite::ALL {
            assert_eq!(suite.to_string().parse::<Suite>().unwrap(), suite);
        }
        let error = "buster".parse::<Suite>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "no lab runs \"buster\"; there are bookworm, trixie"
        );
    }
}
