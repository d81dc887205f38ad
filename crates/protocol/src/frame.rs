//! Frames: four bytes of length, most significant first, then postcard.
//!
//! Sans-I/O: bytes go in and out, and the owner of the stream reads and writes it. The limit on a frame's length
//! keeps a stray line of a login script (read as a length) from being waited for.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::bounds::{self, Exceeded, Limits};
use crate::{Hello, RequestId, Response, ToAgent, ToController};

/// What goes through a frame, and how much of it there may be.
pub trait Message {
    /// The longest frame, in bytes.
    const LONGEST: usize;
    /// What it may take once it is decoded.
    const LIMITS: Limits;
}

/// A greeting is a few bytes; what is longer is something else.
impl Message for Hello {
    const LONGEST: usize = 64 << 10;
    const LIMITS: Limits = Limits::message(1 << 20);
}

/// The controller is trusted; it writes files of any length that an operator may want.
impl Message for ToAgent {
    const LONGEST: usize = 64 << 20;
    const LIMITS: Limits = Limits::message(512 << 20);
}

/// A host is not: these are all answers to the queries of one plan for one host, and every text in them is bounded.
impl Message for ToController {
    const LONGEST: usize = 32 << 20;
    const LIMITS: Limits = Limits::message(192 << 20);
}

/// An answer as it was received: the number of its request, and what was answered, unless that is over a limit.
pub type Answer = (RequestId, Result<Response, Exceeded>);

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is over the limit: most likely the stream carries something else.
    #[error("a frame of {0} bytes, which is over the limit: something else was written to the stream")]
    TooLong(usize),
    /// The message is over a limit. Where it was received, its frame is left behind and the next can be read.
    #[error("a message that is over the limit: {0}")]
    Exceeded(Exceeded),
    /// The content does not decode.
    #[error("a frame that does not decode")]
    Decode(#[source] postcard::Error),
    /// The message does not encode.
    #[error("a message that does not encode")]
    Encode(#[source] postcard::Error),
}

/// A message as a frame.
pub fn encode<T: Message + Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    bounds::measure(message, T::LIMITS).map_err(FrameError::Exceeded)?;
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(FrameError::Encode)?;
    let len = frame.len() - 4;
    if len > T::LONGEST {
        return Err(FrameError::Exceeded(Exceeded::Size(T::LONGEST)));
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
    pub fn next<T: Message + DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        self.take(T::LONGEST, |content| read(content, T::LIMITS))
    }

    /// The next answer of an agent, as [`Self::next`] would decode it. One that is over a limit is an error of the
    /// request that it answers, not of the conversation.
    pub fn next_answer(&mut self) -> Result<Option<Answer>, FrameError> {
        self.take(ToController::LONGEST, |content| {
            let (id, rest) = postcard::take_from_bytes(content).map_err(FrameError::Decode)?;
            match read(rest, ToController::LIMITS) {
                Ok(response) => Ok((id, Ok(response))),
                Err(FrameError::Exceeded(exceeded)) => Ok((id, Err(exceeded))),
                Err(error) => Err(error),
            }
        })
    }

    fn take<M>(
        &mut self,
        longest: usize,
        read: impl FnOnce(&[u8]) -> Result<M, FrameError>,
    ) -> Result<Option<M>, FrameError> {
        let Some(header) = self.bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*header) as usize;
        if len > longest {
            return Err(FrameError::TooLong(len));
        }
        let Some(content) = self.bytes.get(4..4 + len) else {
            return Ok(None);
        };
        let message = read(content);
        self.bytes.drain(..4 + len);
        message.map(Some)
    }
}

fn read<T: DeserializeOwned>(content: &[u8], limits: Limits) -> Result<T, FrameError> {
    bounds::read(content, limits).map_err(|why| match why {
        Ok(exceeded) => FrameError::Exceeded(exceeded),
        Err(error) => FrameError::Decode(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VERSION;

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
