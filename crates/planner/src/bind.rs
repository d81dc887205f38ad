//! Binding: a playbook meets the service and the hosts that it runs for.

use config::reader::with_suggestion;
use config::{Findings, Inventory, Playbook, Rollout, Site, Stage, StepDecl};
use generic::BuildCx;
use kit::{Cx, Service, Step, StepPlan};
use protocol::FactQuery;
use services::KINDS;
use types::{Diagnostic, HostName, Span, StepId};

use crate::input::{Input, PlaybookText};

/// The order of all playbooks.
pub(crate) const SITE: &str = "site";
/// The playbook of all hosts.
pub(crate) const HOSTS: &str = "hosts";

/// A playbook with what it runs for.
pub(crate) struct Bound {
    /// The service's name, or the playbook's where it has none: the first part of its nodes' names.
    pub(crate) rollout: String,
    /// The service's position.
    pub(crate) service: Option<usize>,
    pub(crate) hosts: Vec<HostName>,
    pub(crate) steps: Vec<BoundStep>,
    /// The stage of the site that it belongs to; those of later stages come after it.
    pub(crate) stage: usize,
    /// Whether later stages come after it host by host, instead of after all of it.
    pub(crate) per_host: bool,
    /// Whether it is the part of a service's playbook that comes after the services that use it.
    pub(crate) is_late: bool,
    /// The name of the built-in playbook whose place it takes, and the file that does.
    pub(crate) overrides: Option<(String, String)>,
}

/// A step with what it runs for.
pub(crate) struct BoundStep {
    pub(crate) id: StepId,
    pub(crate) barrier: bool,
    pub(crate) rollout: Rollout,
    after_users: bool,
    pub(crate) hosts: Vec<HostName>,
    work: Work,
}

enum Work {
    /// A step of the service's kind, by name.
    OfKind(String),
    /// A step that belongs to no service.
    Generic(Box<dyn Step>),
}

impl BoundStep {
    /// A step of a kind, for tests of what a kind may say.
    #[cfg(test)]
    pub(crate) fn of_kind(id: StepId, hosts: Vec<HostName>) -> Self {
        Self {
            work: Work::OfKind(id.to_string()),
            id,
            barrier: false,
            rollout: Rollout::default(),
            after_users: false,
            hosts,
        }
    }

    /// The facts that it needs of a host, beside its service's.
    pub(crate) fn queries(&self, host: &HostName) -> Vec<FactQuery> {
        match &self.work {
            Work::Generic(step) if self.hosts.contains(host) => step.queries(host),
            _ => Vec::new(),
        }
    }

    /// Its tasks.
    pub(crate) fn plan(&self, service: Option<&dyn Service>, cx: &Cx<'_>) -> StepPlan {
        let plan = match (&self.work, service) {
            (Work::Generic(step), _) => step.plan(cx),
            (Work::OfKind(step), Some(service)) => service.plan_step(step, cx),
            (Work::OfKind(_), None) => StepPlan::nothing(),
        };
        plan.without_obstacles(cx.facts)
    }
}

/// Binds each playbook to what it runs for, in the order in which they run.
pub(crate) fn bind(
    input: &Input<'_>,
    inventory: &Inventory,
    services: &[Box<dyn Service>],
    findings: &Findings,
) -> Vec<Bound> {
    let read = |text: &PlaybookText| (text.clone(), Playbook::read(input.sources, text.source, findings));
    let binder = Binder {
        input,
        inventory,
        findings,
    };
    if let Some(only) = &input.only {
        let (text, playbook) = read(only);
        let bound = binder.each(&text, &playbook, services);
        if bound.is_empty() {
            let kind = playbook.kind.as_deref().unwrap_or(&text.name);
            findings.report(
                Diagnostic::error(format!("the playbook {} is for {kind}", text.name))
                    .hint("the inventory has no service of that kind"),
            );
        }
        return with_late(bound);
    }
    let site = input.playbooks.iter().find(|text| text.name == SITE);
    let site = site
        .map(|text| Site::read(input.sources, text.source, findings))
        .unwrap_or_default();
    let others = input.playbooks.iter().filter(|text| text.name != SITE);
    let playbooks: Vec<(PlaybookText, Playbook)> = others.map(read).collect();
    let mut bound: Vec<Bound> = Vec::new();
    for (
        stage,
        Stage {
            playbooks: names,
            per_host,
        },
    ) in site.stages.iter().enumerate()
    {
        for (name, span) in names {
            let Some((text, playbook)) = playbooks.iter().find(|(text, _)| text.name == *name) else {
                report_unknown(name, *span, &playbooks, findings);
                continue;
            };
            let rollouts = binder.each(text, playbook, services);
            bound.extend(rollouts.into_iter().map(|rollout| Bound {
                stage,
                per_host: *per_host,
                ..rollout
            }));
        }
    }
    report_unassigned(&bound, services, &site, findings);
    with_late(bound)
}

/// Puts the steps that come after a service's users into a stage of their own, the last.
fn with_late(mut bound: Vec<Bound>) -> Vec<Bound> {
    let last = bound.iter().map(|bound| bound.stage).max().unwrap_or_default() + 1;
    let mut late = Vec::new();
    for bound in &mut bound {
        let (after, steps) = std::mem::take(&mut bound.steps)
            .into_iter()
            .partition(|step| step.after_users);
        bound.steps = steps;
        late.push(Bound {
            rollout: bound.rollout.clone(),
            service: bound.service,
            hosts: bound.hosts.clone(),
            steps: after,
            stage: last,
            per_host: false,
            is_late: true,
            overrides: None,
        });
    }
    late.retain(|bound| !bound.steps.is_empty());
    bound.extend(late);
    bound
}

fn report_unknown(name: &str, span: Span, playbooks: &[(PlaybookText, Playbook)], findings: &Findings) {
    let known = playbooks.iter().map(|(text, _)| text.name.as_str());
    let diagnostic = Diagnostic::error(format!("there is no playbook {name:?}")).at(span, "named here");
    findings.report(with_suggestion(diagnostic, name, known));
}

/// A service whose playbook no stage names would never be planned.
fn report_unassigned(bound: &[Bound], services: &[Box<dyn Service>], site: &Site, findings: &Findings) {
    let last = site.stages.last().and_then(|stage| stage.playbooks.last());
    for (at, service) in services.iter().enumerate() {
        if bound.iter().any(|bound| bound.service == Some(at)) {
            continue;
        }
        let message = format!("no stage of the site has the playbook {}", service.kind());
        let hint = format!("the inventory has the service {}", service.name());
        let diagnostic = Diagnostic::error(message).hint(hint);
        findings.report(match last {
            Some((_, span)) => diagnostic.at(*span, "the stages end here"),
            None => diagnostic,
        });
    }
}

struct Binder<'a> {
    input: &'a Input<'a>,
    inventory: &'a Inventory,
    findings: &'a Findings,
}

impl Binder<'_> {
    /// Binds a playbook to each service of its kind, or once where it has no kind.
    fn each(&self, text: &PlaybookText, playbook: &Playbook, services: &[Box<dyn Service>]) -> Vec<Bound> {
        // A playbook that takes a built-in one's place need not repeat what its name says.
        let named = || KINDS.named(&text.name).map(|kind| kind.name().to_owned());
        let Some(kind) = playbook.kind.clone().or_else(named) else {
            return vec![self.bound(text, playbook, None)];
        };
        let of_kind = services
            .iter()
            .enumerate()
            .filter(|(_, service)| service.kind() == kind);
        of_kind
            .map(|(at, service)| self.bound(text, playbook, Some((at, &**service))))
            .collect()
    }

    fn bound(
        &self,
        text: &PlaybookText,
        playbook: &Playbook,
        service: Option<(usize, &dyn Service)>,
    ) -> Bound {
        let hosts = match (service, &playbook.hosts) {
            (Some((_, service)), _) => service.hosts().to_vec(),
            (None, Some(names)) => self.inventory.hosts_named(names, self.findings),
            (None, None) => self.inventory.hosts.keys().cloned().collect(),
        };
        let steps = playbook
            .steps
            .iter()
            .filter_map(|decl| self.step(decl, &hosts, service.map(|(_, service)| service)));
        let steps = steps.collect();
        let file = || {
            self.input
                .sources
                .get(text.source)
                .map(|source| source.name.clone())
        };
        Bound {
            rollout: service.map_or_else(|| text.name.clone(), |(_, service)| service.name().to_string()),
            service: service.map(|(at, _)| at),
            hosts,
            steps,
            stage: 0,
            per_host: false,
            is_late: false,
            overrides: text
                .overrides
                .then(|| (text.name.clone(), file().unwrap_or_default())),
        }
    }

    fn step(&self, decl: &StepDecl, all: &[HostName], service: Option<&dyn Service>) -> Option<BoundStep> {
        let hosts: Vec<HostName> = match &decl.hosts {
            Some(names) => {
                let wanted = self.inventory.hosts_named(names, self.findings);
                all.iter().filter(|host| wanted.contains(host)).cloned().collect()
            }
            None => all.to_vec(),
        };
        let work = match service.and_then(|service| decl.uses.strip_prefix(service.kind())?.strip_prefix('.'))
        {
            Some(step) => self.step_of_kind(decl, step, service?)?,
            None => Work::Generic(generic::build(
                decl,
                &BuildCx {
                    inventory: self.inventory,
                    service,
                    kinds: KINDS,
                    hosts: &hosts,
                    templates: &self.input.templates,
                    sources: self.input.sources,
                    findings: self.findings,
                },
            )?),
        };
        Some(BoundStep {
            id: decl.id.clone(),
            barrier: decl.barrier,
            after_users: decl.after_users,
            rollout: decl.rollout,
            hosts,
            work,
        })
    }

    fn step_of_kind(&self, decl: &StepDecl, step: &str, service: &dyn Service) -> Option<Work> {
        if !KINDS
            .named(service.kind())
            .is_some_and(|kind| kind.steps().contains(&step))
        {
            generic::report_unknown(decl, Some(service.kind()), KINDS, self.findings);
            return None;
        }
        if let Some(entry) = decl.with.entries.first() {
            self.findings.report(
                Diagnostic::error(format!("{} takes no arguments", decl.uses))
                    .at(entry.key_span, "not an argument")
                    .hint(format!(
                        "its settings stand in the inventory, under [services.{}]",
                        service.name()
                    )),
            );
        }
        Some(Work::OfKind(step.to_owned()))
    }
}
