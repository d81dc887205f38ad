//! The quorum that keeps the replicas' common state: a membership, and the voters as they see themselves.

use types::HostName;

use super::membership::Membership;
use crate::observe::coordination::voter::{Voter, VoterState};
use crate::observe::view::{Member, View};

/// The quorum.
pub(crate) struct Quorum<'v> {
    pub(crate) view: &'v View<'v>,
    pub(crate) membership: Membership,
    /// The voters of the membership; of a quorum that is managed elsewhere, those that the inventory names.
    pub(crate) voters: Vec<Voter>,
    /// The names of the hosts that it consists of, as its leader has them, or a follower; `None` where no voter tells.
    pub(crate) current: Option<Vec<String>>,
}

impl<'v> Quorum<'v> {
    /// The quorum with the members that the inventory has.
    pub(crate) fn of_inventory(view: &'v View<'v>) -> Self {
        Self::new(view, view.settings.members().to_vec(), Vec::new())
    }

    /// The quorum with these voters, of whom some are departing.
    pub(crate) fn new(view: &'v View<'v>, voters: Vec<HostName>, departing: Vec<HostName>) -> Self {
        let states = voters.iter().map(|host| view.voter(host));
        let mut quorum = Self {
            view,
            voters: states.chain(view.external.iter().cloned()).collect(),
            membership: Membership {
                voters,
                joining: Vec::new(),
                departing,
            },
            current: None,
        };
        quorum.current = quorum.find_current();
        if let Some(current) = &quorum.current {
            let is_new = |host: &&HostName| !current.iter().any(|name| name == host.as_str());
            quorum.membership.joining = quorum.membership.voters.iter().filter(is_new).cloned().collect();
        }
        quorum
    }

    /// A leader knows the quorum best, be it one that is no member any more; then a follower.
    fn find_current(&self) -> Option<Vec<String>> {
        let voter = match self.leader() {
            Some(leader) => leader,
            None => match self.outside_leader() {
                Some(leader) => &leader.voter,
                None => self.voters.iter().find(|voter| voter.state.is_serving())?,
            },
        };
        let servers = self.view.member(voter.host.as_ref()?)?.running();
        (!servers.is_empty()).then(|| servers.iter().map(|(_, name)| name.clone()).collect())
    }

    /// The names of the hosts that it consists of, as far as a voter tells; else those of its membership.
    pub(crate) fn names(&self) -> Vec<String> {
        let wanted = || self.membership.voters.iter().map(HostName::to_string).collect();
        self.current.clone().unwrap_or_else(wanted)
    }

    /// How many voters it has. A Keeper's file may have lost one that its log still has: the leader counts those.
    pub(crate) fn size(&self) -> usize {
        let counted = self.view.members.all().filter_map(|member| member.voter.peers);
        counted
            .map(|peers| peers.saturating_add(1))
            .fold(self.names().len(), usize::max)
    }

    /// The names of the hosts that it consists of and that its membership is without.
    pub(crate) fn removed(&self) -> Vec<&str> {
        let names = self.current.iter().flatten().map(String::as_str);
        let wanted = |name: &&str| self.membership.voters.iter().any(|host| host.as_str() == *name);
        names.filter(|name| !wanted(name)).collect()
    }

    /// The voter on a host.
    pub(crate) fn on(&self, host: &HostName) -> Option<&Voter> {
        self.voters.iter().find(|voter| voter.host.as_ref() == Some(host))
    }

    pub(crate) fn leader(&self) -> Option<&Voter> {
        self.voters.iter().find(|voter| voter.state.is_leader())
    }

    /// Whether the voter on a host leads.
    pub(crate) fn leads(&self, host: &HostName) -> bool {
        self.on(host).is_some_and(|voter| voter.state.is_leader())
    }

    /// The leader that its membership is without: a former voter.
    pub(crate) fn outside_leader(&self) -> Option<&Member<'v>> {
        self.view.members.all().find(|member| {
            !self.membership.has(member.host) && self.was_voter(member) && member.voter.state.is_leader()
        })
    }

    /// Whether the files of a host have it in a quorum with other voters of the membership.
    pub(crate) fn was_voter(&self, member: &Member<'_>) -> bool {
        member.on_disk.as_ref().is_some_and(|files| {
            let mut others = self.membership.voters.iter().filter(|host| *host != member.host);
            files.names(member.host.as_str()) && others.any(|host| files.names(host.as_str()))
        })
    }

    /// Whether it is available, with all voters or not. One voter alone is a quorum; and a follower has a leader, be it
    /// one that the inventory does not name any more.
    pub(crate) fn is_available(&self) -> bool {
        let is_alone =
            |state: &VoterState| self.voters.len() == 1 && matches!(state, VoterState::Standalone(_));
        let mut states = self.voters.iter().map(|voter| &voter.state);
        states.any(|state| state.is_serving() || is_alone(state))
    }

    /// Whether a host's voter is outside of the quorum that is available: it was down, or it is new.
    pub(crate) fn lacks(&self, host: &HostName) -> bool {
        self.is_available() && self.on(host).is_some_and(|voter| !voter.state.is_serving())
    }

    /// Whether most of the current voters are in the quorum. They are asked one after another: beside one that still names a
    /// leader which is gone by now, others may look for the next already.
    pub(crate) fn is_led(&self) -> bool {
        let Some(current) = &self.current else {
            return self.is_available();
        };
        let serves = |name: &&String| {
            name.parse()
                .is_ok_and(|host| self.view.voter(&host).state.is_serving())
        };
        current.iter().filter(serves).count() * 2 > current.len()
    }

    /// Whether servers rely on it, be it available at this moment or not: during an election there is no leader, and voters
    /// that run are no less in use.
    pub(crate) fn is_in_use(&self) -> bool {
        self.is_available() || self.view.has_tables()
    }

    /// Why it is not healthy; `None` where one voter leads and all others are in sync.
    pub(crate) fn trouble(&self) -> Option<String> {
        let others = self.voters.len().saturating_sub(1);
        if self.voters.len() == 1 && self.is_available() {
            return None;
        }
        if self.voters.iter().filter(|voter| voter.state.is_leader()).count() > 1 {
            return Some("more than one member leads".to_owned());
        }
        if let Some(voter) = self.voters.iter().find(|voter| !voter.state.is_serving()) {
            return Some(format!("{}: {}", voter.name, voter.state.describe()));
        }
        match self.leader().map(|leader| &leader.state) {
            None => Some("there is no leader".to_owned()),
            Some(VoterState::Leader(Some(followers))) if *followers < others => {
                Some(format!("{followers} of {others} followers are in sync"))
            }
            Some(_) => None,
        }
    }
}
