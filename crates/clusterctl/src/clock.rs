//! The clock and the operator's name, for journals and locks.

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
pub(crate) fn operator() -> String {
    let uid = rustix::process::getuid().as_raw();
    let user = std::env::var("SUDO_USER")
        .ok()
        .or_else(|| user_name(uid))
        .unwrap_or_else(|| format!("uid {uid}"));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}

/// The user's name in passwd(5); users of other name services show as their number.
fn user_name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let uid = uid.to_string();
    let line = users
        .lines()
        .find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
    line.split(':').next().map(str::to_owned)
}
