//! What an operation of ours must never do.

use super::Cluster;
use super::sentinel::Watched;

/// RESET on one sentinel at a time, so far apart.
const RESETS_APART_US: i64 = 30_000_000;

impl Cluster {
    pub fn wrong(&mut self, what: String) {
        if !self.violations.contains(&what) {
            self.violations.push(what);
        }
    }

    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// An engine is about to be stopped by an operation of ours.
    pub fn before_stop(&mut self, at: usize) {
        let is_master = self.server(at).is_some_and(|server| server.follows.is_none());
        let is_watched = self.named_masters().contains(&at);
        if self.is_formed && is_master && is_watched {
            let name = &self.nodes[at].name;
            self.wrong(format!("the master {name} was stopped while Sentinel watches it"));
        }
    }

    /// An engine was started by an operation of ours.
    pub fn after_start(&mut self, at: usize) {
        let was_made_replica = std::mem::take(&mut self.nodes[at].made_replica);
        let Some(server) = &self.nodes[at].engine else {
            return;
        };
        let name = self.nodes[at].name.clone();
        let master = self.named_masters().first().copied();
        if let Some((ip, _)) = &server.follows {
            let Some(master) = self.at(ip) else { return };
            let is_kept = self.nodes[at].data.is_subset(&self.nodes[master].data);
            if was_made_replica && !is_kept {
                self.wrong(format!(
                    "what {name} holds is replaced by a copy of {}",
                    self.nodes[master].name
                ));
            }
            return;
        }
        let has_replicas = |other: &usize| *other != at && !self.replicas_of(*other).is_empty();
        let other = match master {
            Some(master) => Some(master).filter(|master| *master != at && self.is_formed),
            None => (0..self.nodes.len()).find(has_replicas),
        };
        if let Some(other) = other {
            let other = &self.nodes[other].name;
            self.wrong(format!("{name} was started as a second master beside {other}"));
        }
    }

    /// The engine's file was written by an operation of ours; whether it had a role before, and has one after.
    pub fn after_write(&mut self, at: usize, before: bool, after: bool) {
        let address = &self.nodes[at].address;
        let lists = |watched: &Watched| watched.replicas.contains(address);
        let sentinels = self.nodes.iter().filter_map(|node| node.sentinel.as_ref());
        let is_listed = sentinels.flat_map(|sentinel| &sentinel.watched).any(lists);
        let follows = self.nodes[at]
            .engine
            .as_ref()
            .is_some_and(|server| server.follows.is_some());
        if after && !before && !is_listed && !follows {
            self.nodes[at].made_replica = true;
        }
    }

    /// A sentinel is about to be told to watch a master.
    pub fn before_monitor(&mut self, at: usize, ip: &str) {
        if let Some(master) = self.named_masters().first().copied()
            && self.nodes[master].address != ip
        {
            let (name, master) = (self.nodes[at].name.clone(), self.nodes[master].name.clone());
            self.wrong(format!(
                "the sentinel on {name} was told another master than {master}"
            ));
        }
    }

    /// A sentinel is about to be made to forget everybody.
    pub fn before_reset(&mut self, at: usize) {
        let watches = |at: &usize| {
            let watched = self.sentinel(*at).map(|one| one.watched.iter());
            watched.is_some_and(|mut all| all.any(|watched| self.at(&watched.ip).is_some()))
        };
        let running = (0..self.nodes.len()).filter(watches).count();
        for other in (0..self.nodes.len()).filter(|other| *other != at) {
            let Some(sentinel) = self.sentinel(other) else {
                continue;
            };
            let is_fresh = sentinel.watched.iter().any(|watched| {
                let ago = watched.reset_us.map(|then| self.now - then);
                ago.is_some_and(|ago| ago < RESETS_APART_US || watched.voters() < running)
            });
            if is_fresh {
                let (name, other) = (&self.nodes[at].name, &self.nodes[other].name);
                let what =
                    format!("the sentinel on {name} was reset before the one on {other} had found all again");
                self.wrong(what);
                return;
            }
        }
    }
}
