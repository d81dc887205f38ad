//! Exit codes: what a script may rely on, chosen in one place. docs/reference/exit-codes.md says the same.

use std::process::ExitCode;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// No errors, and everything as described.
    Success = 0,
    /// Invalid input, no connection, or a plan that is incomplete or refused in part.
    Failure = 1,
    /// `plan --detailed-exitcode`: there are changes to make.
    Changes = 2,
    /// `apply`: a step failed or was not run; the report says which.
    Incomplete = 3,
    /// `apply`: all steps succeeded, and changes remain afterwards.
    NotConverged = 4,
    /// Another run holds the lock of a host.
    Locked = 5,
    /// `apply` of a saved plan: it is stale, and nothing was done.
    Stale = 6,
    /// The command line is invalid (as in sysexits.h).
    Usage = 64,
    /// The operator interrupted the run (128 + SIGINT).
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
