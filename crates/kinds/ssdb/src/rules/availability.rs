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

    /// The peer whose changes this mirror lacks for good, so that only a full copy helps: they are no longer in the binlog
    /// there, or its position is another's, because its link went to another host.
    pub(crate) fn fell_behind(&self, member: &Member<'_>) -> Option<&'a HostName> {
        let lacks = |master: &HostName, info: &Info, link: &Link| {
            link.last_seq < info.min_seq || link.last_seq > info.max_seq && self.is_followed(master)
        };
        let mut links = self.out_of_sync(member);
        let behind = links.find(|(master, info, link)| lacks(master, info, link));
        let misled = || self.misled(member).map(|(master, _)| master);
        behind.map(|(peer, ..)| peer).or_else(misled)
    }

    /// Whether a peer is in sync with a master at a change that it has made: so it was not rebuilt.
    fn is_followed(&self, master: &HostName) -> bool {
        let max = self
            .hosts
            .any(master)
            .and_then(|master| master.server.up())
            .map_or(0, |info| info.max_seq);
        let links = self
            .hosts
            .listed
            .iter()
            .filter_map(|peer| self.link(peer.server.up()?, master));
        let mut links = links.filter(|link| link.status == "SYNC");
        links.any(|link| (1..=max).contains(&link.last_seq))
    }

    /// The change that this master must go past, because peers are out of sync with it although they lack nothing:
    /// they remember more changes of it than it made since it was rebuilt (`backend_sync.cpp`).
    pub(crate) fn is_overtaken(&self, member: &Member<'_>) -> Option<u64> {
        let info = member.server.up()?;
        let last = if self.is_followed(member.host) {
            info.max_seq
        } else {
            u64::MAX
        };
        let peers = self.hosts.listed.iter().filter(|peer| peer.host != member.host);
        let positions = peers.filter_map(|peer| {
            let (_, _, link) = self
                .out_of_sync(peer)
                .find(|(master, ..)| *master == member.host)?;
            (info.min_seq..=last)
                .contains(&link.last_seq)
                .then_some(link.last_seq)
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
