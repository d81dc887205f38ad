//! Reads the operator's files, and refuses those that another user could have written.
//!
//! An inventory names commands that print secrets, a playbook names commands for hosts, and the agent runs there as root.
//! So an account that can write one of these files can do what the operator can. A file is trusted where it and every folder on
//! the way to it belong to the operator or root, and no other user can write them; a folder with the sticky bit, such as
//! /tmp, may be written by all, because no user can replace another's file there. Below a folder that only its owner can enter,
//! the permissions of others mean nothing. Where sudo started the program, its user counts as the operator, as with git.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;
use thiserror::Error;

/// How many symbolic links are followed, as by the kernel.
const MOST_LINKS: usize = 40;

const OTHERS_WRITE: u32 = 0o022;
const OTHERS_ENTER: u32 = 0o011;
const OTHERS_ANYTHING: u32 = 0o077;
const STICKY: u32 = 0o1000;

/// Why a file is not used.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

/// How another user could have written a file, or could read it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}. To resolve: {}", self.what(), self.remedy())]
pub(crate) enum Untrusted {
    Owner { path: PathBuf, uid: u32, me: u32 },
    Writable { path: PathBuf, mode: u32 },
    Readable { path: PathBuf, mode: u32 },
    Link { path: PathBuf, target: PathBuf },
    Irregular { path: PathBuf },
}

impl Untrusted {
    /// The file or folder in question.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Owner { path, .. }
            | Self::Writable { path, .. }
            | Self::Readable { path, .. }
            | Self::Link { path, .. }
            | Self::Irregular { path } => path,
        }
    }

    /// The problem.
    pub(crate) fn what(&self) -> String {
        let path = self.path().display();
        match self {
            Self::Owner { uid, .. } => {
                format!("{path} belongs to another user (uid {uid}), who can change what is read")
            }
            Self::Writable { mode, .. } => format!("{path} can be written by others (mode {mode:04o})"),
            Self::Readable { mode, .. } => format!("{path} can be read by others (mode {mode:04o})"),
            Self::Link { target, .. } => format!("{path} is a symbolic link to {}", target.display()),
            Self::Irregular { .. } => format!("{path} is not a regular file"),
        }
    }

    /// How to resolve it.
    pub(crate) fn remedy(&self) -> String {
        let path = self.path().display();
        match self {
            Self::Owner { me, .. } => format!("chown -h {me} {path}, once its content was checked"),
            Self::Writable { .. } => format!("chmod go-w {path}, once its content was checked"),
            Self::Readable { .. } => format!("chmod 600 {path}"),
            Self::Link { .. } => "name the file itself".to_owned(),
            Self::Irregular { .. } => "name a file, or pass the text on /dev/stdin".to_owned(),
        }
    }
}

/// What a file must fulfil, beside that no other user can write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing. Symbolic links are followed, each part of the way under the same rules.
    Own,
    /// Its path is no symbolic link.
    NoLink,
    /// No other user can read it.
    Private,
}

/// The text of a file of the operator.
pub(crate) fn read_text(path: &Path, rule: Rule) -> Result<String, FileError> {
    let mut text = String::new();
    open(path, rule, &Operator::current())?.read_to_string(&mut text)?;
    Ok(text)
}

/// The bytes of a file of the operator.
pub(crate) fn read(path: &Path, rule: Rule) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    open(path, rule, &Operator::current())?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks a file of the operator that another program reads.
pub(crate) fn check(path: &Path) -> Result<(), FileError> {
    open(path, Rule::Own, &Operator::current()).map(drop)
}

/// Whose files are trusted.
struct Operator {
    me: u32,
    trusted: Vec<u32>,
}

impl Operator {
    fn current() -> Self {
        let sudo = std::env::var("SUDO_UID").ok();
        Self::new(rustix::process::geteuid().as_raw(), sudo.as_deref())
    }

    /// The variable names the user who called sudo; it counts for root only, because any user could set it.
    fn new(me: u32, sudo: Option<&str>) -> Self {
        let caller = sudo.and_then(|uid| uid.parse().ok()).filter(|_| me == 0);
        Self {
            me,
            trusted: [0, me].into_iter().chain(caller).collect(),
        }
    }

    fn owns(&self, path: &Path, meta: &Metadata) -> Result<(), Untrusted> {
        if self.trusted.contains(&meta.uid()) {
            return Ok(());
        }
        Err(Untrusted::Owner {
            path: path.to_path_buf(),
            uid: meta.uid(),
            me: self.me,
        })
    }
}

/// Opens a file once its path was checked. By that check no other user can replace a part of the path meanwhile.
fn open(path: &Path, rule: Rule, operator: &Operator) -> Result<File, FileError> {
    let path = std::path::absolute(path)?;
    let mut options = OpenOptions::new();
    options.read(true);
    if is_descriptor(&path) {
        // The caller opened it, so its way is the caller's affair; a pipe has no permissions that could say anything.
        let file = options.open(&path)?;
        let meta = file.metadata()?;
        if meta.is_file() {
            judge(&path, &meta, rule, false, operator)?;
        }
        return Ok(file);
    }
    let CheckedPath { end, is_private } = walk(&path, rule, operator)?;
    // A FIFO in its place would be waited for, for ever.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    let file = options.open(&end)?;
    judge(&end, &file.metadata()?, rule, is_private, operator)?;
    Ok(file)
}

/// Whether a path names an open descriptor, as `<(command)` of a shell does.
fn is_descriptor(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}

/// Judges the file itself.
fn judge(
    path: &Path,
    meta: &Metadata,
    rule: Rule,
    is_private: bool,
    operator: &Operator,
) -> Result<(), Untrusted> {
    let (path_buf, mode) = (path.to_path_buf(), meta.mode() & 0o7777);
    if !meta.is_file() {
        return Err(Untrusted::Irregular { path: path_buf });
    }
    operator.owns(path, meta)?;
    if rule == Rule::Private && mode & OTHERS_ANYTHING != 0 {
        return Err(Untrusted::Readable { path: path_buf, mode });
    }
    if mode & OTHERS_WRITE != 0 && !is_private {
        return Err(Untrusted::Writable { path: path_buf, mode });
    }
    Ok(())
}

/// A path that was checked.
struct CheckedPath {
    /// Where it ends, without symbolic links.
    end: PathBuf,
    /// Whether it leads through a folder that only its owner can enter.
    is_private: bool,
}

/// Checks a path from the root, folder by folder and link by link.
fn walk(path: &Path, rule: Rule, operator: &Operator) -> Result<CheckedPath, FileError> {
    let mut end = PathBuf::from("/");
    // Of each folder of the path, whether only its owner can enter it.
    let mut private = vec![folder(&end, &end.symlink_metadata()?, false, operator)?];
    let mut todo: VecDeque<OsString> = names(path);
    let mut links = 0;
    while let Some(name) = todo.pop_front() {
        if name == ".." {
            // No link is left in what was passed, so this is its parent.
            if end.pop() {
                private.pop();
            }
            continue;
        }
        let next = end.join(&name);
        let meta = next.symlink_metadata()?;
        if meta.is_symlink() {
            let target = next.read_link()?;
            operator.owns(&next, &meta)?;
            if rule == Rule::NoLink && todo.is_empty() {
                return Err(Untrusted::Link { path: next, target }.into());
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::from(io::ErrorKind::TooManyLinks).into());
            }
            if target.is_absolute() {
                end = PathBuf::from("/");
                private.truncate(1);
            }
            for name in names(&target).into_iter().rev() {
                todo.push_front(name);
            }
            continue;
        }
        let is_private = private.last().copied().unwrap_or_default();
        if meta.is_dir() {
            private.push(folder(&next, &meta, is_private, operator)?);
        } else if todo.is_empty() {
            return Ok(CheckedPath {
                end: next,
                is_private,
            });
        } else {
            return Err(io::Error::from(io::ErrorKind::NotADirectory).into());
        }
        end = next;
    }
    Err(Untrusted::Irregular { path: end }.into())
}

fn names(path: &Path) -> VecDeque<OsString> {
    let components = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    components.collect()
}

/// Checks a folder of the path; whether only its owner can enter it.
fn folder(path: &Path, meta: &Metadata, is_private: bool, operator: &Operator) -> Result<bool, Untrusted> {
    operator.owns(path, meta)?;
    let mode = meta.mode() & 0o7777;
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 && !is_private {
        return Err(Untrusted::Writable {
            path: path.to_path_buf(),
            mode,
        });
    }
    Ok(is_private || mode & OTHERS_ENTER == 0)
}

#[cfg(test)]
mod tests;
