//! The project: inventory, services and playbooks, read together so that all their errors are reported at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use config::{Findings, Inventory, Playbook};
use kit::{ReadCx, Service};
use plan::{Facts, Gate, GraphError, Judge, Paused, ServiceStatus, StepGraph, Verdict};
use protocol::FactQuery;
use services::KINDS;
use types::{Diagnostic, HostName, SourceId, Sources};

use crate::assemble;
use crate::bind::{self, Bound};
use crate::checks::Check;
use crate::former_members;
use crate::input::Input;
use crate::pauses::{Names, Pauses};
use crate::request::{Options, PlanCx, Scope};

/// Everything that the operator wrote, read and checked.
pub struct Project {
    /// The inventory.
    pub inventory: Inventory,
    services: Vec<Box<dyn Service>>,
    bound: Vec<Bound>,
    pauses: Pauses,
}

/// The built-in playbooks: name and text. One of them, `site`, is the order of the others.
pub fn builtin_playbooks() -> Vec<(&'static str, &'static str)> {
    let own = [
        (bind::SITE, include_str!("../../../playbooks/site.toml")),
        (bind::HOSTS, generic::HOSTS_PLAYBOOK),
    ];
    let kinds = KINDS.all().map(|kind| (kind.name(), kind.playbook()));
    own.into_iter().chain(kinds).collect()
}

/// The templates that a playbook names; the caller reads the files and passes their texts in with the playbook.
pub fn templates(sources: &Sources, playbook: SourceId) -> Vec<(String, types::Span)> {
    // Errors of the playbook are reported when the project is read.
    let playbook = Playbook::read(sources, playbook, &Findings::default());
    generic::templates(&playbook)
        .into_iter()
        .map(|(name, span)| (name.to_owned(), span))
        .collect()
}

impl Project {
    /// Reads everything. What is wrong goes to the findings; with errors there, the project is not to be used.
    pub fn read(input: &Input<'_>, findings: &Findings) -> Self {
        let inventory = Inventory::read(input.sources, input.inventory, &input.overlays, findings);
        let cx = ReadCx {
            inventory: &inventory,
            kinds: KINDS,
            findings,
        };
        let services: Vec<Box<dyn Service>> = inventory
            .services
            .iter()
            .filter_map(|decl| cx.read(decl))
            .collect();
        let bound = bind::bind(input, &inventory, &services, findings);
        Self {
            pauses: Pauses::at(input.now_us, &inventory),
            inventory,
            services,
            bound,
        }
    }

    /// Checks that a scope names services and hosts that exist.
    pub fn check_scope(&self, scope: &Scope) -> Vec<Diagnostic> {
        let services = scope
            .services
            .iter()
            .filter(|name| !self.services.iter().any(|s| s.name() == *name));
        let services = services.map(|name| {
            let known = self.services.iter().map(|service| service.name().as_str());
            config::reader::with_suggestion(
                Diagnostic::error(format!("there is no service {name} in the inventory")),
                name.as_str(),
                known,
            )
        });
        let hosts = scope
            .hosts
            .iter()
            .filter(|name| !self.inventory.hosts.contains_key(*name));
        let hosts = hosts.map(|name| {
            let known = self.inventory.hosts.keys().map(HostName::as_str);
            config::reader::with_suggestion(
                Diagnostic::error(format!("there is no host {name} in the inventory")),
                name.as_str(),
                known,
            )
        });
        services.chain(hosts).collect()
    }

    /// The facts that a plan and a status need: for each host, one list for one round trip, each question once. Their
    /// answers go through [`Self::further`] before anything is made of them.
    ///
    /// A scope's hosts limit what is changed, not what is observed: a cluster is judged by all its members. Paused hosts are
    /// asked nothing.
    pub fn queries(&self, scope: &Scope) -> BTreeMap<HostName, Vec<FactQuery>> {
        let mut all: BTreeMap<HostName, BTreeSet<FactQuery>> = BTreeMap::new();
        let scoped_hosts = self.hosts_of(scope);
        for bound in self.in_scope(scope) {
            let service = bound.service.map(|at| &*self.services[at]);
            let is_asked = |host: &&HostName| {
                service.is_some() || scoped_hosts.as_ref().is_none_or(|hosts| hosts.contains(*host))
            };
            for host in bound.hosts.iter().filter(is_asked) {
                let queries = all.entry(host.clone()).or_default();
                if let Some(service) = service {
                    queries.extend(service.queries(host));
                    queries.extend(generic::resolution::queries(service));
                }
                for step in &bound.steps {
                    queries.extend(step.queries(host));
                }
            }
            for host in service.map(Service::others).unwrap_or_default() {
                let queries = service.map(|service| former_members::public_queries(service, &host));
                all.entry(host).or_default().extend(queries.unwrap_or_default());
            }
        }
        all.into_iter()
            .filter(|(host, _)| self.pauses.host(host).is_none())
            .map(|(host, queries)| (host, queries.into_iter().collect()))
            .collect()
    }

    /// The queries of a second round trip, once [`Self::queries`] were answered; as a rule none. A host that is no member of
    /// a service is asked the queries that take its secrets only where it may be a former member; for all others the
    /// facts are completed.
    pub fn further(&self, scope: &Scope, facts: &mut Facts) -> BTreeMap<HostName, Vec<FactQuery>> {
        if let Cow::Owned(hidden) = self.pauses.hide(facts) {
            *facts = hidden;
        }
        let mut all: BTreeMap<HostName, BTreeSet<FactQuery>> = BTreeMap::new();
        let mut assumed = Facts::default();
        for service in self.in_scope(scope).filter_map(|bound| bound.service) {
            let service = &*self.services[service];
            for host in service.others() {
                let next = former_members::secret_queries(service, &host, facts);
                if next.is_empty() {
                    if let Some(answers) = former_members::assumed_answers(service, &host, facts) {
                        assumed.add(host, answers);
                    }
                } else {
                    all.entry(host).or_default().extend(next);
                }
            }
        }
        facts.extend(assumed);
        all.into_iter()
            .map(|(host, queries)| (host, queries.into_iter().collect()))
            .collect()
    }

    /// The plan.
    ///
    /// # Errors
    /// [`GraphError`] where the playbooks make no sound graph; a defect, of a built-in playbook or of the planner.
    pub fn plan(&self, facts: &Facts, scope: &Scope, options: &Options) -> Result<StepGraph, GraphError> {
        let bound: Vec<&Bound> = self.in_scope(scope).collect();
        let cx = PlanCx {
            facts,
            scope,
            scoped_hosts: self.hosts_of(scope),
            options,
            pauses: &self.pauses,
        };
        let mut graph = assemble::plan(&cx, &bound, &self.services)?;
        let names = self.names_of(scope);
        graph.paused = self.pauses.among(&names);
        graph.notes.extend(self.pauses.notes(&names));
        Ok(graph)
    }

    /// What is paused of a scope.
    pub fn paused(&self, scope: &Scope) -> Vec<Paused> {
        self.pauses.among(&self.names_of(scope))
    }

    /// What a scope is about. Its hosts limit what is changed, not which members are counted on.
    fn names_of<'p>(&'p self, scope: &'p Scope) -> Names<'p> {
        let services = self.services.iter().map(|service| service.name());
        let of_services = self.hosts_of(scope);
        let hosts = self.in_scope(scope).flat_map(|bound| &bound.hosts);
        Names {
            services: services.filter(|name| scope.has_service(name)).collect(),
            hosts: hosts
                .filter(|host| of_services.as_ref().is_none_or(|hosts| hosts.contains(*host)))
                .collect(),
        }
    }

    /// How much a scope covers: services, and hosts that are asked.
    pub fn extent(&self, scope: &Scope) -> (usize, usize) {
        let services: BTreeSet<usize> = self.in_scope(scope).filter_map(|bound| bound.service).collect();
        // All hosts are asked for the playbook of hosts; what it is about is the hosts of the services.
        let of_services = |bound: &&Bound| services.is_empty() || bound.service.is_some();
        let hosts: BTreeSet<&HostName> = self
            .in_scope(scope)
            .filter(of_services)
            .flat_map(|bound| &bound.hosts)
            .collect();
        (services.len(), hosts.len())
    }

    /// The state of every service in scope.
    pub fn status(&self, facts: &Facts, scope: &Scope) -> Vec<ServiceStatus> {
        let services = self
            .services
            .iter()
            .filter(|service| scope.has_service(service.name()));
        services
            .map(|service| self.status_of(&**service, facts))
            .collect()
    }

    /// The state of a service; of a paused host it is known only why it was not asked.
    fn status_of(&self, service: &dyn Service, facts: &Facts) -> ServiceStatus {
        let mut status = service.status(facts);
        for member in &mut status.members {
            if let Some(paused) = self.pauses.host(&member.host) {
                member.detail = paused.to_string();
            }
        }
        status
    }

    /// The hosts of the services in scope; `None` where the scope names none, and all hosts are meant.
    fn hosts_of(&self, scope: &Scope) -> Option<BTreeSet<HostName>> {
        let services = self
            .services
            .iter()
            .filter(|service| scope.has_service(service.name()));
        let hosts = services.flat_map(|service| service.hosts().iter().cloned());
        (!scope.services.is_empty()).then(|| hosts.collect())
    }

    fn in_scope<'p>(&'p self, scope: &'p Scope) -> impl Iterator<Item = &'p Bound> {
        self.bound.iter().filter(|bound| match bound.service {
            Some(at) => scope.has_service(self.services[at].name()),
            None => true,
        })
    }
}

impl Judge for Project {
    fn judge(&self, gate: &Gate, facts: &Facts) -> Verdict {
        let facts = &*self.pauses.hide(facts);
        let Some(name) = &gate.service else {
            return generic::judge(gate, facts);
        };
        match self.services.iter().find(|service| service.name() == name) {
            Some(service) => match gate.check.parse::<Check>() {
                Ok(check) => check.judge(&**service, gate.host.as_ref(), facts, &self.pauses),
                Err(_) => service.judge(&gate.check, gate.host.as_ref(), facts),
            },
            None => Verdict::Fail(format!("there is no service {name}")),
        }
    }
}
