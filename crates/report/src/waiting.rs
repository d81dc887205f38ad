//! What an apply waits for between its plans.

use std::time::Duration;

use plan::{Passing, StepGraph};
use serde::Serialize;
use types::{HostName, ServiceName};

use crate::clock::{limit, rfc3339};
use crate::json;
use crate::remarks::{paragraph, place};
use crate::{Page, Screen};

/// What may pass by itself, and how long it is waited for at most.
pub fn render_waiting(graph: &StepGraph, at_most: Duration, screen: &Screen) -> Page {
    let all = graph.passing().map(|passing| {
        let place = place(passing.service, passing.host);
        paragraph(&place, passing.why, screen)
    });
    let text = format!(
        "Waiting up to {}:\n{}",
        limit(ms(at_most)),
        all.collect::<String>()
    );
    Page::drawn(&text, screen)
}

/// The same as one line of JSON among the events, without an end of line. A pause between two rounds waits for nothing.
pub fn waiting_json(at_us: i64, graph: &StepGraph, at_most: Duration) -> String {
    json::line(&WaitingLine {
        at: rfc3339(at_us),
        event: "waiting",
        limit_ms: ms(at_most),
        waits_for: graph.passing().map(PassingDocument::from).collect(),
    })
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Serialize)]
struct WaitingLine<'a> {
    at: String,
    event: &'static str,
    limit_ms: u64,
    #[serde(rename = "for")]
    waits_for: Vec<PassingDocument<'a>>,
}

#[derive(Serialize)]
struct PassingDocument<'a> {
    service: Option<&'a ServiceName>,
    host: Option<&'a HostName>,
    why: &'a str,
}

impl<'a> From<Passing<'a>> for PassingDocument<'a> {
    fn from(passing: Passing<'a>) -> Self {
        let Passing { service, host, why } = passing;
        Self { service, host, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Refusal;

    #[test]
    fn what_is_waited_for_is_said_with_its_limit() {
        let mut graph = StepGraph::default();
        let refusal = |name: &str, why: &str| Refusal {
            service: Some("set".parse().unwrap()),
            ..Refusal::new("", why, "").on(&name.parse().unwrap())
        };
        graph.refusals = vec![
            refusal("db1", "it holds data"),
            refusal("db2", "mongod is\u{1b}[2J starting").passing(),
            refusal("db3", "there is no primary yet").passing(),
        ];
        let at_most = Duration::from_mins(2);
        assert_eq!(
            render_waiting(&graph, at_most, &Screen::plain()),
            "Waiting up to 2 min:\n  set on db2: mongod is␛[2J starting\n  set on db3: there is no primary yet\n"
        );
        assert_eq!(
            waiting_json(1_700_000_000_000_000, &graph, at_most),
            r#"{"at":"2023-11-14T22:13:20.000000Z","event":"waiting","limit_ms":120000,"for":["#.to_owned()
                + r#"{"service":"set","host":"db2","why":"mongod is\u001b[2J starting"},"#
                + r#"{"service":"set","host":"db3","why":"there is no primary yet"}]}"#
        );
    }
}
