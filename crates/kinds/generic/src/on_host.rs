//! Steps whose arguments are rendered for each host.
//!
//! A step kind reads its arguments for one host and plans its task there; here that is done for all hosts of the step,
//! and an error that every host would repeat is reported once.

use std::collections::{BTreeMap, BTreeSet};

use config::{Findings, Reader, StepDecl};
use kit::{Cx, Step, StepPlan, Task};
use plan::{Refusal, Unknown};
use protocol::FactQuery;
use types::HostName;

use crate::arguments::{Args, BuildCx};

/// A step on one host, its arguments rendered.
pub(crate) trait OnHost: Send + Sync + Sized + 'static {
    /// The name of its arguments in the report of an unknown one: `an argument of file`.
    const ARGUMENT: &'static str;

    /// Reads all arguments before it gives up, so that every mistake is reported.
    fn read(args: &Args<'_>) -> Option<Self>;

    /// The facts that it needs.
    fn queries(&self) -> Vec<FactQuery>;

    /// Its task; `None` where everything is as it should be.
    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned>;
}

/// Why nothing was planned on a host.
pub(crate) enum NotPlanned {
    /// Too little is known, or something must be done first.
    Unplanned(String),
    /// It would do harm, or cannot be done.
    Refused(Box<Refusal>),
}

impl NotPlanned {
    /// Refuses something on a host.
    pub(crate) fn refused(
        host: &HostName,
        what: impl Into<String>,
        why: impl Into<String>,
        resolve: impl Into<String>,
    ) -> Self {
        Self::Refused(Box::new(Refusal::new(what, why, resolve).on(host)))
    }

    /// Refuses to change a file.
    pub(crate) fn file(
        host: &HostName,
        path: &str,
        why: impl Into<String>,
        resolve: impl Into<String>,
    ) -> Self {
        Self::refused(host, format!("{path} is not changed on {host}"), why, resolve)
    }
}

impl From<Unknown> for NotPlanned {
    fn from(unknown: Unknown) -> Self {
        Self::Unplanned(unknown.to_string())
    }
}

/// The step on all its hosts.
struct OnHosts<S>(BTreeMap<HostName, S>);

/// Reads a step for each of its hosts.
pub(crate) fn build<S: OnHost>(decl: &StepDecl, cx: &BuildCx<'_>) -> Option<Box<dyn Step>> {
    // Arguments of a step without hosts are read as well, so that they are checked before a host is added.
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
pub(crate) fn each_host(
    cx: &Cx<'_>,
    mut task: impl FnMut(&HostName) -> Result<Option<Task>, NotPlanned>,
) -> StepPlan {
    let mut plan = StepPlan::nothing();
    for host in cx.hosts {
        match task(host) {
            Ok(task) => plan.tasks.extend(task),
            Err(NotPlanned::Unplanned(why)) => plan.unplanned.push((host.clone(), why)),
            Err(NotPlanned::Refused(refusal)) => plan.refusals.push(*refusal),
        }
    }
    plan
}
