//! The cluster as agents and the simulation see and change it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use protocol::facts::{CandidateFact, ErlangFact, Silence, SilenceKind};
use protocol::{ActionError, Fact, FactError, FactQuery, Operation};
use types::HostName;

use super::cluster::Queue;
use super::hosts::Hosts;
use super::node::{COOKIE, PACKAGE, UNIT, failed, name_of};
use crate::{FakeCluster, Fault, Play};

/// What the simulation plays.
pub const PLAY: Play = Play {
    kind: "rabbitmq",
    inventory,
    number: Some("config.channel_max = "),
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
            FactQuery::Candidate(query) if query.name == PACKAGE => {
                let is_there = node.machine.packages.contains(PACKAGE);
                let version = (!is_there).then(|| "3.10.8-1.1+deb12u1".to_owned());
                Fact::Candidate(CandidateFact { version })
            }
            FactQuery::Unit(query) if query.name == UNIT => Fact::Unit(node.machine.unit_fact(UNIT)),
            FactQuery::File(query) if is_ours(&query.path) => Fact::File(node.machine.file_fact(query)),
            FactQuery::Erlang(query) => {
                let is_here = node.is_alive() && query.node == name_of(host);
                Fact::Erlang(if !is_here {
                    ErlangFact::Down(Silence {
                        kind: SilenceKind::Refused,
                        words: format!("epmd has no node {}", query.node),
                    })
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
            Operation::Unit { name, verbs, .. } if name == UNIT => {
                self.node_mut(host).machine.note(operation);
                self.unit(host, verbs)
            }
            Operation::InstallPackages { names } if names.iter().any(|name| name == PACKAGE) => {
                self.install(host)
            }
            Operation::WriteFile { path, .. } | Operation::RestoreFile { path, .. } if is_ours(path) => {
                let (now, node) = (self.now_us, self.node_mut(host));
                if node.machine.packages.contains(PACKAGE) {
                    node.machine.put(operation, now)?
                } else {
                    Err(failed(format!("{path}: No such file or directory")))
                }
            }
            Operation::Run { commands } => {
                let is_ours = |argv: &[String]| {
                    let program = argv.first().map(String::as_str).unwrap_or_default();
                    program.starts_with("rabbitmq")
                        || program == "systemctl" && argv.iter().any(|word| word == UNIT)
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

/// Whether a file is RabbitMQ's.
fn is_ours(path: &str) -> bool {
    ["/var/lib/rabbitmq/", "/etc/rabbitmq/"]
        .iter()
        .any(|folder| path.starts_with(folder))
}
