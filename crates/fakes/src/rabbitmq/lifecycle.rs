//! Brokers start, stop, pause and come back.
//!
//! Sources: `rabbit_mnesia`, `rabbit_node_monitor`, `rabbit_mirror_queue_misc` and `rabbit_amqqueue` of 3.10.8. A node
//! that did not stop last waits for one that did; `pause_minority` stops the broker, and not the virtual machine, on
//! nodes that see no more than half of the members.

use std::collections::BTreeSet;

use protocol::ActionError;
use types::HostName;

use super::cluster::{Cluster, Copy, Name, Queue};
use super::hosts::Hosts;
use super::node::{CONFIG, COOKIE, Process, UNIT, failed, members_path, name_of};

impl Hosts {
    /// systemd starts the unit.
    pub(super) fn start(&mut self, host: &HostName) -> Result<(), ActionError> {
        let now = self.now_us;
        let ready_us = now + self.pace.start_us;
        let node = self.node_mut(host);
        if node.is_alive() {
            return Ok(());
        }
        if node
            .machine
            .files
            .get(COOKIE)
            .is_some_and(|file| file.mode & 0o077 != 0)
        {
            node.machine.unit(UNIT).start(now);
            node.machine.unit(UNIT).die();
            return Err(failed(
                "Cookie file .erlang.cookie must be accessible by owner only",
            ));
        }
        let lines = node.machine.text(CONFIG).lines();
        let most = lines
            .filter_map(|line| line.strip_prefix("channel_max = "))
            .next_back();
        if most.is_some_and(|most| most.parse::<u32>().is_err()) {
            node.machine.unit(UNIT).start(now);
            node.machine.unit(UNIT).die();
            return Err(failed("error: generate_failed, during check of rabbitmq.conf"));
        }
        if !node.machine.files.contains_key(COOKIE) {
            let made = format!("MADE{}", name_of(host).to_uppercase());
            node.machine.write(COOKIE, &made, 0o400, "rabbitmq", now);
        }
        node.cookie = node.machine.text(COOKIE).to_owned();
        node.config = node.machine.text(CONFIG).to_owned();
        node.machine.unit(UNIT).start(now);
        node.process = Process::Booting { ready_us };
        Ok(())
    }

    /// The virtual machine ends; `in_order` where it was told to.
    pub(super) fn end(&mut self, host: &HostName, in_order: bool) {
        self.stop_broker(host, in_order, Process::Off);
        self.pause_minorities();
    }

    /// The broker stops, and the process becomes what is said.
    pub(super) fn stop_broker(&mut self, host: &HostName, in_order: bool, then: Process) {
        let name = name_of(host);
        if self.nodes[host].process == Process::Up {
            let mut running = self.running(host);
            running.remove(&name);
            self.node_mut(host).awaits.clone_from(&running);
            self.node_mut(host).process = then;
            self.leave_queues(host, in_order);
        }
        self.node_mut(host).process = then;
    }

    /// All queues of a host's cluster learn that its copies are away.
    fn leave_queues(&mut self, host: &HostName, in_order: bool) {
        let Some(id) = self.nodes[host].cluster else {
            return;
        };
        let name = name_of(host);
        let mut alive = self.serving_in(id);
        alive.remove(&name);
        let queues = self.clusters.get_mut(&id).map(|cluster| &mut cluster.queues);
        for queue in queues.into_iter().flat_map(|queues| queues.values_mut()) {
            queue.lose(&name, in_order, &alive);
        }
    }

    /// Brokers that see no more than half of their members stop, where they are told to.
    pub(super) fn pause_minorities(&mut self) {
        let hosts: Vec<HostName> = self.nodes.keys().cloned().collect();
        for host in hosts {
            let node = &self.nodes[&host];
            if node.process == Process::Up && node.pauses() && !self.is_majority(&host) {
                self.stop_broker(&host, false, Process::Paused);
            }
        }
    }

    /// Whether a host sees the virtual machines of more than half of its cluster's members.
    fn is_majority(&self, host: &HostName) -> bool {
        let Some(cluster) = self.cluster(host) else {
            return false;
        };
        let alive = cluster.members.iter().filter_map(|node| self.host_of(node));
        alive.filter(|other| self.sees(host, other)).count() * 2 > cluster.members.len()
    }

    /// A host is cut off: brokers that go on on both sides are partitioned once they meet again.
    pub(super) fn cut(&mut self, host: &HostName) {
        self.node_mut(host).is_cut = true;
        self.pause_minorities();
        if self.nodes[host].process == Process::Up {
            self.leave_queues(host, false);
        }
    }

    pub(super) fn heal(&mut self, host: &HostName) {
        if !std::mem::take(&mut self.node_mut(host).is_cut) || self.nodes[host].process != Process::Up {
            return;
        }
        let mut others = self.running(host);
        others.remove(&name_of(host));
        let hosts: Vec<HostName> = others.iter().filter_map(|node| self.host_of(node)).collect();
        for other in hosts {
            self.node_mut(&other).partitions.insert(name_of(host));
        }
        self.node_mut(host).partitions.extend(others);
        self.rejoin_queues(host);
    }

    /// What is due by now happens, until nothing more does.
    pub(super) fn settle(&mut self) {
        let hosts: Vec<HostName> = self.nodes.keys().cloned().collect();
        let mut is_moving = true;
        while std::mem::take(&mut is_moving) {
            for host in &hosts {
                is_moving |= self.settle_process(host);
            }
            let ids: Vec<usize> = self.clusters.keys().copied().collect();
            for id in ids {
                is_moving |= self.settle_queues(id);
            }
        }
    }

    fn settle_process(&mut self, host: &HostName) -> bool {
        match self.nodes[host].process {
            Process::Paused if self.is_majority(host) => {
                let ready_us = self.now_us + self.pace.start_us;
                self.node_mut(host).process = Process::Booting { ready_us };
                true
            }
            Process::Booting { ready_us } if ready_us <= self.now_us => self.boot(host),
            _ => false,
        }
    }

    /// The broker starts, if whom it waits for is there.
    fn boot(&mut self, host: &HostName) -> bool {
        let name = name_of(host);
        if self.nodes[host].view.is_empty() {
            self.begin_alone(host);
        }
        let Some(members) = self.cluster(host).map(|cluster| cluster.members.clone()) else {
            return self.boot_forgotten(host);
        };
        let ready = |process| matches!(process, Process::Booting { ready_us } if ready_us <= self.now_us);
        let is_led = !self.running(host).is_empty();
        // All whom it waits for, and whom those wait for, wait too: together they know what is newest.
        let mut group = BTreeSet::from([name.clone()]);
        let mut open = vec![name.clone()];
        while let Some(node) = open.pop() {
            let at = self.host_of(&node).map(|at| self.nodes[&at].awaits.clone());
            let more = at
                .unwrap_or_default()
                .into_iter()
                .filter(|other| members.contains(other));
            open.extend(more.filter(|other| group.insert(other.clone())));
        }
        let waits = |node: &String| {
            let other = self.host_of(node);
            other.is_some_and(|other| self.sees(host, &other) && ready(self.nodes[&other].process))
        };
        if !is_led && !group.iter().all(waits) {
            return false;
        }
        let node = self.node_mut(host);
        node.process = Process::Up;
        node.awaits.clear();
        node.partitions.clear();
        if let Some(cluster) = self.cluster_mut(host) {
            cluster.known.insert(name);
        }
        self.share_view(&members);
        self.rejoin_queues(host);
        true
    }

    /// A node that its cluster forgot does not start: the others tell it that it is none of them.
    fn boot_forgotten(&mut self, host: &HostName) -> bool {
        let tells = |node: &String| {
            let other = self.host_of(node).filter(|other| other != host);
            other.is_some_and(|other| self.sees(host, &other) && self.nodes[&other].process == Process::Up)
        };
        let is_told = self.nodes[host].view.iter().any(tells);
        if is_told {
            self.node_mut(host).machine.unit(UNIT).die();
            self.node_mut(host).process = Process::Off;
        }
        is_told
    }

    pub(super) fn begin_alone(&mut self, host: &HostName) {
        let id = self.clusters.keys().last().map_or(0, |last| last + 1);
        self.clusters.insert(id, Cluster::fresh(name_of(host)));
        let node = self.node_mut(host);
        node.cluster = Some(id);
        node.awaits.clear();
        self.share_view(&BTreeSet::from([name_of(host)]));
    }

    /// Running members write down who is one.
    pub(super) fn share_view(&mut self, members: &BTreeSet<String>) {
        let hosts: Vec<HostName> = members.iter().filter_map(|node| self.host_of(node)).collect();
        for host in hosts {
            let is_told = matches!(self.nodes[&host].process, Process::Up | Process::Halted)
                || self.nodes[&host].view.is_empty();
            if is_told {
                self.write_view(&host, members);
            }
        }
    }

    pub(super) fn write_view(&mut self, host: &HostName, members: &BTreeSet<String>) {
        let all: Vec<&str> = members.iter().map(String::as_str).collect();
        let all = all.join(",");
        let now = self.now_us;
        let path = members_path(host);
        let node = self.node_mut(host);
        node.view.clone_from(members);
        let text = format!("{{[{all}],[{all}]}}.\n");
        node.machine.write(&path, &text, 0o640, "rabbitmq", now);
    }

    fn rejoin_queues(&mut self, host: &HostName) {
        let Some(id) = self.nodes[host].cluster else {
            return;
        };
        let whole_us = Some(self.now_us + self.pace.copy_us);
        let node = name_of(host);
        let Some(cluster) = self.clusters.get_mut(&id) else {
            return;
        };
        for queue in cluster.queues.values_mut() {
            if let Queue::Quorum { members, .. } = queue
                && let Some(copy) = members.get_mut(&node)
            {
                copy.whole_us = whole_us;
            }
        }
        self.mirror(id);
    }

    /// Every running member has a mirror of each queue whose policy says so; a new one has what comes from now on, and the
    /// rest later.
    pub(super) fn mirror(&mut self, id: usize) {
        let whole_us = self.now_us + self.pace.copy_us;
        let serving = self.serving_in(id);
        let Some(cluster) = self.clusters.get_mut(&id) else {
            return;
        };
        let names: Vec<Name> = cluster.queues.keys().cloned().collect();
        for name in names {
            let (is_mirrored, is_filled) = (cluster.is_mirrored(&name), cluster.is_filled(&name));
            let Some(Queue::Classic { leader, log, mirrors }) = cluster.queues.get_mut(&name) else {
                continue;
            };
            if !is_mirrored {
                mirrors.clear();
                continue;
            }
            if !serving.contains(leader) {
                continue;
            }
            for node in serving.iter().filter(|node| *node != leader) {
                mirrors.entry(node.clone()).or_insert_with(|| Copy {
                    log: Vec::new(),
                    is_whole: log.is_empty(),
                    whole_us: is_filled.then_some(whole_us),
                });
            }
        }
    }

    fn settle_queues(&mut self, id: usize) -> bool {
        let (now, elect_us) = (self.now_us, self.pace.elect_us);
        let serving = self.serving_in(id);
        let Some(cluster) = self.clusters.get_mut(&id) else {
            return false;
        };
        let mut is_moving = false;
        for queue in cluster.queues.values_mut() {
            let is_available = queue.is_available(&serving);
            match queue {
                Queue::Quorum {
                    leader: None,
                    elect_us: at,
                    ..
                } if is_available => {
                    let due = *at.get_or_insert(now + elect_us);
                    if due <= now {
                        *at = None;
                        is_moving |= queue.elect(&serving);
                    }
                }
                Queue::Quorum {
                    members,
                    leader: Some(leader),
                    ..
                } if is_available => {
                    let log = members
                        .get(leader)
                        .map(|copy| copy.log.clone())
                        .unwrap_or_default();
                    is_moving |= fill(members.iter_mut(), &log, &serving, now);
                }
                Queue::Classic { log, mirrors, .. } if is_available => {
                    is_moving |= fill(mirrors.iter_mut(), log, &serving, now);
                }
                Queue::Quorum { .. } | Queue::Classic { .. } => {}
            }
        }
        is_moving
    }

    /// The next moment at which something is due; `None` where nothing is.
    pub(super) fn next_due(&self) -> Option<i64> {
        let starts = self.nodes.values().filter_map(|node| match node.process {
            Process::Booting { ready_us } => Some(ready_us),
            _ => None,
        });
        let queues = self.clusters.values().flat_map(|cluster| cluster.queues.values());
        let copies = queues.flat_map(|queue| match queue {
            Queue::Quorum {
                members, elect_us, ..
            } => {
                let due = members.values().filter_map(|copy| copy.whole_us);
                due.chain(*elect_us).collect::<Vec<_>>()
            }
            Queue::Classic { mirrors, .. } => mirrors.values().filter_map(|copy| copy.whole_us).collect(),
        });
        starts.chain(copies).filter(|due| *due > self.now_us).min()
    }
}

/// Copies that are due become whole.
fn fill<'c>(
    copies: impl Iterator<Item = (&'c String, &'c mut Copy)>,
    log: &[u64],
    serving: &BTreeSet<String>,
    now: i64,
) -> bool {
    let mut is_moving = false;
    for (_, copy) in
        copies.filter(|(node, copy)| serving.contains(*node) && copy.whole_us.is_some_and(|due| due <= now))
    {
        *copy = Copy::whole(log.to_vec());
        is_moving = true;
    }
    is_moving
}
