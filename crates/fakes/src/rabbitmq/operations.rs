//! Operations on a host: its unit, its package, and what a cluster loses with them.

use std::collections::BTreeMap;

use protocol::{ActionError, UnitVerb};
use types::HostName;

use super::cluster::{Name, Queue};
use super::hosts::Hosts;
use super::node::{PACKAGE, UNIT, failed};

impl Hosts {
    /// Does what an operation of ours does, and notes what it took away.
    pub(super) fn watched(
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
    pub(super) fn queues_of(&self, host: &HostName) -> Vec<(Name, bool)> {
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

    pub(super) fn unit(&mut self, host: &HostName, verbs: &[UnitVerb]) -> Result<(), ActionError> {
        if !self.nodes[host].machine.units.contains_key(UNIT) {
            return Err(failed(format!("Unit {UNIT} not found.")));
        }
        for verb in verbs {
            match verb {
                UnitVerb::DaemonReload | UnitVerb::ResetFailed => {}
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
    pub(super) fn stop(&mut self, host: &HostName) {
        self.node_mut(host).machine.unit(UNIT).stop();
        self.end(host, true);
    }

    pub(super) fn install(&mut self, host: &HostName) -> Result<(), ActionError> {
        let node = self.node_mut(host);
        if !node.machine.packages.insert(PACKAGE.to_owned()) {
            return Ok(());
        }
        // Debian's package enables its unit, and starts it with a cookie that it makes up.
        node.machine.unit(UNIT).is_enabled = true;
        self.start(host)
    }

    /// Quorum queues get another leader.
    pub(super) fn hand_over(&mut self) {
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
