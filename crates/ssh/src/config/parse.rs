//! Reads what `ssh -G` prints: a line for each setting, its name in small letters, then its value.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::settings::{Meaning, meaning};
use crate::jump::Jump;
use crate::policy::{Policy, PolicyError};

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
    /// Certificates for the identities; empty for those beside the identity files.
    pub(crate) certificate_files: Vec<PathBuf>,
    pub(crate) identities_only: bool,
    pub(crate) agent: AgentSocket,
    pub(crate) jumps: Vec<Jump>,
    /// `None` for OpenSSH's defaults; `Some` of none where they are switched off.
    pub(crate) user_known_hosts: Option<Vec<PathBuf>>,
    /// As above.
    pub(crate) global_known_hosts: Option<Vec<PathBuf>>,
    pub(crate) revoked_host_keys: Vec<PathBuf>,
    pub(crate) hash_known_hosts: bool,
    pub(crate) host_key_alias: Option<String>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) family: Family,
    /// Where connections come from.
    pub(crate) bind_address: Option<String>,
    pub(crate) policy: Policy,
}

/// Which addresses of a host are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Family {
    #[default]
    Any,
    V4,
    V6,
}

/// OpenSSH's own defaults: the lines that `ssh -G` prints where there is no configuration.
#[derive(Debug, Default)]
pub(super) struct Defaults(HashSet<String>);

impl Defaults {
    pub(super) fn read(text: &str) -> Self {
        Self(text.lines().map(str::to_owned).collect())
    }
}

/// Reads the settings of a host.
pub(super) fn parse(host: &str, text: &str, defaults: &Defaults) -> Result<HostConfig, ConfigError> {
    let mut config = HostConfig::default();
    for line in text.lines() {
        let (setting, value) = line.split_once(' ').unwrap_or((line, ""));
        let (setting, value) = (setting.to_ascii_lowercase(), value.trim());
        let is_default = defaults.0.contains(line);
        match meaning(&setting, value) {
            Meaning::Followed => set(&mut config, host, &setting, value, is_default)?,
            Meaning::Nothing => {}
            Meaning::Refused(_) | Meaning::Unknown if is_default => {}
            Meaning::Refused(instead) => {
                return Err(ConfigError::Unsupported {
                    host: host.to_owned(),
                    setting,
                    value: value.to_owned(),
                    instead,
                });
            }
            Meaning::Unknown => {
                return Err(ConfigError::Unknown {
                    host: host.to_owned(),
                    setting,
                    value: value.to_owned(),
                });
            }
        }
    }
    let is_default = |file: &PathBuf| {
        DEFAULT_IDENTITIES
            .iter()
            .any(|default| file.as_os_str() == *default)
    };
    if config.identity_files.iter().all(is_default) {
        config.identity_files.clear();
    }
    config
        .policy
        .finish()
        .map_err(|error| policy_error(host, "macs", "", error))?;
    Ok(config)
}

fn policy_error(host: &str, setting: &str, value: &str, error: PolicyError) -> ConfigError {
    let (host, setting, value) = (host.to_owned(), setting.to_owned(), value.to_owned());
    match error {
        PolicyError::Malformed => ConfigError::Value { host, setting, value },
        PolicyError::NoneKnown(known) => ConfigError::NoneKnown { host, setting, known },
    }
}

fn set(
    config: &mut HostConfig,
    host: &str,
    setting: &str,
    value: &str,
    is_default: bool,
) -> Result<(), ConfigError> {
    let bad = |setting: &str| ConfigError::Value {
        host: host.to_owned(),
        setting: setting.to_owned(),
        value: value.to_owned(),
    };
    let is_none = value.is_empty() || value == "none";
    match setting {
        "hostname" => config.address = Some(value.to_owned()),
        "port" => config.port = Some(value.parse().map_err(|_| bad("Port"))?),
        "user" => config.user = Some(value.to_owned()),
        "identityfile" if !is_none => config.identity_files.push(value.into()),
        "certificatefile" if !is_none => config.certificate_files.push(value.into()),
        "identitiesonly" => config.identities_only = value == "yes",
        "identityagent" => {
            config.agent = match value {
                "none" => AgentSocket::None,
                "" | "SSH_AUTH_SOCK" | "$SSH_AUTH_SOCK" => AgentSocket::Environment,
                path => AgentSocket::Path(path.into()),
            };
        }
        "proxyjump" => config.jumps = Jump::parse_list(value).map_err(|_| bad("ProxyJump"))?,
        "userknownhostsfile" => config.user_known_hosts = Some(files(value)),
        "globalknownhostsfile" => config.global_known_hosts = Some(files(value)),
        "revokedhostkeys" => config.revoked_host_keys = files(value),
        "hashknownhosts" => config.hash_known_hosts = value == "yes",
        "hostkeyalias" if !is_none => config.host_key_alias = Some(value.to_owned()),
        "connecttimeout" if !is_none => {
            let seconds: u64 = value.parse().map_err(|_| bad("ConnectTimeout"))?;
            config.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        "addressfamily" => {
            config.family = match value {
                "any" => Family::Any,
                "inet" => Family::V4,
                "inet6" => Family::V6,
                _ => return Err(bad("AddressFamily")),
            };
        }
        "bindaddress" if !is_none => config.bind_address = Some(value.to_owned()),
        // Public keys are the only way in that there is.
        "pubkeyauthentication" if value == "no" || value == "false" => {
            return Err(ConfigError::NoPublicKeys {
                host: host.to_owned(),
            });
        }
        "preferredauthentications" if value.split(',').all(|method| method.trim() != "publickey") => {
            return Err(ConfigError::NoPublicKeys {
                host: host.to_owned(),
            });
        }
        // Where it says no more than OpenSSH does by itself, the algorithms are this crate's own choice.
        _ if is_default => {}
        _ => {
            let _is_set = config
                .policy
                .set(setting, value)
                .map_err(|error| policy_error(host, setting, value, error))?;
        }
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
    use proptest::prelude::*;

    /// Some of what OpenSSH prints of a host that nothing is said of.
    const PLAIN: &str = "host db1\nidentityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ed25519\nconnecttimeout none\n\
                         hostkeyalias none\nciphers chacha20-poly1305@openssh.com,aes256-ctr\nrequiredrsasize 1024\n\
                         casignaturealgorithms ssh-ed25519\nrekeylimit 0 0\ncheckhostip yes\nhostkeyproof best\n\
                         pubkeyauthentication true\ngssapiauthentication no\n";

    fn read(text: &str) -> Result<HostConfig, ConfigError> {
        parse("db1", text, &Defaults::read(PLAIN))
    }

    #[test]
    fn settings_are_read() {
        let text = "user ops\nhostname 10.0.0.1\nport 2222\nidentitiesonly yes\nidentityagent /run/agent.sock\n\
                    identityfile ~/.ssh/my key\nidentityfile /keys/%n\nproxyjump a,b@c:3\nhashknownhosts yes\n\
                    userknownhostsfile ~/.ssh/known_hosts /more\nglobalknownhostsfile none\nhostkeyalias db\n\
                    connecttimeout 3\nstricthostkeychecking false\nproxycommand none\ncertificatefile ~/.ssh/%n-cert\n\
                    revokedhostkeys /etc/ssh/revoked /more\naddressfamily inet\nbindaddress 10.0.0.9\nrequiredrsasize 3072\n\
                    preferredauthentications password,publickey\n";
        let config = read(text).unwrap();
        let mut policy = Policy::default();
        policy.rsa_bits = 3072;
        let expected = HostConfig {
            address: Some("10.0.0.1".to_owned()),
            port: Some(2222),
            user: Some("ops".to_owned()),
            identity_files: vec!["~/.ssh/my key".into(), "/keys/%n".into()],
            certificate_files: vec!["~/.ssh/%n-cert".into()],
            identities_only: true,
            agent: AgentSocket::Path("/run/agent.sock".into()),
            jumps: Jump::parse_list("a,b@c:3").unwrap(),
            user_known_hosts: Some(vec!["~/.ssh/known_hosts".into(), "/more".into()]),
            global_known_hosts: Some(Vec::new()),
            revoked_host_keys: vec!["/etc/ssh/revoked".into(), "/more".into()],
            hash_known_hosts: true,
            host_key_alias: Some("db".to_owned()),
            connect_timeout: Some(Duration::from_secs(3)),
            family: Family::V4,
            bind_address: Some("10.0.0.9".to_owned()),
            policy,
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn defaults_are_no_settings() {
        assert_eq!(read(PLAIN).unwrap(), HostConfig::default());
        let config = read("ciphers aes256-ctr\n").unwrap();
        assert_ne!(config.policy, Policy::default());
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        for (text, expected) in [
            (
                "proxycommand nc %h %p",
                "OpenSSH's configuration of db1 has proxycommand \"nc %h %p\", which is not supported",
            ),
            (
                "knownhostscommand /bin/keys %H",
                "OpenSSH's configuration of db1 has knownhostscommand \"/bin/keys %H\", which is not supported",
            ),
            (
                "hostkeyproof strict",
                "OpenSSH's configuration of db1 has hostkeyproof \"strict\", a setting that this version does not know",
            ),
            (
                "proxyjump a,,b",
                "OpenSSH's configuration of db1 has ProxyJump \"a,,b\", which is not understood",
            ),
            (
                "ciphers unheard-of",
                "OpenSSH's configuration of db1 permits by ciphers no algorithm that clusterctl supports",
            ),
            (
                "requiredrsasize big",
                "OpenSSH's configuration of db1 has requiredrsasize \"big\", which is not understood",
            ),
            (
                "preferredauthentications password",
                "OpenSSH's configuration of db1 switches public keys off, and clusterctl logs in with nothing else",
            ),
            (
                "pubkeyauthentication false",
                "OpenSSH's configuration of db1 switches public keys off, and clusterctl logs in with nothing else",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_output_of_ssh_is_a_panic(
            text in "([a-z]{0,12} ?[ -~\\t\u{e9}]{0,40}\n){0,20}",
            setting in proptest::sample::select(vec![
                "port", "proxyjump", "ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "rekeylimit",
                "requiredrsasize", "connecttimeout", "addressfamily", "identityfile", "pubkeyacceptedalgorithms",
            ]),
            value in "\\PC{0,60}",
        ) {
            let _any = parse("db1", &text, &Defaults::default());
            let _any = parse("db1", &format!("{setting} {value}"), &Defaults::default());
        }
    }
}
