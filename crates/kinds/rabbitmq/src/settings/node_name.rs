//! Names of Erlang nodes.

use std::fmt;

use types::HostName;

/// The name of an Erlang node: `rabbit@db1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeName(String);

impl NodeName {
    /// The node of a host: short names, as Erlang's `-sname`.
    pub(crate) fn of(host: &HostName) -> Self {
        Self(format!("rabbit@{}", host.short()))
    }

    /// A name as a node, its disk or a saved plan tells it.
    pub(crate) fn told(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its host, as far as the node's name has it.
    pub(crate) fn short_host(&self) -> &str {
        self.0.rsplit('@').next().unwrap_or_default()
    }
}

impl std::str::FromStr for NodeName {
    type Err = std::convert::Infallible;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(Self::told(name))
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names for people, separated by commas.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n NodeName>) -> String {
    let names: Vec<&str> = names.into_iter().map(NodeName::as_str).collect();
    names.join(", ")
}
