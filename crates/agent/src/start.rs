//! Starting a program not before it is recorded.
//!
//! An agent that is killed between starting a program and writing down that it did would leave a command of which nobody
//! knows. So the agent starts itself, as this: it waits for a byte on its standard input, which comes once its process is
//! in the record, and then becomes the program. If the agent dies before, the input ends, and nothing is started. What
//! follows the byte is the program's own input.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use thiserror::Error;

use tree::error_text;

/// The agent's first argument in this case; the program and its arguments follow.
pub const ARGUMENT: &str = "--start";

/// What the agent writes before the program's own input.
pub(crate) const GO: &[u8] = b"\n";

/// Why the program was not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// Nothing follows [`ARGUMENT`].
    #[error("no program is given")]
    Empty,
    /// The agent that would have said when ended.
    #[error("the agent is gone, so {0} is not started")]
    Orphaned(String),
    /// The system does not start it.
    #[error("cannot start {program}: {}", error_text(why))]
    Failed {
        /// The program.
        program: String,
        /// What the system says.
        why: io::Error,
    },
}

/// Becomes the program once the agent says so. It returns only where that fails.
pub fn start(mut argv: impl Iterator<Item = OsString>) -> StartError {
    let Some(program) = argv.next() else {
        return StartError::Empty;
    };
    let name = program.to_string_lossy().into_owned();
    let mut go = [0; GO.len()];
    // Not through a buffer: what follows is for the program.
    match rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut go)) {
        Ok(0) => StartError::Orphaned(name),
        Ok(_) => StartError::Failed {
            program: name,
            why: Command::new(program).args(argv).exec(),
        },
        Err(errno) => StartError::Failed {
            program: name,
            why: errno.into(),
        },
    }
}
