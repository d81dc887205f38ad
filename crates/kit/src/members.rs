//! The members of a service, and hosts that may have been members.

use types::HostName;

/// What is known of one host of a service.
pub trait Member {
    /// The host.
    fn host(&self) -> &HostName;
}

/// What is known of a service, host by host: the heart of a kind's view.
#[derive(Debug, Clone)]
pub struct Members<M> {
    /// The hosts that the inventory lists, in its order.
    pub listed: Vec<M>,
    /// Other hosts of the inventory, which may be former members.
    pub former: Vec<M>,
}

impl<M: Member> Members<M> {
    /// Observes each host.
    pub fn observe<'h>(
        listed: impl IntoIterator<Item = &'h HostName>,
        former: impl IntoIterator<Item = &'h HostName>,
        observe: impl Fn(&'h HostName) -> M,
    ) -> Self {
        Self {
            listed: listed.into_iter().map(&observe).collect(),
            former: former.into_iter().map(&observe).collect(),
        }
    }

    /// A listed host.
    pub fn listed(&self, host: &HostName) -> Option<&M> {
        self.listed.iter().find(|member| member.host() == host)
    }

    /// Any host.
    pub fn any(&self, host: &HostName) -> Option<&M> {
        self.all().find(|member| member.host() == host)
    }

    /// All hosts, the listed ones first.
    pub fn all(&self) -> impl Iterator<Item = &M> {
        self.listed.iter().chain(&self.former)
    }
}
