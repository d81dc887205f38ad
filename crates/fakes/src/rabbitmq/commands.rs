//! What `rabbitmqctl` and `rabbitmq-queues` do, and when they refuse.

use protocol::{ActionError, Command, UnitVerb};
use serde_json::{Map, Value};
use types::HostName;

use super::cluster::{Cluster, Copy, Policy, Queue, User};
use super::hosts::Hosts;
use super::node::{COOKIE, Process, UNIT, failed, name_of, unknown};

type Done = Result<(), ActionError>;

impl Hosts {
    pub(super) fn command(&mut self, host: &HostName, command: &Command) -> Done {
        let words: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["systemctl", "start", UNIT] => return self.unit(host, &[UnitVerb::Start]),
            ["systemctl", "stop", UNIT] => return self.unit(host, &[UnitVerb::Stop]),
            // A command talks to the node of another host as it does to its own.
            ["rabbitmqctl", "-q", "-n", node, words @ ..] => {
                let other = self
                    .host_of(node)
                    .filter(|other| !(self.nodes[host].is_cut || self.nodes[other].is_cut));
                let other = other.ok_or_else(|| failed(format!("unable to connect to node {node}")))?;
                let argv = ["rabbitmqctl", "-q"].iter().chain(words).copied();
                return self.command(&other, &Command::new(argv.collect::<Vec<_>>()));
            }
            _ => {}
        }
        let node = &self.nodes[host];
        if !node.is_alive() || node.machine.text(COOKIE) != node.cookie {
            let name = name_of(host);
            return Err(failed(format!("unable to perform an operation on node '{name}'")));
        }
        let stdin = command.stdin.as_ref().map(|text| text.as_str().trim_end());
        let done = match words.as_slice() {
            ["rabbitmqctl", "-q", "stop_app"] => self.watched(host, "stop_app", |hosts| {
                hosts.stop_broker(host, true, Process::Halted);
                Ok(())
            }),
            ["rabbitmqctl", "-q", "start_app"] => {
                if self.nodes[host].process == Process::Paused {
                    self.violations
                        .push(format!("start_app on {host} ended its pause in a minority"));
                }
                if matches!(self.nodes[host].process, Process::Halted | Process::Paused) {
                    let ready_us = self.now_us + self.pace.start_us;
                    self.node_mut(host).process = Process::Booting { ready_us };
                }
                Ok(())
            }
            ["rabbitmqctl", "-q", "reset"] => self.watched(host, "reset", |hosts| hosts.reset(host)),
            ["rabbitmqctl", "-q", "join_cluster", peer] => {
                self.watched(host, "join_cluster", |hosts| hosts.join(host, peer))
            }
            ["rabbitmqctl", "-q", "forget_cluster_node", node] => {
                self.watched(host, "forget_cluster_node", |hosts| hosts.forget(host, node))
            }
            _ if self.nodes[host].process != Process::Up => Err(failed(
                "this command requires the 'rabbit' app to be running on the target node",
            )),
            ["rabbitmq-queues", "-q", "shrink", node] => {
                self.shrink(host, node);
                Ok(())
            }
            ["rabbitmq-queues", "-q", "grow", node, "all"] => {
                self.grow(host, node);
                Ok(())
            }
            words => match self.cluster_mut(host) {
                Some(cluster) => cluster.command(words, stdin),
                None => Err(failed("no database")),
            },
        };
        // A policy changes who mirrors.
        self.nodes[host]
            .cluster
            .into_iter()
            .for_each(|id| self.mirror(id));
        self.settle();
        done
    }

    fn stopped(&self, host: &HostName) -> Done {
        match self.nodes[host].process {
            Process::Halted => Ok(()),
            _ => Err(failed(format!(
                "Mnesia is still running on node {}",
                name_of(host)
            ))),
        }
    }

    fn reset(&mut self, host: &HostName) -> Done {
        self.stopped(host)?;
        let name = name_of(host);
        let members = self.cluster(host).map(|cluster| cluster.members.clone());
        let Some(members) = members else {
            return Err(failed("inconsistent_cluster: the others do not know this node"));
        };
        if members.len() > 1 {
            if self.running(host).is_empty() {
                return Err(failed(
                    "You cannot leave a cluster if no online nodes are present.",
                ));
            }
            self.remove(host, &name);
            let queues = self.nodes[host].cluster.and_then(|id| self.clusters.get(&id));
            let haunts =
                |queue: &Queue| matches!(queue, Queue::Quorum { members, .. } if members.contains_key(&name));
            if queues.is_some_and(|cluster| cluster.queues.values().any(haunts)) {
                self.violations
                    .push(format!("reset on {host} left it a member of a quorum queue"));
            }
        } else {
            self.lose_possessions(host, "reset");
        }
        self.begin_alone(host);
        self.write_view(host, &[name].into());
        Ok(())
    }

    fn lose_possessions(&mut self, host: &HostName, what: &str) {
        let Some(id) = self.nodes[host].cluster else {
            return;
        };
        let lost = self.clusters.remove(&id).map(|cluster| cluster.possessions());
        let lost = lost.unwrap_or_default();
        self.violations.extend(
            lost.iter()
                .map(|lost| format!("{what} on {host} destroyed {lost}")),
        );
    }

    /// The cluster of a running member takes a node off its list, and what only it has with it.
    fn remove(&mut self, at: &HostName, node: &str) {
        let Some(cluster) = self.cluster_mut(at) else {
            return;
        };
        cluster.members.remove(node);
        cluster.known.remove(node);
        cluster
            .queues
            .retain(|_, queue| !matches!(queue, Queue::Classic { leader, .. } if leader == node));
        let members = cluster.members.clone();
        self.share_view(&members);
    }

    fn join(&mut self, host: &HostName, peer: &str) -> Done {
        self.stopped(host)?;
        let name = name_of(host);
        let peer = self
            .host_of(peer)
            .filter(|peer| peer != host && self.sees(host, peer));
        let Some(peer) = peer.filter(|peer| self.nodes[peer].process == Process::Up) else {
            return Err(failed("cannot discover the cluster: the node does not answer"));
        };
        if self.nodes[host].cluster == self.nodes[&peer].cluster {
            return Ok(());
        }
        let is_known = self
            .cluster(&peer)
            .is_some_and(|cluster| cluster.members.contains(&name));
        let is_clustered = self.nodes[host].view.len() > 1;
        if is_known || is_clustered {
            let why = "inconsistent_cluster: the two do not agree on who is a member";
            return Err(failed(why));
        }
        self.lose_possessions(host, "join_cluster");
        let cluster = self.nodes[&peer].cluster;
        let running = self.running(&peer);
        let node = self.node_mut(host);
        node.cluster = cluster;
        node.awaits = running;
        let members = self.cluster_mut(host).map(|cluster| {
            cluster.members.insert(name);
            cluster.members.clone()
        });
        self.share_view(&members.unwrap_or_default());
        Ok(())
    }

    fn forget(&mut self, host: &HostName, node: &str) -> Done {
        if self.nodes[host].process != Process::Up {
            return Err(failed("offline_node_no_offline_flag"));
        }
        if !self
            .cluster(host)
            .is_some_and(|cluster| cluster.members.contains(node))
        {
            return Err(failed(format!("The node {node} is not a cluster member")));
        }
        // Also where it runs in a cluster of its own, for it was rebuilt (seen with 4.0.5).
        let forgotten = self.host_of(node);
        let runs = |other: &HostName| self.nodes[other].process == Process::Up && self.sees(host, other);
        if forgotten.as_ref().is_some_and(runs) {
            let why = format!("RabbitMQ on node {node} must be stopped before it can be removed");
            return Err(failed(why));
        }
        self.shrink(host, node);
        self.remove(host, node);
        let cluster = self.nodes[host].cluster;
        if let Some(forgotten) = forgotten.filter(|other| self.nodes[other].cluster == cluster) {
            self.node_mut(&forgotten).cluster = None;
        }
        Ok(())
    }

    /// Takes a node out of every quorum queue whose majority can agree; others keep it, and the command says nothing.
    fn shrink(&mut self, host: &HostName, node: &str) {
        let Some(id) = self.nodes[host].cluster else {
            return;
        };
        let serving = self.serving_in(id);
        let queues = self.clusters.get_mut(&id).map(|cluster| &mut cluster.queues);
        for queue in queues.into_iter().flat_map(|queues| queues.values_mut()) {
            let can_agree = queue.is_available(&serving);
            if let Queue::Quorum {
                members,
                leader,
                elect_us,
            } = queue
                && can_agree
                && leader.is_some()
                && members.len() > 1
                && members.remove(node).is_some()
                && leader.as_deref() == Some(node)
            {
                (*leader, *elect_us) = (None, None);
            }
        }
    }

    /// Gives every quorum queue a member on a running node, which copies what the others have.
    fn grow(&mut self, host: &HostName, node: &str) {
        let Some(id) = self.nodes[host]
            .cluster
            .filter(|_| self.running(host).contains(node))
        else {
            return;
        };
        let serving = self.serving_in(id);
        let whole_us = Some(self.now_us + self.pace.copy_us);
        let queues = self.clusters.get_mut(&id).map(|cluster| &mut cluster.queues);
        for queue in queues.into_iter().flat_map(|queues| queues.values_mut()) {
            let can_agree = queue.is_available(&serving);
            if let Queue::Quorum {
                members,
                leader: Some(_),
                ..
            } = queue
                && can_agree
            {
                members.entry(node.to_owned()).or_insert(Copy {
                    whole_us,
                    ..Copy::default()
                });
            }
        }
    }
}

impl Cluster {
    fn command(&mut self, words: &[&str], stdin: Option<&str>) -> Done {
        match words {
            ["rabbitmqctl", "-q", "add_vhost", "--", vhost] => {
                self.vhosts.insert((*vhost).to_owned());
            }
            [
                "rabbitmqctl",
                "-q",
                "set_policy",
                "-p",
                vhost,
                "--priority",
                priority,
                "--apply-to",
                apply_to,
                name,
                pattern,
                definition,
            ] => {
                self.has_vhost(vhost)?;
                let definition: Map<String, Value> =
                    serde_json::from_str(definition).map_err(|error| failed(error.to_string()))?;
                let policy = Policy {
                    pattern: (*pattern).to_owned(),
                    definition,
                    priority: priority.parse().map_err(|_| failed("not a priority"))?,
                    apply_to: (*apply_to).to_owned(),
                };
                self.policies
                    .insert(((*vhost).to_owned(), (*name).to_owned()), policy);
            }
            ["rabbitmqctl", "add_user", name] => {
                if self.users.contains_key(*name) {
                    return Err(failed(format!("User \"{name}\" already exists")));
                }
                let password = stdin.unwrap_or_default().to_owned();
                let tags = Vec::new();
                self.users.insert((*name).to_owned(), User { password, tags });
            }
            ["rabbitmqctl", "change_password", name] => {
                stdin
                    .unwrap_or_default()
                    .clone_into(&mut self.user(name)?.password);
            }
            ["rabbitmqctl", "-q", "set_user_tags", name, tags @ ..] => {
                self.user(name)?.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            }
            [
                "rabbitmqctl",
                "-q",
                "set_permissions",
                "-p",
                vhost,
                "--",
                name,
                patterns @ ..,
            ] => {
                self.has_vhost(vhost)?;
                self.user(name)?;
                let [configure, write, read] = patterns else {
                    unknown(&words)
                };
                let patterns = [configure, write, read].map(|pattern| (*pattern).to_owned());
                self.permissions
                    .insert(((*name).to_owned(), (*vhost).to_owned()), patterns);
            }
            other => unknown(&other),
        }
        Ok(())
    }

    fn has_vhost(&self, vhost: &str) -> Done {
        let is_there = self.vhosts.contains(vhost);
        is_there
            .then_some(())
            .ok_or_else(|| failed(format!("Virtual host '{vhost}' does not exist")))
    }

    fn user(&mut self, name: &str) -> Result<&mut User, ActionError> {
        let user = self.users.get_mut(name);
        user.ok_or_else(|| failed(format!("User \"{name}\" does not exist")))
    }
}
