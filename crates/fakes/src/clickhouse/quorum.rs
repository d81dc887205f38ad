//! Elections, and the members' roles.
//!
//! ZooKeeper: a member that looks for a leader votes for the best that it sees of those in its own configuration, the one
//! that knows most, and counts the votes of those only (`FastLeaderElection`); it follows one that leads already where more
//! than half of its configuration does, and is led to what that one has, forgetting what it had beyond. Keeper: the members
//! are in the log; the leader takes one in that follows it, and lets one go, one after another, until they are what its file
//! names (`KeeperServer::applyConfigurationUpdate`).

use super::cluster::Cluster;
use super::node::{Node, Tree};
use super::paths::EPOCH;
use super::role::Role;

fn is_most(some: usize, all: usize) -> bool {
    some * 2 > all
}

impl Cluster {
    /// Whether two hosts reach each other.
    pub fn are_linked(&self, one: usize, other: usize) -> bool {
        let (a, b) = (&self.nodes[one], &self.nodes[other]);
        one == other || (a.is_up && b.is_up && !a.is_cut && !b.is_cut)
    }

    /// Leaders go, followers with them, and others are found, until nothing changes any more.
    pub fn agree(&mut self) {
        loop {
            let before = self.states();
            self.stand_alone();
            self.lose_leaders();
            self.join();
            self.elect();
            self.change_members();
            self.note();
            if before == self.states() {
                return;
            }
        }
    }

    fn states(&self) -> Vec<(Role, Tree)> {
        let state = |node: &Node| (node.role.clone(), node.tree.clone());
        self.nodes.iter().map(state).collect()
    }

    /// A ZooKeeper that knows nobody else is no member of anything (`QuorumPeerConfig::isDistributed`).
    fn stand_alone(&mut self) {
        for node in &mut self.nodes {
            let is_alone = matches!(node.member(), Some((process, true)) if process.members.len() < 2);
            if is_alone && matches!(node.role, Role::Looking { .. }) {
                node.role = Role::Standalone;
            }
        }
    }

    /// The hosts that follow a leader and are in sync; itself too.
    fn followers(&self, leader: usize) -> Vec<usize> {
        let name = self.nodes[leader].name();
        let follows = |&at: &usize| {
            let role = &self.nodes[at].role;
            at == leader || matches!(role, Role::Following { leader, is_synced: true, .. } if leader == name)
        };
        (0..self.nodes.len())
            .filter(|&at| self.are_linked(leader, at))
            .filter(follows)
            .collect()
    }

    /// How many of the members that one knows follow a leader.
    fn known_followers(&self, knower: usize, leader: usize) -> usize {
        let followers = self.followers(leader);
        let is_known = |at: &usize| self.nodes[knower].knows(self.nodes[*at].name());
        followers
            .into_iter()
            .filter(is_known)
            .filter(|&at| self.are_linked(knower, at))
            .count()
    }

    fn lose_leaders(&mut self) {
        let since = self.now;
        for at in 0..self.nodes.len() {
            let view = self.nodes[at].view().len();
            if self.nodes[at].role == Role::Leading && !is_most(self.known_followers(at, at), view) {
                self.nodes[at].role = Role::Looking { since };
            }
        }
        for at in 0..self.nodes.len() {
            let Role::Following { leader, .. } = &self.nodes[at].role else {
                continue;
            };
            // A member of Keeper that was let go is led no more.
            let is_led = |leader: usize| match self.nodes[at].member() {
                Some((_, false)) => self.may_follow(at, leader),
                _ => true,
            };
            let leads = |leader: usize| {
                self.nodes[leader].role == Role::Leading && self.are_linked(at, leader) && is_led(leader)
            };
            if !self.at(leader).is_some_and(leads) {
                self.nodes[at].role = Role::Looking { since };
            }
        }
    }

    /// A member that looks finds a leader that exists, and is in sync with it some time later.
    fn join(&mut self) {
        for at in 0..self.nodes.len() {
            match self.nodes[at].role.clone() {
                Role::Looking { .. } => {
                    if let Some(leader) = (0..self.nodes.len()).find(|&leader| self.may_follow(at, leader)) {
                        let leader = self.nodes[leader].name().to_owned();
                        self.nodes[at].role = Role::Following {
                            leader,
                            since: self.now,
                            is_synced: false,
                        };
                    }
                }
                Role::Following {
                    leader,
                    since,
                    is_synced: false,
                } if since + self.pace.copy_us <= self.now => {
                    if let Some(from) = self.at(&leader) {
                        self.sync(at, from);
                        self.nodes[at].role = Role::Following {
                            leader,
                            since,
                            is_synced: true,
                        };
                    }
                }
                _ => {}
            }
        }
    }

    fn may_follow(&self, at: usize, leader: usize) -> bool {
        let node = &self.nodes[at];
        if self.nodes[leader].role != Role::Leading || !self.are_linked(at, leader) {
            return false;
        }
        match node.member() {
            Some((_, true)) => {
                node.knows(self.nodes[leader].name())
                    && is_most(self.known_followers(at, leader), node.view().len())
            }
            // It is the leader who turns to a member of Keeper.
            Some((_, false)) => {
                self.nodes[leader].knows(node.name())
                    || self.wanted(leader).iter().any(|(_, name)| name == node.name())
            }
            None => false,
        }
    }

    /// A follower has what its leader has, and nothing else.
    fn sync(&mut self, at: usize, leader: usize) {
        self.nodes[at].tree = self.nodes[leader].tree.clone();
        let epoch = self.nodes[at].tree.epoch.to_string();
        if matches!(self.nodes[at].member(), Some((_, true))) {
            let now = self.now;
            self.nodes[at]
                .machine
                .write(EPOCH, &epoch, 0o644, "zookeeper", now);
        }
    }

    /// Those who have looked for long enough choose one of them.
    fn elect(&mut self) {
        if let Some((leader, supporters)) = self.choice(&self.looking(self.now - self.pace.elect_us)) {
            self.lead(leader, &supporters);
        }
    }

    /// Those who have looked for a leader since then, or for longer.
    fn looking(&self, since: i64) -> Vec<usize> {
        let is_due =
            |&at: &usize| matches!(self.nodes[at].role, Role::Looking { since: from } if from <= since);
        (0..self.nodes.len()).filter(is_due).collect()
    }

    /// Members that look for a leader choose one and follow it; some lists of members never come to a choice.
    fn choice(&self, looking: &[usize]) -> Option<(usize, Vec<usize>)> {
        let vote = |voter: usize| {
            let seen = looking.iter().copied().filter(|&other| {
                self.are_linked(voter, other) && self.nodes[voter].knows(self.nodes[other].name())
            });
            seen.filter(|&other| self.may_lead(other))
                .max_by_key(|&other| rank(&self.nodes[other]))
        };
        let votes: Vec<(usize, usize)> = looking
            .iter()
            .filter_map(|&voter| Some((voter, vote(voter)?)))
            .collect();
        let chosen = |knower: usize, leader: usize| {
            let supporters = votes.iter().filter(|(voter, vote)| {
                *vote == leader
                    && self.are_linked(knower, *voter)
                    && self.nodes[knower].knows(self.nodes[*voter].name())
            });
            is_most(supporters.count(), self.nodes[knower].view().len())
        };
        let &leader = looking.iter().find(|&&leader| {
            let supporters = votes
                .iter()
                .filter(|&&(voter, vote)| vote == leader && chosen(voter, leader))
                .filter(|&&(voter, _)| self.nodes[leader].knows(self.nodes[voter].name()));
            chosen(leader, leader) && is_most(supporters.count(), self.nodes[leader].view().len())
        })?;
        let supporters: Vec<usize> = votes
            .iter()
            .filter(|&&(voter, vote)| vote == leader && voter != leader && chosen(voter, leader))
            .map(|&(voter, _)| voter)
            .collect();
        Some((leader, supporters))
    }

    /// Whether a member could be the leader: a Keeper whose file does not name it would let itself go.
    fn may_lead(&self, at: usize) -> bool {
        let is_keeper = matches!(self.nodes[at].member(), Some((_, false)));
        let name = self.nodes[at].name();
        !is_keeper || self.wanted(at).iter().any(|(_, wanted)| wanted == name)
    }

    fn lead(&mut self, leader: usize, followers: &[usize]) {
        let others = |at: &usize| self.nodes[*at].role == Role::Leading;
        if let Some(other) = (0..self.nodes.len()).find(others) {
            let (one, other) = (self.nodes[leader].name(), self.nodes[other].name());
            self.report(format!("{one} leads a quorum beside that of {other}"));
        }
        let epochs = followers.iter().map(|&at| self.nodes[at].tree.epoch);
        let epoch = epochs.fold(self.nodes[leader].tree.epoch, u64::max) + 1;
        let node = &mut self.nodes[leader];
        if node.tree.raft.is_empty()
            && let Some((process, false)) = node.member()
        {
            node.tree.raft = process.members.clone();
        }
        self.nodes[leader].tree.epoch = epoch;
        self.nodes[leader].role = Role::Leading;
        self.sync(leader, leader);
        let since = self.now;
        let name = self.nodes[leader].name().to_owned();
        for &at in followers {
            self.sync(at, leader);
            self.nodes[at].role = Role::Following {
                leader: name.clone(),
                since,
                is_synced: true,
            };
        }
        let tree = &self.nodes[leader].tree;
        let mut forgotten = self
            .agreed
            .parts
            .keys()
            .filter(|part| !tree.parts.contains_key(part));
        if let Some(part) = forgotten.next() {
            self.report(format!(
                "the quorum that {name} leads does not know of {part}, which was agreed upon"
            ));
        }
    }

    /// The members that a Keeper's file names, as it has read it.
    fn wanted(&self, at: usize) -> Vec<(u32, String)> {
        let server = self.nodes[at].server.as_ref();
        server.map(|server| server.wanted.clone()).unwrap_or_default()
    }

    /// A Keeper that leads makes the members those that its file names: first it adds its followers, then it removes others.
    fn change_members(&mut self) {
        let Some(leader) = (0..self.nodes.len()).find(|&at| self.nodes[at].role == Role::Leading) else {
            return;
        };
        let (node, wanted) = (&self.nodes[leader], self.wanted(leader));
        if !matches!(node.member(), Some((_, false))) || wanted.is_empty() {
            return;
        }
        let is_in_step = |name: &str| {
            self.followers(leader)
                .iter()
                .any(|&at| self.nodes[at].name() == name)
        };
        let present = &node.tree.raft;
        let mut next = present.clone();
        if let Some(new) = wanted
            .iter()
            .find(|(id, _)| !present.iter().any(|(other, _)| other == id))
        {
            if !is_in_step(&new.1) {
                return;
            }
            next.push(new.clone());
        } else if let Some(gone) = present
            .iter()
            .find(|(id, _)| !wanted.iter().any(|(other, _)| other == id))
        {
            // It would have to let itself go: another one leads first.
            if gone.1 == node.name() {
                let another = self
                    .followers(leader)
                    .into_iter()
                    .find(|&at| at != leader && self.may_lead(at));
                if another.is_some() {
                    self.nodes[leader].role = Role::Looking { since: self.now };
                }
                return;
            }
            next.retain(|member| member != gone);
            if !is_most(
                next.iter().filter(|(_, name)| is_in_step(name)).count(),
                next.len(),
            ) {
                return;
            }
        } else {
            return;
        }
        self.commit(|tree| tree.raft = next);
    }

    /// Changes the tree where a leader and a majority can agree; whether they did.
    pub fn commit(&mut self, change: impl FnOnce(&mut Tree)) -> bool {
        let alone = (0..self.nodes.len()).find(|&at| self.nodes[at].role == Role::Standalone);
        let leader = (0..self.nodes.len()).find(|&at| self.nodes[at].role == Role::Leading);
        let Some(leader) = leader.or(alone) else {
            return false;
        };
        let mut tree = self.nodes[leader].tree.clone();
        change(&mut tree);
        tree.zxid += 1;
        for at in self.followers(leader) {
            self.nodes[at].tree = tree.clone();
        }
        self.agreed = tree;
        true
    }

    /// Remembers who the members are.
    fn note(&mut self) {
        let mut leaders = self
            .nodes
            .iter()
            .filter(|node| matches!(node.role, Role::Leading));
        if let Some(leader) = leaders.next() {
            self.members = leader.view();
        } else if let [node] = self.nodes.as_slice()
            && node.role == Role::Standalone
        {
            self.members = vec![(1, node.name().to_owned())];
        }
    }

    /// Whether a host's member counts for the quorum: it serves, or is about to, for a leader is being found. Where those
    /// who look come to no choice, nobody serves, and nobody is about to.
    pub fn counts(&self, node: &Node) -> bool {
        let is_member = self.members.iter().any(|(_, name)| name == node.name());
        let knows_all = || node.tree.zxid >= self.agreed.zxid;
        let is_well = match &node.role {
            Role::Looking { .. } => {
                !node.is_cut && knows_all() && self.choice(&self.looking(self.now)).is_some()
            }
            place => place.serves(),
        };
        is_member && is_well
    }

    /// Another member leads, where one could.
    pub fn step_down(&mut self) {
        let Some(leader) = (0..self.nodes.len()).find(|&at| self.nodes[at].role == Role::Leading) else {
            return;
        };
        let mut others = self.followers(leader);
        others.retain(|&at| {
            at != leader && self.nodes[leader].knows(self.nodes[at].name()) && self.may_lead(at)
        });
        let Some(next) = others.into_iter().max_by_key(|&at| rank(&self.nodes[at])) else {
            return;
        };
        let mut followers = self.followers(leader);
        followers.retain(|&at| at != next && self.nodes[at].knows(self.nodes[next].name()));
        self.nodes[leader].role = Role::Looking { since: self.now };
        self.lead(next, &followers);
    }
}

/// The member that knows most is the best leader; of equals the one with the highest number.
fn rank(node: &Node) -> (u64, u64, u32) {
    (node.tree.epoch, node.tree.zxid, node.id())
}
