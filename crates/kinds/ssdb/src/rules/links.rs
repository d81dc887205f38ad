//! Links: which host mirrors which, as servers tell and as their files say.

use std::net::IpAddr;

use types::HostName;

use crate::observe::{Info, Link, Member, View};
use formats::ssdb_conf::{Conf, Place, place, slaveofs};

impl<'v> View<'v> {
    /// The link of a running mirror to a peer.
    pub(crate) fn link<'i>(&self, from: &'i Info, to: &HostName) -> Option<&'i Link> {
        from.links.iter().find(|link| self.leads_to(link, to))
    }

    /// Whether a link leads to a host: by its name or address, or by the id that is its name.
    fn leads_to(&self, link: &Link, to: &HostName) -> bool {
        let (host, port) = link.at.rsplit_once(':').unwrap_or((&link.at, ""));
        port == self.settings.port.to_string() && (self.is_at(to, host) || link.id == to.as_str())
    }

    /// Whether a link says SYNC over a connection that its master does not have: after a power loss there, or where it goes
    /// to another host. Nothing is known where the master has a mirror that could be this one at an address we do not know.
    pub(crate) fn is_unheard(&self, mirror: &Member<'_>, master: &Member<'_>) -> bool {
        let (Some(info), Some(of_master)) = (mirror.server.up(), master.server.up()) else {
            return false;
        };
        let is_open = self
            .link(info, master.host)
            .is_some_and(|link| link.is_mirror && link.status == "SYNC");
        let is_own = |client: &String| mirror.addresses.contains(client);
        let is_known = |client: &String| self.hosts.all().any(|member| member.addresses.contains(client));
        is_open
            && !mirror.addresses.is_empty()
            && !of_master
                .clients
                .iter()
                .any(|client| is_own(client) || !is_known(client))
    }

    /// The master to which a link leads by its name, and where it went: that one is connected twice. Its changes are lacking,
    /// and the position under its name is another's.
    pub(crate) fn misled(&self, mirror: &Member<'_>) -> Option<(&'v HostName, &'v HostName)> {
        let info = mirror.server.up()?;
        let goes_to = |other: &&Member<'_>| {
            let rows = other.server.up().map_or(&[][..], |info| info.clients.as_slice());
            rows.iter()
                .filter(|client| mirror.addresses.contains(client))
                .count()
                > 1
        };
        let wrong = self
            .hosts
            .all()
            .filter(|other| other.host != mirror.host)
            .find(goes_to)?;
        let mut masters = self.hosts.listed.iter().chain(self.departing());
        let lost = masters.find(|master| {
            let link = self.link(info, master.host);
            let is_name = link.is_some_and(|link| {
                let host = link
                    .at
                    .rsplit_once(':')
                    .map_or(link.at.as_str(), |(host, _)| host);
                host.parse::<IpAddr>().is_err()
            });
            is_name && master.host != wrong.host && self.is_unheard(mirror, master)
        })?;
        Some((lost.host, wrong.host))
    }

    /// Whether a name or address is a host's.
    pub(crate) fn is_at(&self, host: &HostName, place: &str) -> bool {
        place == host.as_str()
            || place == self.settings.place(host)
            || self
                .hosts
                .any(host)
                .is_some_and(|member| member.addresses.iter().any(|own| own == place))
    }

    /// Whether a host mirrors at least one of the others, or would if it ran: it is no new member. Departing members
    /// are among the others.
    pub(crate) fn is_mirror(&self, member: &Member<'_>) -> bool {
        let departing = self.departing().map(|former| former.host);
        let mut peers = self.settings.peers(member.host).chain(departing);
        match (member.server.up(), member.conf()) {
            (Some(info), _) => peers.any(|peer| self.link(info, peer).is_some()),
            (None, Some(conf)) => peers.any(|peer| self.names(conf, peer)),
            (None, None) => false,
        }
    }

    /// Whether a file has a line `slaveof` that leads to a host.
    pub(crate) fn names(&self, conf: &Conf, peer: &HostName) -> bool {
        let mut lines = slaveofs(conf).into_iter();
        lines.any(|at| self.line_leads_to(conf, at, peer))
    }

    /// Whether a line `slaveof` leads to a host.
    pub(crate) fn line_leads_to(&self, conf: &Conf, at: Place, to: &HostName) -> bool {
        self.is_at(to, place(conf, at)) || conf.child(at, "id") == Some(to.as_str())
    }

    /// Whether a host mirrors another, or will when it starts. One that copies in one direction only is no member.
    pub(crate) fn mirrors(&self, from: &Member<'_>, to: &HostName) -> bool {
        let runs_so = |info: &Info| self.link(info, to).is_some_and(|link| link.is_mirror);
        let says_so = |conf: &Conf| {
            let mut lines = slaveofs(conf).into_iter();
            lines.any(|at| conf.child(at, "type") == Some("mirror") && self.line_leads_to(conf, at, to))
        };
        from.server.up().is_some_and(runs_so) || from.conf().is_some_and(says_so)
    }
}
