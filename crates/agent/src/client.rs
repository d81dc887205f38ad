//! Why a server did not answer a client: one of HTTP, RESP or SSDB's protocol.

use protocol::TextError;
use thiserror::Error;

/// Why a server did not answer.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// No connection, or none any more, or a server of another protocol; and why.
    #[error("{0}")]
    Down(String),
    /// The password is wrong, or missing; in the server's words.
    #[error("the server denied access: {0}")]
    Denied(String),
    /// A request cannot be put together.
    #[error(transparent)]
    Text(#[from] TextError),
}
