//! A connection to a server whose replies end where their own text says: what RESP and SSDB's protocol share.
//!
//! It keeps to a time and a size, wipes what it held, and says what went wrong in words. A reply is scanned as it
//! comes in, once and without recursion, and decoded when all of it is there and is known to be small enough.

use std::io::{ErrorKind, Read as _, Write as _};

use protocol::facts::Silence;
use zeroize::Zeroizing;

use crate::bounds::{REPLY, Share, Time};
use crate::client::{ClientError, silence};
use crate::stream::Stream;

/// The connection, and what came in and was not read yet.
pub(crate) struct Wire {
    stream: Stream,
    received: Zeroizing<Vec<u8>>,
}

/// Scans a reply that comes in piece by piece.
pub(crate) trait Scan: Default {
    /// Goes on where it stopped, in all that was received of the reply; whether that is whole now.
    fn go_on(&mut self, received: &[u8]) -> Result<Option<Whole>, &'static str>;
}

/// A reply that was received to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole {
    /// Its length in bytes.
    pub(crate) len: usize,
    /// How many values are in it.
    pub(crate) values: usize,
}

/// The first reply in what was received, and its length, taken as [`Wire::reply`] takes it; for the fuzz targets.
pub(crate) fn first<S: Scan, T>(
    received: &[u8],
    share: &mut Share<'_>,
    decode: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<Option<(T, usize)>, String> {
    let Some(Whole { len, values }) = S::default().go_on(received)? else {
        return Ok(None);
    };
    share.grow(values.saturating_mul(VALUE).saturating_add(len))?;
    Ok(Some((decode(&received[..len])?, len)))
}

/// What a value takes at most while a reply is decoded and turned into a fact, its bytes aside.
const VALUE: usize = 192;

impl Wire {
    /// Connects.
    pub(crate) fn open(address: &str, port: u16, time: Time) -> Result<Self, Silence> {
        Ok(Self {
            stream: Stream::open(address, port, time)?,
            received: Zeroizing::default(),
        })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Silence> {
        self.stream.write_all(bytes).map_err(|error| silence(&error))
    }

    /// Reads a whole reply and decodes it.
    pub(crate) fn reply<S: Scan, T>(
        &mut self,
        share: &mut Share<'_>,
        decode: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, ClientError> {
        let mut scan = S::default();
        let mut buffer = Zeroizing::new(vec![0; 16 << 10]);
        loop {
            if let Some(Whole { len, values }) = scan.go_on(&self.received).map_err(Silence::foreign)? {
                let bytes = values.saturating_mul(VALUE).saturating_add(len);
                share.grow(bytes).map_err(ClientError::Limit)?;
                let reply = decode(&self.received[..len]).map_err(Silence::foreign)?;
                self.received.drain(..len);
                return Ok(reply);
            }
            if self.received.len() > REPLY {
                return Err(ClientError::Limit("its reply is too long".to_owned()));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(silence(&ErrorKind::UnexpectedEof.into()).into()),
                Ok(read) => {
                    share.grow(read).map_err(ClientError::Limit)?;
                    self.received.extend_from_slice(&buffer[..read]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(silence(&error).into()),
            }
        }
    }
}
