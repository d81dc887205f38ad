//! Which secrets go to a host: those that its requests refer to, each once a connection, and no others.
//!
//! A host that somebody else has taken over is asked and told things like any other. It must not learn from that what is
//! none of its business: the passwords of services on other hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{Fact, FactError};
use types::{Secret, SecretId};

/// The values of all secrets of a run. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SecretStore {
    values: Arc<BTreeMap<SecretId, Secret>>,
}

impl FromIterator<(SecretId, Secret)> for SecretStore {
    fn from_iter<I: IntoIterator<Item = (SecretId, Secret)>>(secrets: I) -> Self {
        Self {
            values: Arc::new(secrets.into_iter().collect()),
        }
    }
}

impl SecretStore {
    /// The store as far as one host is concerned, which was referred to none of it so far.
    pub fn for_host(&self) -> HostSecrets {
        HostSecrets {
            store: self.clone(),
            referred: Arc::default(),
        }
    }
}

/// What one host may know: it outlives the host's connections, so that an agent that is started after a connection was
/// lost conceals what the former one concealed. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct HostSecrets {
    store: SecretStore,
    referred: Arc<Mutex<BTreeSet<SecretId>>>,
}

impl HostSecrets {
    /// What the host was referred to so far.
    pub fn referred(&self) -> BTreeSet<SecretId> {
        self.known().clone()
    }

    /// A request refers to these. One that has no value is the error, and then none of them counts.
    pub(crate) fn refer(&self, ids: BTreeSet<SecretId>) -> Result<(), SecretId> {
        if let Some(unknown) = ids.iter().find(|id| !self.store.values.contains_key(*id)) {
            return Err(unknown.clone());
        }
        self.known().extend(ids);
        Ok(())
    }

    /// What an agent that has these already must still be handed.
    pub(crate) fn missing(&self, handed_over: &BTreeSet<SecretId>) -> Vec<(SecretId, Secret)> {
        let referred = self.known();
        let missing = referred.difference(handed_over);
        missing
            .filter_map(|id| Some((id.clone(), self.store.values.get(id)?.clone())))
            .collect()
    }

    /// The answer, unless it refers to a secret that the host never had: whatever is made of such a text would carry the
    /// secret to it. An agent of ours knows no such name.
    pub(crate) fn checked(&self, fact: Fact) -> Result<Fact, FactError> {
        let refused = |message| Err(FactError { message });
        match fact.secrets() {
            Err(error) => refused(format!("the host's answer is rejected: {error}")),
            Ok(ids) => match ids.difference(&self.known()).next() {
                None => Ok(fact),
                Some(id) => refused(format!(
                    "the host's answer is rejected: it refers to the secret {id}, which the host does not have"
                )),
            },
        }
    }

    /// Nothing panics while it is held.
    fn known(&self) -> MutexGuard<'_, BTreeSet<SecretId>> {
        self.referred.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
