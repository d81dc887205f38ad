//! What chores say to the person at the terminal.

use std::io::Write as _;

/// Prints a line for the person at the terminal. One that went away (`| head`) is no failure of the chore.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
