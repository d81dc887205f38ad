//! Why a start ends: what is said to whom, and the exit code.

use super::log::Line;

/// Why mongod does not start: what it says to its standard error, with the exit code that goes with it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// mongod's exit code of it.
    pub exit: u8,
    /// What it says.
    pub message: String,
    /// How the log says it; nothing where it is said to the standard error, before there is a log.
    pub logged: Option<Box<Line>>,
}

/// Exit code of a wrong option or configuration file.
pub const EXIT_BAD_OPTIONS: u8 = 2;
/// Exit code of a wrong value that is found out while starting.
pub const EXIT_BAD_INIT: u8 = 1;
/// Exit code of an address that cannot be listened on.
pub const EXIT_NET_ERROR: u8 = 48;
/// Exit code of an uncaught error, such as a data directory in use.
pub const EXIT_UNCAUGHT: u8 = 100;

impl StartError {
    /// The end of a start with this exit code.
    pub fn new(exit: u8, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            logged: None,
        }
    }

    /// The same with what the log says of it.
    #[must_use]
    pub fn logged(self, line: Line) -> Self {
        Self {
            logged: Some(line.into()),
            ..self
        }
    }
}

/// A start that ends with exit code 2.
pub(super) fn bad<T>(message: impl Into<String>) -> Result<T, StartError> {
    Err(StartError::new(EXIT_BAD_OPTIONS, message))
}
