//! The databases that the platform uses: which services of the inventory they are, and what those offer.

use types::ServiceName;

use kit::{Login, Offer};

/// A service that the platform uses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Use {
    pub(crate) service: ServiceName,
    pub(crate) offer: Offer,
}

/// All of them; what the inventory has no service for is not managed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Uses {
    pub(crate) mongodb: Option<Use>,
    pub(crate) clickhouse: Option<Use>,
    pub(crate) ssdb_hbsupp: Option<Use>,
    pub(crate) ssdb_notify: Option<Use>,
    pub(crate) rabbitmq: Option<Use>,
    pub(crate) duplicates: Option<Use>,
}

/// The word for a database that the inventory has and the platform is not to use.
pub(super) const NONE: &str = "none";

impl Uses {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Use> {
        let Self {
            mongodb,
            clickhouse,
            ssdb_hbsupp,
            ssdb_notify,
            rabbitmq,
            duplicates,
        } = self;
        [
            mongodb,
            clickhouse,
            ssdb_hbsupp,
            ssdb_notify,
            rabbitmq,
            duplicates,
        ]
        .into_iter()
        .flatten()
    }
}

impl Use {
    /// The login of a user. `None` where the service names no users: then the login is not managed.
    pub(crate) fn login(&self, user: &str) -> Option<&Login> {
        let mut logins = self.offer.logins.iter();
        logins.find(|login| login.user.as_deref().is_none_or(|own| own == user))
    }
}
