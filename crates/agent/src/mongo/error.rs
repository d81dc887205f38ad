//! Why a server did not do what it was asked.

use protocol::TextError;
use protocol::facts::{MongoError, Silence};
use thiserror::Error;

/// Why a server did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// No connection, or none any more; and why.
    #[error("{0}")]
    Silent(Silence),
    /// The server refused the user.
    #[error("the server refused the user: {0}")]
    Denied(MongoError),
    /// A command cannot be put together.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The same, for another reason, or its answer is over a limit of ours.
    #[error("{0}")]
    Command(String),
}

impl From<Silence> for ClientError {
    fn from(silence: Silence) -> Self {
        Self::Silent(silence)
    }
}
