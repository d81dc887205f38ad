//! Hosts that were members and are none any more.
//!
//! They are told by what is there: members name them as masters, or they name members, or the service's unit runs there
//! and takes our password, as where all members are replaced at once. A host that has left is stopped and
//! does not start at boot; until then clients may write there, and mirrors pass on only what clients write to them, so
//! every member mirrors it to the end.

use formats::ssdb_conf::{place, slaveofs};
use std::collections::BTreeSet;

use types::HostName;

use crate::observe::view::{Node, Server, View};
use formats::ssdb_conf::Conf;

/// Those that leave with this plan: names of hosts, or where the inventory has none, what the files say.
#[derive(Default)]
pub(crate) struct Leaving<'a>(pub(crate) BTreeSet<&'a str>);

impl Leaving<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

impl<'a> View<'a> {
    /// Former members that have not left.
    pub(crate) fn staying(&self) -> impl Iterator<Item = &Node<'a>> {
        let formers = self.others.iter().filter(|other| self.is_former(other));
        formers.filter(|former| !former.has_left())
    }

    fn is_former(&self, other: &Node<'_>) -> bool {
        let is_like_ours = other.is_active() && other.server.up().is_some_and(|info| info.asks_password);
        is_like_ours
            || self.is_mirrored(other)
            || self.nodes.iter().any(|member| self.mirrors(other, member.host))
    }

    /// Whether members get the changes of a former member: they mirror it, or are all as new as can be, and will.
    pub(crate) fn is_source(&self, former: &Node<'_>) -> bool {
        let is_new = |node: &Node<'_>| !node.may_hold_data(self.settings) && !self.is_mirror(node);
        match former.server {
            Server::Up(_) => self.is_mirrored(former) || self.nodes.iter().all(is_new),
            _ => self.is_to_start(former),
        }
    }

    /// Whether a former member is started once more, so that it hands over what members may lack: it is off, and would be on
    /// after a boot.
    pub(crate) fn is_to_start(&self, former: &Node<'_>) -> bool {
        let is_off = |unit: &protocol::facts::UnitFact| unit.exists() && !unit.is_active();
        former.unreachable.is_none()
            && former.unit.as_ref().is_ok_and(|unit| is_off(unit))
            && !former.has_left()
            && self.is_mirrored(former)
    }

    /// Whether a member mirrors a host that is none.
    pub(crate) fn is_mirrored(&self, other: &Node<'_>) -> bool {
        self.nodes.iter().any(|member| self.mirrors(member, other.host))
    }

    /// Whether a host mirrors another, or will when it starts. One that copies in one direction only is no member.
    pub(crate) fn mirrors(&self, from: &Node<'_>, to: &HostName) -> bool {
        let runs_so =
            |info: &crate::observe::replies::Info| self.link(info, to).is_some_and(|link| link.is_mirror);
        let says_so = |conf: &Conf| {
            let mut lines = slaveofs(conf).into_iter();
            lines.any(|at| conf.child(at, "type") == Some("mirror") && self.line_leads_to(conf, at, to))
        };
        let conf = from.conf.as_ref().and_then(|conf| conf.as_ref().ok());
        from.server.up().is_some_and(runs_so) || conf.is_some_and(says_so)
    }

    /// The masters in members' files that are no host of the inventory, so that nobody can look there.
    pub(crate) fn strangers(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for node in &self.nodes {
            let Some(Ok(conf)) = &node.conf else { continue };
            for at in slaveofs(conf) {
                let mut known = self.nodes.iter().chain(&self.others);
                if conf.child(at, "type") == Some("mirror")
                    && !known.any(|known| self.line_leads_to(conf, at, known.host))
                {
                    found.insert(place(conf, at).to_owned());
                }
            }
        }
        found
    }
}

impl Node<'_> {
    /// Whether it is stopped for good.
    pub(crate) fn has_left(&self) -> bool {
        let is_off = |unit: &protocol::facts::UnitFact| !unit.is_active() && !unit.is_enabled();
        self.unreachable.is_none()
            && self.unit.as_ref().is_ok_and(|unit| is_off(unit))
            && matches!(self.server, Server::Down(_))
    }
}
