//! Whether the default configuration files say anything that matters here.
//!
//! Most controllers have no `~/.ssh/config`, and the `/etc/ssh/ssh_config` that the distribution ships sets a handful of
//! things that this crate does not use. Then a process for each host is spared.

use std::fs;
use std::path::Path;

use super::parse::HostConfig;

/// Settings that make no difference to this crate, nor to what `ssh -G` prints of others.
const IRRELEVANT: [&str; 6] = [
    "sendenv",
    "setenv",
    "forwardagent",
    "forwardx11",
    "forwardx11trusted",
    "tcpkeepalive",
];

/// What the default configuration says of every host alike; `None` where it has to be asked about each.
pub(super) fn says_nothing(home: Option<&Path>) -> Option<HostConfig> {
    let mut config = HostConfig::default();
    let user = home.map(|home| home.join(".ssh/config"));
    let says_nothing = user.is_none_or(|user| is_silent(&user, true, &mut config))
        && is_silent(Path::new("/etc/ssh/ssh_config"), true, &mut config);
    says_nothing.then_some(config)
}

/// Whether a file says nothing. It may include others, which may not: nested includes are left to `ssh`.
fn is_silent(file: &Path, may_include: bool, config: &mut HostConfig) -> bool {
    match fs::read_to_string(file) {
        Ok(text) => text.lines().all(|line| is_silent_line(line, may_include, config)),
        // What cannot be read is for `ssh` to complain of.
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn is_silent_line(line: &str, may_include: bool, config: &mut HostConfig) -> bool {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return true;
    }
    let end = line
        .find(|c: char| c.is_whitespace() || c == '=')
        .unwrap_or(line.len());
    let (setting, value) = line.split_at(end);
    let (setting, value) = (
        setting.to_ascii_lowercase(),
        value.trim_start_matches(|c: char| c.is_whitespace() || c == '='),
    );
    match setting.as_str() {
        "host" => value == "*",
        "include" => may_include && includes_nothing(value, config),
        "hashknownhosts" => {
            config.hash_known_hosts |= value.eq_ignore_ascii_case("yes");
            true
        }
        setting => setting.starts_with("gssapi") || IRRELEVANT.contains(&setting),
    }
}

/// An include of a folder's files, as distributions have it; any other pattern is left to `ssh`.
fn includes_nothing(pattern: &str, config: &mut HostConfig) -> bool {
    let Some(folder) = pattern
        .strip_suffix("/*.conf")
        .filter(|folder| folder.starts_with('/'))
    else {
        return false;
    };
    match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().all(|entry| {
            let path = entry.path();
            path.extension().is_none_or(|extension| extension != "conf") || is_silent(&path, false, config)
        }),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_debian_ships_says_nothing_but_to_hash() {
        let folder = tempfile::tempdir().unwrap();
        let included = folder.path().join("ssh_config.d");
        fs::create_dir(&included).unwrap();
        let file = folder.path().join("ssh_config");
        let text = format!(
            "# comment\nInclude {}/*.conf\n\nHost *\n#   Port 22\n    SendEnv LANG LC_*\n    HashKnownHosts yes\n    \
             GSSAPIAuthentication yes\n",
            included.display()
        );
        fs::write(&file, text).unwrap();
        let mut config = HostConfig::default();
        assert!(is_silent(&file, true, &mut config));
        assert!(config.hash_known_hosts);
        fs::write(included.join("README"), "Port 2222").unwrap();
        assert!(is_silent(&file, true, &mut config));
        fs::write(included.join("ours.conf"), "Port 2222").unwrap();
        assert!(!is_silent(&file, true, &mut config));
    }

    #[test]
    fn what_matters_is_asked_for() {
        for line in [
            "Port 22",
            "Host db*",
            "Match all",
            "Include ~/.ssh/more",
            "ProxyJump=gate",
            "user me",
            "Ciphers aes256-ctr",
            "RevokedHostKeys /etc/ssh/revoked",
            // The alias decides under which name the host is known.
            "CanonicalizeHostname yes",
        ] {
            assert!(!is_silent_line(line, true, &mut HostConfig::default()), "{line}");
        }
    }
}
