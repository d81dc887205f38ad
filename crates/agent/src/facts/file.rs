//! Files: metadata, hash, and the text with its secrets concealed.

use std::fs::Metadata;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use protocol::FactError;
use protocol::facts::{FileFact, FileKind, FileMeta, FileQuery};
use protocol::text::{CLOSE, OPEN};
use regex_lite::Regex;
use tree::{Found, Place, TreeError, sha256};

use super::answer::unknown;
use crate::accounts::Database;
use crate::clock;
use crate::host::Host;
use crate::stamps::Stamps;

pub(super) fn observe(host: &Host, query: &FileQuery) -> Result<FileFact, FactError> {
    let describe = |meta: &Metadata| {
        let changed_us = Stamps::read(&host.options.lock).changed_us(&query.path, meta);
        describe(meta, changed_us, clock::now_us())
    };
    let found = Place::find(Path::new(&query.path)).and_then(|place| match place {
        Some(place) => place.look(),
        None => Ok(Found::Absent),
    });
    let mut open = match found {
        Ok(Found::Absent) | Err(TreeError::NotADirectory(_)) => return Ok(FileFact::Absent),
        Ok(Found::File(open)) => open,
        Ok(Found::Link(meta, target)) => {
            return Ok(FileFact::Present(FileMeta {
                target: shown(&target),
                ..describe(&meta)
            }));
        }
        Ok(Found::Shared(meta)) => {
            return Ok(FileFact::Present(FileMeta {
                names: meta.nlink(),
                ..describe(&meta)
            }));
        }
        Ok(Found::Directory(meta) | Found::Other(meta)) => return Ok(FileFact::Present(describe(&meta))),
        Err(error) => return Err(unknown(error)),
    };
    let mut fact = describe(&open.meta);
    // What is too large is not read. Without a hash it is an obstacle, and nothing that relies on it is planned.
    if !open.is_too_large() {
        let bytes = open.read().map_err(unknown)?;
        fact.sha256 = sha256(&bytes);
        if query.text {
            fact.text = host
                .secrets()
                .conceal(&bytes, &query.secrets, &masked(&bytes, &query.masks)?);
        }
    }
    Ok(FileFact::Present(fact))
}

/// What a link says, which is anything that its owner likes: no reference, and nothing that moves a cursor.
fn shown(target: &Path) -> String {
    let reserved = |c: char| c.is_control() || c == OPEN || c == CLOSE;
    target.to_string_lossy().replace(reserved, "?")
}

fn describe(meta: &Metadata, changed_us: i64, now_us: i64) -> FileMeta {
    let modified_us = meta.mtime() * 1_000_000 + meta.mtime_nsec() / 1000;
    let kind = meta.file_type();
    FileMeta {
        kind: if kind.is_file() {
            FileKind::File
        } else if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_symlink() {
            FileKind::Link
        } else {
            FileKind::Other
        },
        sha256: String::new(),
        len: meta.len(),
        mode: meta.mode() & 0o7777,
        owner: Database::Users.name_of(meta.uid()),
        group: Database::Groups.name_of(meta.gid()),
        modified_us,
        changed_us,
        ahead_us: (modified_us.max(changed_us) - now_us).max(0),
        text: None,
        target: String::new(),
        names: 0,
    }
}

/// What the first groups of the patterns match, line by line.
fn masked(bytes: &[u8], patterns: &[String]) -> Result<Vec<Range<usize>>, FactError> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Ok(Vec::new());
    };
    let mut ranges = Vec::new();
    for pattern in patterns {
        let regex = Regex::new(pattern)
            .map_err(|error| unknown(format!("the mask {pattern:?} is not a valid pattern: {error}")))?;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let content = line.trim_end_matches(['\n', '\r']);
            let groups = regex.captures_iter(content).filter_map(|found| found.get(1));
            ranges.extend(groups.map(|group| start + group.start()..start + group.end()));
            start += line.len();
        }
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::FileState;
    use protocol::facts::Obstacle;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use types::Secret;

    fn host() -> Host {
        Host::new(crate::host::Options::default())
    }

    #[test]
    fn a_file_is_described_and_its_secrets_are_concealed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("conf");
        fs::write(&path, "port 1\r\npass known-secret\npass other-secret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let host = host();
        host.learn([("k".parse().unwrap(), Secret::new("known-secret"))]);
        let query = FileQuery::text(path.to_str().unwrap())
            .knowing(&["k".parse().unwrap()])
            .masking(&["^pass (.*)$"]);
        let fact = observe(&host, &query).unwrap();
        let meta = fact.meta().unwrap();
        assert_eq!((meta.kind, meta.mode, meta.len), (FileKind::File, 0o640, 44));
        assert_eq!(
            meta.sha256,
            sha256(b"port 1\r\npass known-secret\npass other-secret\n")
        );
        assert_eq!(
            fact.text().unwrap().as_str(),
            "port 1\r\npass ⟪secret:k⟫\npass ⟪kept:31+12⟫\n"
        );
        assert!((meta.modified_us - clock::now_us()).abs() < 60_000_000);
        assert!((meta.changed_us - clock::now_us()).abs() < 60_000_000);
        assert_eq!(meta.ahead_us, 0);
    }

    #[test]
    fn an_old_time_does_not_hide_a_change_and_a_time_ahead_of_the_clock_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("conf");
        fs::write(&path, "port 2").unwrap();
        let look = |modified: std::time::SystemTime| {
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(modified).unwrap();
            let fact = observe(&host(), &FileQuery::meta(path.to_str().unwrap())).unwrap();
            fact.meta().unwrap().clone()
        };
        let hour = std::time::Duration::from_hours(1);
        let old = look(std::time::SystemTime::now() - hour);
        assert!(old.modified_us < clock::now_us() - 3_500_000_000 && old.ahead_us == 0);
        assert!(clock::now_us() - old.changed_us < 60_000_000);
        let ahead = look(std::time::SystemTime::now() + hour);
        assert!(
            (3_500_000_000..=3_600_000_000).contains(&ahead.ahead_us),
            "{}",
            ahead.ahead_us
        );
    }

    #[test]
    fn links_directories_and_nothing_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| FileQuery::text(directory.path().join(name).to_str().unwrap());
        symlink("/etc/passwd", directory.path().join("link")).unwrap();
        fs::create_dir(directory.path().join("dir")).unwrap();
        let kind = |name: &str| {
            let fact = observe(&host(), &at(name)).unwrap();
            fact.meta().map(|meta| (meta.kind, meta.sha256.clone()))
        };
        let link = observe(&host(), &at("link")).unwrap();
        let obstacle = Obstacle::Link("/etc/passwd".to_owned());
        assert_eq!(link.state(), FileState::Obstructed(obstacle));
        assert_eq!(shown(Path::new("/a\u{1b}[2J⟪secret:x⟫")), "/a?[2J?secret:x?");
        assert_eq!(kind("link"), Some((FileKind::Link, String::new())));
        assert_eq!(kind("dir"), Some((FileKind::Directory, String::new())));
        assert_eq!(kind("none"), None);
        assert_eq!(kind("none/below"), None);
    }

    #[test]
    fn a_mask_that_is_no_pattern_is_an_error() {
        let query = FileQuery::text("/etc/passwd").masking(&["("]);
        let error = observe(&host(), &query).unwrap_err();
        assert!(error.message.starts_with("the mask \"(\""), "{error}");
    }
}
