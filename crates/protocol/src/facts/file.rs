//! Files and directories.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::SecretId;

use crate::{Encoding, Reference, Text};

/// Asks for a file's metadata and, where wanted, its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileQuery {
    /// Absolute path. The last component is not followed where it is a symbolic link.
    pub path: String,
    /// Whether the text is wanted too.
    pub text: bool,
    /// The secrets that are to be recognised in the text, each as it is written there, by preference.
    pub secrets: Vec<Reference>,
    /// Regular expressions whose first group is a value that must not leave the host unless it is one of
    /// `secrets`; matched line by line.
    pub masks: Vec<String>,
}

impl FileQuery {
    /// Asks for the metadata and hash alone.
    pub fn meta(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: false,
            secrets: Vec::new(),
            masks: Vec::new(),
        }
    }

    /// Asks for the text too.
    pub fn text(path: impl Into<String>) -> Self {
        Self {
            text: true,
            ..Self::meta(path)
        }
    }

    /// Recognises these secrets in the text, written as they are.
    #[must_use]
    pub fn knowing<'a>(self, secrets: impl IntoIterator<Item = &'a SecretId>) -> Self {
        self.knowing_in(Encoding::Plain, secrets)
    }

    /// Recognises these secrets in the text, written in an encoding.
    #[must_use]
    pub fn knowing_in<'a>(
        mut self,
        encoding: Encoding,
        secrets: impl IntoIterator<Item = &'a SecretId>,
    ) -> Self {
        let references = secrets.into_iter().map(|id| Reference::written(id, encoding));
        self.secrets.extend(references);
        self
    }

    /// Recognises the secrets that a text names, written as there.
    #[must_use]
    pub fn knowing_those_of(mut self, text: &Text) -> Self {
        self.secrets.extend(text.references());
        self
    }

    /// Hides what the first group of these patterns matches.
    #[must_use]
    pub fn masking(mut self, patterns: &[&str]) -> Self {
        self.masks
            .extend(patterns.iter().map(|&pattern| pattern.to_owned()));
        self
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileFact {
    /// Nothing.
    Absent,
    /// Something.
    Present(FileMeta),
}

/// A file's metadata, and its text where it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// What it is.
    pub kind: FileKind,
    /// SHA-256 of a regular file's content, in hexadecimal; empty for anything else, and for a file that is not read.
    pub sha256: String,
    /// Length in bytes.
    pub len: u64,
    /// Permission bits, e.g. `0o640`.
    pub mode: u32,
    /// Owner's name, or its number where it has none.
    pub owner: String,
    /// Group's name, or its number where it has none.
    pub group: String,
    /// When the content was last changed (mtime), microseconds since 1970. A copy may set it to any time.
    pub modified_us: i64,
    /// When content, owner or mode were last changed (ctime), by the host's clock of that moment, microseconds since 1970;
    /// a change of owner or mode by an agent does not count. 0 where it is not known.
    #[serde(default)]
    pub changed_us: i64,
    /// How far the later of the two lies ahead of the host's clock; 0 where it does not.
    #[serde(default)]
    pub ahead_us: i64,
    /// The text with its secrets concealed; `None` where it was not asked for, or is not text.
    pub text: Option<Text>,
    /// Where a symbolic link leads, as it says itself; empty for anything else.
    #[serde(default)]
    pub target: String,
    /// How many names (hard links) a file has that is not read for that: in a directory that users other than root can write,
    /// it may be any file of the system. 0 for anything else.
    #[serde(default)]
    pub names: u64,
}

/// Why nothing is read from a path or written to it: something else stands there than a regular file of the usual size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Obstacle {
    /// A symbolic link, with its target.
    #[error(
        "it is a symbolic link to {0}, and links are not followed: their owner would choose what root writes"
    )]
    Link(String),
    /// A directory.
    #[error("it is a directory")]
    Directory,
    /// A file, where a directory is wanted.
    #[error("it is a file, not a directory")]
    File,
    /// A device, socket or pipe.
    #[error("it is a device, socket or pipe")]
    Special,
    /// A file with so many names, in a directory that others can write.
    #[error(
        "it is one of {0} names of the same file (hard links), in a directory that users other than root can write: it may be \
         any file of the system"
    )]
    HardLinks(u64),
    /// A file of so many bytes.
    #[error("it has {0} bytes, and a file of more than 16 MiB is not read")]
    TooLarge(u64),
}

impl Obstacle {
    /// What the operator can do about it.
    pub fn resolve(&self) -> String {
        match self {
            Self::Link(target) => format!("use {target} instead, or remove the link"),
            Self::Directory | Self::File => "move it away, or choose another path".to_owned(),
            Self::Special => "choose another path".to_owned(),
            Self::HardLinks(_) => "put a copy in its place (cp -p, then mv)".to_owned(),
            Self::TooLarge(_) => "check what it contains, and move it away".to_owned(),
        }
    }
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, itself.
    Link,
    /// A device, socket or pipe.
    Other,
}

impl FileMeta {
    /// Why it is no file to read and write; `None` where it is one.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self.kind {
            FileKind::Link => Some(Obstacle::Link(self.target.clone())),
            FileKind::Directory => Some(Obstacle::Directory),
            FileKind::Other => Some(Obstacle::Special),
            FileKind::File if self.names > 1 => Some(Obstacle::HardLinks(self.names)),
            FileKind::File if self.sha256.is_empty() => Some(Obstacle::TooLarge(self.len)),
            FileKind::File => None,
        }
    }
}

impl FileFact {
    /// The metadata where something is there.
    pub fn meta(&self) -> Option<&FileMeta> {
        match self {
            Self::Absent => None,
            Self::Present(meta) => Some(meta),
        }
    }

    /// The text where the file is there and is text.
    pub fn text(&self) -> Option<&Text> {
        self.meta().and_then(|meta| meta.text.as_ref())
    }

    /// What an action on the file presumes: the state that is seen now.
    pub fn state(&self) -> FileState {
        match self {
            Self::Absent => FileState::Absent,
            Self::Present(meta) => match meta.obstacle() {
                None => FileState::Hash(meta.sha256.clone()),
                Some(obstacle) => FileState::Obstructed(obstacle),
            },
        }
    }

    /// What an action on the directory presumes: the state that is seen now.
    pub fn directory_state(&self) -> DirectoryState {
        match self {
            Self::Absent => DirectoryState::Absent,
            Self::Present(meta) => match meta.obstacle() {
                Some(Obstacle::Directory) => DirectoryState::Present {
                    mode: meta.mode,
                    owner: meta.owner.clone(),
                    group: meta.group.clone(),
                },
                Some(obstacle) => DirectoryState::Obstructed(obstacle),
                None => DirectoryState::Obstructed(Obstacle::File),
            },
        }
    }
}

/// What stands at a file's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileState {
    /// Nothing.
    Absent,
    /// A regular file with this SHA-256, in hexadecimal.
    Hash(String),
    /// Whatever an earlier step of the same plan leaves there, such as the package that brings the file. Only for a
    /// text that was not made from what stands there.
    Any,
    /// No file to read and write. Nothing is done to it: the planner refuses, and so does the agent.
    Obstructed(Obstacle),
}

/// What stands at a directory's path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DirectoryState {
    /// Whatever an earlier step of the same plan leaves there.
    #[default]
    Any,
    /// Nothing.
    Absent,
    /// A directory.
    Present {
        /// Its permission bits.
        mode: u32,
        /// Its owner's name.
        owner: String,
        /// Its group's name.
        group: String,
    },
    /// No directory. Nothing is done to it: the planner refuses, and so does the agent.
    Obstructed(Obstacle),
}
