//! Past runs, as the journal has them: the list of `clusterctl history`, and one run in full.

use std::fmt::Write as _;

use plan::{Event, NodeOutcome, Outcome};
use types::RunId;

use crate::clock::duration;
use crate::outcome::failure;
use crate::table::Rows;
use crate::text::{count, one_line, wrapped};
use crate::{Clock, Labels, Page, Paint, Screen, render_outcome};

/// The length of a short run id: all that its time, in milliseconds, contributes to it.
const SHORT_ID: usize = 13;

/// A run in one line. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    /// Its id.
    pub run: RunId,
    /// When it began.
    pub started_us: i64,
    /// The operator.
    pub who: String,
    /// The command as it was typed.
    pub command: String,
    /// The inventory's path.
    pub inventory: String,
    /// How many nodes were to be run.
    pub nodes: usize,
    /// The time of its last event.
    pub last_us: i64,
    /// When and how it ended; `None` where it is unfinished.
    pub end: Option<(i64, Outcome)>,
}

/// A run in full.
#[derive(Debug, Clone)]
pub struct RunView {
    /// The run.
    pub line: RunLine,
    /// Its nodes.
    pub labels: Labels,
    /// What happened, and when.
    pub events: Vec<(i64, Event)>,
}

/// The list of past runs, in the order given.
pub fn render_history(runs: &[RunLine], clock: &Clock, screen: &Screen) -> Page {
    if runs.is_empty() {
        return "The journal has no runs.\n".into();
    }
    let mut rows = Rows::new(&["RUN", "STARTED", "BY", "RESULT", "TOOK", "COMMAND"]);
    for run in runs {
        let (paint, result) = result(run);
        rows.add(vec![
            (short(&run.run).to_owned(), Some(Paint::Strong)),
            (started(run, clock), None),
            (one_line(&run.who), None),
            (result, Some(paint)),
            (took(run), None),
            (one_line(&run.command), None),
        ]);
    }
    Page::drawn(&rows.draw(0, screen), screen)
}

/// One run: its operator, command and times, its events, and how it ended.
pub fn render_run(view: &RunView, clock: &Clock, screen: &Screen) -> Page {
    let run = &view.line;
    let (paint, result) = result(run);
    let mut out = String::new();
    for (word, text) in [
        ("run", run.run.to_string()),
        ("started", started(run, clock)),
        ("by", one_line(&run.who)),
        ("command", one_line(&run.command)),
        ("inventory", one_line(&run.inventory)),
        ("steps", run.nodes.to_string()),
        ("took", took(run)),
        ("result", screen.paint(paint, result)),
    ] {
        let word = screen.paint(Paint::Faint, format!("{word:<11}"));
        let _ = writeln!(out, "{word}{text}");
    }
    out.push('\n');
    out.push_str(&screen.paint(Paint::Strong, "Events"));
    out.push('\n');
    for (at_us, event) in &view.events {
        if let Some((word, text)) = describe(event, &view.labels) {
            let first = format!("  {}  {word:<8} ", clock.time(*at_us));
            out.push_str(&wrapped(&first, first.len(), &text, screen.width));
        }
    }
    out.push('\n');
    out.push_str(&render_outcome(&view.labels, &view.events, screen));
    Page::drawn(&out, screen)
}

/// The beginning of a run's id, by which it can be asked for.
pub fn short(run: &RunId) -> &str {
    run.as_str().get(..SHORT_ID).unwrap_or(run.as_str())
}

fn started(run: &RunLine, clock: &Clock) -> String {
    format!(
        "{} ({})",
        clock.date_time(run.started_us),
        clock.ago(run.started_us)
    )
}

fn took(run: &RunLine) -> String {
    let end = run.end.map_or(run.last_us, |(at, _)| at);
    let took = duration(end.saturating_sub(run.started_us));
    match run.end {
        Some(_) => took,
        None => format!("at least {took}"),
    }
}

fn result(run: &RunLine) -> (Paint, String) {
    match run.end {
        None => (Paint::Bad, "unfinished".to_owned()),
        Some((_, outcome)) if outcome.is_success() => {
            (Paint::Good, format!("{} done", count(outcome.done, "step")))
        }
        Some((_, outcome)) => {
            let Outcome {
                done,
                failed,
                not_run,
                interrupted,
            } = outcome;
            let word = if interrupted { "interrupted" } else { "failed" };
            let paint = if failed > 0 { Paint::Bad } else { Paint::Warn };
            (
                paint,
                format!("{word}: {done} done, {failed} failed, {not_run} not run"),
            )
        }
    }
}

/// An event in words; `None` where the head and the end of the view say it.
fn describe(event: &Event, labels: &Labels) -> Option<(&'static str, String)> {
    Some(match event {
        Event::RunStarted { .. } | Event::RunFinished { .. } => return None,
        Event::NodeStarted { node, .. } => ("started", labels.name(node)),
        Event::NodeWaiting { node, why } => ("waiting", format!("{}: {}", labels.name(node), one_line(why))),
        Event::NodeFinished { node, outcome } => {
            let (word, what) = ended(outcome);
            let name = labels.name(node);
            let text = match what {
                Some(what) => format!("{name}: {}", one_line(&what)),
                None => name,
            };
            (word, text)
        }
        Event::Interrupted => ("stopping", "the operator interrupted the run".to_owned()),
    })
}

/// How a node ended: a word, and what there is to say about it.
pub(crate) fn ended(outcome: &NodeOutcome) -> (&'static str, Option<String>) {
    match outcome {
        NodeOutcome::Done { change } => ("done", change.as_ref().map(|change| change.summary.clone())),
        NodeOutcome::Failed { failure: how } => ("FAILED", Some(failure(how).join("\n"))),
        NodeOutcome::NotRun { .. } => ("not run", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{clock, run_lines, run_view};

    #[test]
    fn the_list_of_past_runs() {
        let screen = Screen {
            colour: false,
            width: 140,
        };
        insta::assert_snapshot!(render_history(&run_lines(), &clock(), &screen));
        assert_eq!(
            render_history(&[], &clock(), &screen),
            "The journal has no runs.\n"
        );
    }

    #[test]
    fn one_run_in_full() {
        insta::assert_snapshot!(render_run(&run_view(), &clock(), &Screen::plain()));
    }
}
