//! A kind as a table: its names, and the functions that each answer one question of the planner.
//!
//! Every kind has the same questions to answer, from its settings and the facts. So a kind is a list of functions, and what
//! a kind and a service are to the planner is written once, here.

use std::collections::{BTreeMap, BTreeSet};

use config::ServiceDecl;
use plan::{Basis, Budget, Facts, ServiceStatus, Verdict};
use protocol::FactQuery;
use types::{HostName, ServiceName};

use crate::kind::{Kind, ReadCx};
use crate::offer::Offer;
use crate::service::{IPV4_ONLY, Service};
use crate::step::{Cx, StepPlan};
use crate::steps::Steps;

/// A kind whose services have the settings `S`. The fields say what the methods of [`Kind`] and [`Service`] of the same
/// name say.
#[expect(
    missing_docs,
    reason = "each is explained where the planner asks for it, in Kind and Service"
)]
pub struct KindTable<S: 'static> {
    pub name: &'static str,
    pub playbook: &'static str,
    pub steps: Steps<S>,
    pub read: fn(&ServiceDecl, &ReadCx<'_>) -> Option<S>,
    pub identity: fn(&S) -> Identity<'_>,
    pub vars: fn(&S) -> Vec<(&'static str, String)>,
    pub names: fn(&S) -> Vec<HostName>,
    pub queries: fn(&S, &HostName) -> Vec<FactQuery>,
    pub judge: fn(&S, &str, Option<&HostName>, &Facts) -> Verdict,
    pub unavailable: fn(&S, &Facts) -> BTreeSet<HostName>,
    pub basis: fn(&S, &Facts) -> Vec<Basis>,
    pub status: fn(&S, &Facts) -> ServiceStatus,
    pub special: Special<S>,
}

/// The answers that most kinds leave to the defaults of [`Service`].
#[expect(
    missing_docs,
    reason = "each is explained where the planner asks for it, in Service"
)]
pub struct Special<S> {
    pub uses: Option<fn(&S) -> Vec<ServiceName>>,
    pub lacks_ipv6: Option<fn(&S) -> Option<&'static str>>,
    pub offer: Option<fn(&S) -> Offer>,
    pub tolerates: Option<fn(&S) -> usize>,
    pub budget: Option<fn(&S, &Facts) -> Budget>,
}

/// A service's name and hosts, as its settings have them.
pub struct Identity<'s> {
    /// Its name.
    pub name: &'s ServiceName,
    /// Its hosts, in the inventory's order.
    pub hosts: &'s [HostName],
    /// Hosts that are no members, and may have been.
    pub others: &'s [HostName],
}

impl<S> Special<S> {
    /// Nothing special.
    pub const fn none() -> Self {
        Self {
            uses: None,
            lacks_ipv6: None,
            offer: None,
            tolerates: None,
            budget: None,
        }
    }
}

impl<S: Send + Sync> Kind for KindTable<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn playbook(&self) -> &'static str {
        self.playbook
    }

    fn steps(&self) -> Vec<&'static str> {
        self.steps.names()
    }

    fn read(&'static self, decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Box<dyn Service>> {
        let settings = (self.read)(decl, cx)?;
        Some(Box::new(Declared { kind: self, settings }))
    }
}

/// A service of the inventory.
struct Declared<S: 'static> {
    kind: &'static KindTable<S>,
    settings: S,
}

impl<S: Send + Sync> Service for Declared<S> {
    fn name(&self) -> &ServiceName {
        (self.kind.identity)(&self.settings).name
    }

    fn kind(&self) -> &'static str {
        self.kind.name
    }

    fn hosts(&self) -> &[HostName] {
        (self.kind.identity)(&self.settings).hosts
    }

    fn others(&self) -> Vec<HostName> {
        (self.kind.identity)(&self.settings).others.to_vec()
    }

    fn vars(&self) -> BTreeMap<String, String> {
        let vars = (self.kind.vars)(&self.settings).into_iter();
        vars.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn names(&self) -> Vec<HostName> {
        (self.kind.names)(&self.settings)
    }

    fn lacks_ipv6(&self) -> Option<&'static str> {
        match self.kind.special.lacks_ipv6 {
            Some(lacks) => lacks(&self.settings),
            None => Some(IPV4_ONLY),
        }
    }

    fn queries(&self, host: &HostName) -> Vec<FactQuery> {
        (self.kind.queries)(&self.settings, host)
    }

    fn plan_step(&self, step: &str, cx: &Cx<'_>) -> StepPlan {
        self.kind.steps.plan(step, &self.settings, cx)
    }

    fn judge(&self, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
        (self.kind.judge)(&self.settings, check, host, facts)
    }

    fn unavailable(&self, facts: &Facts) -> BTreeSet<HostName> {
        (self.kind.unavailable)(&self.settings, facts)
    }

    fn basis(&self, facts: &Facts) -> Vec<Basis> {
        (self.kind.basis)(&self.settings, facts)
    }

    fn status(&self, facts: &Facts) -> ServiceStatus {
        (self.kind.status)(&self.settings, facts)
    }

    fn uses(&self) -> Vec<ServiceName> {
        self.kind
            .special
            .uses
            .map_or_else(Vec::new, |uses| uses(&self.settings))
    }

    fn offer(&self) -> Option<Offer> {
        self.kind.special.offer.map(|offer| offer(&self.settings))
    }

    fn tolerates(&self) -> usize {
        match self.kind.special.tolerates {
            Some(tolerates) => tolerates(&self.settings),
            None => crate::service::minority(self.hosts()),
        }
    }

    fn budget(&self, facts: &Facts) -> Budget {
        match self.kind.special.budget {
            Some(budget) => budget(&self.settings, facts),
            None => crate::service::one_at_a_time(self, facts),
        }
    }
}
