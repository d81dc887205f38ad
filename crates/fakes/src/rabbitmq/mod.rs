//! A cluster in memory, as RabbitMQ 3.10 on Debian behaves.
//!
//! Nodes have Mnesia's idea of who has the newest state, queues have copies that may be behind, and a broker in a
//! minority stops where its configuration says so. A partition that brokers outlive (`ignore`) is told by both sides
//! until they are restarted; that their contents go separate ways is not played.

mod answers;
mod cluster;
mod commands;
mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use protocol::facts::ErlangFact;
use protocol::{ActionError, Fact, FactError, FactQuery, Operation, UnitVerb};
use types::HostName;

use crate::{FakeCluster, Fault, Pace, Play};
use cluster::{Cluster, Copy, Name, Queue};
use node::{Node, name_of};

const PACKAGE: &str = "rabbitmq-server";
const UNIT: &str = "rabbitmq-server.service";
const COOKIE: &str = "/var/lib/rabbitmq/.erlang.cookie";
const CONFIG: &str = "/etc/rabbitmq/rabbitmq.conf";

fn members_path(host: &HostName) -> String {
    format!("/var/lib/rabbitmq/mnesia/{}/cluster_nodes.config", name_of(host))
}

fn failed(message: impl Into<String>) -> ActionError {
    ActionError::Failed {
        message: message.into(),
    }
}

/// Something that no RabbitMQ is asked or told.
#[expect(
    clippy::panic,
    reason = "a defect of the kind or of this world, which nobody may overlook"
)]
fn unknown(what: &dyn std::fmt::Debug) -> ! {
    panic!("nobody asks RabbitMQ or tells it: {what:?}")
}

/// What the simulation plays.
pub const PLAY: Play = Play {
    kind: "rabbitmq",
    inventory,
    world: |hosts, pace| Box::new(Hosts::new(hosts, pace)),
};

fn inventory(hosts: &[&str], turn: u32) -> String {
    let mut text = String::from("[services.rabbitmq]\n");
    // Writing to a string does not fail.
    let _ = writeln!(text, "hosts = {hosts:?}");
    let _ = writeln!(
        text,
        "cookie = {{ file = \"rabbitmq.cookie\" }}\nusers.app = {{ password = {{ file = \"rabbitmq.app\" }} }}\n\
         grow_quorum_queues = true\nconfig.cluster_partition_handling = \"pause_minority\"\n\
         config.channel_max = {}",
        2000 + turn
    );
    text
}

/// All hosts.
#[derive(Debug, Clone)]
pub struct Hosts {
    nodes: BTreeMap<HostName, Node>,
    clusters: BTreeMap<usize, Cluster>,
    now_us: i64,
    pace: Pace,
    violations: Vec<String>,
    /// The nodes that clients know, where they were told.
    known: Option<BTreeSet<String>>,
}

impl Hosts {
    /// Hosts without the package.
    pub fn new(names: &[&str], pace: Pace) -> Self {
        let names = names.iter().filter_map(|name| name.parse().ok());
        Self {
            nodes: names.map(|name| (name, Node::new())).collect(),
            clusters: BTreeMap::new(),
            now_us: 1_000_000,
            pace,
            violations: Vec::new(),
            known: None,
        }
    }

    /// Whether a host's unit runs.
    pub fn runs(&self, host: &str) -> bool {
        host.parse()
            .is_ok_and(|host: HostName| self.nodes[&host].machine.runs(UNIT))
    }

    /// Whether a host's unit starts at boot.
    pub fn is_enabled(&self, host: &str) -> bool {
        let unit = |host: HostName| {
            self.nodes[&host]
                .machine
                .units
                .get(UNIT)
                .is_some_and(|unit| unit.is_enabled)
        };
        host.parse().is_ok_and(unit)
    }

    /// Things take another time from now on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The largest cluster: that of the service.
    fn main(&self) -> Option<usize> {
        let largest = self
            .clusters
            .iter()
            .max_by_key(|(_, cluster)| cluster.members.len());
        largest
            .filter(|(_, cluster)| cluster.members.len() > 1)
            .map(|(id, _)| *id)
    }

    /// Does what an operation of ours does, and notes what it took away.
    fn watched(
        &mut self,
        host: &HostName,
        what: &str,
        act: impl FnOnce(&mut Self) -> Result<(), ActionError>,
    ) -> Result<(), ActionError> {
        let before = self.queues_of(host);
        let result = act(self);
        self.settle();
        let after: BTreeMap<Name, bool> = self
            .clusters
            .iter()
            .flat_map(|(id, cluster)| {
                let serving = self.serving_in(*id);
                let queues = cluster.queues.iter();
                queues
                    .map(|(name, queue)| (name.clone(), queue.is_available(&serving)))
                    .collect::<Vec<_>>()
            })
            .collect();
        for (name, is_kept) in before {
            let (vhost, queue) = &name;
            match after.get(&name) {
                None => self
                    .violations
                    .push(format!("{what} on {host} destroyed the queue {queue} in {vhost}")),
                Some(false) if is_kept => {
                    self.violations
                        .push(format!("{what} on {host} took away the queue {queue} in {vhost}"));
                }
                Some(_) => {}
            }
        }
        result
    }

    /// The queues of a host's cluster, and whether each is there now and has to stay so: a quorum queue of three or more,
    /// or a classic queue with mirrors.
    fn queues_of(&self, host: &HostName) -> Vec<(Name, bool)> {
        let Some((id, cluster)) = self.nodes[host]
            .cluster
            .and_then(|id| Some((id, self.clusters.get(&id)?)))
        else {
            return Vec::new();
        };
        let serving = self.serving_in(id);
        let queues = cluster.queues.iter().map(|(name, queue)| {
            let is_replicated = match queue {
                Queue::Quorum { members, .. } => members.len() > 2,
                Queue::Classic { .. } => cluster.members.len() > 1 && cluster.is_mirrored(name),
            };
            (name.clone(), is_replicated && queue.is_available(&serving))
        });
        queues.collect()
    }

    fn unit(&mut self, host: &HostName, verbs: &[UnitVerb]) -> Result<(), ActionError> {
        if !self.nodes[host].machine.units.contains_key(UNIT) {
            return Err(failed(format!("Unit {UNIT} not found.")));
        }
        for verb in verbs {
            match verb {
                UnitVerb::DaemonReload => {}
                UnitVerb::Enable => self.node_mut(host).machine.unit(UNIT).is_enabled = true,
                UnitVerb::Disable => self.node_mut(host).machine.unit(UNIT).is_enabled = false,
                UnitVerb::Start => self.start(host)?,
                UnitVerb::Stop => self.watched(host, "stop", |hosts| {
                    hosts.stop(host);
                    Ok(())
                })?,
                UnitVerb::Restart => {
                    self.watched(host, "restart", |hosts| {
                        hosts.stop(host);
                        Ok(())
                    })?;
                    self.start(host)?;
                }
                UnitVerb::Reload => return Err(failed("Job type reload is not applicable")),
            }
        }
        Ok(())
    }

    /// systemd stops the unit.
    fn stop(&mut self, host: &HostName) {
        self.node_mut(host).machine.unit(UNIT).stop();
        self.end(host, true);
    }

    fn install(&mut self, host: &HostName) -> Result<(), ActionError> {
        let node = self.node_mut(host);
        if !node.machine.packages.insert(PACKAGE.to_owned()) {
            return Ok(());
        }
        // Debian's package enables its unit, and starts it with a cookie that it makes up.
        node.machine.unit(UNIT).is_enabled = true;
        self.start(host)
    }

    /// A client makes the queues that it uses, and publishes to both; whether the quorum queue confirmed.
    fn publish(&mut self, value: u64) -> bool {
        let Some(id) = self.main() else { return false };
        let serving = self.serving_in(id);
        if self
            .known
            .as_ref()
            .is_some_and(|known| known.is_disjoint(&serving))
        {
            return false;
        }
        let Some(cluster) = self.clusters.get_mut(&id) else {
            return false;
        };
        if cluster.members.len() < 3 || serving.len() * 2 <= cluster.members.len() {
            return false;
        }
        let name = |queue: &str| ("/".to_owned(), queue.to_owned());
        if !cluster.queues.contains_key(&name("orders")) {
            // A queue that is made while members are away is small for ever; this client waits for all.
            if serving != cluster.members {
                return false;
            }
            self.declare_quorum("orders", &serving);
            self.declare_classic("mail", &serving);
            self.settle();
        }
        let Some(cluster) = self.clusters.get_mut(&id) else {
            return false;
        };
        if let Some(mail) = cluster.queues.get_mut(&name("mail")) {
            mail.publish(value, &serving);
        }
        let orders = cluster.queues.get_mut(&name("orders"));
        orders.is_some_and(|orders| orders.publish(value, &serving))
    }

    /// A quorum queue in `/` with members on these nodes.
    pub fn declare_quorum(&mut self, queue: &str, on: &BTreeSet<String>) {
        let members = on
            .iter()
            .map(|node| (node.clone(), Copy::whole(Vec::new())))
            .collect();
        let queue = (
            queue.to_owned(),
            Queue::Quorum {
                members,
                leader: on.first().cloned(),
                elect_us: None,
            },
        );
        self.declare(queue);
    }

    /// A classic queue in `/` that is led by the first of these nodes.
    pub fn declare_classic(&mut self, queue: &str, on: &BTreeSet<String>) {
        let queue = (
            queue.to_owned(),
            Queue::Classic {
                leader: on.first().cloned().unwrap_or_default(),
                log: Vec::new(),
                mirrors: BTreeMap::new(),
            },
        );
        self.declare(queue);
    }

    fn declare(&mut self, (name, queue): (String, Queue)) {
        let id = self.main().or_else(|| self.clusters.keys().last().copied());
        let Some(id) = id else { return };
        if let Some(cluster) = self.clusters.get_mut(&id) {
            cluster.queues.insert(("/".to_owned(), name), queue);
        }
        self.mirror(id);
    }
}

impl FakeCluster for Hosts {
    fn advance(&mut self, now_us: i64) {
        while let Some(due) = self.next_due().filter(|due| *due <= now_us) {
            self.now_us = due;
            self.settle();
        }
        self.now_us = self.now_us.max(now_us);
        self.settle();
    }

    fn answer(&self, host: &HostName, query: &FactQuery) -> Option<Result<Fact, FactError>> {
        let node = self.nodes.get(host)?;
        let fact = match query {
            FactQuery::Package(query) if query.name == PACKAGE => {
                Fact::Package(node.machine.package_fact(&query.name))
            }
            FactQuery::Unit(query) if query.name == UNIT => Fact::Unit(node.machine.unit_fact(UNIT)),
            FactQuery::File(query) if is_ours(&query.path) => Fact::File(node.machine.file_fact(query)),
            FactQuery::Erlang(query) => {
                let is_here = node.is_alive() && query.node == name_of(host);
                Fact::Erlang(if !is_here {
                    ErlangFact::Down(format!("epmd knows no {}", query.node))
                } else if node.machine.text(COOKIE) != node.cookie {
                    ErlangFact::Denied("the challenge's answer is wrong".to_owned())
                } else {
                    let results = query.calls.iter().map(|call| self.call(host, call));
                    ErlangFact::Results(results.collect())
                })
            }
            _ => return None,
        };
        Some(Ok(fact))
    }

    fn operate(&mut self, host: &HostName, operation: &Operation) -> Option<Result<(), ActionError>> {
        self.nodes.get(host)?;
        let result = match operation {
            Operation::Unit { name, verbs } if name == UNIT => self.unit(host, verbs),
            Operation::InstallPackages { names } if names.iter().any(|name| name == PACKAGE) => {
                self.install(host)
            }
            Operation::WriteFile { path, .. } if is_ours(path) => {
                let (now, node) = (self.now_us, self.node_mut(host));
                if node.machine.packages.contains(PACKAGE) {
                    node.machine.put(operation, now)?
                } else {
                    Err(failed(format!("{path}: No such file or directory")))
                }
            }
            Operation::Run { commands } => {
                let is_ours = |argv: &[String]| {
                    argv.first()
                        .is_some_and(|program| program.starts_with("rabbitmq"))
                };
                if !commands.iter().all(|command| is_ours(&command.argv)) {
                    return None;
                }
                commands
                    .iter()
                    .try_for_each(|command| self.command(host, command))
            }
            _ => return None,
        };
        self.settle();
        Some(result)
    }

    fn inject(&mut self, trouble: &Fault) {
        match trouble {
            Fault::Crash(host) => {
                self.node_mut(host).machine.unit(UNIT).die();
                self.end(host, false);
            }
            Fault::Revive(host) => {
                let has_failed = self.node_mut(host).machine.unit(UNIT).has_failed;
                if has_failed && !self.nodes[host].is_down {
                    // One that cannot start fails again.
                    let _ = self.start(host);
                }
            }
            Fault::Down(host) => {
                self.node_mut(host).is_down = true;
                self.node_mut(host).machine.unit(UNIT).stop();
                self.end(host, false);
            }
            Fault::Up(host) => {
                self.node_mut(host).is_down = false;
                if self.node_mut(host).machine.unit(UNIT).is_enabled {
                    let _ = self.start(host);
                }
            }
            Fault::Cut(host) => self.cut(host),
            Fault::Heal(host) => self.heal(host),
            Fault::Handover => self.hand_over(),
        }
        self.settle();
    }

    fn serving(&self) -> BTreeSet<HostName> {
        let serving = self.main().map(|id| self.serving_in(id)).unwrap_or_default();
        serving.iter().filter_map(|node| self.host_of(node)).collect()
    }

    fn needed(&self) -> usize {
        let cluster = self.main().and_then(|id| self.clusters.get(&id));
        cluster.map_or(0, |cluster| match cluster.known.len() {
            2 => 1,
            members => members / 2 + 1,
        })
    }

    fn clients(&mut self, hosts: &[HostName]) {
        self.known = Some(hosts.iter().map(name_of).collect());
    }

    fn write(&mut self, value: u64) -> bool {
        self.publish(value)
    }

    fn has_value(&self, value: u64) -> bool {
        let Some(id) = self.main() else { return false };
        let orders = self.clusters[&id]
            .queues
            .get(&("/".to_owned(), "orders".to_owned()));
        let Some(
            queue @ Queue::Quorum {
                members,
                leader: Some(leader),
                ..
            },
        ) = orders
        else {
            return false;
        };
        queue.is_available(&self.serving_in(id))
            && members.get(leader).is_some_and(|copy| copy.log.contains(&value))
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}

impl Hosts {
    /// Quorum queues get another leader.
    fn hand_over(&mut self) {
        let ids: Vec<usize> = self.clusters.keys().copied().collect();
        for id in ids {
            let serving = self.serving_in(id);
            let queues = self.clusters.get_mut(&id).map(|cluster| &mut cluster.queues);
            for queue in queues.into_iter().flat_map(BTreeMap::values_mut) {
                if let Queue::Quorum { members, leader, .. } = queue {
                    let others = members.iter().filter(|(node, copy)| {
                        copy.is_whole && serving.contains(*node) && Some(*node) != leader.as_ref()
                    });
                    if let Some(next) = others.map(|(node, _)| node.clone()).next() {
                        *leader = Some(next);
                    }
                }
            }
        }
    }
}

/// Whether a file is RabbitMQ's.
fn is_ours(path: &str) -> bool {
    ["/var/lib/rabbitmq/", "/etc/rabbitmq/"]
        .iter()
        .any(|folder| path.starts_with(folder))
}
