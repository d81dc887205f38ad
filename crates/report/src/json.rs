//! The same for machines. These shapes are a promise: fields are added, never changed or removed, within a
//! [`FORMAT`]. They are structs of their own, so that a change to our own data cannot change them unnoticed; only
//! events go out as they are, because the journal keeps them in the same shape and its golden file guards that.
//!
//! - A plan: `{"format":1,"converged":…,"summary":{…},"nodes":[…],"budgets":[…],"notes":[…],"refusals":[…],
//!   "unplanned":[…],"paused":[…]}`. A node's `sort` is `create`, `change`, `disrupt` or `wait`; nodes with the same `batch` may
//!   run at the same time. Files are diffs in which secrets are words.
//! - A status: `{"format":1,"services":[…],"paused":[…]}`.
//! - A run: one line for each event, `{"at":"2023-11-14T22:13:20.000000Z","event":"node-started",…}`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use plan::{Event, Gate, Level, Node, Paused, Preview, ServiceStatus, SkippedSteps, StepGraph};
use protocol::Text;
use serde::Serialize;
use types::{GroupId, HostName, NodeId, ServiceName};

use crate::batches::batches;
use crate::clock::rfc3339;
use crate::diff;
use crate::effect::Effect;
use crate::summary::{Summary, summary};
use crate::text::{is_control, redact};

/// The version of the shapes.
pub const FORMAT: u32 = 1;

/// A plan as one JSON document.
pub fn plan_json(graph: &StepGraph) -> String {
    let nodes = graph.nodes().iter().zip(batches(graph));
    document(&PlanDocument {
        format: FORMAT,
        converged: graph.is_converged(),
        summary: summary(graph),
        nodes: nodes.map(|(node, batch)| node_document(node, batch)).collect(),
        budgets: graph
            .budgets()
            .iter()
            .map(|(group, budget)| BudgetDocument {
                group,
                members: &budget.members,
                max_unavailable: budget.max_unavailable,
                unavailable: &budget.unavailable,
            })
            .collect(),
        notes: graph
            .notes
            .iter()
            .map(|note| NoteDocument {
                level: note.level,
                service: note.service.as_ref(),
                host: note.host.as_ref(),
                text: &note.text,
            })
            .collect(),
        refusals: graph
            .refusals
            .iter()
            .map(|refusal| RefusalDocument {
                service: refusal.service.as_ref(),
                host: refusal.host.as_ref(),
                what: &refusal.what,
                why: &refusal.why,
                resolve: &refusal.resolve,
                consent: refusal.consent.as_ref().map(ToString::to_string),
                passing: refusal.passing,
            })
            .collect(),
        unplanned: graph
            .unplanned
            .iter()
            .map(|unplanned| UnplannedDocument {
                service: unplanned.service.as_ref(),
                step: &unplanned.steps,
                host: &unplanned.host,
                why: &unplanned.why,
                passing: unplanned.passing,
            })
            .collect(),
        paused: paused_documents(&graph.paused),
    })
}

fn paused_documents(paused: &[Paused]) -> Vec<PausedDocument<'_>> {
    let documents = paused.iter().map(|paused| PausedDocument {
        service: paused.service.as_ref(),
        host: paused.host.as_ref(),
        reason: &paused.reason,
        until: paused.until.as_deref(),
    });
    documents.collect()
}

/// The state of services as one JSON document.
pub fn status_json(services: &[ServiceStatus], paused: &[Paused]) -> String {
    let services = services.iter().map(|service| ServiceDocument {
        service: &service.service,
        kind: &service.kind,
        health: crate::status::word(service.health),
        summary: &service.summary,
        members: service
            .members
            .iter()
            .map(|member| MemberDocument {
                host: &member.host,
                process: &member.process,
                role: &member.role,
                health: crate::status::word(member.health),
                lag: &member.lag,
                since: member.since_us.map(rfc3339),
                detail: &member.detail,
            })
            .collect(),
    });
    document(&StatusDocument {
        format: FORMAT,
        services: services.collect(),
        paused: paused_documents(paused),
    })
}

/// An event as one line of JSON, without an end of line.
pub fn event_json(at_us: i64, event: &Event) -> String {
    line(&EventLine {
        at: rfc3339(at_us),
        event,
    })
}

/// A value as one line.
pub(crate) fn line(value: &impl Serialize) -> String {
    text(serde_json::to_string(value))
}

fn document(value: &impl Serialize) -> String {
    text(serde_json::to_string_pretty(value)) + "\n"
}

/// Our structs have string keys and no serializer of their own that fails, so there is always a text.
fn text(result: serde_json::Result<String>) -> String {
    let text = result.unwrap_or_else(|error| format!("{{\"error\":{:?}}}", error.to_string()));
    escaped(&text)
}

/// JSON demands escapes for the first 32 control characters only. The others, which steer a terminal just as well, stand
/// in strings only, for all else in JSON is ASCII that can be seen; so an escape there means the same.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_control(c) && c != '\n' {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn node_document(node: &Node, batch: usize) -> NodeDocument<'_> {
    NodeDocument {
        id: &node.id,
        service: node.service.as_ref(),
        host: &node.host,
        title: &node.title,
        reason: &node.reason,
        sort: Effect::of(node),
        batch: batch + 1,
        needs: &node.needs,
        disrupts: &node.disrupts,
        before: node.before.iter().map(gate_document).collect(),
        gates: node.gates.iter().map(gate_document).collect(),
        preview: node.preview.as_ref().map(preview_document),
    }
}

fn gate_document(gate: &Gate) -> GateDocument<'_> {
    GateDocument {
        title: &gate.title,
        service: gate.service.as_ref(),
        check: &gate.check,
        host: gate.host.as_ref(),
        limit_ms: gate.limit_ms,
    }
}

fn preview_document(preview: &Preview) -> PreviewDocument<'_> {
    match preview {
        Preview::File { path, before, .. } => PreviewDocument::File {
            path,
            new: before.is_none(),
            diff: diff::plain(preview),
        },
        Preview::Commands(commands) => PreviewDocument::Commands {
            commands: commands
                .iter()
                .map(|command| redact(&Text::new(command.as_str())))
                .collect(),
        },
    }
}

#[derive(Serialize)]
struct PlanDocument<'a> {
    format: u32,
    converged: bool,
    summary: Summary,
    nodes: Vec<NodeDocument<'a>>,
    budgets: Vec<BudgetDocument<'a>>,
    notes: Vec<NoteDocument<'a>>,
    refusals: Vec<RefusalDocument<'a>>,
    unplanned: Vec<UnplannedDocument<'a>>,
    paused: Vec<PausedDocument<'a>>,
}

#[derive(Serialize)]
struct NodeDocument<'a> {
    id: &'a NodeId,
    service: Option<&'a ServiceName>,
    host: &'a HostName,
    title: &'a str,
    reason: &'a str,
    sort: Effect,
    batch: usize,
    needs: &'a BTreeSet<NodeId>,
    disrupts: &'a BTreeSet<GroupId>,
    before: Vec<GateDocument<'a>>,
    gates: Vec<GateDocument<'a>>,
    preview: Option<PreviewDocument<'a>>,
}

#[derive(Serialize)]
struct GateDocument<'a> {
    title: &'a str,
    service: Option<&'a ServiceName>,
    check: &'a str,
    host: Option<&'a HostName>,
    limit_ms: u64,
}

#[derive(Serialize)]
#[serde(tag = "of", rename_all = "lowercase")]
enum PreviewDocument<'a> {
    File { path: &'a str, new: bool, diff: String },
    Commands { commands: Vec<String> },
}

#[derive(Serialize)]
struct BudgetDocument<'a> {
    group: &'a GroupId,
    members: &'a BTreeSet<HostName>,
    max_unavailable: usize,
    unavailable: &'a BTreeSet<HostName>,
}

#[derive(Serialize)]
struct NoteDocument<'a> {
    level: Level,
    service: Option<&'a ServiceName>,
    host: Option<&'a HostName>,
    text: &'a str,
}

#[derive(Serialize)]
struct RefusalDocument<'a> {
    service: Option<&'a ServiceName>,
    host: Option<&'a HostName>,
    what: &'a str,
    why: &'a str,
    #[serde(rename = "way_out")]
    resolve: &'a str,
    consent: Option<String>,
    passing: bool,
}

#[derive(Serialize)]
struct UnplannedDocument<'a> {
    service: Option<&'a ServiceName>,
    step: &'a SkippedSteps,
    host: &'a HostName,
    why: &'a str,
    passing: bool,
}

#[derive(Serialize)]
struct PausedDocument<'a> {
    service: Option<&'a ServiceName>,
    host: Option<&'a HostName>,
    reason: &'a str,
    until: Option<&'a str>,
}

#[derive(Serialize)]
struct StatusDocument<'a> {
    format: u32,
    services: Vec<ServiceDocument<'a>>,
    paused: Vec<PausedDocument<'a>>,
}

#[derive(Serialize)]
struct ServiceDocument<'a> {
    service: &'a ServiceName,
    kind: &'a str,
    health: &'static str,
    summary: &'a str,
    members: Vec<MemberDocument<'a>>,
}

#[derive(Serialize)]
struct MemberDocument<'a> {
    host: &'a HostName,
    process: &'a str,
    role: &'a str,
    health: &'static str,
    lag: &'a str,
    since: Option<String>,
    detail: &'a str,
}

#[derive(Serialize)]
struct EventLine<'a> {
    at: String,
    #[serde(flatten)]
    event: &'a Event,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{paused, rolling_change, services, stopped_run};

    #[test]
    fn a_plan() {
        let json = plan_json(&rolling_change());
        assert!(!json.contains(['⟪', '⟫']));
        insta::assert_snapshot!(json);
    }

    #[test]
    fn a_status() {
        insta::assert_snapshot!(status_json(&services(), &paused()));
    }

    #[test]
    fn a_run_line_by_line() {
        let lines: Vec<String> = stopped_run()
            .iter()
            .map(|(at, event)| event_json(*at, event))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_converged_plan_says_so() {
        let json: serde_json::Value = serde_json::from_str(&plan_json(&StepGraph::default())).unwrap();
        assert_eq!(json["format"], 1);
        assert_eq!(json["converged"], true);
    }
}
