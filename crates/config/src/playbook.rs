//! Playbooks: the ordered steps of one service or one operation.
//!
//! A playbook is data. Its steps name step kinds (`uses`), which are Rust; the arguments (`with`) are kept as they
//! were written until the step kind reads them, which is before anything runs. The built-in playbooks have the
//! same form as an operator's own.

use types::{Diagnostic, SourceId, Sources, Span, StepId};

use crate::findings::{Findings, bad_name, wrong_value};
use crate::reader::Reader;
use crate::value::{self, Table, ValueKind};

/// A playbook.
#[derive(Debug, Clone, PartialEq)]
pub struct Playbook {
    /// What it is about, one line.
    pub title: String,
    /// The kind whose services it is for; `None` for a playbook of generic steps, which runs once.
    pub kind: Option<String>,
    /// The hosts or groups it runs on, where it has no kind; all hosts where it does not say.
    pub hosts: Option<Vec<(String, Span)>>,
    /// Its steps, in order.
    pub steps: Vec<StepDecl>,
}

/// One step as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDecl {
    /// Its name within the playbook.
    pub id: StepId,
    /// The step kind, e.g. `rabbitmq.join` or `file`.
    pub uses: String,
    /// Where `uses` stands.
    pub uses_span: Span,
    /// Its arguments.
    pub with: Table,
    /// Whether every earlier step must have ended on every host; otherwise a host goes on by itself.
    pub barrier: bool,
    /// Whether it comes after the services that use this one: they have learned by then what changed.
    pub after_users: bool,
    /// How its tasks follow each other.
    pub rollout: Rollout,
    /// The hosts or groups it is for, where not all.
    pub hosts: Option<Vec<(String, Span)>>,
}

/// How the tasks of one step follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rollout {
    /// All at once, as far as budgets allow.
    #[default]
    Parallel,
    /// One after another, each after the gates of the one before it; the first that fails stops the rest.
    Serial,
}

impl Playbook {
    /// Reads a playbook. What is wrong goes to `findings`.
    pub fn read(sources: &Sources, id: SourceId, findings: &Findings) -> Self {
        let (root, diagnostics) = value::parse(sources, id);
        for diagnostic in diagnostics {
            findings.report(diagnostic);
        }
        let reader = Reader::new(&root, "a key of a playbook", findings);
        let playbook = Self {
            title: reader.string("title").unwrap_or_default().to_owned(),
            kind: reader.string("kind").map(str::to_owned),
            hosts: names(&reader),
            steps: read_steps(&reader, findings),
        };
        reader.finish();
        playbook
    }
}

fn names(reader: &Reader<'_>) -> Option<Vec<(String, Span)>> {
    let names = reader.strings("hosts")?;
    Some(
        names
            .into_iter()
            .map(|(name, span)| (name.to_owned(), span))
            .collect(),
    )
}

fn read_steps(reader: &Reader<'_>, findings: &Findings) -> Vec<StepDecl> {
    let mut steps: Vec<StepDecl> = Vec::new();
    let Some(value) = reader.required(
        "steps",
        reader.value("steps"),
        "a playbook is a list of [[steps]]",
    ) else {
        return steps;
    };
    let ValueKind::Array(items) = &value.kind else {
        findings.report(wrong_value("steps", value.span, "[[steps]]", &value.kind));
        return steps;
    };
    let mut seen: Vec<(StepId, Span)> = Vec::new();
    for item in items {
        let ValueKind::Table(table) = &item.kind else {
            findings.report(wrong_value("a step", item.span, "[[steps]]", &item.kind));
            continue;
        };
        let Some(step) = read_step(table, findings) else {
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(id, _)| *id == step.id) {
            findings.report(
                Diagnostic::error(format!("two steps are named {}", step.id))
                    .at(table.span, "the second one")
                    .related(*first, "the first one")
                    .hint("give one of them another name: id = \"NAME\""),
            );
        }
        seen.push((step.id.clone(), table.span));
        steps.push(step);
    }
    steps
}

fn read_step(table: &Table, findings: &Findings) -> Option<StepDecl> {
    let reader = Reader::new(table, "a key of a step", findings);
    let uses = reader.required(
        "uses",
        reader.entry("uses"),
        "name the step kind: uses = \"file\"",
    );
    let text = reader.string("uses");
    // A step that does not say is named after its step kind: `rabbitmq.join` is `join`.
    let id = match reader.entry("id") {
        Some(_) => reader.parsed("id"),
        None => text.and_then(|uses| {
            let name = uses.rsplit('.').next().unwrap_or(uses);
            name.parse()
                .map_err(|error| findings.report(bad_name(table.span, &error)))
                .ok()
        }),
    };
    let with = reader.table("with").cloned();
    let barrier = reader.bool("barrier");
    let after_users = reader.bool("after_users");
    let rollouts = [("parallel", Rollout::Parallel), ("serial", Rollout::Serial)];
    let rollout = reader.choice("rollout", &rollouts);
    let hosts = names(&reader);
    // Only now, so that what is wrong with one key hides nothing of the others.
    reader.finish();
    Some(StepDecl {
        id: id?,
        uses: text?.to_owned(),
        uses_span: uses?.value.span,
        with: with.unwrap_or_else(|| Table::empty(table.span)),
        barrier: barrier.unwrap_or(false),
        after_users: after_users.unwrap_or(false),
        rollout: rollout.unwrap_or_default(),
        hosts,
    })
}
