//! A replica set in memory: its hosts, and the configuration in force.

use formats::replset::{MemberConfig, SetConfig};
use types::HostName;

use super::node::Node;
use crate::Pace;

/// The file of the packages, shortened.
pub const PACKAGED: &str = "\
# mongod.conf
storage:
  dbPath: /var/lib/mongodb
net:
  port: 27017
  bindIp: 127.0.0.1
#security:
";

/// All hosts, with a replica set or with none yet.
#[derive(Clone)]
pub struct Set {
    pub nodes: Vec<Node>,
    pub version: &'static str,
    pub pace: Pace,
    /// Goes on by one with each operation, and to where it is told.
    pub now_us: i64,
    pub violations: Vec<String>,
}

impl Set {
    /// Hosts on which the package was just installed.
    pub fn packaged(hosts: &[&str], pace: Pace, now_us: i64) -> Self {
        let nodes = hosts.iter().map(|name| Node::packaged(name, PACKAGED, now_us));
        Self {
            nodes: nodes.collect(),
            version: "7.0.14",
            pace,
            now_us,
            violations: Vec::new(),
        }
    }

    pub(super) fn find(&self, host: &HostName) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == host.as_str())
    }

    pub fn start(&mut self, at: usize) {
        self.nodes[at].start(self.version, self.now_us, self.pace.start_us);
        self.settle();
    }

    /// The configuration in force: the latest that any member keeps, for none is installed without a majority.
    pub fn in_force(&self) -> Option<&SetConfig> {
        let configs = self.nodes.iter().filter_map(|node| node.disk.config.as_ref());
        configs.max_by_key(|config| (config.term(), config.version()))
    }

    /// The voters of a configuration that serve: in touch with the others, and not behind.
    pub(super) fn serving_of(&self, config: &SetConfig) -> Vec<usize> {
        let voters = config.members().into_iter().filter(MemberConfig::votes);
        let voters = voters.filter_map(|member| self.at(member.name()));
        let serves = |at: &usize| {
            let node = &self.nodes[*at];
            let is_behind = if let Some(leader) = self.leader_of(*at) {
                leader != *at && !node.process.as_ref().is_some_and(|it| it.is_synced)
            } else {
                let near = self.voters_near(*at, config);
                near.iter()
                    .any(|other| self.nodes[*other].disk.data.at > node.disk.data.at)
            };
            node.own().is_some()
                && !node.is_quiescing()
                && self.has_majority(*at)
                && (node.is_arbiter() || (node.disk.has_data && !is_behind))
        };
        voters.filter(serves).collect()
    }

    pub(super) fn count_serving(&self, config: &SetConfig) -> usize {
        self.serving_of(config).len()
    }
}
