//! Why a server did not answer a client: one of HTTP, RESP or SSDB's protocol.

use std::io::{self, ErrorKind};

use protocol::TextError;
use protocol::facts::{Silence, SilenceKind};
use thiserror::Error;

use tree::error_text;

/// Why a server did not answer.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// No connection, or none any more, or a server of another protocol.
    #[error("{0}")]
    Silent(Silence),
    /// The password is wrong, or missing; in the server's words.
    #[error("the server denied access: {0}")]
    Denied(String),
    /// A request cannot be put together.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The answer, or the request, is over a limit of ours; the server is not silent.
    #[error("{0}")]
    Limit(String),
}

impl From<Silence> for ClientError {
    fn from(silence: Silence) -> Self {
        Self::Silent(silence)
    }
}

/// What the error of a connection says of the server: the one place where silence gets its kind.
pub(crate) fn silence(error: &io::Error) -> Silence {
    let kind = match error.kind() {
        // Nobody listens at an address that the host does not have.
        ErrorKind::ConnectionRefused | ErrorKind::AddrNotAvailable => SilenceKind::Refused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::InvalidData => SilenceKind::Foreign,
        ErrorKind::UnexpectedEof => return Silence::foreign("it closed the connection"),
        _ => SilenceKind::NoAnswer,
    };
    Silence {
        kind,
        words: error_text(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_says_of_a_server() {
        use SilenceKind::{Foreign, NoAnswer, Refused};
        // errno(3), as Linux numbers it: a reset, a refusal, no such address, no route, a time-out, a broken pipe.
        for (number, kind) in [
            (104, Foreign),
            (111, Refused),
            (99, Refused),
            (113, NoAnswer),
            (101, NoAnswer),
            (110, NoAnswer),
            (32, Foreign),
        ] {
            let found = silence(&io::Error::from_raw_os_error(number));
            assert_eq!(found.kind, kind, "{found}");
        }
        assert_eq!(
            silence(&ErrorKind::UnexpectedEof.into()),
            Silence::foreign("it closed the connection")
        );
    }
}
