//! Frames: four bytes of length, most significant first, then postcard.
//!
//! Sans-I/O: bytes go in and out, and whoever owns the stream reads and writes it. The limit on a frame's length
//! keeps a stray line of a login script (read as a length) from being waited for.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The longest frame, in bytes.
pub const LIMIT: usize = 64 << 20;

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is over the limit: most likely the stream carries something else.
    #[error("a frame of {0} bytes, which is over the limit: something else was written to the stream")]
    TooLong(usize),
    /// The content does not decode.
    #[error("a frame that does not decode")]
    Decode(#[source] postcard::Error),
    /// The message does not encode.
    #[error("a message that does not encode")]
    Encode(#[source] postcard::Error),
}

/// A message as a frame.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(FrameError::Encode)?;
    let len = frame.len() - 4;
    if len > LIMIT {
        return Err(FrameError::TooLong(len));
    }
    let header = u32::try_from(len)
        .map_err(|_| FrameError::TooLong(len))?
        .to_be_bytes();
    frame[..4].copy_from_slice(&header);
    Ok(frame)
}

/// Takes a stream's bytes in as they come and gives whole messages out.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// Takes in more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the stream ended between two frames, as it should.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next message; `None` until its frame is whole.
    #[expect(
        clippy::should_implement_trait,
        reason = "no iterator: what follows a `None` depends on what is pushed, and each message has its own type"
    )]
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(header) = self.bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*header) as usize;
        if len > LIMIT {
            return Err(FrameError::TooLong(len));
        }
        let Some(content) = self.bytes.get(4..4 + len) else {
            return Ok(None);
        };
        let message = postcard::from_bytes(content).map_err(FrameError::Decode)?;
        self.bytes.drain(..4 + len);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hello, VERSION};

    #[test]
    fn a_message_survives_being_cut_anywhere() {
        let hello = Hello {
            version: VERSION,
            pid: 70_000,
            uid: 0,
            key: crate::SealingKey([7; 32]),
        };
        let frame = encode(&hello).unwrap();
        for cut in 0..frame.len() {
            let mut decoder = Decoder::default();
            decoder.push(&frame[..cut]);
            assert_eq!(decoder.next::<Hello>().unwrap(), None);
            decoder.push(&frame[cut..]);
            assert_eq!(decoder.next::<Hello>().unwrap(), Some(hello.clone()));
            assert!(decoder.is_empty());
        }
    }

    #[test]
    fn a_greeting_of_a_login_script_is_not_waited_for() {
        let mut decoder = Decoder::default();
        decoder.push(b"Welcome to db1\n");
        assert_eq!(decoder.next::<Hello>(), Err(FrameError::TooLong(0x5765_6c63)));
    }
}
