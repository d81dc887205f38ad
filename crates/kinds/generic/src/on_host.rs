//! Steps that do on each host what its own arguments say.
//!
//! A step kind says how its arguments are read for one host and what they come to there; here that is done for all
//! of the step's hosts, and an error that every host would repeat is told once.

use std::collections::{BTreeMap, BTreeSet};

use config::{Findings, Reader, StepDecl};
use plan::{Refusal, Unknown};
use protocol::FactQuery;
use types::HostName;

use super::BuildCx;
use super::args::Args;
use kit::{Cx, Step, StepPlan, Task};

/// A step as it is on one host, its arguments rendered.
pub(super) trait OnHost: Send + Sync + Sized + 'static {
    /// What its arguments are, for the report of an unknown one: `an argument of file`.
    const ARGUMENT: &'static str;

    /// Reads all arguments before it gives up, so that all that is wrong is told.
    fn read(args: &Args<'_>) -> Option<Self>;

    /// The facts that it needs.
    fn queries(&self) -> Vec<FactQuery>;

    /// Its task; `None` where everything is as it should be.
    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, Stop>;
}

/// Why nothing was planned on a host.
pub(super) enum Stop {
    /// Too little is known, or something must be done first.
    Unplanned(String),
    /// It would do harm, or cannot be done.
    Refused {
        /// What is not done.
        what: String,
        /// Why.
        why: String,
        /// What the operator can do.
        way_out: String,
    },
}

impl From<Unknown> for Stop {
    fn from(unknown: Unknown) -> Self {
        Self::Unplanned(unknown.to_string())
    }
}

/// The step on all its hosts.
struct OnHosts<S>(BTreeMap<HostName, S>);

/// Reads a step for each of its hosts.
pub(super) fn build<S: OnHost>(decl: &StepDecl, cx: &BuildCx<'_>) -> Option<Box<dyn Step>> {
    // Arguments of a step without hosts are read too, or they would not be checked before a host is added.
    let hosts: Vec<&HostName> = if cx.hosts.is_empty() {
        cx.inventory.hosts.keys().collect()
    } else {
        cx.hosts.iter().collect()
    };
    let mut steps = BTreeMap::new();
    let (mut reported, mut needed) = (BTreeSet::new(), BTreeSet::new());
    let mut sound = true;
    for host in hosts {
        let findings = Findings::default();
        let reader = Reader::new(&decl.with, S::ARGUMENT, &findings);
        let step = S::read(&Args::new(&reader, host, cx));
        reader.finish();
        sound &= step.is_some() && !findings.has_errors();
        steps.extend(step.map(|step| (host.clone(), step)));
        let (diagnostics, secrets) = findings.into_parts();
        for diagnostic in diagnostics {
            if reported.insert((diagnostic.span, diagnostic.label.clone())) {
                cx.findings.report(diagnostic);
            }
        }
        for secret in secrets {
            if needed.insert(secret.id.clone()) {
                cx.findings.need(secret);
            }
        }
    }
    sound.then(|| Box::new(OnHosts(steps)) as Box<dyn Step>)
}

impl<S: OnHost> Step for OnHosts<S> {
    fn queries(&self, host: &HostName) -> Vec<FactQuery> {
        self.0.get(host).map(S::queries).unwrap_or_default()
    }

    fn plan(&self, cx: &Cx<'_>) -> StepPlan {
        each_host(cx, |host| match self.0.get(host) {
            Some(step) => step.plan(host, cx),
            None => Ok(None),
        })
    }
}

/// Plans each of the step's hosts by itself.
pub(super) fn each_host(
    cx: &Cx<'_>,
    mut task: impl FnMut(&HostName) -> Result<Option<Task>, Stop>,
) -> StepPlan {
    let mut plan = StepPlan::nothing();
    for host in cx.hosts {
        match task(host) {
            Ok(task) => plan.tasks.extend(task),
            Err(Stop::Unplanned(why)) => plan.unplanned.push((host.clone(), why)),
            Err(Stop::Refused { what, why, way_out }) => plan.refusals.push(Refusal {
                service: None,
                host: Some(host.clone()),
                what,
                why,
                way_out,
                consent: None,
            }),
        }
    }
    plan
}
