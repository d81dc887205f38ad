//! Failovers: who is elected, when, and what comes of it.

use std::collections::BTreeSet;

use super::Cluster;
use super::sentinel::{Peer, Watched};
use super::server::Link;
use super::time::Watch;

impl Cluster {
    /// Failovers that were asked for, and elections where enough sentinels miss the master.
    pub(super) fn elect(&mut self) -> bool {
        for watch in self.watches() {
            let Some(watched) = self.watch(watch) else {
                continue;
            };
            let asked = watched.failover.filter(|(due, _)| *due <= self.now);
            if asked.is_none() && !self.is_elected(watch.0, watched) {
                continue;
            }
            let candidate = self.candidate(watch.0, watched);
            // Sentinels tell each other of every vote, so that no two failovers have the same number.
            let sentinels = self.nodes.iter().filter_map(|node| node.sentinel.as_ref());
            let epochs = sentinels
                .flat_map(|sentinel| &sentinel.watched)
                .map(|watched| watched.epoch);
            let epoch = epochs.max().unwrap_or(0);
            if let Some(watched) = self.watch_mut(watch) {
                watched.failover = None;
            }
            if let Some(candidate) = candidate {
                self.promote(
                    watch,
                    candidate,
                    epoch + 1,
                    asked.is_some_and(|(_, is_ours)| is_ours),
                );
            }
            if candidate.is_some() || asked.is_some() {
                return true;
            }
        }
        false
    }

    /// Whether a sentinel may lead a failover: so many miss the master, and so many can vote.
    fn is_elected(&self, at: usize, watched: &Watched) -> bool {
        let master = Peer::Engine(watched.ip.clone());
        let misses = |watched: &Watched, long: i64| {
            let since = watched.unseen.get(&master);
            since.is_some_and(|since| since.saturating_add(long) <= self.now)
        };
        if !misses(watched, self.tempo.elect) {
            return false;
        }
        let (mut agree, mut voters) = (1, 1);
        for ip in &watched.others {
            let other = self.at(ip).filter(|other| self.reaches(at, *other));
            let theirs = other.and_then(|other| self.sentinel(other)?.watched(&watched.name));
            if let Some(theirs) = theirs {
                voters += 1;
                agree += usize::from(theirs.ip == watched.ip && misses(theirs, self.tempo.down));
            }
        }
        agree >= watched.quorum && voters >= watched.needed()
    }

    /// The replica that would be promoted: one that answers and did not lose its link too long ago, with the greatest offset
    /// (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Replica selection and priority").
    pub fn candidate(&self, from: usize, watched: &Watched) -> Option<usize> {
        let missed = watched.unseen.get(&Peer::Engine(watched.ip.clone()));
        let allowed = missed.map_or(0, |since| self.now - since) + self.tempo.down.saturating_mul(10);
        let fits = |ip: &String| {
            let (at, server) = self.engine_at(from, ip, watched.port, &watched.auth_pass)?;
            let is_late = matches!(server.link, Link::Down(since) if self.now - since > allowed);
            (server.follows.is_some() && !is_late).then_some(at)
        };
        let found: BTreeSet<usize> = watched.replicas.iter().filter_map(fits).collect();
        found.into_iter().rev().max_by_key(|at| self.nodes[*at].offset)
    }

    /// A replica becomes the master.
    fn promote(&mut self, watch: Watch, candidate: usize, epoch: u64, is_ours: bool) {
        let held: BTreeSet<u64> = self.nodes.iter().flat_map(|node| &node.data).copied().collect();
        if !is_ours {
            let lost = held.difference(&self.nodes[candidate].data);
            self.excused.extend(lost.copied().collect::<Vec<_>>());
        }
        self.give_role(candidate, None);
        self.nodes[candidate].offset += 1;
        self.nodes[candidate].is_synced = true;
        let (ip, now) = (self.nodes[candidate].address.clone(), self.now);
        let Some(watched) = self.watch_mut(watch) else {
            return;
        };
        let old = watched.ip.clone();
        watched.switch(&ip, epoch, now);
        let watched = watched.clone();
        self.rewrite_sentinel(watch.0);
        for replica in watched.replicas.iter().filter(|replica| **replica != old) {
            let found = self.engine_at(watch.0, replica, watched.port, &watched.auth_pass);
            if let Some((at, _)) = found {
                self.give_role(at, Some((ip.clone(), watched.port)));
            }
        }
    }
}
