//! A host as it is connected to: the inventory's words, completed by OpenSSH's configuration and its defaults, with the
//! hosts on the way, each of them a target too.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use thiserror::Error;
use types::HostName;

use crate::config::{AgentSocket, Config, ConfigError, Family, HostConfig, Question};
use crate::error::Advice;
use crate::jump::Jump;
use crate::known_hosts::RecordedAs;
use crate::options::{Endpoint, Privilege, SshOptions};
use crate::policy::Policy;

/// More hosts than this on the way to one are a loop in the configuration.
const MOST_JUMPS: usize = 8;

/// Why a host is no target.
#[derive(Debug, Error)]
pub(crate) enum TargetError {
    /// OpenSSH's configuration cannot be asked.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The jump hosts form a loop.
    #[error("more than {MOST_JUMPS} jump hosts on the way to {host}: do they go through each other?")]
    Loop { host: String },
    /// Nobody to log in as.
    #[error("no user is set to log in as on {host}, and neither USER nor LOGNAME is set")]
    NoUser { host: String },
}

impl Advice for TargetError {
    fn hint(&self) -> String {
        match self {
            Self::Config(error) => error.hint(),
            Self::Loop { .. } => "set `ProxyJump none` for the jump host itself".to_owned(),
            Self::NoUser { .. } => "name the user in the inventory".to_owned(),
        }
    }
}

/// All that is needed to connect to a host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) user: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    /// The identities to offer.
    pub(crate) identities: Identities,
    pub(crate) recorded_as: RecordedAs,
    pub(crate) known_hosts: Vec<PathBuf>,
    /// Where a new host key is recorded.
    pub(crate) new_keys: PathBuf,
    pub(crate) hash_known_hosts: bool,
    /// Files of keys that no host may show.
    pub(crate) revoked_host_keys: Vec<PathBuf>,
    pub(crate) policy: Policy,
    pub(crate) family: Family,
    /// Where the connection comes from.
    pub(crate) bind_address: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) privilege: Privilege,
    /// The host to go through.
    pub(crate) via: Option<Arc<Target>>,
}

/// Which identities to offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identities {
    pub(crate) files: Vec<PathBuf>,
    /// Certificates for them that somebody named; where it is empty, those beside the files are tried.
    pub(crate) certificates: Vec<PathBuf>,
    /// Somebody named the files: they go first, and one that is missing is worth a word.
    pub(crate) are_named: bool,
    /// Of the SSH agent's identities, only those that the files name.
    pub(crate) only_files: bool,
    /// Where the SSH agent listens.
    pub(crate) agent: Option<PathBuf>,
}

impl Target {
    /// `user@host:port`, for messages.
    pub(crate) fn label(&self) -> String {
        let Self {
            user, address, port, ..
        } = self;
        match (*port, address.contains(':')) {
            (22, _) => format!("{user}@{address}"),
            (port, true) => format!("{user}@[{address}]:{port}"),
            (port, false) => format!("{user}@{address}:{port}"),
        }
    }

    /// The way to it: what two targets must have in common to share a connection.
    pub(crate) fn way(&self) -> String {
        match &self.via {
            Some(via) => format!("{} via {}", self.label(), via.way()),
            None => self.label(),
        }
    }
}

/// Makes targets.
pub(crate) struct Resolver {
    options: SshOptions,
    endpoints: BTreeMap<HostName, Endpoint>,
    config: Config,
    home: PathBuf,
    local_user: Option<String>,
}

/// How a target is reached.
enum Route {
    /// As its own settings say, being the nth on the way.
    Own(usize),
    /// Through this host.
    Through(Arc<Target>),
}

impl Resolver {
    pub(crate) fn new(options: SshOptions, endpoints: BTreeMap<HostName, Endpoint>) -> Self {
        let home = env::home_dir();
        Self {
            config: Config::new(&options.config, home.as_deref()),
            home: home.unwrap_or_default(),
            local_user: ["USER", "LOGNAME"]
                .iter()
                .find_map(|name| env::var(name).ok().filter(|user| !user.is_empty())),
            options,
            endpoints,
        }
    }

    pub(crate) fn options(&self) -> &SshOptions {
        &self.options
    }

    /// The target that a host of the inventory is.
    pub(crate) async fn resolve(&self, host: &HostName) -> Result<Arc<Target>, TargetError> {
        let hop = Jump {
            user: None,
            host: host.as_str().to_owned(),
            port: None,
        };
        self.target(hop, Route::Own(0)).await
    }

    /// In a box, since the way to a jump host may have jump hosts.
    fn target(&self, hop: Jump, route: Route) -> BoxFuture<'_, Result<Arc<Target>, TargetError>> {
        async move {
            let default = Endpoint::default();
            let name = hop.host.parse::<HostName>().ok();
            let endpoint = name
                .and_then(|name| self.endpoints.get(&name))
                .unwrap_or(&default);
            let question = Question {
                host: hop.host.clone(),
                address: endpoint.address.clone(),
                user: hop.user.clone().or_else(|| endpoint.user.clone()),
                port: hop.port.or(endpoint.port),
            };
            let config = self.config.of(question.clone()).await?;
            let via = match route {
                Route::Through(via) => Some(via),
                Route::Own(nth) => {
                    let jumps = endpoint.jump_hosts.as_ref().unwrap_or(&config.jumps);
                    self.way(&hop.host, jumps, nth).await?
                }
            };
            self.complete(question, endpoint, config, via).map(Arc::new)
        }
        .boxed()
    }

    /// The last of the hosts on the way.
    async fn way(&self, host: &str, jumps: &[Jump], nth: usize) -> Result<Option<Arc<Target>>, TargetError> {
        if nth + jumps.len() > MOST_JUMPS {
            return Err(TargetError::Loop {
                host: host.to_owned(),
            });
        }
        let mut last = None;
        for jump in jumps {
            // Settings for all hosts name the jump host, and apply to itself too.
            if last.is_none() && jump.host == host {
                return Ok(None);
            }
            let route = match last {
                // The first is reached as its own settings say, the others through the one before.
                None => Route::Own(nth + 1),
                Some(via) => Route::Through(via),
            };
            last = Some(self.target(jump.clone(), route).await?);
        }
        Ok(last)
    }

    fn complete(
        &self,
        question: Question,
        endpoint: &Endpoint,
        config: HostConfig,
        via: Option<Arc<Target>>,
    ) -> Result<Target, TargetError> {
        let Question {
            host,
            address,
            user,
            port,
        } = question;
        let no_user = || TargetError::NoUser { host: host.clone() };
        let user = user
            .or(config.user)
            .or_else(|| self.local_user.clone())
            .ok_or_else(no_user)?;
        let address = address.or(config.address).unwrap_or_else(|| host.clone());
        let port = port.or(config.port).unwrap_or(22);
        let expand = |file: &PathBuf| self.expand(file, &host, &address, port, &user);
        let expand_all = |files: &[PathBuf]| files.iter().map(expand).collect::<Vec<_>>();

        let named = if endpoint.identity_files.is_empty() {
            &config.identity_files
        } else {
            &endpoint.identity_files
        };
        let identities = Identities {
            files: if named.is_empty() {
                self.default_identities()
            } else {
                expand_all(named)
            },
            certificates: expand_all(&config.certificate_files),
            are_named: !named.is_empty(),
            only_files: config.identities_only,
            agent: match config.agent {
                AgentSocket::Environment => env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
                AgentSocket::Path(path) => Some(expand(&path)),
                AgentSocket::None => None,
            },
        };
        let own = if endpoint.known_hosts_files.is_empty() {
            config.user_known_hosts.unwrap_or_else(|| {
                let folder = self.home.join(".ssh");
                vec![folder.join("known_hosts"), folder.join("known_hosts2")]
            })
        } else {
            endpoint.known_hosts_files.clone()
        };
        let mut known_hosts = expand_all(&own);
        // Where the user's files are switched off, a new key has no place to be kept.
        let new_keys = known_hosts.first().cloned().unwrap_or_else(|| "/dev/null".into());
        if endpoint.known_hosts_files.is_empty() {
            let global = config.global_known_hosts.unwrap_or_else(|| {
                vec![
                    "/etc/ssh/ssh_known_hosts".into(),
                    "/etc/ssh/ssh_known_hosts2".into(),
                ]
            });
            known_hosts.extend(expand_all(&global));
        }
        let alias = endpoint
            .host_key_alias
            .as_ref()
            .or(config.host_key_alias.as_ref());
        let revoked_host_keys = expand_all(&config.revoked_host_keys);
        let recorded_as = RecordedAs::new(&address, port, alias.map(String::as_str));
        let connect_timeout = endpoint.connect_timeout.or(config.connect_timeout);
        Ok(Target {
            user,
            address,
            port,
            identities,
            recorded_as,
            known_hosts,
            new_keys,
            hash_known_hosts: config.hash_known_hosts,
            revoked_host_keys,
            policy: config.policy,
            family: config.family,
            bind_address: config.bind_address,
            connect_timeout: connect_timeout.unwrap_or(self.options.connect_timeout),
            privilege: endpoint.privilege,
            via,
        })
    }

    fn default_identities(&self) -> Vec<PathBuf> {
        ["id_ed25519", "id_ecdsa", "id_rsa"]
            .iter()
            .map(|name| self.home.join(".ssh").join(name))
            .collect()
    }

    /// A path with OpenSSH's `~` and the `%` tokens that stand in paths.
    fn expand(&self, file: &Path, host: &str, address: &str, port: u16, user: &str) -> PathBuf {
        let Some(text) = file.to_str() else {
            return file.to_owned();
        };
        let (mut path, rest) = match text.strip_prefix("~/") {
            Some(rest) => (self.home.clone(), rest),
            None => (PathBuf::new(), text),
        };
        let mut out = String::new();
        let mut chars = rest.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => out.push('%'),
                Some('d') => out.push_str(&self.home.to_string_lossy()),
                Some('h') => out.push_str(address),
                Some('n') => out.push_str(host),
                Some('p') => out.push_str(&port.to_string()),
                Some('r') => out.push_str(user),
                Some('u') => out.push_str(self.local_user.as_deref().unwrap_or_default()),
                other => {
                    out.push('%');
                    out.extend(other);
                }
            }
        }
        path.push(out);
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ConfigFile;

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    fn resolver(config: &str, endpoints: Vec<(&str, Endpoint)>) -> (tempfile::TempDir, Resolver) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, config).unwrap();
        let options = SshOptions {
            config: ConfigFile::Path(file),
            ..SshOptions::default()
        };
        let endpoints = endpoints
            .into_iter()
            .map(|(name, endpoint)| (host(name), endpoint))
            .collect();
        (folder, Resolver::new(options, endpoints))
    }

    #[tokio::test]
    async fn the_inventory_goes_before_the_configuration() {
        let config = "Host *\n User conf\n Port 2222\n IdentityFile ~/.ssh/%n-%r\n ConnectTimeout 3\n";
        let endpoint = Endpoint {
            address: Some("10.0.0.1".to_owned()),
            user: Some("inv".to_owned()),
            ..Endpoint::default()
        };
        let (_folder, resolver) = resolver(config, vec![("db1", endpoint)]);
        let target = resolver.resolve(&host("db1")).await.unwrap();
        assert_eq!(target.label(), "inv@10.0.0.1:2222");
        assert_eq!(
            target.identities.files,
            [env::home_dir().unwrap().join(".ssh/db1-inv")]
        );
        assert!(target.identities.are_named);
        assert_eq!(target.connect_timeout, Duration::from_secs(3));
        assert_eq!(target.recorded_as, RecordedAs::new("10.0.0.1", 2222, None));
        assert_eq!(target.via, None);
    }

    #[tokio::test]
    async fn jump_hosts_have_settings_of_their_own() {
        let config = "Host gate\n User g\n ProxyJump outer\nHost outer\n User o\n Port 2200\nHost db1\n \
                      ProxyJump gate,me@inner:23\nHost *\n User root\n";
        let (_folder, resolver) = resolver(config, Vec::new());
        let target = resolver.resolve(&host("db1")).await.unwrap();
        assert_eq!(
            target.way(),
            "root@db1 via me@inner:23 via g@gate via o@outer:2200"
        );
    }

    #[tokio::test]
    async fn a_jump_host_of_the_inventory_is_reached_as_the_inventory_says() {
        let through_gate = Endpoint {
            user: Some("root".to_owned()),
            jump_hosts: Some(Jump::parse_list("gate").unwrap()),
            ..Endpoint::default()
        };
        let gate = Endpoint {
            address: Some("192.0.2.1".to_owned()),
            // As an inventory has it that names the jump host for all.
            ..through_gate.clone()
        };
        let (_folder, resolver) = resolver("", vec![("db1", through_gate), ("gate", gate)]);
        let target = resolver.resolve(&host("db1")).await.unwrap();
        assert_eq!(target.way(), "root@db1 via root@192.0.2.1");
    }

    #[tokio::test]
    async fn jump_hosts_that_go_through_each_other_are_an_error() {
        let config = "Host a\n ProxyJump b\nHost b\n ProxyJump a\n";
        let (_folder, resolver) = resolver(config, Vec::new());
        let error = resolver.resolve(&host("a")).await.unwrap_err();
        assert!(matches!(error, TargetError::Loop { .. }), "{error}");
    }
}
