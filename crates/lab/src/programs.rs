//! Programs that Debian has no package of, put into every host as if they had been installed there.
//!
//! MongoDB, SSDB, Kvrocks and the Altcraft Platform are in no registry that a lab can reach. What the lab's caller
//! names instead (a stand-in of this project's `standins` crate, or the operator's own real binary) is copied to
//! the path that the real one has, with what its installation would bring: the unit, disabled; the user and the
//! directories, which the host's own systemd makes at boot (sysusers.d(5), tmpfiles.d(5)); a sample configuration.
//! A host gets them each time it starts; a file beside the program that is there already stays as it is.
//!
//! A new program is an entry of [`PROGRAMS`] and its files under `assets/programs/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

/// Programs by name, each with its file on this machine.
pub type Programs = BTreeMap<String, PathBuf>;

/// A program that cannot be put into hosts.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// The lab does not know where it would belong.
    #[error("the lab has no place for the program {name:?}; it knows {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The known names.
        known: String,
    },
    /// There is no such file.
    #[error("{} is not a program's file", path.display())]
    Absent {
        /// The path.
        path: PathBuf,
    },
    /// The record of a lab's programs cannot be read.
    #[error("{} does not list programs", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The mistake, and its place.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A file could not be read or written.
    #[error("cannot put a program into a host")]
    File(#[from] FileError),
}

/// Where a host has a program, and what comes with it.
struct Program {
    /// Its name, also that of its stand-in.
    name: &'static str,
    /// Its path in a host, without the first slash.
    at: &'static str,
    /// More files: path in a host, and text.
    files: &'static [(&'static str, &'static str)],
}

macro_rules! asset {
    ($path:literal) => {
        include_str!(concat!("../assets/programs/", $path))
    };
}

/// Every program that the lab knows.
const PROGRAMS: &[Program] = &[
    Program {
        name: "mongod",
        // The paths and the sample are those of MongoDB's Debian package.
        at: "usr/bin/mongod",
        files: &[
            ("etc/mongod.conf", asset!("mongod/mongod.conf")),
            (
                "etc/systemd/system/mongod.service",
                asset!("mongod/mongod.service"),
            ),
            ("usr/lib/sysusers.d/mongod.conf", asset!("mongod/sysusers.conf")),
            ("usr/lib/tmpfiles.d/mongod.conf", asset!("mongod/tmpfiles.conf")),
        ],
    },
    Program {
        name: "ssdb-server",
        // `make install` puts it there.
        at: "usr/local/ssdb/ssdb-server",
        files: &[
            ("usr/local/ssdb/ssdb.conf", asset!("ssdb/ssdb.conf")),
            ("etc/systemd/system/ssdb.service", asset!("ssdb/ssdb.service")),
            (
                "etc/systemd/system/ssdb-hbsupp.service",
                asset!("ssdb/ssdb-hbsupp.service"),
            ),
            (
                "etc/systemd/system/ssdb-notify.service",
                asset!("ssdb/ssdb-notify.service"),
            ),
            ("usr/lib/sysusers.d/ssdb.conf", asset!("ssdb/sysusers.conf")),
            ("usr/lib/tmpfiles.d/ssdb.conf", asset!("ssdb/tmpfiles.conf")),
        ],
    },
    Program {
        name: "ssdb-cli",
        at: "usr/local/ssdb/tools/ssdb-cli",
        files: &[],
    },
    Program {
        name: "kvrocks",
        at: "usr/local/bin/kvrocks",
        files: &[
            ("etc/kvrocks/kvrocks.conf", asset!("kvrocks/kvrocks.conf")),
            (
                "etc/systemd/system/kvrocks.service",
                asset!("kvrocks/kvrocks.service"),
            ),
            ("usr/lib/sysusers.d/kvrocks.conf", asset!("kvrocks/sysusers.conf")),
            ("usr/lib/tmpfiles.d/kvrocks.conf", asset!("kvrocks/tmpfiles.conf")),
        ],
    },
    Program {
        name: "proctask",
        at: "opt/akd/bin/proctask",
        files: &[
            ("opt/akd/config/main.json", asset!("altcraft/main.json")),
            (
                "etc/systemd/system/proctask.service",
                asset!("altcraft/proctask.service"),
            ),
            (
                "usr/lib/sysusers.d/altcraft.conf",
                asset!("altcraft/sysusers.conf"),
            ),
            (
                "usr/lib/tmpfiles.d/altcraft.conf",
                asset!("altcraft/tmpfiles.conf"),
            ),
        ],
    },
    Program {
        name: "procworkflow",
        at: "opt/akd/bin/procworkflow",
        files: &[(
            "etc/systemd/system/procworkflow.service",
            asset!("altcraft/procworkflow.service"),
        )],
    },
];

/// The known programs that stand in a directory under their own names, such as that of the built stand-ins.
pub fn programs_in(dir: &Path) -> Programs {
    let found = PROGRAMS
        .iter()
        .map(|program| (program.name.to_owned(), dir.join(program.name)));
    found.filter(|(_, path)| path.is_file()).collect()
}

/// Refuses what has no place in a host, and what is not there.
pub(crate) fn check(programs: &Programs) -> Result<(), ProgramsError> {
    for (name, path) in programs {
        if !PROGRAMS.iter().any(|program| program.name == name) {
            let known: Vec<&str> = PROGRAMS.iter().map(|program| program.name).collect();
            return Err(ProgramsError::Unknown {
                name: name.clone(),
                known: known.join(", "),
            });
        }
        if !path.is_file() {
            return Err(ProgramsError::Absent { path: path.clone() });
        }
    }
    Ok(())
}

/// The programs that a lab was given last.
pub(crate) fn recorded(lab_dir: &Path) -> Result<Programs, ProgramsError> {
    let path = record(lab_dir);
    let text = files::read_or_empty(&path)?;
    toml::from_str(&text).map_err(|source| ProgramsError::Record {
        path,
        source: Box::new(source),
    })
}

/// Keeps them for later commands, which start hosts without being told the programs again.
pub(crate) fn write_record(lab_dir: &Path, programs: &Programs) -> Result<(), FileError> {
    let text = programs.iter().fold(String::new(), |mut text, (name, path)| {
        // A TOML string in basic quotes reads as Rust writes it, but for control characters, which no path here has.
        let _ = writeln!(text, "{name} = {:?}", path.display().to_string());
        text
    });
    files::write(&record(lab_dir), &text)
}

fn record(lab_dir: &Path) -> PathBuf {
    lab_dir.join("programs.toml")
}

/// Puts the programs into a host's root.
pub(crate) fn plant(programs: &Programs, root: &Path) -> Result<(), FileError> {
    let mut is_new = false;
    for program in PROGRAMS {
        let Some(source) = programs.get(program.name) else {
            continue;
        };
        let at = root.join(program.at);
        make_parent(&at)?;
        copy(source, &at).map_err(files::failed("copy a program to", &at))?;
        for (path, text) in program.files {
            let path = root.join(path);
            if !path.exists() {
                make_parent(&path)?;
                files::write(&path, text)?;
                is_new = true;
            }
        }
    }
    let updated = root.join("etc/.updated");
    if is_new && updated.exists() {
        // Without it, the next boot makes users again (systemd-update-done.service(8)).
        fs::remove_file(&updated).map_err(files::failed("remove", &updated))?;
    }
    Ok(())
}

fn make_parent(path: &Path) -> Result<(), FileError> {
    path.parent().map_or(Ok(()), files::make_dir)
}

/// Copies a program unless the same one stands there: its time goes with it, and tells.
fn copy(source: &Path, at: &Path) -> io::Result<()> {
    let from = fs::metadata(source)?;
    let same = |to: &fs::Metadata| to.len() == from.len() && to.modified().ok() == from.modified().ok();
    if fs::metadata(at).is_ok_and(|to| same(&to)) {
        return Ok(());
    }
    let mut new = at.as_os_str().to_owned();
    new.push(".new");
    fs::copy(source, &new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    fs::File::options()
        .write(true)
        .open(&new)?
        .set_modified(from.modified()?)?;
    fs::rename(&new, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(dir: &Path, text: &str) -> Programs {
        fs::write(dir.join("ssdb-server"), text).unwrap();
        programs_in(dir)
    }

    #[test]
    fn a_program_comes_with_its_unit_and_what_the_host_changed_stays() {
        let (from, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let config = root.path().join("usr/local/ssdb/ssdb.conf");
        let server = root.path().join("usr/local/ssdb/ssdb-server");
        plant(&program(from.path(), "one"), root.path()).unwrap();
        assert_eq!(fs::metadata(&server).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(
            root.path()
                .join("etc/systemd/system/ssdb-hbsupp.service")
                .is_file()
        );
        fs::write(&config, "changed").unwrap();
        fs::write(root.path().join("etc/.updated"), "").unwrap();
        plant(&program(from.path(), "another"), root.path()).unwrap();
        assert_eq!(fs::read_to_string(&server).unwrap(), "another");
        assert_eq!(fs::read_to_string(&config).unwrap(), "changed");
        assert!(root.path().join("etc/.updated").exists());
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let programs = Programs::from([("mysqld".to_owned(), PathBuf::from("/bin/true"))]);
        assert!(matches!(check(&programs), Err(ProgramsError::Unknown { .. })));
        let programs = Programs::from([("ssdb-server".to_owned(), PathBuf::from("/no/such"))]);
        assert!(matches!(check(&programs), Err(ProgramsError::Absent { .. })));
    }

    #[test]
    fn programs_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(recorded(dir.path()).unwrap(), Programs::new());
        let programs = program(dir.path(), "x");
        write_record(dir.path(), &programs).unwrap();
        assert_eq!(recorded(dir.path()).unwrap(), programs);
    }
}
