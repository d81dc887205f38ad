//! Exit codes: what a script may rely on, chosen in one place. docs/reference/exit-codes.md says the same.

use std::process::ExitCode;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is as it should be.
    Success = 0,
    /// The work could not be done: bad input, no connection, or a plan that is incomplete or refused in part.
    Failure = 1,
    /// `plan --detailed-exitcode`: there are changes to make.
    Changes = 2,
    /// `apply`: something failed or was not run; the report says what.
    Incomplete = 3,
    /// `apply`: every step succeeded, and the plan is not empty afterwards.
    NotConverged = 4,
    /// Another run holds the lock of a host.
    Locked = 5,
    /// `apply` of a saved plan: something changed since it was made, and nothing was done.
    Stale = 6,
    /// The command line makes no sense (as in sysexits.h).
    Usage = 64,
    /// The operator interrupted the run (128 + SIGINT).
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
