//! Asking the operator for a passphrase, without knowing how.
//!
//! This crate has no terminal: the binary implements [`Prompt`] on one, and where nobody can be asked (a test, a
//! pipeline) [`NoPrompt`] declines.

use std::path::Path;

use types::Secret;

/// Asks the operator.
pub trait Prompt: Send + Sync + 'static {
    /// The passphrase of an encrypted key file; `None` where the operator declines. It is called from a thread that
    /// may block, for one file at a time, and at most three times for a file where the answers are wrong; a right
    /// answer serves all hosts of the run.
    fn passphrase(&self, file: &Path) -> Option<Secret>;
}

/// Declines every question.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPrompt;

impl Prompt for NoPrompt {
    fn passphrase(&self, _file: &Path) -> Option<Secret> {
        None
    }
}
