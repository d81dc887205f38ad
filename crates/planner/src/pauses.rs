//! Pauses: which hosts and services are left alone at the moment that a project is read.
//!
//! A paused host is not contacted. To all kinds it is a host that cannot be reached: it stays listed, it is counted on by
//! nobody, and nothing is planned on it. A paused service is observed, and nothing is planned for it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use config::Inventory;
use kit::Service;
use plan::{Facts, HostFacts, Level, Note, Paused};
use types::{HostName, ServiceName};

/// The pauses of an inventory at a moment.
#[derive(Default)]
pub(crate) struct Pauses {
    in_force: Vec<Paused>,
    over: Vec<Paused>,
}

impl Pauses {
    /// Sorts them by a moment, in microseconds since 1970.
    pub(crate) fn at(now_us: i64, inventory: &Inventory) -> Self {
        let hosts = inventory.hosts.iter();
        let hosts = hosts.map(|(name, host)| (None, Some(name), host.paused.as_ref()));
        let services = inventory.services.iter();
        let services = services.map(|decl| (Some(&decl.name), None, decl.paused.as_ref()));
        let mut all = Self::default();
        for (service, host, pause) in hosts.chain(services) {
            let Some(pause) = pause else { continue };
            let paused = Paused {
                service: service.cloned(),
                host: host.cloned(),
                reason: pause.reason.clone(),
                until: pause.until.as_ref().map(|until| until.text.clone()),
            };
            if pause.is_over(now_us) {
                all.over.push(paused);
            } else {
                all.in_force.push(paused);
            }
        }
        all
    }

    pub(crate) fn host(&self, host: &HostName) -> Option<&Paused> {
        self.in_force
            .iter()
            .find(|paused| paused.host.as_ref() == Some(host))
    }

    pub(crate) fn has_service(&self, service: &dyn Service) -> bool {
        let mut services = self.in_force.iter().filter_map(|paused| paused.service.as_ref());
        services.any(|name| name == service.name())
    }

    /// The members of a service on paused hosts.
    pub(crate) fn members(&self, service: &dyn Service) -> BTreeSet<HostName> {
        let members = service.hosts().iter();
        members
            .filter(|host| self.host(host).is_some())
            .cloned()
            .collect()
    }

    /// The members that are unavailable, those on paused hosts among them: others may see a member there serve.
    pub(crate) fn unavailable(&self, service: &dyn Service, facts: &Facts) -> BTreeSet<HostName> {
        let mut unavailable = service.unavailable(facts);
        unavailable.extend(self.members(service));
        unavailable
    }

    /// The facts where paused hosts are out of reach, whatever is known of them.
    pub(crate) fn hide<'f>(&self, facts: &'f Facts) -> Cow<'f, Facts> {
        let mut facts = Cow::Borrowed(facts);
        for paused in &self.in_force {
            if let Some(host) = &paused.host {
                let unreachable = HostFacts::Unreachable(paused.to_string());
                facts.to_mut().add(host.clone(), unreachable);
            }
        }
        facts
    }

    /// Those of these services and hosts.
    pub(crate) fn among(&self, names: &Names<'_>) -> Vec<Paused> {
        let among = self.in_force.iter().filter(|paused| names.have(paused));
        among.cloned().collect()
    }

    /// What there is to say of those that are over.
    pub(crate) fn notes(&self, names: &Names<'_>) -> Vec<Note> {
        let over = self.over.iter().filter(|paused| names.have(paused));
        let notes = over.map(|paused| Note {
            level: Level::Info,
            service: paused.service.clone(),
            host: paused.host.clone(),
            text: format!(
                "its pause ended at {}; the key `paused` can be removed from the inventory",
                paused.until.as_deref().unwrap_or_default()
            ),
        });
        notes.collect()
    }
}

/// The services and the hosts that a scope is about.
pub(crate) struct Names<'p> {
    pub(crate) services: BTreeSet<&'p ServiceName>,
    pub(crate) hosts: BTreeSet<&'p HostName>,
}

impl Names<'_> {
    fn have(&self, paused: &Paused) -> bool {
        paused.host.as_ref().is_some_and(|host| self.hosts.contains(host))
            || paused
                .service
                .as_ref()
                .is_some_and(|service| self.services.contains(service))
    }
}
