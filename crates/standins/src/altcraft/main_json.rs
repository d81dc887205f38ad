//! main.json as the processes read it, and what they refuse.

use serde_json::{Map, Value};
use thiserror::Error;

/// Why a process does not start.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file is not JSON.
    #[error("cannot parse main.json: {0}")]
    NotJson(String),
    /// A key is missing, or of another type.
    #[error("main.json: {0} is missing or wrong")]
    Wrong(String),
    /// Two members of a list have the same `HOST_ID`.
    #[error("{list}: HOST_ID {id} is not unique")]
    TwiceHost {
        /// The list.
        list: &'static str,
        /// The id.
        id: String,
    },
    /// Not exactly one host is to be master.
    #[error("{list}: {count} hosts have FORCE_MASTER_ROLE, exactly one must")]
    Masters {
        /// The list.
        list: &'static str,
        /// How many.
        count: usize,
    },
    /// An account is in two reader groups.
    #[error("READERS_GROUPS: account {account} is in {first} and {second}")]
    Overlap {
        /// The account.
        account: u64,
        /// A group.
        first: String,
        /// Another one.
        second: String,
    },
    /// A list of accounts cannot be read.
    #[error("READERS_GROUPS: {0:?} is not a list of accounts")]
    Accounts(String),
    /// A host reads a group that nobody defines.
    #[error("READERS_GROUP: there is no group {0}")]
    NoGroup(String),
}

/// What a process needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `HOST_ID`.
    pub host_id: String,
    /// Where it listens.
    pub rpc_host: String,
    /// Where the others find it.
    pub rpc_host_cli: String,
    /// The port.
    pub port: u16,
    /// Whether it is the master.
    pub is_master: bool,
    /// The group that it reads.
    pub group: String,
}

/// Reads main.json for one of the processes: the list that is its own, and the port of a process that is alone.
pub fn read(text: &str, list: &'static str, alone: u16) -> Result<Member, ConfigError> {
    let root: Value = serde_json::from_str(text).map_err(|error| ConfigError::NotJson(error.to_string()))?;
    let Some(cluster) = root.get("CLUSTER") else {
        return Ok(Member {
            host_id: "localhost".to_owned(),
            rpc_host: "127.0.0.1".to_owned(),
            rpc_host_cli: "127.0.0.1".to_owned(),
            port: alone,
            is_master: true,
            group: "default".to_owned(),
        });
    };
    let own = text_of(cluster, "HOST_ID")?;
    let wrong = || ConfigError::Wrong(list.to_owned());
    let entries = cluster.get(list).and_then(Value::as_array).ok_or_else(wrong)?;
    let members = entries.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    for (at, member) in members.iter().enumerate() {
        if members[..at].iter().any(|other| other.host_id == member.host_id) {
            return Err(ConfigError::TwiceHost {
                list,
                id: member.host_id.clone(),
            });
        }
    }
    let count = members.iter().filter(|member| member.is_master).count();
    if count != 1 {
        return Err(ConfigError::Masters { list, count });
    }
    groups(entries, &members)?;
    members
        .into_iter()
        .find(|member| member.host_id == own)
        .ok_or_else(wrong)
}

fn text_of(value: &Value, key: &str) -> Result<String, ConfigError> {
    let text = value.get(key).and_then(Value::as_str);
    text.map(str::to_owned)
        .ok_or_else(|| ConfigError::Wrong(key.to_owned()))
}

fn member(entry: &Value) -> Result<Member, ConfigError> {
    let port = entry.get("RPC_PORT").and_then(Value::as_u64);
    let wrong = |key: &str| ConfigError::Wrong(key.to_owned());
    Ok(Member {
        host_id: text_of(entry, "HOST_ID")?,
        rpc_host: text_of(entry, "RPC_HOST")?,
        rpc_host_cli: text_of(entry, "RPC_HOST_CLI")?,
        port: port
            .and_then(|port| u16::try_from(port).ok())
            .ok_or_else(|| wrong("RPC_PORT"))?,
        is_master: entry
            .get("FORCE_MASTER_ROLE")
            .and_then(Value::as_bool)
            .ok_or_else(|| wrong("FORCE_MASTER_ROLE"))?,
        group: text_of(entry, "READERS_GROUP").unwrap_or_else(|_| "default".to_owned()),
    })
}

/// The groups are defined at the master; each account is in one at most.
fn groups(entries: &[Value], members: &[Member]) -> Result<(), ConfigError> {
    let master = members.iter().position(|member| member.is_master);
    let defined = master.and_then(|at| entries.get(at)?.get("READERS_GROUPS")?.as_object());
    let nothing = Map::new();
    let defined = defined.unwrap_or(&nothing);
    let mut taken: Vec<(u64, &str)> = Vec::new();
    for (name, group) in defined {
        let excluded = accounts(&text_of(group, "EXCLUDE")?)?;
        for account in accounts(&text_of(group, "INCLUDE")?)? {
            if excluded.contains(&account) {
                continue;
            }
            if let Some((_, first)) = taken.iter().find(|(other, _)| *other == account) {
                return Err(ConfigError::Overlap {
                    account,
                    first: (*first).to_owned(),
                    second: name.clone(),
                });
            }
            taken.push((account, name));
        }
    }
    let unknown = members
        .iter()
        .find(|member| member.group != "default" && !defined.contains_key(&member.group));
    unknown.map_or(Ok(()), |member| Err(ConfigError::NoGroup(member.group.clone())))
}

/// `1-5,8`, in full: a lab has few accounts.
fn accounts(text: &str) -> Result<Vec<u64>, ConfigError> {
    let wrong = || ConfigError::Accounts(text.to_owned());
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |word: &str| word.trim().parse::<u64>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last - first > 100_000 {
            return Err(wrong());
        }
        all.extend(first..=last);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runbook's example.
    fn runbook() -> Value {
        serde_json::json!({"CLUSTER": {"HOST_ID": "app2", "PROC_WORKFLOW": [
            {"HOST_ID": "app1", "RPC_HOST": "0.0.0.0", "RPC_HOST_CLI": "app1", "RPC_PORT": 7962, "FORCE_MASTER_ROLE": true,
             "READERS_GROUPS": {"acc2": {"INCLUDE": "2", "EXCLUDE": ""}, "acc1-5": {"INCLUDE": "1-5", "EXCLUDE": "2"}}},
            {"HOST_ID": "app2", "RPC_HOST": "0.0.0.0", "RPC_HOST_CLI": "app2", "RPC_PORT": 7962, "FORCE_MASTER_ROLE": false,
             "READERS_GROUP": "acc2"},
        ]}})
    }

    fn read_changed(path: &str, value: Value) -> Result<Member, ConfigError> {
        let mut root = runbook();
        *root.pointer_mut(path).unwrap() = value;
        read(&root.to_string(), "PROC_WORKFLOW", 7962)
    }

    #[test]
    fn the_runbooks_example_is_read() {
        let member = read(&runbook().to_string(), "PROC_WORKFLOW", 7962).unwrap();
        assert_eq!(
            (member.host_id.as_str(), member.port, member.is_master),
            ("app2", 7962, false)
        );
        assert!(read("{}", "PROC_TASKS", 8962).unwrap().is_master);
    }

    #[test]
    fn what_the_platform_does_not_take_is_refused() {
        let list = "/CLUSTER/PROC_WORKFLOW";
        let overlap = read_changed(&format!("{list}/0/READERS_GROUPS/acc1-5/EXCLUDE"), "".into());
        assert_eq!(
            overlap.unwrap_err().to_string(),
            "READERS_GROUPS: account 2 is in acc2 and acc1-5"
        );
        let masters = read_changed(&format!("{list}/1/FORCE_MASTER_ROLE"), true.into());
        assert!(matches!(masters, Err(ConfigError::Masters { count: 2, .. })));
        let twice = read_changed(&format!("{list}/1/HOST_ID"), "app1".into());
        assert!(matches!(twice, Err(ConfigError::TwiceHost { .. })));
        let group = read_changed(&format!("{list}/1/READERS_GROUP"), "acc3".into());
        assert_eq!(group, Err(ConfigError::NoGroup("acc3".into())));
        assert!(matches!(
            read_changed("/CLUSTER/HOST_ID", "app9".into()),
            Err(ConfigError::Wrong(_))
        ));
        assert!(matches!(
            read("{,}", "PROC_TASKS", 8962),
            Err(ConfigError::NotJson(_))
        ));
    }
}
