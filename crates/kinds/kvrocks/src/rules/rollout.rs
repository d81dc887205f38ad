//! A change that makes members unavailable one after another, under a known master.

use plan::Refusal;
use types::HostName;

use super::role_assignment::is_in_doubt;
use super::roles::Roles;
use super::sentinels::{candidates, quorum};
use crate::observe::{Member, View};
use kit::Cx;

/// A rolling change.
pub(crate) struct Rollout<'v, 'a, 'c> {
    pub(crate) cx: &'v Cx<'c>,
    pub(crate) view: &'v View<'a>,
    pub(crate) roles: &'v Roles,
    pub(crate) master: &'v HostName,
}

impl<'v, 'a> Rollout<'v, 'a, '_> {
    /// The refusal to restart a host while the sentinels reach no quorum.
    pub(crate) fn without_quorum(&self, host: &HostName) -> Option<Refusal> {
        let why = quorum(self.view).err()?;
        let refusal = Refusal::new(
            format!("{host} is not restarted"),
            format!("no master could be elected while it is down: {why}"),
            "bring the missing sentinels back first",
        );
        Some(refusal.on(host).passing())
    }

    /// A member of another host whose sentinel watches the master.
    pub(crate) fn other_sentinel(&self, host: &HostName) -> Option<&'v Member<'a>> {
        let mut watching = self.view.watching().into_iter().map(|watch| watch.member);
        watching.find(|member| member.host != host)
    }

    /// The member whose sentinel is told to fail over: not the old master's, where there is another, and one with whose
    /// role and data nothing is wrong.
    pub(crate) fn sentinel_to_ask(&self) -> Option<&'v Member<'a>> {
        let watching = self.view.watching().into_iter().map(|watch| watch.member);
        let usable: Vec<&Member<'_>> = watching
            .filter(|member| self.cx.hosts.contains(member.host))
            .filter(|member| !is_in_doubt(self.view, self.roles, member, self.cx))
            .collect();
        let mut others = usable.iter().filter(|member| member.host != self.master);
        others.next().or(usable.first()).copied()
    }

    /// Whether a replica can become the master, as a sentinel sees it.
    pub(crate) fn has_candidate(&self) -> bool {
        let watching = self.view.watching();
        watching.iter().any(|watch| candidates(watch).next().is_some())
    }
}
