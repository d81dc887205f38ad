//! A name in a directory, and what stands there: never followed, never waited for, never read without a limit.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::folder::{Folder, target};
use super::{Access, TreeError};

/// A longer file is not read: no configuration file is that long.
const LIMIT: u64 = 16 << 20;
/// How long reading a file may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much is read between two checks of the clock.
const PORTION: u64 = 256 << 10;

/// Where a file is, or may be.
#[derive(Debug)]
pub struct Place {
    /// The directory.
    pub folder: Folder,
    /// The last component.
    pub name: OsString,
    /// The path that was given, for messages.
    pub path: PathBuf,
}

/// What stands at a place.
#[derive(Debug)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A regular file.
    File(Open),
    /// A regular file with other names, in a directory that others can write; it is not opened.
    Shared(Metadata),
    /// A symbolic link, with what it says.
    Link(Metadata, PathBuf),
    /// A directory.
    Directory(Metadata),
    /// A device, socket or pipe; it is not opened.
    Other(Metadata),
}

/// A regular file that was opened for reading.
#[derive(Debug)]
pub struct Open {
    /// Open for reading.
    pub file: File,
    /// Its metadata at that moment.
    pub meta: Metadata,
    path: PathBuf,
}

impl Place {
    /// Finds the directory of a path; `None` where it does not exist.
    pub fn find(path: &Path) -> Result<Option<Self>, TreeError> {
        let (directory, name) = split(path)?;
        let folder = Folder::open(directory)?;
        Ok(folder.map(|folder| Self::within(folder, name, path)))
    }

    /// Finds the directory of a path, which must be there.
    pub fn require(path: &Path) -> Result<Self, TreeError> {
        let (directory, _) = split(path)?;
        let missing = || TreeError::io("open", directory)(Errno::NOENT);
        Self::find(path)?.ok_or_else(missing)
    }

    /// Finds the directory of a path, and makes what is missing of it.
    pub fn make(path: &Path) -> Result<Self, TreeError> {
        let (directory, name) = split(path)?;
        Ok(Self::within(Folder::make(directory, 0o755)?, name, path))
    }

    fn within(folder: Folder, name: &OsStr, path: &Path) -> Self {
        Self {
            folder,
            name: name.to_owned(),
            path: path.to_owned(),
        }
    }

    /// Looks, and opens a regular file for reading.
    pub fn look(&self) -> Result<Found, TreeError> {
        // Looked at before it is opened: opening a device does something, and a FIFO wakes its writer.
        let looked = match self.folder.look(&self.name) {
            Ok(looked) => looked,
            Err(Errno::NOENT) => return Ok(Found::Absent),
            Err(error) => return Err(TreeError::io("inspect", &self.path)(error)),
        };
        let failed = |what| TreeError::io::<io::Error>(what, &self.path);
        let meta = looked.metadata().map_err(failed("inspect"))?;
        if meta.is_symlink() {
            let target = target(&looked).map_err(TreeError::io("read the link", &self.path))?;
            return Ok(Found::Link(meta, target));
        }
        if !meta.is_file() {
            return Ok(Self::odd(meta));
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(self.folder.file(), &self.name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(Found::Absent),
            // A link took its place meanwhile.
            Err(Errno::LOOP) => return Err(TreeError::Replaced(self.path.clone())),
            Err(error) => return Err(TreeError::io("open", &self.path)(error)),
        };
        // What counts is what was opened: the name may lead elsewhere since.
        let meta = file.metadata().map_err(failed("inspect"))?;
        if !meta.is_file() {
            return Ok(Self::odd(meta));
        }
        if meta.nlink() > 1 && !self.folder.is_guarded() {
            return Ok(Found::Shared(meta));
        }
        let path = self.path.clone();
        Ok(Found::File(Open { file, meta, path }))
    }

    fn odd(meta: Metadata) -> Found {
        if meta.is_dir() {
            Found::Directory(meta)
        } else {
            Found::Other(meta)
        }
    }

    /// The regular file that stands there; anything else is an error that names it.
    pub fn file(&self) -> Result<Option<Open>, TreeError> {
        let path = self.path.clone();
        match self.look()? {
            Found::Absent => Ok(None),
            Found::File(open) => Ok(Some(open)),
            Found::Shared(meta) => Err(TreeError::HardLinks {
                path,
                names: meta.nlink(),
            }),
            Found::Link(_, target) => Err(TreeError::Link { path, target }),
            Found::Directory(_) | Found::Other(_) => Err(TreeError::NotAFile(path)),
        }
    }

    /// The directory that stands there; anything else is an error that names it.
    pub fn directory(&self) -> Result<Option<Folder>, TreeError> {
        match self.look()? {
            Found::Absent => Ok(None),
            Found::Link(_, target) => Err(TreeError::Link {
                path: self.path.clone(),
                target,
            }),
            Found::Directory(_) => self.folder.below(&self.name).map(Some),
            Found::File(_) | Found::Shared(_) | Found::Other(_) => {
                Err(TreeError::NotADirectory(self.path.clone()))
            }
        }
    }
}

impl Place {
    /// Takes the name away from what is no directory.
    pub fn unlink(&self) -> Result<(), TreeError> {
        let removed = rustix::fs::unlinkat(self.folder.file(), &self.name, AtFlags::empty());
        removed.map_err(TreeError::io("remove", &self.path))?;
        self.folder.flush()
    }

    /// Gives a directory another name in the same directory, which nothing has.
    pub fn move_aside(&self, name: &OsStr) -> Result<(), TreeError> {
        if self.directory()?.is_none() {
            return Err(TreeError::io("move", &self.path)(Errno::NOENT));
        }
        let (here, flags) = (self.folder.file(), RenameFlags::NOREPLACE);
        let renamed = rustix::fs::renameat_with(here, &self.name, here, name, flags);
        renamed.map_err(TreeError::io("move", &self.path))?;
        self.folder.flush()
    }
}

impl Open {
    /// All of it, up to the limits of size and time.
    pub fn read(&mut self) -> Result<Zeroizing<Vec<u8>>, TreeError> {
        let until = Instant::now() + PATIENCE;
        let too_large = || TreeError::TooLarge {
            path: self.path.clone(),
            limit: LIMIT,
        };
        if self.is_too_large() {
            return Err(too_large());
        }
        // One byte more than it says: a file that grows is read again, into a new place; it may hold secrets.
        let room = usize::try_from(self.meta.len()).unwrap_or(0) + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        loop {
            let read = Read::by_ref(&mut self.file)
                .take(PORTION)
                .read_to_end(&mut bytes)
                .map_err(TreeError::io("read", &self.path))?;
            if u64::try_from(bytes.len()).is_ok_and(|len| len > LIMIT) {
                return Err(too_large());
            }
            if read == 0 {
                return Ok(bytes);
            }
            if Instant::now() >= until {
                return Err(TreeError::Slow(self.path.clone()));
            }
        }
    }

    /// Whether it is longer than what is read of any file.
    pub fn is_too_large(&self) -> bool {
        self.meta.len() > LIMIT
    }

    /// Gives it another owner or mode, through the descriptor that was checked.
    pub fn give(&self, access: Access) -> Result<(), TreeError> {
        access.give(&self.file, &self.path)
    }

    /// Whether this is still what has the name.
    pub fn is_at(&self, place: &Place) -> bool {
        let now = place.folder.look(&place.name).ok();
        let meta = now.and_then(|file| file.metadata().ok());
        meta.is_some_and(|now| (now.dev(), now.ino()) == (self.meta.dev(), self.meta.ino()))
    }
}

/// The directory and the name of a path.
fn split(path: &Path) -> Result<(&Path, &OsStr), TreeError> {
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) if path.is_absolute() => Ok((directory, name)),
        _ => Err(TreeError::NoPath(path.to_owned())),
    }
}
