//! The world as the simulation and its client see it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{ActionError, Fact, FactError, FactQuery, Operation};
use types::HostName;

use super::server::Link;
use super::{Cluster, Node, Server};
use crate::{FakeCluster, Fault};

impl FakeCluster for Cluster {
    fn advance(&mut self, now_us: i64) {
        self.pass_until(now_us);
    }

    fn answer(&self, host: &HostName, query: &FactQuery) -> Option<Result<Fact, FactError>> {
        self.tell_fact(host, query)
    }

    fn operate(&mut self, host: &HostName, operation: &Operation) -> Option<Result<(), ActionError>> {
        self.obey(host, operation)
    }

    fn inject(&mut self, trouble: &Fault) {
        let Some(host) = trouble.host() else {
            self.hand_over();
            return;
        };
        let Some(at) = self.named(host.as_str()) else {
            return;
        };
        match trouble {
            Fault::Crash(_) => self.kill_engine(at),
            Fault::Revive(_) => {
                let unit = self.unit();
                let has_failed = self.nodes[at]
                    .machine
                    .units
                    .get(unit)
                    .is_some_and(|unit| unit.has_failed);
                if has_failed && !self.nodes[at].is_down {
                    self.start_engine(at).ok();
                }
            }
            Fault::Down(_) => {
                self.stop_sentinel(at);
                self.stop_engine(at);
                self.nodes[at].is_down = true;
            }
            Fault::Up(_) => self.boot(at),
            Fault::Cut(_) => {
                self.nodes[at].is_cut = true;
                self.overtake();
            }
            Fault::Heal(_) => self.nodes[at].is_cut = false,
            Fault::Handover => {}
        }
        self.tick();
        self.settle();
    }

    /// An engine that answers and holds the data, with a sentinel beside it. A master that no sentinel knows is not part of
    /// the store.
    fn serving(&self) -> BTreeSet<HostName> {
        let serves = |at: &usize| {
            let node = &self.nodes[*at];
            let watches = self.sentinel(*at).is_some_and(|sentinel| {
                sentinel
                    .watched
                    .iter()
                    .any(|watched| self.at(&watched.ip).is_some())
            });
            let belongs = |server: &Server| server.follows.is_some() || self.is_listed(*at);
            !node.is_cut && watches && node.is_synced && self.server(*at).is_some_and(belongs)
        };
        let serving = (0..self.nodes.len()).filter(serves);
        serving
            .filter_map(|at| self.nodes[at].name.parse().ok())
            .collect()
    }

    /// As many as must agree on a failover, as the sentinel that knows most of the others counts. One that is about to start
    /// asks nobody for a vote, and nobody counts on its own yet.
    fn needed(&self) -> usize {
        if !self.is_formed {
            return 0;
        }
        let sentinels = (0..self.nodes.len()).filter_map(|at| self.sentinel(at));
        let watched = sentinels.flat_map(|sentinel| &sentinel.watched);
        let ours = watched.filter(|watched| self.at(&watched.ip).is_some());
        ours.map(super::sentinel::Watched::needed)
            .max()
            .unwrap_or(self.nodes.len() / 2 + 1)
    }

    fn clients(&mut self, hosts: &[HostName]) {
        self.clients = Some(hosts.iter().cloned().collect());
    }

    /// Through the master that the sentinels name. It is acknowledged once all replicas that are linked have it (`WAIT`),
    /// and with the master they are a majority: an election then finds one that has it.
    fn write(&mut self, value: u64) -> bool {
        let Some((master, members)) = self.master_for_clients() else {
            return false;
        };
        self.tick();
        self.nodes[master].data.insert(value);
        self.nodes[master].offset += 1;
        self.settle();
        let holders = self.holders(master, value);
        let is_acknowledged = holders > members / 2;
        if is_acknowledged && self.is_replaced_out_of_sight(master) {
            self.excused.insert(value);
        }
        is_acknowledged
    }

    fn has_value(&self, value: u64) -> bool {
        let master = self.master_for_clients();
        self.excused.contains(&value)
            || master.is_some_and(|(master, _)| self.nodes[master].data.contains(&value))
    }

    fn violations(&self) -> &[String] {
        Self::violations(self)
    }
}

impl Cluster {
    /// Everything of a host starts that starts at boot.
    fn boot(&mut self, at: usize) {
        if !self.nodes[at].is_down {
            return;
        }
        self.nodes[at].is_down = false;
        let enabled =
            |node: &Node, unit: &str| node.machine.units.get(unit).is_some_and(|unit| unit.is_enabled);
        if enabled(&self.nodes[at], self.unit()) {
            self.start_engine(at).ok();
        }
        if enabled(&self.nodes[at], self.sentinel_unit()) {
            self.start_sentinel(at).ok();
        }
    }

    /// Somebody asks for a failover, if any sentinel takes the request.
    pub fn hand_over(&mut self) {
        for at in 0..self.nodes.len() {
            let watched = self
                .sentinel(at)
                .filter(|_| !self.nodes[at].is_cut)
                .map(|sentinel| sentinel.watched.clone());
            let watched = watched.unwrap_or_default().into_iter();
            let ours: Vec<String> = watched
                .filter(|watched| self.at(&watched.ip).is_some())
                .map(|watched| watched.name)
                .collect();
            for name in ours {
                if self.ask_failover(at, &name, false).is_ok() {
                    self.tick();
                    return;
                }
            }
        }
    }

    /// The master that most sentinels within a client's reach name, where it takes writes; and how many members there are.
    fn master_for_clients(&self) -> Option<(usize, usize)> {
        let mut named: BTreeMap<&str, (usize, u64, usize)> = BTreeMap::new();
        let asks = |at: &usize| {
            let hosts = self.clients.as_ref();
            hosts.is_none_or(|hosts| hosts.iter().any(|host| host.as_str() == self.nodes[*at].name))
        };
        let asked = (0..self.nodes.len())
            .filter(|at| !self.nodes[*at].is_cut)
            .filter(asks);
        for at in asked {
            for watched in self.sentinel(at).iter().flat_map(|sentinel| &sentinel.watched) {
                let entry = named.entry(&watched.ip).or_default();
                let members = entry.2.max(watched.replicas.len() + 1);
                *entry = (entry.0 + 1, entry.1.max(watched.epoch), members);
            }
        }
        let known = named
            .iter()
            .filter_map(|(ip, entry)| Some((self.at(ip)?, *entry)));
        let (master, (_, _, members)) = known.max_by_key(|(_, (votes, epoch, _))| (*votes, *epoch))?;
        let server = self.server(master).filter(|_| !self.nodes[master].is_cut)?;
        let is_paused = server.paused_us > self.now;
        let takes = server.follows.is_none() && !is_paused && server.listens_at(&self.nodes[master].address);
        takes.then_some((master, members))
    }

    /// A partition comes between an order to fail over and the failover: whoever is promoted then lacks what the others have
    /// taken since.
    fn overtake(&mut self) {
        let sentinels = self.nodes.iter_mut().filter_map(|node| node.sentinel.as_mut());
        let watched = sentinels.flat_map(|sentinel| &mut sentinel.watched);
        for (_, is_ours) in watched.filter_map(|watched| watched.failover.as_mut()) {
            *is_ours = false;
        }
    }

    /// Whether a sentinel knows a host as master or replica.
    fn is_listed(&self, at: usize) -> bool {
        let ip = &self.nodes[at].address;
        let sentinels = self.nodes.iter().filter_map(|node| node.sentinel.as_ref());
        let mut watched = sentinels.flat_map(|sentinel| &sentinel.watched);
        watched.any(|watched| watched.ip == *ip || watched.replicas.contains(ip))
    }

    /// Whether a partition hides from everybody else that another master was made: what is acknowledged until they hear of
    /// it is lost by that alone, whoever asked for the failover, for replication is asynchronous
    /// (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Fundamental things to know").
    fn is_replaced_out_of_sight(&self, master: usize) -> bool {
        let epoch = |at: usize| {
            let sentinels = self.nodes[at].sentinel.iter();
            let watched = sentinels.flat_map(|sentinel| &sentinel.watched);
            watched.map(|watched| watched.epoch).max().unwrap_or(0)
        };
        let (cut, rest): (Vec<usize>, Vec<usize>) =
            (0..self.nodes.len()).partition(|at| self.nodes[*at].is_cut);
        let known = rest.into_iter().map(epoch).max().unwrap_or(0);
        let names_another = |at: &usize| {
            let sentinels = self.nodes[*at].sentinel.iter();
            let mut watched = sentinels.flat_map(|sentinel| &sentinel.watched);
            watched.any(|watched| watched.epoch > known && watched.ip != self.nodes[master].address)
        };
        cut.iter().any(names_another)
    }

    /// How many members hold a value: the master, and the replicas that are linked to it and do; none where one that is
    /// linked does not.
    fn holders(&self, master: usize, value: u64) -> usize {
        let replicas = self.replicas_of(master).into_iter();
        let mut linked = replicas.filter(|at| self.server(*at).is_some_and(|server| server.link == Link::Up));
        let all = linked.try_fold(1, |count, at| {
            self.nodes[at].data.contains(&value).then_some(count + 1)
        });
        all.unwrap_or(0)
    }
}
