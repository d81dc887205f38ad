//! Newtypes over names, each with the rule of what it may look like.
//!
//! The rules are strict because these names end up in file paths, host files, log lines and command arguments:
//! what is checked once here need not be escaped everywhere else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a string is not a name of the wanted sort.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a {what}: {rule}")]
pub struct NameError {
    /// The sort of name that was wanted, e.g. `host name`.
    pub what: &'static str,
    /// The text that was given.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { what: $what, text: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}

fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.len() <= 512 && !text.chars().any(char::is_control)
}

name! {
    /// The name by which the inventory calls a host, e.g. `db1` or `db1.example.com`.
    HostName, "host name",
    "letters, digits and hyphens, in labels of at most 63 characters joined by dots", is_host_name
}

name! {
    /// The name of a service in the inventory, e.g. `sessions` in `[services.sessions]`.
    ServiceName, "service name",
    "it begins with a small letter and has only small letters, digits, `-` and `_`, 63 at most", is_identifier
}

name! {
    /// The name of a step within its playbook, e.g. `join`.
    StepId, "step id",
    "it begins with a small letter and has only small letters, digits, `-` and `_`, 63 at most", is_identifier
}

name! {
    /// A node of the step graph: `service/step@host`.
    NodeId, "node id", "it is printable and not empty", is_printable
}

name! {
    /// A quorum group, whose members share one disruption budget; the name of the service that forms it.
    GroupId, "group id", "it is printable and not empty", is_printable
}

name! {
    /// One run of `apply`: a time-ordered UUID.
    RunId, "run id", "it is printable and not empty", is_printable
}

name! {
    /// What the operator calls a secret: where it comes from, e.g. `file:secrets/rabbitmq.cookie`. Never its value.
    SecretId, "secret id", "it is printable, not empty and has no `⟪` or `⟫`",
    |text| is_printable(text) && !text.contains(['⟪', '⟫'])
}

impl NodeId {
    /// The node of a step on a host: `rollout/step@host`, or `rollout/step.part@host` where one step has several
    /// tasks on one host. The rollout is the service's name, or the playbook's where there is no service.
    pub fn of(rollout: &str, step: &StepId, part: &str, host: &HostName) -> Self {
        let part = if part.is_empty() {
            String::new()
        } else {
            format!(".{part}")
        };
        Self(format!("{rollout}/{step}{part}@{host}"))
    }
}

impl NodeId {
    /// The rollout that the node belongs to: what stands before the first `/`.
    pub fn rollout(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// The step: what stands between the first `/` and the part or the host.
    pub fn step(&self) -> &str {
        let after = self.0.split_once('/').map_or("", |(_, after)| after);
        after.split(['.', '@']).next().unwrap_or(after)
    }
}

impl From<&ServiceName> for GroupId {
    fn from(service: &ServiceName) -> Self {
        Self(service.0.clone())
    }
}

impl HostName {
    /// The first label: what the host calls itself in short-name clusters such as Erlang's.
    pub fn short(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_follow_dns() {
        for good in ["db1", "db1.example.com", "DB-1", "10.77.0.11"] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in ["", "-db", "db-", "a..b", "db_1", "db 1", "db;reboot"] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_says_what_was_wanted_and_the_rule() {
        let error = "Rabbit MQ".parse::<ServiceName>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"Rabbit MQ\" is not a service name: it begins with a small letter and has only small letters, \
             digits, `-` and `_`, 63 at most"
        );
    }

    #[test]
    fn a_node_is_named_by_service_step_and_host() {
        let node = |part| NodeId::of("mq", &"join".parse().unwrap(), part, &"db2".parse().unwrap());
        assert_eq!(node("").as_str(), "mq/join@db2");
        assert_eq!(node("forget").as_str(), "mq/join.forget@db2");
        for part in ["", "forget", "forget-db1.example"] {
            assert_eq!((node(part).rollout(), node(part).step()), ("mq", "join"));
        }
    }
}
