//! Room for many systemds on one kernel.
//!
//! Each host's systemd and its services watch files, and the kernel counts all watchers of a user together: with the
//! usual limit of 128 instances a third or fourth lab's hosts hang while they boot.

use std::fs;
use std::path::Path;

use crate::files::{FileError, failed};

const LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";

/// Enough for a dozen labs.
const ENOUGH: u32 = 1024;

/// Raises the limit where it is low; what was done, to be told.
pub(crate) fn make_room() -> Result<Option<String>, FileError> {
    let path = Path::new(LIMIT);
    let now = fs::read_to_string(path).map_err(failed("read", path))?;
    if is_enough(&now) {
        return Ok(None);
    }
    fs::write(path, ENOUGH.to_string()).map_err(failed("write", path))?;
    Ok(Some(format!(
        "raised {LIMIT} from {} to {ENOUGH}, until the next boot",
        now.trim()
    )))
}

/// What the kernel says that is no number is none of ours to change.
fn is_enough(limit: &str) -> bool {
    limit.trim().parse::<u32>().map_or(true, |limit| limit >= ENOUGH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_limit_is_raised_and_a_higher_one_is_left() {
        assert!(!is_enough("128\n"));
        assert!(is_enough("1024\n"));
        assert!(is_enough("8192\n"));
        assert!(is_enough("unlimited\n"));
    }
}
