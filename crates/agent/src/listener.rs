//! An input that does not wait for ever.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What the agent reads its requests from. A host that was cut off never sees its connection end: silence must do.
#[derive(Debug)]
pub struct Listener {
    input: File,
    patience: Duration,
}

impl Listener {
    /// Reads from a pipe or socket. Where nothing comes for so long, reading fails with [`io::ErrorKind::TimedOut`].
    pub fn new(input: File, patience: Duration) -> Self {
        Self { input, patience }
    }
}

impl Read for Listener {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let until = Instant::now() + self.patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let limit = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut descriptors = [PollFd::new(&self.input, PollFlags::IN)];
            match poll(&mut descriptors, Some(&limit)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                // Its end is told by reading too.
                Ok(_) => return self.input.read(buffer),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::OwnedFd;

    #[test]
    fn silence_ends_reading_and_words_do_not() {
        let (input, output) = io::pipe().unwrap();
        let mut output = File::from(OwnedFd::from(output));
        let mut listener = Listener::new(OwnedFd::from(input).into(), Duration::from_millis(20));
        let mut buffer = [0; 8];
        output.write_all(b"x").unwrap();
        assert_eq!(listener.read(&mut buffer).unwrap(), 1);
        let silence = listener.read(&mut buffer).unwrap_err();
        assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
        drop(output);
        assert_eq!(listener.read(&mut buffer).unwrap(), 0);
    }
}
