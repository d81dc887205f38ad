//! The site: which playbooks run, and which wait for which.
//!
//! Playbooks say how one service is done; the site says in which order services are. It is the one file of playbooks/
//! that has no steps.

use types::{SourceId, Sources, Span};

use crate::findings::{Findings, wrong_value};
use crate::reader::Reader;
use crate::value::{self, Table, ValueKind};

/// The order of playbooks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Site {
    /// What comes one after another.
    pub stages: Vec<Stage>,
}

/// Playbooks that run side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// The playbooks' names, each with its place.
    pub playbooks: Vec<(String, Span)>,
    /// Whether a host goes on to later stages by itself, instead of waiting until the stage has ended everywhere.
    pub per_host: bool,
}

impl Site {
    /// Reads a site. What is wrong goes to `findings`.
    pub fn read(sources: &Sources, id: SourceId, findings: &Findings) -> Self {
        let (root, diagnostics) = value::parse(sources, id);
        for diagnostic in diagnostics {
            findings.report(diagnostic);
        }
        let reader = Reader::new(&root, "a key of a site", findings);
        let stages = reader.required("stages", reader.value("stages"), "a site is a list of [[stages]]");
        let items = stages.map(|value| match &value.kind {
            ValueKind::Array(items) => items.iter().map(|item| (item.span, &item.kind)).collect(),
            other => vec![(value.span, other)],
        });
        let stages = items
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(span, kind)| match kind {
                ValueKind::Table(table) => Some(read_stage(table, findings)),
                other => {
                    findings.report(wrong_value("a stage", span, "[[stages]]", other));
                    None
                }
            });
        let stages = stages.collect();
        reader.finish();
        Self { stages }
    }
}

fn read_stage(table: &Table, findings: &Findings) -> Stage {
    let reader = Reader::new(table, "a key of a stage", findings);
    let names = reader.required(
        "playbooks",
        reader.strings("playbooks"),
        "playbooks = [\"rabbitmq\"]",
    );
    let names = names
        .unwrap_or_default()
        .into_iter()
        .map(|(name, span)| (name.to_owned(), span));
    let stage = Stage {
        playbooks: names.collect(),
        per_host: reader.bool("per_host").unwrap_or(false),
    };
    reader.finish();
    stage
}
