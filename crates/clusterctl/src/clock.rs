//! The clock, and who asks: the two things of the surroundings that end up in journals and locks.

use jiff::Timestamp;
use types::RunId;

/// Microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// Now, in RFC 3339, to the second.
pub(crate) fn now_text() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A new run's id: a UUID that sorts by time.
pub(crate) fn new_run() -> Result<RunId, types::NameError> {
    uuid::Uuid::now_v7().to_string().parse()
}

/// The operator: `user@controller`.
pub(crate) fn who() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}
