//! How members see each other, and how far they are behind the primary.

use formats::replset::MemberConfig;
use types::HostName;

use super::member::Member;
use super::replset_status::{MemberState, ReplSetStatus};
use super::view::View;

impl View<'_> {
    /// The set in the eyes of the primary, or where that was not asked, of a member that follows one.
    fn witness(&self) -> Option<&ReplSetStatus> {
        let mut statuses = self.in_set().filter_map(|(_, server)| server.status.as_ref());
        let primary = self.primary().and_then(|(_, server)| server.status.as_ref());
        primary.or_else(|| statuses.find(|status| status.primary().is_some()))
    }

    /// The name of the primary in the set, as far as any member knows.
    pub(crate) fn primary_name(&self) -> Option<&str> {
        Some(&self.witness()?.primary()?.name)
    }

    /// Whether the set has a primary, as far as any member knows.
    pub(crate) fn has_primary(&self) -> bool {
        self.witness().is_some()
    }

    /// The state of a host's member as the primary, or else any other member, sees it.
    pub(crate) fn state_of(&self, host: &HostName) -> Option<&MemberState> {
        self.state_of_member(self.names.of(host))
    }

    /// The same of a member by its name.
    pub(crate) fn state_of_member(&self, name: &str) -> Option<&MemberState> {
        let statuses = self.in_set().filter_map(|(_, server)| server.status.as_ref());
        let mut statuses = self.witness().into_iter().chain(statuses);
        statuses.find_map(|status| status.member(name))
    }

    /// How far a member is behind the primary, in seconds.
    pub(crate) fn lag_s(&self, host: &HostName) -> Option<i64> {
        self.lag_ms(host).map(|lag| lag / 1000)
    }

    /// Whether a member has replicated something since its process started, or has all there is. One that was down for a
    /// few seconds is only so far behind, whether it follows the primary by now or not. Where systemd does not tell when it
    /// started, it has not.
    pub(crate) fn replicates(&self, member: &Member<'_>) -> bool {
        let started_ms = member
            .unit
            .as_ref()
            .map_or(i64::MAX, |unit| unit.started_us / 1000);
        let at_ms = self.state_of(member.host).and_then(|state| state.at_ms);
        self.lag_ms(member.host) == Some(0)
            || at_ms.is_some_and(|at| at.saturating_add(self.delay_ms(member.host)) > started_ms)
    }

    fn lag_ms(&self, host: &HostName) -> Option<i64> {
        let witness = self.witness()?;
        let primary = witness.primary()?.at_ms?;
        let its = witness.member(self.names.of(host))?.at_ms?;
        let lag = primary.saturating_sub(its).saturating_sub(self.delay_ms(host));
        Some(lag.max(0))
    }

    /// How far a member stays behind on purpose.
    fn delay_ms(&self, host: &HostName) -> i64 {
        let config = self.config.as_ref();
        let member = config.and_then(|config| config.member(self.names.of(host)));
        member
            .as_ref()
            .map_or(0, MemberConfig::delay)
            .saturating_mul(1000)
    }
}
