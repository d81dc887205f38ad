//! Former members: hosts that the service does not list any more.
//!
//! They are told by what is there: members name them as masters, or they name members, or the service's unit runs there
//! and takes our password, as where all members are replaced at once. A host that has left is stopped and
//! does not start at boot; until then clients may write there, and mirrors pass on only what clients write to them, so
//! every member mirrors it to the end.

use std::collections::BTreeSet;

use protocol::facts::UnitFact;

use crate::observe::{Member, View};
use formats::ssdb_conf::{place, slaveofs};
use kit::Probe;

/// Those that leave with this plan: names of hosts, or where the inventory has none, what the files say.
#[derive(Default)]
pub(crate) struct Departing<'a>(pub(crate) BTreeSet<&'a str>);

impl Departing<'_> {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

impl<'a> View<'a> {
    /// Former members that have not left.
    pub(crate) fn departing(&self) -> impl Iterator<Item = &Member<'a>> {
        let formers = self.hosts.former.iter().filter(|other| self.is_former(other));
        formers.filter(|former| !former.has_left())
    }

    fn is_former(&self, other: &Member<'_>) -> bool {
        let is_like_ours = other.is_active() && other.server.up().is_some_and(|info| info.asks_password);
        is_like_ours
            || self.is_mirrored(other)
            || self
                .hosts
                .listed
                .iter()
                .any(|member| self.mirrors(other, member.host))
    }

    /// Whether members get the changes of a former member: they mirror it, or are all as new as can be, and will.
    pub(crate) fn is_source(&self, former: &Member<'_>) -> bool {
        let is_new = |member: &Member<'_>| !member.may_hold_data(self.settings) && !self.is_mirror(member);
        match former.server {
            Probe::Up(_) => self.is_mirrored(former) || self.hosts.listed.iter().all(is_new),
            _ => self.is_to_start(former),
        }
    }

    /// Whether a former member is started once more, so that members copy what they may lack: it is off, and would be on
    /// after a boot.
    pub(crate) fn is_to_start(&self, former: &Member<'_>) -> bool {
        let is_off = |unit: &UnitFact| unit.exists() && !unit.is_active();
        former.unreachable.is_none()
            && former.unit.as_ref().is_ok_and(|unit| is_off(unit))
            && !former.has_left()
            && self.is_mirrored(former)
    }

    /// Whether a member mirrors a host that is none.
    pub(crate) fn is_mirrored(&self, other: &Member<'_>) -> bool {
        self.hosts
            .listed
            .iter()
            .any(|member| self.mirrors(member, other.host))
    }

    /// The masters in members' files that are no host of the inventory, so that nobody can look there.
    pub(crate) fn strangers(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for member in &self.hosts.listed {
            let Some(conf) = member.conf() else { continue };
            for at in slaveofs(conf) {
                let mut known = self.hosts.all();
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

impl Member<'_> {
    /// Whether it is stopped for good.
    pub(crate) fn has_left(&self) -> bool {
        let is_off = |unit: &UnitFact| !unit.is_active() && !unit.is_enabled();
        self.unreachable.is_none()
            && self.unit.as_ref().is_ok_and(|unit| is_off(unit))
            && matches!(self.server, Probe::Down(_))
    }
}
