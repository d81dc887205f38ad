//! A change that makes members unavailable one after another, under a known master: who can be elected in its place, by
//! which sentinels.

use types::HostName;

use crate::observe::replies::{field, is_flagged_down};
use crate::observe::view::{Member, View};
use crate::rules::role_assignment::is_stopped;
use crate::rules::roles::Roles;
use crate::settings::Settings;
use kit::Cx;

/// A rolling change.
pub(crate) struct Rollout<'v, 'a, 'c> {
    pub(crate) settings: &'v Settings,
    pub(crate) cx: &'v Cx<'c>,
    pub(crate) view: &'v View<'a>,
    pub(crate) roles: &'v Roles,
    pub(crate) master: &'v HostName,
}

impl Rollout<'_, '_, '_> {
    /// What CKQUORUM says on a sentinel; `None` where no sentinel watches.
    pub(crate) fn quorum(&self) -> Option<Result<(), String>> {
        let watching = self.view.watching();
        let mut verdicts = watching
            .iter()
            .map(|(member, sentinel, _)| match &sentinel.quorum {
                Ok(_) => Ok(()),
                Err(words) => Err(format!("the sentinel on {} says {words}", member.host)),
            });
        let first = verdicts.next()?;
        Some(verdicts.fold(first, Result::and))
    }

    /// A sentinel that watches the master on another host, on which nothing is in doubt.
    pub(crate) fn other_sentinel(&self, host: &HostName) -> Option<&Member<'_>> {
        let watching = self.view.watching();
        let other = watching.iter().find(|(member, ..)| member.host != host)?;
        self.view.member(other.0.host)
    }

    /// The sentinel that is told to fail over: not the old master's, where there is another, and on a host on which
    /// nothing is refused.
    pub(crate) fn sentinel_to_ask(&self) -> Option<&Member<'_>> {
        let watching = self.view.watching();
        let mut hosts: Vec<&HostName> = watching.iter().map(|(member, ..)| member.host).collect();
        hosts.retain(|host| self.cx.hosts.contains(host));
        hosts.retain(|host| {
            let member = self.view.member(host);
            member.is_some_and(|member| !is_stopped(self.view, self.roles, member, self.cx))
        });
        let other = hosts
            .iter()
            .find(|host| **host != self.master)
            .or(hosts.first())?;
        self.view.member(other)
    }

    /// Whether a replica could become the master as Sentinel sees it: up, linked, with a priority that is not 0
    /// (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Replica selection and priority").
    pub(crate) fn has_candidate(&self) -> bool {
        let watching = self.view.watching();
        watching.iter().any(|(_, sentinel, _)| {
            sentinel.replicas.iter().any(|row| {
                !is_flagged_down(row)
                    && field(row, "master-link-status") == "ok"
                    && field(row, "slave-priority") != "0"
            })
        })
    }
}
