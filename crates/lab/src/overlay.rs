//! What the root's inventory needs laid over it to describe the lab: addresses, logins, secrets.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::files::{self, FileError};
use crate::range::Range;
use crate::spec::HostSpec;

const TEMPLATE: &str = include_str!("../assets/overlay.toml");

/// Where the overlay of the lab in `dir` is.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("overlay.toml")
}

/// Writes it.
pub(crate) fn write(dir: &Path, hosts: &[HostSpec], range: Range) -> Result<(), FileError> {
    files::write(&path(dir), &text(dir, hosts, range))
}

/// No name, address or directory of a lab has a character that a TOML string would have to escape.
fn text(dir: &Path, hosts: &[HostSpec], range: Range) -> String {
    let mut addresses = String::new();
    for host in hosts {
        let _ = writeln!(addresses, "{} = \"{}\"", host.name, range.address(host.octet));
    }
    TEMPLATE
        .replace("@hosts@\n", &format!("{addresses}\n"))
        .replace("@dir@", &dir.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::default_hosts;

    #[test]
    fn the_overlay_names_the_labs_own_addresses_and_files() {
        let range = "10.77.0.0/24".parse().unwrap();
        let text = text(Path::new("/var/lib/lab"), &default_hosts(), range);
        assert!(!text.contains('@'), "{text}");
        let overlay: toml::Table = text.parse().unwrap();
        assert_eq!(overlay["hosts"]["db2"].as_str(), Some("10.77.0.12"));
        assert_eq!(
            overlay["ssh"]["identity_file"].as_str(),
            Some("/var/lib/lab/id_ed25519")
        );
        let cookie = &overlay["services"]["rabbitmq"]["cookie"]["file"];
        assert_eq!(cookie.as_str(), Some("/var/lib/lab/secrets/rabbitmq.cookie"));
    }
}
