//! What happens by itself: links connect, copy and follow.

use super::Cluster;
use super::server::{Kind, Link, Process, Status};

/// Between two attempts to reach a master (seen).
const RETRY_US: i64 = 5_000_000;
/// After a lost link, or a refused password, as the stand-in has it.
pub(super) const AGAIN_US: i64 = 1_000_000;
/// How long an idle master sleeps (`TICK_INTERVAL_MS` of `backend_sync.cpp`).
pub(super) const TICK_US: i64 = 300_000;
/// After how long of idling a mirror is told where it stands.
const NOOP_US: i64 = 3_000_000;
/// Never, by itself.
const NEVER: i64 = i64::MAX;

impl Cluster {
    /// A time of the server's own; none in tests in which nothing takes time.
    pub(super) fn after(&self, us: i64) -> i64 {
        let is_timeless = self.pace == crate::Pace::default();
        self.now_us + if is_timeless { 0 } else { us }
    }

    /// When the next thing happens by itself.
    pub(super) fn next_due(&self) -> Option<i64> {
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let times = processes.flat_map(|process| {
            let links = process.links.iter().map(|link| match link.silence {
                Some(silence) => silence.until_us,
                None => link.due_us,
            });
            links.chain([process.ready_us])
        });
        times.filter(|&time| time > self.now_us && time != NEVER).min()
    }

    /// Does all that is due, until nothing changes any more.
    pub fn settle(&mut self) {
        loop {
            let mut has_changed = false;
            for mirror in 0..self.nodes.len() {
                for at in 0..self.nodes[mirror]
                    .process
                    .as_ref()
                    .map_or(0, |process| process.links.len())
                {
                    has_changed |= self.step(mirror, at);
                }
            }
            if !has_changed {
                break;
            }
        }
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            if let (Some(process), Some(disk)) = (&node.process, &mut node.disk) {
                disk.trim(process.capacity);
            }
            self.see_whether_it_caught_up(at);
        }
    }

    fn see_whether_it_caught_up(&mut self, at: usize) {
        if !self.answers(at) || !self.nodes[at].is_fresh {
            return;
        }
        let Some(process) = &self.nodes[at].process else {
            return;
        };
        let reached = |link: &&Link| {
            let master = self.find(link.goal());
            master.is_some_and(|master| self.answers(master) && self.reaches(at, master))
        };
        // What clients write later is on its way, as to everybody.
        let has_all = |link: &Link| link.status == Status::Sync && self.position(at, &link.id) >= link.owed;
        // One that reaches nobody does not know what the others took meanwhile.
        let mut others = (0..self.nodes.len()).filter(|&other| other != at);
        let is_alone = !others.any(|other| self.nodes[other].has_joined && self.answers(other));
        let is_linked = process.links.iter().any(|link| link.status == Status::Sync);
        // Whoever started it by a plan waits until it has caught up; after a trouble the least is that it is connected.
        let is_due = !self.nodes[at].is_ours || process.links.iter().filter(reached).all(has_all);
        if is_due && (is_alone || is_linked) {
            self.nodes[at].is_fresh = false;
            self.nodes[at].has_joined = true;
        }
    }

    pub(super) fn link(&mut self, mirror: usize, at: usize) -> Option<&mut Link> {
        self.nodes[mirror].process.as_mut()?.links.get_mut(at)
    }

    /// What a link does now; whether anything changed.
    fn step(&mut self, mirror: usize, at: usize) -> bool {
        let (now, again) = (self.now_us, self.after(AGAIN_US));
        if !self.answers(mirror) {
            return false;
        }
        let Some(link) = self.link(mirror, at) else {
            return false;
        };
        match link.silence {
            Some(silence) if silence.until_us > now => return false,
            Some(_) => {
                link.lose(again);
                return true;
            }
            None => {}
        }
        if link.due_us > now {
            return false;
        }
        match link.status {
            Status::Disconnected | Status::Init => self.connect(mirror, at),
            Status::Copy => self.copy(mirror, at),
            Status::Sync => self.deliver(mirror, at),
            Status::OutOfSync => false,
        }
    }

    fn connect(&mut self, mirror: usize, at: usize) -> bool {
        let (retry, again, copied) = (
            self.after(RETRY_US),
            self.after(AGAIN_US),
            self.after(self.pace.copy_us),
        );
        let Some(link) = self.link(mirror, at).cloned() else {
            return false;
        };
        let master = self.find(link.goal()).filter(|&master| {
            let listens = |process: &Process| process.port == link.port && process.ip != "127.0.0.1";
            self.reaches(mirror, master)
                && self.answers(master)
                && self.nodes[master].process.as_ref().is_some_and(listens)
        });
        let (status, due, owed) = match master {
            None => (Status::Disconnected, retry, 0),
            Some(master) if !self.lets_in(master, &link) => (Status::Init, again, 0),
            Some(master) => {
                let source = self.nodes[master].disk.as_ref();
                let (length, last_own) = source.map_or((0, 0), |disk| (disk.log.len(), disk.last_own));
                let position = self.position(mirror, &link.id);
                if position != 0 && (position > length || position < self.oldest(master)) {
                    (Status::OutOfSync, NEVER, 0)
                } else if position == 0 {
                    (Status::Copy, copied, length)
                } else {
                    // Where the master stands it is told with the next change of a client there, or once both idle.
                    let due = if position < last_own {
                        copied
                    } else {
                        self.after(NOOP_US)
                    };
                    (Status::Sync, due, last_own)
                }
            }
        };
        let Some(own) = self.link(mirror, at) else {
            return false;
        };
        (own.status, own.due_us, own.owed, own.is_stalled) = (status, due, owed, false);
        status != link.status
    }

    fn lets_in(&self, master: usize, link: &Link) -> bool {
        let process = self.nodes[master].process.as_ref();
        let auth = process.and_then(|process| process.auth.as_ref());
        auth.is_none_or(|auth| *auth == link.auth)
    }

    fn position(&self, mirror: usize, id: &str) -> usize {
        self.nodes[mirror]
            .disk
            .as_ref()
            .map_or(0, |disk| disk.position(id))
    }

    fn oldest(&self, master: usize) -> usize {
        self.nodes[master].disk.as_ref().map_or(0, |disk| disk.oldest)
    }

    /// A copy has come over.
    fn copy(&mut self, mirror: usize, at: usize) -> bool {
        let now = self.now_us;
        let Some(link) = self.link(mirror, at).cloned() else {
            return false;
        };
        let Some(master) = self.find(link.goal()) else {
            return false;
        };
        self.nodes[mirror].copied += 1;
        let source = self.nodes[master].disk.clone().unwrap_or_default();
        let data = source
            .data
            .into_iter()
            .map(|(key, value)| (key, Kind::Set(value)));
        // It pushes what it gets, whatever is there (`slave.cpp`; seen).
        let queued = source.queues.into_iter().flat_map(|(name, items)| {
            items
                .into_iter()
                .map(move |item| (name.clone(), Kind::Push(item)))
        });
        self.take_in(mirror, &link.id, data.chain(queued).collect(), link.owed);
        if let Some(own) = self.link(mirror, at) {
            (own.status, own.due_us) = (Status::Sync, now);
        }
        true
    }

    /// The changes that clients made on the master since; of the others it is only told how far they go.
    fn deliver(&mut self, mirror: usize, at: usize) -> bool {
        let (told, noop) = (self.after(0), self.after(NOOP_US));
        let Some(link) = self.link(mirror, at).cloned() else {
            return false;
        };
        let Some(master) = self.find(link.goal()).filter(|_| !link.is_stalled) else {
            return false;
        };
        let position = self.position(mirror, &link.id);
        if position != 0 && position < self.oldest(master) {
            if let Some(own) = self.link(mirror, at) {
                (own.status, own.due_us) = (Status::OutOfSync, NEVER);
            }
            return true;
        }
        let Some(source) = &self.nodes[master].disk else {
            return false;
        };
        let mut reached = source.log.len();
        let mut changes = Vec::new();
        for change in source
            .log
            .iter()
            .skip(position)
            .filter(|change| !change.is_mirrored)
        {
            // The value of now, not that of the change.
            let kind = match (&change.kind, source.data.get(&change.key)) {
                (Kind::Set(_), Some(value)) => Kind::Set(value.clone()),
                (Kind::Set(_), None) => continue,
                (kind @ (Kind::Delete | Kind::Push(_)), _) => kind.clone(),
            };
            changes.push((change.key.clone(), kind));
        }
        if !changes.is_empty() && noop > told {
            reached = source.last_own;
        }
        let is_all = reached == source.log.len();
        let has_changed = reached != position || !changes.is_empty();
        self.take_in(mirror, &link.id, changes, reached);
        if let Some(own) = self.link(mirror, at) {
            own.due_us = if is_all { NEVER } else { noop };
        }
        has_changed
    }

    fn take_in(&mut self, mirror: usize, id: &str, changes: Vec<(String, Kind)>, position: usize) {
        let is_change = !changes.is_empty();
        let node = &mut self.nodes[mirror];
        let (Some(disk), Some(_)) = (&mut node.disk, &node.process) else {
            return;
        };
        for (key, kind) in changes {
            disk.change(key, kind, true);
        }
        disk.positions.insert(id.to_owned(), position);
        if is_change {
            self.wake(mirror, NOOP_US);
        }
    }

    /// The mirrors of a master that changed will be told.
    fn wake(&mut self, master: usize, after_us: i64) {
        let due = self.after(after_us);
        for (_, link) in self.links_to(master) {
            if link.status == Status::Sync {
                link.due_us = link.due_us.min(due);
            }
        }
    }

    /// A client changes something.
    pub fn client_sets(&mut self, at: usize, key: &str, value: Option<&str>) {
        let kind = value.map_or(Kind::Delete, |value| Kind::Set(value.to_owned()));
        self.client_changes(at, key, kind);
    }

    /// A client pushes an item to a queue.
    pub fn client_pushes(&mut self, at: usize, queue: &str, item: &str) {
        self.client_changes(at, queue, Kind::Push(item.to_owned()));
    }

    fn client_changes(&mut self, at: usize, key: &str, kind: Kind) {
        if let Some(disk) = &mut self.nodes[at].disk {
            disk.change(key.to_owned(), kind, false);
        }
        self.wake(at, TICK_US);
    }

    /// The links of all mirrors to a master, with the mirrors' places.
    pub(super) fn links_to(&mut self, master: usize) -> impl Iterator<Item = (usize, &mut Link)> {
        let (name, address) = (
            self.nodes[master].name.to_string(),
            self.nodes[master].address.clone(),
        );
        let links = self.nodes.iter_mut().enumerate().flat_map(|(mirror, node)| {
            let links = node
                .process
                .iter_mut()
                .flat_map(|process| process.links.iter_mut());
            links.map(move |link| (mirror, link))
        });
        links.filter(move |(_, link)| link.goal() == name || link.goal() == address)
    }

    /// Whether a running master will pass a key on to a mirror that lacks it.
    pub(super) fn will_get(&self, mirror: usize, key: &str) -> bool {
        let Some(process) = self.nodes[mirror].process.as_ref() else {
            return false;
        };
        process.links.iter().any(|link| {
            let Some(master) = self.find(link.goal()).filter(|&master| self.answers(master)) else {
                return false;
            };
            let Some(disk) = &self.nodes[master].disk else {
                return false;
            };
            let position = self.position(mirror, &link.id);
            let is_next = |(at, change): (usize, &super::server::Change)| {
                at >= position && !change.is_mirrored && change.key == key
            };
            link.status == Status::Sync
                && position >= self.oldest(master)
                && disk.log.iter().enumerate().any(is_next)
        })
    }
}

impl Link {
    pub(super) fn lose(&mut self, again_us: i64) {
        (self.status, self.due_us, self.silence) = (Status::Disconnected, again_us, None);
    }
}
