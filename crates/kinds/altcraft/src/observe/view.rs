//! All that was observed.

use plan::Facts;

use super::member::Member;
use crate::settings::Settings;
use kit::{Cx, Members};

/// The hosts of the platform, and other hosts, which may have been.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) members: Members<Member<'a>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let observe = |host| Member::observe(settings, host, facts);
        Self {
            settings,
            members: Members::observe(&settings.hosts, &settings.others, observe),
        }
    }

    /// The members on a step's hosts.
    pub(crate) fn on<'v>(&'v self, cx: &'v Cx<'_>) -> impl Iterator<Item = &'v Member<'a>> {
        cx.hosts.iter().filter_map(|host| self.members.listed(host))
    }

    /// Another host of the inventory whose processes were observed.
    pub(crate) fn observed_other(&self, host: &str) -> Option<&Member<'a>> {
        let mut others = self.members.former.iter();
        others.find(|other| {
            let units_known = other.runs.iter().all(|run| run.unit.is_ok());
            other.host.as_str() == host && other.unreachable.is_none() && units_known
        })
    }
}
