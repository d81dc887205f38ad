//! Replication: members tell each other the configuration, elect, and copy.
//!
//! After the server's rules (<https://www.mongodb.com/docs/manual/core/replica-set-elections/>): a configuration of a
//! later term and version wins; a member with the votes of a majority, none of which has more than it, becomes the
//! primary; a primary that hears of a later term, or of no majority, steps down, and notices later than the others elect
//! a new one.

use std::cmp::Reverse;

use super::node::{Disk, Node};
use super::set::Set;
use formats::replset::{MemberConfig, SetConfig};

impl Set {
    /// Lets everything happen that is due by now.
    pub fn settle(&mut self) {
        for at in 0..self.nodes.len() {
            let ends_us = self.nodes[at]
                .process
                .as_ref()
                .and_then(|process| process.ends_us);
            if ends_us.is_some_and(|ends| ends <= self.now_us) {
                self.end(at);
            }
        }
        // One thing is the reason for the next: a vote, a configuration, a copy.
        for _ in 0..20 {
            let is_spread = self.spread();
            let is_resigned = self.resign();
            self.watch();
            let is_elected = self.elect();
            let is_copied = self.copy();
            if !(is_spread || is_resigned || is_elected || is_copied) {
                return;
            }
        }
    }

    /// The next moment at which something is due.
    pub(super) fn next_due(&self) -> Option<i64> {
        let elect = self.pace.elect_us;
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        let moments = processes.flat_map(|process| {
            [
                Some(process.answers_us),
                process.synced_us,
                process.leaderless_us.map(|since| since + elect),
                process.without_majority_us.map(|since| since + self.notice_us()),
                process.takeover_us.map(|since| since + elect),
                Some(process.stands_back_us),
                Some(process.told_us),
                process.ends_us,
            ]
        });
        moments.flatten().filter(|moment| *moment > self.now_us).min()
    }

    /// How long a primary takes to notice that it leads no majority.
    fn notice_us(&self) -> i64 {
        self.pace.elect_us + self.pace.elect_us / 2
    }

    /// Whether two servers answer, can reach each other, and let each other in.
    pub(super) fn is_linked(&self, one: usize, other: usize) -> bool {
        let (a, b) = (&self.nodes[one], &self.nodes[other]);
        match (a.server(self.now_us), b.server(self.now_us)) {
            (Some(_), Some(_)) if one == other => true,
            (Some(its), Some(others)) => !a.is_cut && !b.is_cut && its.knows(others),
            _ => false,
        }
    }

    /// The host on which a member runs, if its server answers.
    pub(super) fn at(&self, member: &str) -> Option<usize> {
        let is_it = |node: &Node| node.server(self.now_us).is_some() && node.member_name() == member;
        self.nodes.iter().position(is_it)
    }

    /// Servers of one set learn the latest term and configuration from each other; those that wait for a configuration,
    /// from one that counts them in. What a new primary wrote into the configuration they hear with the next heartbeat: for
    /// 1 to 2 s after a step-down it is not committed (seen on 4.9).
    fn spread(&mut self) -> bool {
        let mut is_changed = false;
        for (to, from) in self.pairs() {
            if !self.is_linked(from, to) || self.nodes[from].own().is_none() {
                continue;
            }
            let source = &self.nodes[from].disk;
            let (Some(news), term) = (&source.config, source.term) else {
                continue;
            };
            let node = &self.nodes[to];
            let is_told = self.nodes[from]
                .process
                .as_ref()
                .is_some_and(|process| process.told_us <= self.now_us);
            let is_news = match &node.disk.config {
                Some(known) if known.set_id() != news.set_id() => continue,
                _ if !is_told => false,
                None => news.member(&node.member_name()).is_some(),
                Some(known) => (known.term(), known.version()) < (news.term(), news.version()),
            };
            let news = news.clone();
            let disk = &mut self.nodes[to].disk;
            if is_news {
                disk.config = Some(news);
            }
            if disk.config.is_some() {
                is_changed |= is_news || disk.term < term;
                disk.term = disk.term.max(term);
            }
        }
        is_changed
    }

    /// Each host with each other.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let all = 0..self.nodes.len();
        let pairs = all
            .clone()
            .flat_map(|one| all.clone().map(move |other| (one, other)));
        pairs.filter(|(one, other)| one != other).collect()
    }

    /// Primaries that heard of a later term, were taken out, or were left alone for long are primaries no more.
    fn resign(&mut self) -> bool {
        let mut is_changed = false;
        for at in 0..self.nodes.len() {
            if !self.nodes[at].is_primary() {
                continue;
            }
            let has_majority = self.has_majority(at);
            let (now, notice) = (self.now_us, self.notice_us());
            let node = &mut self.nodes[at];
            let is_out = node.own().is_none_or(|own| own.priority() <= 0.0);
            let Some(process) = &mut node.process else {
                continue;
            };
            let since = process.without_majority_us.unwrap_or(now);
            process.without_majority_us = (!has_majority).then_some(since);
            let is_left = process
                .without_majority_us
                .is_some_and(|since| since + notice <= now);
            if is_out || is_left || process.leads < Some(node.disk.term) {
                process.leads = None;
                process.without_majority_us = None;
                is_changed = true;
            }
        }
        is_changed
    }

    /// Whether a majority of those that vote, as the member itself knows the set, can be reached by it.
    pub(super) fn has_majority(&self, at: usize) -> bool {
        let config = self.nodes[at].disk.config.as_ref();
        config.is_some_and(|config| self.voters_near(at, config).len() * 2 > config.voters())
    }

    /// The voters of a configuration that a member reaches and that are in its set, itself among them.
    pub(super) fn voters_near(&self, at: usize, config: &SetConfig) -> Vec<usize> {
        let voters = config.members().into_iter().filter(MemberConfig::votes);
        let near = voters.filter_map(|member| self.at(member.name()));
        near.filter(|voter| self.is_linked(at, *voter) && self.nodes[*voter].own().is_some())
            .collect()
    }

    /// The primary that a member follows: one that it reaches, and that counts it in.
    pub(super) fn leader_of(&self, at: usize) -> Option<usize> {
        let name = self.nodes[at].member_name();
        let leads = |other: &usize| {
            let leader = &self.nodes[*other];
            let config = leader.disk.config.as_ref();
            leader.is_primary()
                && self.is_linked(at, *other)
                && config.is_some_and(|config| config.member(&name).is_some())
        };
        let leaders = (0..self.nodes.len()).filter(leads);
        leaders.max_by_key(|leader| self.nodes[*leader].process.as_ref().and_then(|it| it.leads))
    }

    fn weight(&self, at: usize) -> f64 {
        self.nodes[at].own().map_or(0.0, |own| own.priority())
    }

    /// Members notice that there is no primary, or one of less weight than their own.
    fn watch(&mut self) {
        for at in 0..self.nodes.len() {
            let leader = self.leader_of(at);
            let is_member = self.nodes[at].own().is_some() && self.nodes[at].server(self.now_us).is_some();
            let may_take_over = leader.is_some_and(|leader| {
                leader != at && self.nodes[at].keeps_up() && self.weight(at) > self.weight(leader)
            });
            let now = self.now_us;
            if let Some(process) = &mut self.nodes[at].process {
                let since = process.leaderless_us.unwrap_or(now);
                process.leaderless_us = (leader.is_none() && is_member).then_some(since);
                let since = process.takeover_us.unwrap_or(now);
                process.takeover_us = may_take_over.then_some(since);
            }
        }
    }

    /// Members whose time has come stand for election, those of the most weight first.
    fn elect(&mut self) -> bool {
        let mut candidates: Vec<usize> = (0..self.nodes.len()).filter(|at| self.stands(*at)).collect();
        candidates.sort_by(|a, b| self.weight(*b).total_cmp(&self.weight(*a)));
        let winner = candidates.into_iter().find(|at| self.would_win(*at));
        if let Some(winner) = winner {
            self.win(winner);
        }
        winner.is_some()
    }

    fn stands(&self, at: usize) -> bool {
        let Some(process) = self.nodes[at].server(self.now_us) else {
            return false;
        };
        let is_due =
            |since: Option<i64>| since.is_some_and(|since| since + self.pace.elect_us <= self.now_us);
        (is_due(process.leaderless_us) || is_due(process.takeover_us))
            && process.leads.is_none()
            && process.ends_us.is_none()
            && process.stands_back_us <= self.now_us
    }

    /// Whether a majority gives a member its vote.
    pub(super) fn would_win(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        let (Some(own), Some(config)) = (node.own(), &node.disk.config) else {
            return false;
        };
        let grants = |voter: &usize| {
            let its = &self.nodes[*voter].disk;
            let known = its.config.as_ref().map(|known| (known.term(), known.version()));
            known <= Some((config.term(), config.version())) && its.data.at <= node.disk.data.at
        };
        let votes = self.voters_near(at, config).into_iter().filter(grants).count();
        own.priority() > 0.0 && !own.is_arbiter() && node.disk.has_data && votes * 2 > config.voters()
    }

    /// A member becomes the primary: in a new term, which it writes into the configuration and the oplog.
    pub(super) fn win(&mut self, at: usize) {
        let Some(config) = self.nodes[at].disk.config.clone() else {
            return;
        };
        let is_near = |other: &usize| self.is_linked(at, *other) && self.nodes[*other].own().is_some();
        let near: Vec<usize> = (0..self.nodes.len()).filter(is_near).collect();
        let term = near
            .iter()
            .map(|other| self.nodes[*other].disk.term)
            .max()
            .unwrap_or(0)
            + 1;
        let before = self.nodes[at].disk.data.at;
        for other in near {
            let node = &mut self.nodes[other];
            node.disk.term = term;
            if let Some(process) = &mut node.process {
                process.leads = (other == at).then_some(term);
                process.is_synced = node.disk.has_data && node.disk.data.at == before;
                process.synced_us = None;
                process.leaderless_us = None;
                process.takeover_us = None;
                process.without_majority_us = None;
            }
        }
        // A heartbeat is a fifth of the time that elects, as by default.
        let told_us = self.now_us + self.pace.elect_us / 5;
        if let Some(process) = &mut self.nodes[at].process {
            process.told_us = told_us;
        }
        let disk = &mut self.nodes[at].disk;
        disk.data.at = (term, before.1 + 1);
        disk.config = Some(config.in_term(term));
    }

    /// Members that reach the primary get what it has, at once where they had all before.
    fn copy(&mut self) -> bool {
        let mut is_changed = false;
        for at in 0..self.nodes.len() {
            let source = self.leader_of(at).filter(|leader| *leader != at);
            let data = source.map(|source| self.nodes[source].disk.data.clone());
            let (now, copy_us) = (self.now_us, self.pace.copy_us);
            let node = &mut self.nodes[at];
            let may_copy = !node.is_copying && node.own().is_some_and(|own| !own.is_arbiter());
            let Disk {
                data: own,
                has_data,
                reached_us,
                ..
            } = &mut node.disk;
            let Some(process) = node.process.as_mut().filter(|process| process.leads.is_none()) else {
                continue;
            };
            if process.is_synced {
                *reached_us = now;
            }
            let Some(data) = data.filter(|_| may_copy) else {
                process.is_synced = false;
                process.synced_us = None;
                continue;
            };
            process.is_synced |= *has_data && *own == data;
            if !process.is_synced {
                let due = *process.synced_us.get_or_insert(now + copy_us);
                process.is_synced = due <= now;
            }
            if process.is_synced {
                process.synced_us = None;
                is_changed |= !*has_data || *own != data;
                (*own, *has_data, *reached_us) = (data, true, now);
            }
        }
        is_changed
    }

    /// Whether a majority has what the primary has: of those that vote and keep data.
    pub(super) fn is_majority_served(&self, primary: usize) -> bool {
        let Some(config) = &self.nodes[primary].disk.config else {
            return false;
        };
        let members = config.members().into_iter();
        let keep = members
            .filter(|member| member.votes() && !member.is_arbiter())
            .count();
        let has = |voter: &usize| {
            *voter == primary || (self.nodes[*voter].keeps_up() && self.leader_of(*voter) == Some(primary))
        };
        let have = self.voters_near(primary, config).into_iter().filter(has).count();
        // With arbiters there may be fewer that keep data than make a majority: then all must have it.
        have >= (config.voters() / 2 + 1).min(keep)
    }

    /// Whether a majority has the primary's configuration.
    pub(super) fn is_committed(&self, primary: usize) -> bool {
        let Some(config) = &self.nodes[primary].disk.config else {
            return false;
        };
        let has = |voter: &usize| self.nodes[*voter].disk.config.as_ref() == Some(config);
        self.voters_near(primary, config).into_iter().filter(has).count() * 2 > config.voters()
    }

    /// The primary that clients would use: of the latest term, and not cut off where there is another.
    pub fn leader(&self) -> Option<usize> {
        let answers = |at: &usize| {
            self.nodes[*at]
                .server(self.now_us)
                .is_some_and(|server| server.leads.is_some())
        };
        let leaders = (0..self.nodes.len()).filter(answers);
        leaders.min_by_key(|at| (self.nodes[*at].is_cut, Reverse(self.nodes[*at].disk.term)))
    }

    /// The member that could take over from the primary at once, and would have a majority without it.
    pub(super) fn next_primary(&self, primary: usize) -> Option<usize> {
        let could = |at: &usize| {
            let node = &self.nodes[*at];
            let Some(config) = &node.disk.config else {
                return false;
            };
            let others = self
                .voters_near(*at, config)
                .into_iter()
                .filter(|voter| *voter != primary);
            *at != primary
                && self.leader_of(*at) == Some(primary)
                && node.keeps_up()
                && node
                    .server(self.now_us)
                    .is_some_and(|server| server.stands_back_us <= self.now_us && server.ends_us.is_none())
                && self.would_win(*at)
                && others.count() * 2 > config.voters()
        };
        (0..self.nodes.len()).find(could)
    }
}
