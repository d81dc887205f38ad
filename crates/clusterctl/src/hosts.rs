//! The SSH connections to the hosts, by the inventory and the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{Host, Inventory, SshSettings};
use report::Page;
use ssh::{AgentBinary, ConfigFile, Endpoint, Jump, Privilege, Prompt, Ssh, SshOptions};
use thiserror::Error;
use transport::Transport;
use types::{HostName, Secret};

use crate::cli::SshArgs;
use crate::operator_files::{FileError, Rule, check, read};

/// Why hosts cannot be reached.
#[derive(Debug, Error)]
pub(crate) enum HostsError {
    #[error("the agent's binary {} is not used: it would run as root on the hosts", .path.display())]
    Agent {
        path: PathBuf,
        #[source]
        source: FileError,
    },
    #[error("the SSH configuration {} is not used: it can name commands of this machine", .path.display())]
    SshConfig {
        path: PathBuf,
        #[source]
        source: FileError,
    },
    #[error("the path of this program is unknown; pass --agent with the path of clusterctl-agent")]
    Itself {
        #[source]
        source: std::io::Error,
    },
    #[error("the jump hosts of {host} are invalid")]
    Jump {
        host: HostName,
        #[source]
        source: ssh::JumpError,
    },
}

/// A transport to the hosts of an inventory.
pub(crate) fn transport(
    args: &SshArgs,
    inventory: &Inventory,
    folder: &Path,
) -> Result<Arc<dyn Transport>, HostsError> {
    let options = SshOptions {
        config: match &args.ssh_config {
            None => ConfigFile::Default,
            Some(path) if path.as_os_str() == "none" => ConfigFile::None,
            // OpenSSH checks the user's own file, but not one of its option -F.
            Some(path) => match check(path) {
                Ok(()) => ConfigFile::Path(path.clone()),
                Err(source) => {
                    let path = path.clone();
                    return Err(HostsError::SshConfig { path, source });
                }
            },
        },
        accept_new_host_keys: args.accept_new_host_keys,
        ..SshOptions::default()
    };
    let mut endpoints = BTreeMap::new();
    for (name, host) in &inventory.hosts {
        endpoints.insert(name.clone(), endpoint(name, host, folder)?);
    }
    Ok(Arc::new(Ssh::new(
        options,
        endpoints,
        agent(args.agent.as_deref())?,
        Box::new(Terminal),
    )))
}

fn endpoint(name: &HostName, host: &Host, folder: &Path) -> Result<Endpoint, HostsError> {
    let SshSettings {
        user,
        port,
        identity_files,
        jump,
        known_hosts,
        connect_timeout_s,
        sudo,
    } = host.ssh.clone();
    let paths = |paths: Option<Vec<String>>| -> Vec<PathBuf> {
        paths
            .unwrap_or_default()
            .iter()
            .map(|path| place(path, folder))
            .collect()
    };
    let jump_hosts = jump.map(|jump| Jump::parse_list(&jump.join(","))).transpose();
    Ok(Endpoint {
        address: host.address.clone(),
        port,
        user,
        identity_files: paths(identity_files),
        jump_hosts: jump_hosts.map_err(|source| HostsError::Jump {
            host: name.clone(),
            source,
        })?,
        known_hosts_files: paths(known_hosts),
        host_key_alias: None,
        connect_timeout: connect_timeout_s.map(Duration::from_secs),
        privilege: if sudo == Some(true) {
            Privilege::Sudo
        } else {
            Privilege::None
        },
    })
}

/// A path of the inventory: `~/` is the operator's home, and anything else is relative to the inventory's folder.
fn place(path: &str, folder: &Path) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => folder.join(path),
    }
}

fn agent(path: Option<&Path>) -> Result<AgentBinary, HostsError> {
    let path = if let Some(path) = path {
        path.to_path_buf()
    } else {
        let itself = std::env::current_exe().map_err(|source| HostsError::Itself { source })?;
        itself.with_file_name("clusterctl-agent")
    };
    match read(&path, Rule::Own) {
        Ok(bytes) => Ok(AgentBinary::new(bytes)),
        Err(source) => Err(HostsError::Agent { path, source }),
    }
}

/// Asks for passphrases on the terminal.
struct Terminal;

impl Prompt for Terminal {
    fn passphrase(&self, file: &Path) -> Option<Secret> {
        // Without a terminal the key is skipped.
        rpassword::prompt_password(
            Page::sentence(&format!("passphrase of {}:", file.display())).to_string() + " ",
        )
        .ok()
        .map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_ssh_configuration_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ssh_config");
        fs::write(&file, "User ops\n").unwrap();
        let args = SshArgs {
            ssh_config: Some(file.clone()),
            accept_new_host_keys: false,
            agent: Some(file.clone()),
        };
        let inventory = Inventory {
            hosts: BTreeMap::new(),
            services: Vec::new(),
            groups: BTreeMap::new(),
            manage_hosts_file: false,
            allow_weak_secrets: false,
            before_disruption: None,
            vars: BTreeMap::new(),
        };
        for (mode, is_refused) in [(0o644, false), (0o664, true), (0o646, true)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let made = transport(&args, &inventory, folder.path());
            let found = matches!(made, Err(HostsError::SshConfig { .. }));
            assert_eq!(found, is_refused, "{mode:o}");
        }
    }
}
