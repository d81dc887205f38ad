//! The contact: the node that commands for the whole cluster run on, and that tells of the cluster.

use std::borrow::Cow;

use types::HostName;

use crate::observe::{Broker, Member, View};
use kit::Cx;

/// A contact, and the cluster as it tells it.
pub(crate) struct Contact<'v> {
    pub(crate) host: &'v HostName,
    pub(crate) broker: Cow<'v, Broker>,
}

/// Why there is no contact.
pub(crate) enum NoContact<'v> {
    /// No member of a cluster answers.
    Silent,
    /// The first host of the inventory would be it, and was not reached.
    FirstNotReached,
    /// The first host of the inventory would be it, and its state is not known.
    Unknown(&'v HostName, &'v str),
}

/// The first node that is up, in a cluster if there is one; else the first host, which this plan starts.
pub(crate) fn contact<'v>(view: &'v View<'_>, cx: &'v Cx<'_>) -> Result<Contact<'v>, NoContact<'v>> {
    let running = |member: &'v Member<'_>| Some((member.host, member.broker()?));
    let mut clustered = view.on(cx.hosts).filter_map(running);
    if let Some((host, broker)) = clustered.find(|(_, broker)| broker.is_clustered()) {
        let broker = Cow::Borrowed(broker);
        return Ok(Contact { host, broker });
    }
    let first = view.hosts.listed.first();
    let first = first.filter(|first| cx.hosts.first() == Some(first.host));
    let first = first.ok_or(NoContact::FirstNotReached)?;
    let host = first.host;
    match (&first.node, first.broker()) {
        (Err(unknown), _) => Err(NoContact::Unknown(host, unknown)),
        (Ok(_), Some(broker)) => {
            let broker = Cow::Borrowed(broker);
            Ok(Contact { host, broker })
        }
        (Ok(_), None) if view.on(cx.hosts).any(Member::is_clustered) => Err(NoContact::Silent),
        (Ok(_), None) => {
            // A node that was never used.
            let broker = Cow::Owned(Broker {
                version: view.version(first),
                vhosts: vec!["/".to_owned()],
                queue_types: vec![("/".to_owned(), "classic".to_owned())],
                ..Broker::default()
            });
            Ok(Contact { host, broker })
        }
    }
}

impl Contact<'_> {
    /// The virtual hosts that are to exist and do not.
    pub(crate) fn missing_vhosts<'s>(&self, view: &View<'s>) -> impl Iterator<Item = &'s String> {
        let vhosts = view.settings.vhosts.iter();
        vhosts.filter(|vhost| !self.broker.vhosts.contains(vhost))
    }
}
