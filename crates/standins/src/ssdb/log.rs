//! The log: a file that all users can read, as with the real server.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Where lines go.
pub struct Log {
    file: Option<Mutex<File>>,
    is_debug: bool,
}

impl Log {
    /// A log in a file, or on standard output.
    pub fn open(path: Option<&Path>, is_debug: bool) -> std::io::Result<Self> {
        let file = path
            .map(|path| File::options().append(true).create(true).open(path))
            .transpose()?;
        Ok(Self {
            file: file.map(Mutex::new),
            is_debug,
        })
    }

    /// A line that is always there.
    pub(super) fn info(&self, line: &str) {
        // A full disk does not stop the server.
        let _ = match &self.file {
            Some(file) => writeln!(
                file.lock().unwrap_or_else(PoisonError::into_inner),
                "[INFO ] {line}"
            ),
            None => writeln!(std::io::stdout().lock(), "[INFO ] {line}"),
        };
    }

    /// A line that is there with the level debug: requests as they come, with the passwords in them.
    pub(super) fn debug(&self, items: &[Vec<u8>]) {
        if self.is_debug {
            let words: Vec<_> = items.iter().map(|item| String::from_utf8_lossy(item)).collect();
            self.info(&format!("[debug] req: {}", words.join(" ")));
        }
    }
}
