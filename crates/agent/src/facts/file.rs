//! Files: metadata, hash, and the text with its secrets concealed.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use protocol::FactError;
use protocol::facts::{FileFact, FileKind, FileMeta, FileQuery};
use regex_lite::Regex;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::accounts::Database;
use crate::secrets::Secrets;
use crate::words::words;

/// A longer file is hashed, and not read as text: no configuration file is that long.
const TEXT_LIMIT: u64 = 16 << 20;

pub(super) fn observe(secrets: &Secrets, query: &FileQuery) -> Result<FileFact, FactError> {
    let path = Path::new(&query.path);
    let failed = |error: &io::Error| super::error(format!("cannot read {}: {}", query.path, words(error)));
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if is_absent(&error) => return Ok(FileFact::Absent),
        Err(error) => return Err(failed(&error)),
    };
    if !meta.is_file() {
        return Ok(FileFact::Present(describe(&meta)));
    }
    // The metadata is taken from what was opened: the file may be replaced at any moment.
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(FileFact::Absent),
        Err(error) => return Err(failed(&error)),
    };
    let meta = file.metadata().map_err(|error| failed(&error))?;
    let mut fact = describe(&meta);
    if query.text && meta.len() <= TEXT_LIMIT {
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(TEXT_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(&error))?;
        fact.sha256 = hash(&bytes);
        fact.text = secrets.conceal(&bytes, &query.secrets, &masked(&bytes, &query.masks)?);
    } else {
        fact.sha256 = hash_all(&mut file).map_err(|error| failed(&error))?;
    }
    Ok(FileFact::Present(fact))
}

/// Whether nothing stands at a path, as opposed to not being allowed to look.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// SHA-256 in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

/// Opens a regular file; anything else that was put in its place meanwhile is not followed and not waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

fn describe(meta: &Metadata) -> FileMeta {
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
        modified_us: meta.mtime() * 1_000_000 + meta.mtime_nsec() / 1000,
        text: None,
    }
}

fn hash_all(file: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(base16ct::lower::encode_string(&hasher.finalize())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
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
            .map_err(|error| super::error(format!("the mask {pattern:?} is no pattern: {error}")))?;
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
    use std::os::unix::fs::{PermissionsExt, symlink};
    use types::Secret;

    #[test]
    fn a_file_is_described_and_its_secrets_are_concealed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("conf");
        fs::write(&path, "port 1\r\npass known-secret\npass other-secret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let secrets = Secrets::default().with([("k".parse().unwrap(), Secret::new("known-secret"))]);
        let query = FileQuery::text(path.to_str().unwrap())
            .knowing(&["k".parse().unwrap()])
            .masking(&["^pass (.*)$"]);
        let fact = observe(&secrets, &query).unwrap();
        let meta = fact.meta().unwrap();
        assert_eq!((meta.kind, meta.mode, meta.len), (FileKind::File, 0o640, 44));
        assert_eq!(
            meta.sha256,
            hash(b"port 1\r\npass known-secret\npass other-secret\n")
        );
        assert_eq!(
            fact.text().unwrap().as_str(),
            "port 1\r\npass ⟪secret:k⟫\npass ⟪kept:31+12⟫\n"
        );
        assert!((meta.modified_us - crate::clock::now_us()).abs() < 60_000_000);
    }

    #[test]
    fn links_directories_and_nothing_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| FileQuery::text(directory.path().join(name).to_str().unwrap());
        symlink("/etc/passwd", directory.path().join("link")).unwrap();
        fs::create_dir(directory.path().join("dir")).unwrap();
        let kind = |name: &str| {
            let fact = observe(&Secrets::default(), &at(name)).unwrap();
            fact.meta().map(|meta| (meta.kind, meta.sha256.clone()))
        };
        assert_eq!(kind("link"), Some((FileKind::Link, String::new())));
        assert_eq!(kind("dir"), Some((FileKind::Directory, String::new())));
        assert_eq!(kind("none"), None);
        assert_eq!(kind("none/below"), None);
    }

    #[test]
    fn a_mask_that_is_no_pattern_is_an_error() {
        let query = FileQuery::text("/etc/passwd").masking(&["("]);
        let error = observe(&Secrets::default(), &query).unwrap_err();
        assert!(error.message.starts_with("the mask \"(\""), "{error}");
    }

    #[test]
    fn hashes_are_those_of_sha256sum() {
        assert_eq!(
            hash(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"abc").unwrap();
        assert_eq!(hash_all(&mut file.reopen().unwrap()).unwrap(), hash(b"abc"));
    }
}
