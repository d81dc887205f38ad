//! Step kinds that belong to no service: files, packages, units and the like.
//!
//! The built-in playbooks are made of them, and so are playbooks of an operator's own. Each step kind is a file in
//! `steps/`, with its place in [`STEPS`]. Its arguments are templates, rendered for every host of the step while the
//! playbook is read, so mistakes in them are reported before any host is asked.

mod arguments;
mod checks;
mod files;
mod on_host;
pub mod resolution;
mod steps;

#[cfg(test)]
mod tests;

use config::reader::with_suggestion;
use config::{Findings, Playbook, StepDecl, ValueKind};
use kit::{Kinds, Service, Step};
use types::{Diagnostic, Span};

pub use arguments::{BuildCx, Place, render};
pub use checks::judge;
pub use steps::ini::Setting;

use steps::{command, directory, file, hosts_file, ini, line, package, unit, wait_for};

/// The built-in playbook that runs on all hosts before those of the services: the text of playbooks/hosts.toml.
pub static HOSTS_PLAYBOOK: &str = include_str!("../../../../playbooks/hosts.toml");

/// Reads the arguments of a step.
type Build = fn(&StepDecl, &BuildCx<'_>) -> Option<Box<dyn Step>>;

/// Every generic step kind.
static STEPS: &[(&str, Build)] = &[
    ("command", on_host::build::<command::Command>),
    ("directory", on_host::build::<directory::Directory>),
    ("file", on_host::build::<file::File>),
    ("hosts-file", hosts_file::build),
    ("ini", on_host::build::<ini::Ini>),
    ("line", on_host::build::<line::Line>),
    ("package", on_host::build::<package::Package>),
    ("unit", on_host::build::<unit::Unit>),
    ("wait-for", on_host::build::<wait_for::WaitFor>),
];

/// The names of the generic step kinds.
pub fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|(name, _)| *name)
}

/// Makes a step of its declaration. What is wrong with its arguments, or with its `uses`, goes to the findings, and
/// then there is no step.
///
/// A step of the service's kind (`rabbitmq.join`) is none of these: the planner asks the service for it, and calls
/// [`report_unknown`] where the kind has no such step.
pub fn build(decl: &StepDecl, cx: &BuildCx<'_>) -> Option<Box<dyn Step>> {
    let Some((_, build)) = STEPS.iter().find(|(name, _)| *name == decl.uses) else {
        report_unknown(decl, cx.service.map(Service::kind), cx.kinds, cx.findings);
        return None;
    };
    build(decl, cx)
}

/// Reports that there is no such step kind, neither here nor among the steps of the playbook's kind.
pub fn report_unknown(decl: &StepDecl, kind: Option<&str>, kinds: Kinds, findings: &Findings) {
    let own = kind.and_then(|kind| kinds.named(kind)).into_iter();
    let own = own.flat_map(|kind| {
        kind.steps()
            .into_iter()
            .map(|step| format!("{}.{step}", kind.name()))
    });
    let known: Vec<String> = own.chain(names().map(str::to_owned)).collect();
    let foreign = decl.uses.split_once('.').and_then(|(of, _)| kinds.named(of));
    let label = match (foreign, kind) {
        (Some(of), None) => format!("only a playbook with kind = {:?} may use it", of.name()),
        (Some(of), Some(kind)) if of.name() != kind => format!("not a step of {kind}"),
        _ => format!("expected {}", known.join(", ")),
    };
    let diagnostic =
        Diagnostic::error(format!("there is no step kind {:?} here", decl.uses)).at(decl.uses_span, label);
    findings.report(with_suggestion(
        diagnostic,
        &decl.uses,
        known.iter().map(String::as_str),
    ));
}

/// The files that a playbook's steps name as templates, each with where it is named. The binary reads them, beside
/// the playbook, before the steps are built.
pub fn templates(playbook: &Playbook) -> Vec<(&str, Span)> {
    let steps = playbook.steps.iter().filter(|step| step.uses == "file");
    let named = steps.filter_map(|step| step.with.get("template"));
    let named = named.filter_map(|entry| match &entry.value.kind {
        ValueKind::String(name) => Some((name.as_str(), entry.value.span)),
        _ => None,
    });
    named.collect()
}
