//! From this crate's errors to the one that the caller sees.
//!
//! Each module has its own error type. What they share is what an operator needs: the message with its causes, a hint
//! how to resolve it, and whether trying again may help.

use std::error::Error;
use std::io;

use transport::ConnectError;

/// An error that knows what the operator can do.
pub(crate) trait Advice: Error {
    /// What the operator can do; empty where there is nothing to say.
    fn hint(&self) -> String {
        String::new()
    }

    /// Whether trying again may help.
    fn is_transient(&self) -> bool {
        false
    }
}

/// The caller's error: the message and its causes in one line, the hint, and whether to try again.
pub(crate) fn connect_error(error: &impl Advice) -> ConnectError {
    ConnectError {
        message: chain(error),
        hint: error.hint(),
        transient: error.is_transient(),
    }
}

/// An error and its causes, joined by colons.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        // Wrappers such as russh's repeat what they wrap.
        if !text.ends_with(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = error.source();
    }
    text
}

/// The most of a host's words that goes into a message.
const MOST_WORDS: usize = 2000;

/// What a host said, cut to what a person reads: it may be as long as the host likes.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether an error of the network may go away by itself.
pub(crate) fn is_transient_io(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::UnexpectedEof
            | Kind::TimedOut
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NotConnected
    )
}

/// Whether an error of an SSH connection may go away by itself: the connection broke, rather than was refused.
pub(crate) fn is_transient_ssh(error: &russh::Error) -> bool {
    use russh::Error as Ssh;
    match error {
        Ssh::IO(error) => is_transient_io(error),
        Ssh::HUP
        | Ssh::Disconnect
        | Ssh::ConnectionTimeout
        | Ssh::KeepaliveTimeout
        | Ssh::InactivityTimeout
        | Ssh::SendError
        | Ssh::RecvError => true,
        _ => false,
    }
}
