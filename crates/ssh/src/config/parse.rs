//! Reads what `ssh -G` prints: a line for each setting, its name in small letters, then its value.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use crate::jump::Jump;

/// The key files that OpenSSH tries where none is named. Its list differs between versions; one that consists of these
/// alone is a default.
const DEFAULT_IDENTITIES: [&str; 7] = [
    "~/.ssh/id_rsa",
    "~/.ssh/id_ecdsa",
    "~/.ssh/id_ecdsa_sk",
    "~/.ssh/id_ed25519",
    "~/.ssh/id_ed25519_sk",
    "~/.ssh/id_xmss",
    "~/.ssh/id_dsa",
];

/// Where the SSH agent listens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum AgentSocket {
    /// Where `SSH_AUTH_SOCK` says.
    #[default]
    Environment,
    /// At this path.
    Path(PathBuf),
    /// None is to be asked.
    None,
}

/// What the configuration says of a host. Paths are as written, with `~` and `%` tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct HostConfig {
    pub(crate) address: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    /// Empty for OpenSSH's defaults.
    pub(crate) identity_files: Vec<PathBuf>,
    pub(crate) identities_only: bool,
    pub(crate) agent: AgentSocket,
    pub(crate) jumps: Vec<Jump>,
    /// `None` for OpenSSH's defaults; `Some` of none where they are switched off.
    pub(crate) user_known_hosts: Option<Vec<PathBuf>>,
    /// As above.
    pub(crate) global_known_hosts: Option<Vec<PathBuf>>,
    pub(crate) hash_known_hosts: bool,
    pub(crate) host_key_alias: Option<String>,
    pub(crate) connect_timeout: Option<Duration>,
}

/// Reads the settings of a host.
pub(super) fn parse(host: &str, text: &str) -> Result<HostConfig, ConfigError> {
    let mut config = HostConfig::default();
    for line in text.lines() {
        let (setting, value) = line.split_once(' ').unwrap_or((line, ""));
        set(&mut config, host, setting, value.trim())?;
    }
    let is_default = |file: &PathBuf| {
        DEFAULT_IDENTITIES
            .iter()
            .any(|default| file.as_os_str() == *default)
    };
    if config.identity_files.iter().all(is_default) {
        config.identity_files.clear();
    }
    Ok(config)
}

fn set(config: &mut HostConfig, host: &str, setting: &str, value: &str) -> Result<(), ConfigError> {
    let bad = |setting| ConfigError::Value {
        host: host.to_owned(),
        setting,
        value: value.to_owned(),
    };
    let is_none = value.is_empty() || value == "none";
    match setting {
        "hostname" => config.address = Some(value.to_owned()),
        "port" => config.port = Some(value.parse().map_err(|_| bad("Port"))?),
        "user" => config.user = Some(value.to_owned()),
        "identityfile" if !is_none => config.identity_files.push(value.into()),
        "identitiesonly" => config.identities_only = value == "yes",
        "identityagent" => {
            config.agent = match value {
                "none" => AgentSocket::None,
                "" | "SSH_AUTH_SOCK" | "$SSH_AUTH_SOCK" => AgentSocket::Environment,
                path => AgentSocket::Path(path.into()),
            };
        }
        "proxyjump" => config.jumps = Jump::parse_list(value).map_err(|_| bad("ProxyJump"))?,
        "proxycommand" if !is_none => {
            return Err(ConfigError::ProxyCommand {
                host: host.to_owned(),
            });
        }
        "userknownhostsfile" => config.user_known_hosts = Some(files(value)),
        "globalknownhostsfile" => config.global_known_hosts = Some(files(value)),
        "hashknownhosts" => config.hash_known_hosts = value == "yes",
        "hostkeyalias" if !is_none => config.host_key_alias = Some(value.to_owned()),
        "connecttimeout" if !is_none => {
            let seconds: u64 = value.parse().map_err(|_| bad("ConnectTimeout"))?;
            config.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        _ => {}
    }
    Ok(())
}

/// Several files in one value; OpenSSH prints them without quotes.
fn files(value: &str) -> Vec<PathBuf> {
    if value == "none" {
        return Vec::new();
    }
    value.split_whitespace().map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let text = "user ops\nhostname 10.0.0.1\nport 2222\nidentitiesonly yes\nidentityagent /run/agent.sock\n\
                    identityfile ~/.ssh/my key\nidentityfile /keys/%n\nproxyjump a,b@c:3\nhashknownhosts yes\n\
                    userknownhostsfile ~/.ssh/known_hosts /more\nglobalknownhostsfile none\nhostkeyalias db\n\
                    connecttimeout 3\nstricthostkeychecking false\nproxycommand none\n";
        let config = parse("db1", text).unwrap();
        let expected = HostConfig {
            address: Some("10.0.0.1".to_owned()),
            port: Some(2222),
            user: Some("ops".to_owned()),
            identity_files: vec!["~/.ssh/my key".into(), "/keys/%n".into()],
            identities_only: true,
            agent: AgentSocket::Path("/run/agent.sock".into()),
            jumps: Jump::parse_list("a,b@c:3").unwrap(),
            user_known_hosts: Some(vec!["~/.ssh/known_hosts".into(), "/more".into()]),
            global_known_hosts: Some(Vec::new()),
            hash_known_hosts: true,
            host_key_alias: Some("db".to_owned()),
            connect_timeout: Some(Duration::from_secs(3)),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn defaults_are_no_settings() {
        let text = "identityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ed25519\nconnecttimeout none\nhostkeyalias none\n";
        assert_eq!(parse("db1", text).unwrap(), HostConfig::default());
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        assert!(matches!(
            parse("db1", "proxycommand nc %h %p"),
            Err(ConfigError::ProxyCommand { .. })
        ));
        let error = parse("db1", "proxyjump a,,b").unwrap_err();
        assert_eq!(
            error.to_string(),
            "OpenSSH's configuration of db1 has ProxyJump \"a,,b\", which is not understood"
        );
    }
}
