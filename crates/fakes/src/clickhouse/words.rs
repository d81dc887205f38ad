//! Four-letter words of the members.

use std::fmt::Write as _;

use protocol::Text;
use protocol::facts::{Silence, WordsFact, WordsQuery};

use super::cluster::Cluster;
use super::node::{Node, Process};
use super::paths::WORD_PORTS;
use super::role::Role;
use formats::zoo;

/// How many nodes the tree of a `ZooKeeper` has that was never used, and of one that was.
const NODES: [u32; 2] = [5, 80];

impl Cluster {
    pub fn words(&self, at: usize, query: &WordsQuery) -> WordsFact {
        let node = &self.nodes[at];
        let is_asked = |process: &Process, is_zookeeper: bool| {
            let named = process.merged.text_at(&["keeper_server", "tcp_port"]);
            let named = named.and_then(|port| port.parse().ok());
            named.unwrap_or(WORD_PORTS[usize::from(!is_zookeeper)]) == query.port
        };
        let member = node
            .member()
            .filter(|(process, is_zookeeper)| process.is_ready && is_asked(process, *is_zookeeper));
        let Some((_, is_zookeeper)) = member else {
            return WordsFact::Down(Silence::refused());
        };
        let reply = |word: &String| {
            if !node.role.serves() {
                return Text::new("This instance is not currently serving requests\n");
            }
            match word.as_str() {
                "srvr" => Text::new(format!(
                    "Zxid: 0x{:x}\nMode: {}\nNode count: {}\n",
                    node.tree.zxid,
                    mode(node),
                    count(node)
                )),
                "mntr" if is_allowed(node, word) => Text::new(self.mntr(at)),
                "conf" if is_zookeeper && is_allowed(node, word) => Text::new(conf(node)),
                "conf" if !is_zookeeper => Text::new(keeper_conf(node)),
                _ => Text::new(format!(
                    "{word} is not executed because it is not in the whitelist.\n"
                )),
            }
        };
        WordsFact::Replies(query.words.iter().map(reply).collect())
    }

    fn mntr(&self, at: usize) -> String {
        let node = &self.nodes[at];
        let mut text = format!(
            "zk_server_state\t{}\nzk_znode_count\t{}\n",
            mode(node),
            count(node)
        );
        if node.role == Role::Leading {
            let follows = |other: &&Node| matches!(&other.role, Role::Following { leader, is_synced: true, .. } if leader == node.name());
            let mut followers = self.nodes.iter().filter(follows).count();
            // A Keeper counts all of its peers, and takes one that died for one in step as long as little was written since
            // (`KeeperServer::getFollowerCount`, `getSyncedFollowerCount`).
            if node.zookeeper.is_none() {
                followers = node.view().len().saturating_sub(1);
            }
            let _ = write!(
                text,
                "zk_followers\t{followers}\nzk_synced_followers\t{followers}\n"
            );
        }
        text
    }
}

fn count(node: &Node) -> u32 {
    NODES[usize::from(!node.tree.registered.is_empty())]
}

fn mode(node: &Node) -> &'static str {
    match node.role {
        Role::Leading => "leader",
        Role::Standalone => "standalone",
        _ => "follower",
    }
}

/// `srvr` alone is allowed where the file does not say more; Keeper allows what we ask.
fn is_allowed(node: &Node, word: &str) -> bool {
    let Some(zookeeper) = &node.zookeeper else {
        return true;
    };
    let list = zoo::value(&zookeeper.zoo_cfg, "4lw.commands.whitelist").unwrap_or("srvr");
    list.split(',')
        .map(str::trim)
        .any(|one| one == word || one == "*")
}

/// Keeper's tells its own number and no members (`KeeperConfigurationAndSettings::dump`).
fn keeper_conf(node: &Node) -> String {
    format!(
        "server_id={}\nenable_ipv6=true\ntcp_port={}\n",
        node.id(),
        WORD_PORTS[1]
    )
}

/// The configuration that it runs with; a standalone one has no number, and no members.
fn conf(node: &Node) -> String {
    let Some((process, _)) = node.member() else {
        return String::new();
    };
    let value = |key: &str| zoo::value(&process.zoo_cfg, key).unwrap_or_default();
    let mut lines = vec![
        format!("clientPort={}", value("clientPort")),
        format!("dataDir={}/version-2", value("dataDir")),
    ];
    if node.role == Role::Standalone {
        lines.push("serverId=0".to_owned());
    } else {
        lines.push(format!("serverId={}", process.id));
        let line = |(id, host): &(u32, String)| format!("server.{id}={host}:2888:3888:participant");
        lines.extend(process.members.iter().map(line));
    }
    lines.join("\n") + "\n"
}
