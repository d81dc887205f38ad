//! A directory that was reached without a link of somebody else.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::TreeError;

/// How many links may be followed on a path, as in the kernel.
const MOST_LINKS: usize = 40;
/// Opens what stands at a name itself, whatever it is, and does nothing to it.
pub(super) const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open directory.
#[derive(Debug)]
pub struct Folder {
    /// Opened to look only: names in it are opened relative to it.
    file: File,
    /// Where it really is, for messages.
    path: PathBuf,
    /// Whether it and all above it belong to root, or to the agent's own user, and nobody else can write them.
    guarded: bool,
}

/// How a missing directory is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Tell,
    /// Made, with or without access for others.
    Make(u32),
}

impl Folder {
    /// Opens a directory; `None` where it does not exist.
    pub fn open(path: &Path) -> Result<Option<Self>, TreeError> {
        match Walk::begin(path)?.go(Missing::Tell) {
            Err(TreeError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Opens a directory, and makes what is missing of it.
    pub fn make(path: &Path, mode: u32) -> Result<Self, TreeError> {
        Walk::begin(path)?.go(Missing::Make(mode))
    }

    /// Where it really is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The descriptor that names are relative to.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Whether nobody but root, or the agent's own user, could have put into it what is there.
    pub fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// What it is.
    pub fn metadata(&self) -> Result<Metadata, TreeError> {
        self.file.metadata().map_err(TreeError::io("inspect", &self.path))
    }

    /// Opens a name in it to inspect it.
    pub(super) fn look(&self, name: &OsStr) -> Result<File, Errno> {
        rustix::fs::openat(&self.file, name, LOOK, Mode::empty()).map(File::from)
    }

    /// Opens a directory in it; a link is none.
    pub(super) fn below(&self, name: &OsStr) -> Result<Self, TreeError> {
        let path = self.path.join(name);
        let flags = LOOK | OFlags::DIRECTORY;
        let opened = rustix::fs::openat(&self.file, name, flags, Mode::empty());
        let file = File::from(opened.map_err(TreeError::io("open", &path))?);
        let meta = file.metadata().map_err(TreeError::io("inspect", &path))?;
        let guarded = self.guarded && is_guarded(&meta);
        Ok(Self { file, path, guarded })
    }

    /// Makes a directory in it, which nobody but the agent's user may enter yet. In a directory that others can write it
    /// may be swapped for another at once: only one that is empty and ours is taken for the new one.
    pub fn add(&self, name: &OsStr) -> Result<Self, TreeError> {
        let path = self.path.join(name);
        let made = rustix::fs::mkdirat(&self.file, name, Mode::RWXU);
        made.map_err(TreeError::io("make", &path))?;
        let added = self.below(name)?;
        let meta = added.metadata()?;
        // Nothing for the group and others.
        let is_new = meta.uid() == rustix::process::geteuid().as_raw() && meta.mode().trailing_zeros() >= 6;
        if is_new && added.is_empty()? {
            return Ok(added);
        }
        Err(TreeError::Replaced(path))
    }

    /// The same directory, opened for its entries, its owner and its mode.
    pub fn for_change(&self) -> Result<File, TreeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.file, ".", flags, Mode::empty());
        opened.map(File::from).map_err(TreeError::io("open", &self.path))
    }

    /// Makes its new entries survive a power cut.
    pub fn flush(&self) -> Result<(), TreeError> {
        let flushed = self.for_change()?.sync_all();
        flushed.map_err(TreeError::io("flush", &self.path))
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> Result<bool, TreeError> {
        let failed = || TreeError::io::<Errno>("list", &self.path);
        for entry in Dir::read_from(self.for_change()?).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether root, or the agent's own user, has it, and nobody else can write it. An access list that lets others write
/// shows as the group's bit.
fn is_guarded(meta: &Metadata) -> bool {
    is_ours(meta) && meta.mode() & 0o022 == 0
}

/// Whether it belongs to root or to the agent's own user.
pub(super) fn is_ours(meta: &Metadata) -> bool {
    meta.uid() == 0 || meta.uid() == rustix::process::geteuid().as_raw()
}

/// Where a link leads.
pub(super) fn target(link: &File) -> Result<PathBuf, Errno> {
    let target = rustix::fs::readlinkat(link, "", Vec::new())?;
    Ok(OsString::from_vec(target.into_bytes()).into())
}

/// A path that is being walked: every directory from the root down to where it is now is held open.
struct Walk<'p> {
    named: &'p Path,
    held: Vec<Folder>,
    ahead: VecDeque<OsString>,
    links: usize,
}

impl<'p> Walk<'p> {
    fn begin(named: &'p Path) -> Result<Self, TreeError> {
        // A path of ours has no reason to go up; what a link says may.
        let goes_up = named.components().any(|part| part == Component::ParentDir);
        if !named.is_absolute() || goes_up {
            return Err(TreeError::NoPath(named.to_owned()));
        }
        let path = PathBuf::from("/");
        let opened = rustix::fs::openat(CWD, &path, LOOK | OFlags::DIRECTORY, Mode::empty());
        let file = File::from(opened.map_err(TreeError::io("open", &path))?);
        let meta = file.metadata().map_err(TreeError::io("inspect", &path))?;
        let root = Folder {
            file,
            path,
            guarded: is_guarded(&meta),
        };
        Ok(Self {
            named,
            held: vec![root],
            ahead: parts(named),
            links: 0,
        })
    }

    fn go(mut self, missing: Missing) -> Result<Folder, TreeError> {
        while let Some(part) = self.ahead.pop_front() {
            match part.as_encoded_bytes() {
                b"/" => self.held.truncate(1),
                b".." if self.held.len() > 1 => {
                    self.held.pop();
                }
                b"." | b".." => {}
                _ => self.enter(&part, missing)?,
            }
        }
        self.held
            .pop()
            .ok_or_else(|| TreeError::NoPath(self.named.to_owned()))
    }

    fn enter(&mut self, name: &OsStr, missing: Missing) -> Result<(), TreeError> {
        let Some(here) = self.held.last() else {
            return Err(TreeError::NoPath(self.named.to_owned()));
        };
        let path = here.path.join(name);
        let file = match (here.look(name), missing) {
            (Err(Errno::NOENT), Missing::Make(mode)) => {
                match rustix::fs::mkdirat(&here.file, name, Mode::from_raw_mode(mode)) {
                    Ok(()) => here.flush()?,
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(TreeError::io("make", &path)(error)),
                }
                here.look(name)
            }
            (looked, _) => looked,
        };
        let file = file.map_err(TreeError::io("open", &path))?;
        let meta = file.metadata().map_err(TreeError::io("inspect", &path))?;
        if meta.is_symlink() {
            let target = target(&file).map_err(TreeError::io("read the link", &path))?;
            return self.follow(&path, &meta, target);
        }
        if !meta.is_dir() {
            return Err(TreeError::NotADirectory(path));
        }
        let guarded = here.guarded && is_guarded(&meta);
        self.held.push(Folder { file, path, guarded });
        Ok(())
    }

    /// Goes on where a link leads, if root put it there.
    fn follow(&mut self, link: &Path, meta: &Metadata, target: PathBuf) -> Result<(), TreeError> {
        let is_trusted = self.held.last().is_some_and(|here| here.guarded) && is_ours(meta);
        if !is_trusted {
            return Err(TreeError::ForeignLink {
                link: link.to_owned(),
                target,
                path: self.named.to_owned(),
            });
        }
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(TreeError::io("follow", link)(Errno::LOOP));
        }
        for part in parts(&target).into_iter().rev() {
            self.ahead.push_front(part);
        }
        Ok(())
    }
}

/// The components of a path, the root among them.
fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_that_root_made_in_its_own_directories_are_followed() {
        // Such a link stands on every Debian: /bin, /lib, /var/run.
        let followed = ["/var/run", "/bin", "/lib", "/var/lock"].iter().filter(|path| {
            let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
            is_link && Folder::open(Path::new(path)).unwrap().unwrap().path() != Path::new(path)
        });
        assert!(followed.count() > 0);
    }

    #[test]
    fn a_link_in_a_directory_that_others_can_write_is_refused_with_its_target() {
        let directory = tempfile::tempdir().unwrap();
        symlink("/etc", directory.path().join("link")).unwrap();
        let error = Folder::open(&directory.path().join("link/below")).unwrap_err();
        assert!(matches!(error, TreeError::ForeignLink { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("link is a symbolic link to /etc on the way to"),
            "{text}"
        );
        let error = Folder::make(&directory.path().join("link/made"), 0o755).unwrap_err();
        assert!(matches!(error, TreeError::ForeignLink { .. }), "{error}");
    }

    #[test]
    fn a_path_that_goes_up_or_is_relative_is_none() {
        for path in ["/etc/../root", "etc", ""] {
            let error = Folder::open(Path::new(path)).unwrap_err();
            assert!(matches!(error, TreeError::NoPath(_)), "{path}: {error}");
        }
    }

    #[test]
    fn what_is_missing_is_made_and_told_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        assert!(Folder::open(&path).unwrap().is_none());
        let made = Folder::make(&path, 0o755).unwrap();
        assert!(made.is_empty().unwrap());
        fs::write(path.join("x"), "").unwrap();
        assert!(!Folder::open(&path).unwrap().unwrap().is_empty().unwrap());
        let error = Folder::open(&path.join("x/y")).unwrap_err();
        assert!(matches!(error, TreeError::NotADirectory(_)), "{error}");
    }
}
