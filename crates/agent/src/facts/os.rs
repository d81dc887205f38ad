//! What the host is.

use std::fs;

use protocol::FactError;
use protocol::facts::OsFact;

use super::answer::unknown;
use crate::clock;
use tree::error_text;

pub(super) fn observe() -> Result<OsFact, FactError> {
    let uname = rustix::system::uname();
    let release = os_release();
    let field = |name| os_release_field(&release, name).unwrap_or_default();
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_err(|error| unknown(format!("cannot read the boot id: {}", error_text(&error))))?;
    Ok(OsFact {
        hostname: uname.nodename().to_string_lossy().into_owned(),
        id: field("ID"),
        version: field("VERSION_ID"),
        arch: uname.machine().to_string_lossy().into_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        boot_id: boot_id.trim_end().to_owned(),
        now_us: clock::now_us(),
        uid: rustix::process::geteuid().as_raw(),
    })
}

/// os-release(5): the first of the two that is there. Empty where neither is, as in minimal images.
fn os_release() -> String {
    let read = |path| fs::read_to_string(path).ok();
    read("/etc/os-release")
        .or_else(|| read("/usr/lib/os-release"))
        .unwrap_or_default()
}

/// A value of os-release(5), without the quotes that it may stand in.
fn os_release_field(text: &str, name: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix('='))?
        .trim_end();
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Some(unquoted.unwrap_or(value).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_with_and_without_quotes() {
        let text =
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\nID_LIKE='a b'\n";
        assert_eq!(os_release_field(text, "ID").as_deref(), Some("debian"));
        assert_eq!(os_release_field(text, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(os_release_field(text, "ID_LIKE").as_deref(), Some("a b"));
        assert_eq!(os_release_field(text, "BUILD_ID"), None);
    }

    #[test]
    fn this_host_is_something() {
        let fact = observe().unwrap();
        assert_eq!(fact.boot_id.len(), 36);
        assert_eq!(fact.arch, std::env::consts::ARCH);
        assert!(!fact.hostname.is_empty() && !fact.kernel.is_empty());
    }
}
