//! The two traits of a kind: [`Kind`], of which there is one value, and [`Service`], one for each service of the
//! inventory.

use std::collections::{BTreeMap, BTreeSet};

use config::reader::with_suggestion;
use config::{Findings, Inventory, ServiceDecl};
use plan::{Basis, Budget, Facts, ServiceStatus, Verdict};
use protocol::FactQuery;
use types::{Diagnostic, HostName, ServiceName};

use crate::offer::Offer;
use crate::step::{Cx, StepPlan};

/// A kind of service.
pub trait Kind: Sync {
    /// Its name, as in `kind = "rabbitmq"`.
    fn name(&self) -> &'static str;

    /// Its built-in playbook: the text of a file under playbooks/.
    fn playbook(&self) -> &'static str;

    /// The steps that its playbooks may use, without the kind's name: `join` of `rabbitmq.join`.
    fn steps(&self) -> &'static [&'static str];

    /// Reads the settings of a service. What is wrong goes to the findings, and then there is no service.
    fn read(&self, decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Box<dyn Service>>;
}

/// What a kind may look at while it reads settings.
#[derive(Clone, Copy)]
pub struct ReadCx<'a> {
    /// The whole inventory: addresses of hosts, and the declarations of other services.
    pub inventory: &'a Inventory,
    /// Where errors go.
    pub findings: &'a Findings,
}

/// One service of the inventory: its settings, and what follows from them.
pub trait Service: Send + Sync {
    /// Its name.
    fn name(&self) -> &ServiceName;

    /// Its kind's name.
    fn kind(&self) -> &'static str;

    /// Its hosts, in the inventory's order.
    fn hosts(&self) -> &[HostName];

    /// Hosts of the inventory that are no members, and may have been: they are asked [`Service::queries`] too, so that a
    /// former member is seen and can be told to leave.
    fn others(&self) -> Vec<HostName> {
        Vec::new()
    }

    /// Values for `{{ name }}` in its playbook, such as the package's name.
    fn vars(&self) -> BTreeMap<String, String>;

    /// The names of hosts that the service's processes resolve; they must resolve on every host of the service.
    fn names(&self) -> Vec<HostName>;

    /// The facts that it needs of a host, a member or one of the [`Service::others`].
    fn queries(&self, host: &HostName) -> Vec<FactQuery>;

    /// The tasks of one step, from the facts.
    fn plan_step(&self, step: &str, cx: &Cx<'_>) -> StepPlan;

    /// What a gate's check says of the facts.
    fn judge(&self, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict;

    /// The members that do not serve now; they count against the disruption budget.
    fn unavailable(&self, facts: &Facts) -> BTreeSet<HostName>;

    /// Its state.
    fn status(&self, facts: &Facts) -> ServiceStatus;

    /// The services that it uses: they are made healthy first.
    fn uses(&self) -> Vec<ServiceName> {
        Vec::new()
    }

    /// What clients need to know of it; `None` where no other service is to use it.
    fn offer(&self) -> Option<Offer> {
        None
    }

    /// How many members may be away at once while the service goes on serving: all but a majority, unless a kind knows
    /// better.
    fn tolerates(&self) -> usize {
        self.hosts().len().saturating_sub(1) / 2
    }

    /// What its part of a plan rests on: a plan that was saved is not run where that changed.
    fn basis(&self, _facts: &Facts) -> Vec<Basis> {
        Vec::new()
    }

    /// How many members may be unavailable at once. One, unless a kind knows better.
    fn budget(&self, facts: &Facts) -> Budget {
        Budget {
            members: self.hosts().iter().cloned().collect(),
            max_unavailable: 1,
            unavailable: self.unavailable(facts),
        }
    }
}

/// The kind of that name.
pub fn kind_of(name: &str) -> Option<&'static dyn Kind> {
    crate::KINDS.iter().copied().find(|kind| kind.name() == name)
}

/// Reads a service of the inventory with its kind.
pub fn read_service(decl: &ServiceDecl, cx: &ReadCx<'_>) -> Option<Box<dyn Service>> {
    if let Some(kind) = kind_of(&decl.kind) {
        return kind.read(decl, cx);
    }
    let known = crate::KINDS.iter().map(|kind| kind.name());
    let diagnostic = Diagnostic::error(format!("there is no kind {:?}", decl.kind)).at(
        decl.kind_span,
        format!("expected {}", known.clone().collect::<Vec<_>>().join(", ")),
    );
    cx.findings.report(with_suggestion(diagnostic, &decl.kind, known));
    None
}
