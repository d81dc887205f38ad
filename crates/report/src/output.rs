//! The only place that writes to standard output and standard error.
//!
//! Results go to standard output, so that they can be piped; progress and errors go to standard error. A reader
//! that closed its pipe (`clusterctl plan | head`) is no error.

use std::io::{self, ErrorKind, Write};

use crate::Page;

/// Writes a result to standard output.
pub fn result(text: impl Into<Page>) -> io::Result<()> {
    write(&mut io::stdout().lock(), &text.into())
}

/// Writes a message to standard error.
pub fn message(text: impl Into<Page>) -> io::Result<()> {
    write(&mut io::stderr().lock(), &text.into())
}

/// Writes a question to standard error, and leaves the cursor behind it.
pub fn prompt(text: impl Into<Page>) -> io::Result<()> {
    let mut stream = io::stderr().lock();
    stream.write_all(text.into().as_bytes())?;
    stream.flush()
}

/// Where log lines go: standard error, with control characters escaped as everywhere. A line comes in one piece.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// Whether the lines are coloured.
    pub colour: bool,
}

impl Log {
    fn page(self, bytes: &[u8]) -> Page {
        let text = String::from_utf8_lossy(bytes);
        if self.colour {
            Page::styled(&text)
        } else {
            Page::from(&*text)
        }
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(self.page(bytes).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// Writes a text and an end of line where it has none.
fn write(stream: &mut impl Write, text: &str) -> io::Result<()> {
    let written = || -> io::Result<()> {
        stream.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            stream.write_all(b"\n")?;
        }
        stream.flush()
    };
    match { written }() {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_text_ends_with_one_end_of_line() {
        let mut written = Vec::new();
        for text in ["a", "b\n", ""] {
            write(&mut written, text).unwrap();
        }
        assert_eq!(written, b"a\nb\n");
    }

    #[test]
    fn a_log_line_keeps_its_colours_and_nothing_else() {
        let line = "\u{1b}[33m WARN\u{1b}[0m host=\u{1b}]0;x\u{7}\n".as_bytes();
        let cleaned = "\u{1b}[33m WARN\u{1b}[0m host=␛]0;x␇\n";
        assert_eq!(Log { colour: true }.page(line), cleaned);
        assert_eq!(Log { colour: false }.page(b"\x1b[31m\xff\n"), "␛[31m\u{fffd}\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        assert!(write(&mut Closed, "a").is_ok());
    }
}
