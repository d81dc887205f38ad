//! Availability: the members that serve with all the data that they can have, and those that are out of sync.

use types::HostName;

use crate::observe::{Info, Link, Member, View};

impl<'a> View<'a> {
    /// Whether a host serves now, as a mirror with all the data that it can have.
    pub(crate) fn serves(&self, member: &Member<'_>) -> bool {
        let Some(info) = member.server.up() else {
            return false;
        };
        let is_alone = self.settings.hosts.len() == 1;
        let is_copying = info.links.iter().any(|link| link.status == "COPY");
        (is_alone || self.is_mirror(member)) && !is_copying && self.fell_behind(member).is_none()
    }

    /// Whether a member that answers is still alone: connected to none of the others that answer, as right after its
    /// start, so that it does not have what they took meanwhile; or no other host reaches it, whatever links say. One whose
    /// password the others refuse stays so, and waiting does not help.
    pub(crate) fn is_cut_off(&self, member: &Member<'_>) -> bool {
        let Some(info) = member.server.up() else {
            return false;
        };
        let peers = self
            .settings
            .peers(member.host)
            .filter_map(|peer| self.hosts.listed(peer));
        let mut links = peers
            .filter(|peer| peer.server.up().is_some())
            .filter_map(|peer| self.link(info, peer.host))
            .peekable();
        let is_unlinked = links.peek().is_some() && links.all(|link| link.status == "DISCONNECTED");
        is_unlinked || member.is_out_of_reach
    }

    /// The running masters that a mirror copies from. One that was restarted in the middle of it sends nothing more, and
    /// the mirror notices when `recv_timeout` has passed.
    pub(crate) fn copied(&self, member: &Member<'_>) -> Vec<&'a HostName> {
        let Some(info) = member.server.up() else {
            return Vec::new();
        };
        let masters = self.hosts.listed.iter().chain(self.departing()).filter(|master| {
            let link = self
                .link(info, master.host)
                .filter(|_| master.server.up().is_some());
            link.is_some_and(|link| link.status == "COPY")
        });
        masters.map(|master| master.host).collect()
    }

    /// The peer whose binlog no longer has the changes that this mirror needs next: only a full copy helps.
    pub(crate) fn fell_behind(&self, member: &Member<'_>) -> Option<&'a HostName> {
        let mut links = self.out_of_sync(member);
        links
            .find(|(_, master, link)| link.last_seq < master.min_seq)
            .map(|(peer, ..)| peer)
    }

    /// The change that this master must go past, because peers are out of sync with it although they lack nothing:
    /// they remember more changes of it than it made since it was rebuilt (`backend_sync.cpp`).
    pub(crate) fn is_overtaken(&self, member: &Member<'_>) -> Option<u64> {
        let info = member.server.up()?;
        let peers = self.hosts.listed.iter().filter(|peer| peer.host != member.host);
        let positions = peers.filter_map(|peer| {
            let (_, _, link) = self
                .out_of_sync(peer)
                .find(|(master, ..)| *master == member.host)?;
            (link.last_seq >= info.min_seq).then_some(link.last_seq)
        });
        positions.max()
    }

    /// The number of the last change of a host that a running peer remembers.
    pub(crate) fn remembered(&self, host: &HostName) -> u64 {
        let peers = self.hosts.listed.iter().filter(|peer| peer.host != host);
        let links = peers.filter_map(|peer| self.link(peer.server.up()?, host));
        links.map(|link| link.last_seq).max().unwrap_or_default()
    }

    fn out_of_sync<'n>(
        &'n self,
        member: &'n Member<'_>,
    ) -> impl Iterator<Item = (&'a HostName, &'n Info, &'n Link)> {
        let info = member.server.up();
        let members = self
            .hosts
            .listed
            .iter()
            .filter(|master| master.host != member.host);
        let masters = members.chain(self.departing());
        masters.filter_map(move |master| {
            let link = self
                .link(info?, master.host)
                .filter(|link| link.status == "OUT_OF_SYNC")?;
            Some((master.host, master.server.up()?, link))
        })
    }
}
