//! The way out: the only place that writes to standard output and standard error.
//!
//! Results go to standard output, so that they can be piped; progress and errors go to standard error. A reader
//! that has gone away (`clusterctl plan | head`) is no error: what it did not want to read need not be written.

use std::io::{self, ErrorKind, Write};

/// Writes a result to standard output.
pub fn result(text: &str) -> io::Result<()> {
    write(&mut io::stdout().lock(), text)
}

/// Writes a message to standard error.
pub fn message(text: &str) -> io::Result<()> {
    write(&mut io::stderr().lock(), text)
}

/// Writes a question to standard error, and leaves the cursor behind it.
pub fn prompt(text: &str) -> io::Result<()> {
    let mut stream = io::stderr().lock();
    stream.write_all(text.as_bytes())?;
    stream.flush()
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
    fn a_reader_that_has_gone_is_no_error() {
        assert!(write(&mut Closed, "a").is_ok());
    }
}
