//! What the servers do by themselves as time goes on.

use std::collections::BTreeMap;

use super::sentinel::{Peer, Watched};
use super::server::Link;
use super::{Cluster, Server};

/// A sentinel's watch of one master: the node and the place in its list.
pub(super) type Watch = (usize, usize);

impl Cluster {
    /// Lets time go on; what is due on the way happens when it is.
    pub fn pass_until(&mut self, moment: i64) {
        self.settle();
        while let Some(due) = self.due().filter(|due| *due <= moment) {
            self.now = due;
            self.settle();
        }
        self.now = self.now.max(moment);
    }

    /// Lets everything happen that happens now.
    pub fn settle(&mut self) {
        for _ in 0..100 {
            let changes = [
                self.release(),
                self.follow(),
                self.look(),
                self.hear(),
                self.turn_back(),
                self.elect(),
            ];
            if !changes.contains(&true) {
                break;
            }
        }
        let enough = self.nodes.len().min(3);
        let knows = |watched: &Watched| self.at(&watched.ip).is_some() && watched.voters() >= enough;
        let all = self.nodes.iter().filter_map(|node| node.sentinel.as_ref());
        self.is_formed |= all.flat_map(|sentinel| &sentinel.watched).any(knows);
    }

    /// The next moment at which something happens.
    fn due(&self) -> Option<i64> {
        let mut dues: Vec<i64> = Vec::new();
        for node in &self.nodes {
            if let Some(server) = &node.engine {
                dues.extend([server.answers_us, server.paused_us]);
                if let Link::Copying(until) = server.link {
                    dues.push(until);
                }
                let delay = self.patience(server);
                dues.extend(node.odd.as_ref().map(|(since, _)| since.saturating_add(delay)));
            }
            if let Some(sentinel) = &node.sentinel {
                dues.push(sentinel.answers_us);
                for watched in &sentinel.watched {
                    dues.extend(watched.hearing.values());
                    dues.extend(watched.failover.map(|(due, _)| due));
                    let since = watched.unseen.values();
                    dues.extend(since.flat_map(|since| {
                        [
                            since.saturating_add(self.tempo.down),
                            since.saturating_add(self.tempo.elect),
                        ]
                    }));
                }
            }
        }
        dues.into_iter().filter(|due| *due > self.now).min()
    }

    /// Replicas find their masters, are sent a copy, and from then on what is written.
    fn follow(&mut self) -> bool {
        let mut has_changed = false;
        for at in 0..self.nodes.len() {
            let Some(server) = self.server(at) else { continue };
            let link = server.link;
            // A replica that has no link itself takes nobody in. Those that it has stay (ran: Redis 7.0; Kvrocks:
            // `Server::AddMaster` ends no link).
            let master = self.master_of(at).filter(|master| {
                let of = self.server(*master);
                link == Link::Up || of.is_some_and(|of| of.follows.is_none() || of.link == Link::Up)
            });
            let next = match (link, master) {
                (Link::Down(_), None) => link,
                (_, None) => Link::Down(self.now),
                (Link::Down(_), Some(_)) => Link::Copying(self.now + self.tempo.copy),
                (Link::Copying(until), Some(_)) if until > self.now => link,
                (Link::Copying(_) | Link::Up, Some(_)) => Link::Up,
            };
            if next == Link::Up
                && let Some(master) = master
            {
                has_changed |= self.take_over(at, master);
            }
            if let Some(server) = &mut self.nodes[at].engine
                && next != link
            {
                server.link = next;
                has_changed = true;
            }
        }
        has_changed
    }

    /// A replica comes to hold what its master holds.
    fn take_over(&mut self, at: usize, master: usize) -> bool {
        let of = &self.nodes[master];
        let (offset, is_synced) = (of.offset, of.is_synced);
        let node = &self.nodes[at];
        if (node.offset, node.data.len(), node.is_synced) == (offset, of.data.len(), is_synced)
            && node.data == of.data
        {
            return false;
        }
        let resyncs = node.engine.as_ref().is_some_and(Server::resyncs);
        if !resyncs && !node.data.is_subset(&of.data) {
            let is_new = node.offset != offset;
            self.nodes[at].offset = offset;
            return is_new;
        }
        let data = of.data.clone();
        let node = &mut self.nodes[at];
        node.saved.clone_from(&data);
        (node.data, node.offset, node.is_synced) = (data, offset, is_synced);
        true
    }

    pub(super) fn watches(&self) -> Vec<Watch> {
        let mut watches = Vec::new();
        for at in 0..self.nodes.len() {
            let count = self.sentinel(at).map_or(0, |sentinel| sentinel.watched.len());
            watches.extend((0..count).map(|number| (at, number)));
        }
        watches
    }

    pub fn watch(&self, (at, number): Watch) -> Option<&Watched> {
        self.sentinel(at)?.watched.get(number)
    }

    pub(super) fn watch_mut(&mut self, (at, number): Watch) -> Option<&mut Watched> {
        self.nodes[at].sentinel.as_mut()?.watched.get_mut(number)
    }

    /// Whether a sentinel is answered by somebody whom it knows. A master that reports the role replica is none
    /// (`sentinelCheckSubjectivelyDown` in `sentinel.c`).
    pub fn sees(&self, from: usize, watched: &Watched, peer: &Peer) -> bool {
        match peer {
            Peer::Engine(ip) => self
                .engine_at(from, ip, watched.port, &watched.auth_pass)
                .is_some_and(|(_, server)| *ip != watched.ip || server.follows.is_none()),
            Peer::Sentinel(ip) => {
                let at = self.at(ip).filter(|to| self.reaches(from, *to));
                at.is_some_and(|at| self.sentinel(at).is_some())
            }
        }
    }

    /// Sentinels notice who does not answer, and who does again.
    fn look(&mut self) -> bool {
        let mut has_changed = false;
        for watch in self.watches() {
            let Some(watched) = self.watch(watch) else {
                continue;
            };
            let engines = std::iter::once(&watched.ip).chain(&watched.replicas);
            let engines = engines.map(|ip| Peer::Engine(ip.clone()));
            let peers = engines.chain(watched.others.iter().map(|ip| Peer::Sentinel(ip.clone())));
            let unseen: BTreeMap<Peer, i64> = peers
                .filter(|peer| !self.sees(watch.0, watched, peer))
                .map(|peer| {
                    let since = watched.unseen.get(&peer).copied().unwrap_or(self.now);
                    (peer, since)
                })
                .collect();
            if unseen != watched.unseen
                && let Some(watched) = self.watch_mut(watch)
            {
                watched.unseen = unseen;
                has_changed = true;
            }
        }
        has_changed
    }

    /// Sentinels hear of each other and of replicas through the master, and of elections from each other.
    fn hear(&mut self) -> bool {
        let mut has_changed = false;
        for watch in self.watches() {
            let Some(watched) = self.watch(watch) else {
                continue;
            };
            let mut next = watched.clone();
            next.hearing = self.audible(watch.0, watched);
            let heard: Vec<Peer> = next
                .hearing
                .iter()
                .filter(|(_, due)| **due <= self.now)
                .map(|(peer, _)| peer.clone())
                .collect();
            for peer in heard {
                next.hearing.remove(&peer);
                match peer {
                    Peer::Engine(ip) => next.replicas.insert(ip),
                    Peer::Sentinel(ip) => next.others.insert(ip),
                };
            }
            if let Some((ip, epoch)) = self.latest(watch.0, &next) {
                next.switch(&ip, epoch, self.now);
            }
            let learned = (&next.others, &next.replicas, &next.ip, next.epoch)
                != (&watched.others, &watched.replicas, &watched.ip, watched.epoch);
            let waits = next.hearing != watched.hearing;
            if (learned || waits)
                && let Some(watched) = self.watch_mut(watch)
            {
                *watched = next;
                has_changed = true;
            }
            if learned {
                self.rewrite_sentinel(watch.0);
            }
        }
        has_changed
    }

    /// Whom a sentinel is about to hear of, and when: replicas from the master, other sentinels by what they publish on every
    /// engine that both watch (`sentinelProcessHelloMessage` in `sentinel.c`).
    fn audible(&self, from: usize, watched: &Watched) -> BTreeMap<Peer, i64> {
        let mut peers: BTreeMap<Peer, i64> = BTreeMap::new();
        let mut expect = |peer: Peer, delay: i64| {
            let due = watched.hearing.get(&peer).copied();
            peers.insert(peer, due.unwrap_or(self.now + delay));
        };
        let master = self.engine_at(from, &watched.ip, watched.port, &watched.auth_pass);
        for replica in master.map_or(Vec::new(), |(master, _)| self.replicas_of(master)) {
            let ip = &self.nodes[replica].address;
            if !watched.replicas.contains(ip) && *ip != watched.ip {
                expect(Peer::Engine(ip.clone()), self.tempo.info);
            }
        }
        let engines = self.heard_on(from, watched);
        for other in (0..self.nodes.len()).filter(|other| *other != from) {
            let watch = self
                .sentinel(other)
                .and_then(|sentinel| sentinel.watched(&watched.name));
            let theirs = watch.map(|watch| self.heard_on(other, watch));
            let is_heard = theirs.is_some_and(|theirs| theirs.iter().any(|at| engines.contains(at)));
            let ip = &self.nodes[other].address;
            if is_heard && !watched.others.contains(ip) {
                expect(Peer::Sentinel(ip.clone()), self.tempo.hello);
            }
        }
        peers
    }

    /// The engines that a sentinel watches and reaches.
    fn heard_on(&self, from: usize, watched: &Watched) -> Vec<usize> {
        let engines = std::iter::once(&watched.ip).chain(&watched.replicas);
        let found = engines.filter_map(|ip| self.engine_at(from, ip, watched.port, &watched.auth_pass));
        found.map(|(at, _)| at).collect()
    }

    /// The master of a later election than the one that a sentinel knows of, where another tells it.
    fn latest(&self, from: usize, watched: &Watched) -> Option<(String, u64)> {
        let others = (0..self.nodes.len()).filter(|other| *other != from && self.reaches(from, *other));
        let told = others.filter_map(|other| {
            let theirs = self.sentinel(other)?.watched(&watched.name)?;
            let address = |at: usize| &self.nodes[at].address;
            let knows = watched.others.contains(address(other)) || theirs.others.contains(address(from));
            (knows && theirs.epoch > watched.epoch).then(|| (theirs.ip.clone(), theirs.epoch))
        });
        told.max_by_key(|(_, epoch)| *epoch)
    }

    /// How long an engine may be seen in another role than the sentinels': one that takes itself for a master is turned into
    /// a replica some ten seconds later (seen), one that follows another than the master after `failover-timeout`.
    fn patience(&self, server: &Server) -> i64 {
        if server.follows.is_none() {
            self.tempo.info
        } else {
            self.tempo.info.saturating_mul(16)
        }
    }

    /// Sentinels turn engines back that have another role than theirs.
    fn turn_back(&mut self) -> bool {
        let mut has_changed = false;
        for at in 0..self.nodes.len() {
            let expected = self.expected(at);
            let server = self.server(at);
            let next = match (server, expected) {
                (Some(server), Some(role)) if server.follows.as_ref() != Some(&role) => {
                    let before = self.nodes[at].odd.clone();
                    let since = before.filter(|(_, old)| *old == role).map(|(since, _)| since);
                    Some((since.unwrap_or(self.now), role))
                }
                _ => None,
            };
            let delay = server.map_or(0, |server| self.patience(server));
            let is_due = next
                .as_ref()
                .is_some_and(|(since, _)| since.saturating_add(delay) <= self.now)
                && server.is_some_and(|server| server.paused_us <= self.now);
            has_changed |= self.nodes[at].odd != next;
            self.nodes[at].odd.clone_from(&next);
            if let Some((_, role)) = next.filter(|_| is_due) {
                self.nodes[at].odd = None;
                self.give_role(at, Some(role));
                has_changed = true;
            }
        }
        has_changed
    }

    /// Whom a replica should follow according to the sentinel that knows of the latest election and reaches both.
    fn expected(&self, at: usize) -> Option<(String, u16)> {
        let mut best: Option<(u64, (String, u16))> = None;
        for watch in self.watches() {
            let watched = self.watch(watch)?;
            let peer = Peer::Engine(self.nodes[at].address.clone());
            let knows =
                watched.replicas.contains(&self.nodes[at].address) && self.sees(watch.0, watched, &peer);
            let master = self.engine_at(watch.0, &watched.ip, watched.port, &watched.auth_pass);
            let is_sane = master.is_some_and(|(_, server)| server.follows.is_none());
            if knows && is_sane && best.as_ref().is_none_or(|(epoch, _)| watched.epoch > *epoch) {
                best = Some((watched.epoch, (watched.ip.clone(), watched.port)));
            }
        }
        best.map(|(_, role)| role)
    }
}
