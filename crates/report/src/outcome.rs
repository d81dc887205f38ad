//! How a run ended: what was done, what failed and what was last seen there, what was not run and why, and where the time
//! went. The verdict comes last, where the eye rests.

use std::fmt::Write as _;

use plan::{Failure, NodeOutcome, NotRun};
use types::{HostName, NodeId};

use crate::clock::duration;
use crate::critical_path::path;
use crate::text::{count, listed, one_line, wrapped};
use crate::timeline::{NodeProgress, Timeline};
use crate::{Labels, Page, Paint, Screen};

/// How many nodes are listed one by one; the rest is a number.
const LISTED: usize = 20;

/// The end of a run, from its events.
pub fn render_outcome(labels: &Labels, events: &[(i64, plan::Event)], screen: &Screen) -> Page {
    let report = Report {
        labels,
        timeline: &Timeline::of(events),
        screen,
    };
    let blocks = [
        report.done(),
        report.critical_path(),
        report.running(),
        report.not_run(),
        report.failed(),
        report.verdict(),
    ];
    let blocks: Vec<String> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
    Page::drawn(&blocks.join("\n"), screen)
}

/// A failure in words: what happened, and what was last seen.
pub(crate) fn failure(failure: &Failure) -> Vec<String> {
    match failure {
        Failure::Changed { what } => vec![
            format!("changed since the plan: {what}"),
            "nothing was done; to resolve: plan again".to_owned(),
        ],
        Failure::Blocked { title, last } => vec![
            format!("not started: the gate before it did not pass: {title}"),
            format!("last seen: {last}"),
        ],
        Failure::Action { message } => vec![message.clone()],
        Failure::CutOff { what } => vec![
            format!("cut off: {what}"),
            "not repeated; to resolve: plan again, the plan shows whether it is still pending".to_owned(),
        ],
        Failure::Gate { title, last } => {
            vec![
                format!("the gate did not pass: {title}"),
                format!("last seen: {last}"),
            ]
        }
        Failure::RolledBack { cause, files, error } => {
            let mut lines = self::failure(cause);
            lines.push(match error {
                None => format!(
                    "rolled back: {} {} as before",
                    listed(files),
                    if files.len() == 1 { "is" } else { "are" }
                ),
                Some(why) if files.is_empty() => format!("not rolled back: {why}"),
                Some(why) => format!("rolled back in part ({}): {why}", listed(files)),
            });
            lines
        }
        Failure::Lost { message } => vec![format!("the host was lost: {message}")],
    }
}

struct Report<'a> {
    labels: &'a Labels,
    timeline: &'a Timeline,
    screen: &'a Screen,
}

impl<'a> Report<'a> {
    fn heading(&self, paint: Paint, title: &str) -> String {
        format!("{}\n", self.screen.paint(paint, title))
    }

    /// The nodes with events, in the plan's order, then those that the plan does not name.
    fn nodes(&self) -> Vec<(&'a NodeId, &'a NodeProgress)> {
        let planned = self.labels.iter().map(|label| &label.node);
        let strangers = self
            .timeline
            .nodes
            .keys()
            .filter(|node| self.labels.get(node).is_none());
        planned
            .chain(strangers)
            .filter_map(|node| self.timeline.nodes.get_key_value(node))
            .collect()
    }

    fn done(&self) -> String {
        let is_done = |node: &NodeProgress| matches!(node.outcome, Some(NodeOutcome::Done { .. }));
        let mut done = self.nodes();
        done.retain(|(_, node)| is_done(node));
        if done.is_empty() {
            return String::new();
        }
        done.sort_by_key(|(_, node)| std::cmp::Reverse(node.took_us()));
        let mut out = self.heading(Paint::Good, "Done, slowest first");
        for (id, node) in done.iter().take(LISTED) {
            let took = node.took_us().map_or_else(String::new, duration);
            let name = self.labels.name(id);
            out.push_str(&wrapped(&format!("{took:>12}  "), 14, &name, self.screen.width));
            if let Some(NodeOutcome::Done { change: Some(change) }) = &node.outcome {
                let mut text = one_line(&change.summary);
                if let Some(backup) = &change.backup {
                    let _ = write!(text, ", backup: {}", one_line(backup));
                }
                for line in wrapped("", 16, &text, self.screen.width).lines() {
                    out.push_str(&self.screen.paint(Paint::Faint, line));
                    out.push('\n');
                }
            }
        }
        if let Some((_, fastest_listed)) = done.get(LISTED - 1).filter(|_| done.len() > LISTED) {
            let took = fastest_listed.took_us().map_or_else(String::new, duration);
            let _ = writeln!(
                out,
                "{:14}and {} more, none slower than {took}",
                "",
                done.len() - LISTED
            );
        }
        out
    }

    fn critical_path(&self) -> String {
        let path = path(self.labels, self.timeline);
        // One node is no path, and the list above has it at its top.
        if path.len() < 2 {
            return String::new();
        }
        // A damaged journal may have any times.
        let total = path
            .iter()
            .fold(0_i64, |sum, (_, took)| sum.saturating_add(*took));
        let title = format!(
            "Critical path: {} of {}",
            duration(total),
            duration(self.timeline.took_us())
        );
        let mut out = self.heading(Paint::Info, &title);
        for (label, took) in path {
            let name = self.labels.name(&label.node);
            out.push_str(&wrapped(
                &format!("{:>12}  ", duration(took)),
                14,
                &name,
                self.screen.width,
            ));
        }
        out
    }

    fn running(&self) -> String {
        let mut running = self.nodes();
        running.retain(|(_, node)| node.is_running());
        if running.is_empty() {
            return String::new();
        }
        let mut out = self.heading(Paint::Warn, "Running when the record ends");
        for (id, node) in running {
            let mut text = self.labels.name(id);
            if !node.waits_for.is_empty() {
                let _ = write!(text, ", waiting: {}", one_line(&node.waits_for));
            }
            out.push_str(&wrapped("  ", 4, &text, self.screen.width));
        }
        out
    }

    /// What was not run, by its root cause: dependants of dependants of a failure name the failure.
    fn not_run(&self) -> String {
        let mut causes: Vec<(String, Vec<&NodeId>)> = Vec::new();
        for (id, node) in self.nodes() {
            let Some(NodeOutcome::NotRun { why }) = &node.outcome else {
                continue;
            };
            let cause = self.cause(why);
            match causes.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, nodes)) => nodes.push(id),
                None => causes.push((cause, vec![id])),
            }
        }
        if causes.is_empty() {
            return String::new();
        }
        let mut out = self.heading(Paint::Warn, "Not run");
        for (cause, nodes) in causes {
            out.push_str(&wrapped("  ", 4, &format!("because {cause}:"), self.screen.width));
            for id in nodes.iter().take(LISTED) {
                out.push_str(&wrapped("    ", 6, &self.labels.name(id), self.screen.width));
            }
            if nodes.len() > LISTED {
                let _ = writeln!(out, "    and {} more", nodes.len() - LISTED);
            }
        }
        out
    }

    fn cause(&self, mut why: &'a NotRun) -> String {
        // A circle cannot be recorded by a run, but a damaged journal may say anything.
        for _ in 0..=self.timeline.nodes.len() {
            let NotRun::Dependency { on } = why else {
                break;
            };
            match self.timeline.nodes.get(on).and_then(|node| node.outcome.as_ref()) {
                Some(NodeOutcome::NotRun { why: deeper }) => why = deeper,
                _ => return format!("{} failed", self.labels.name(on)),
            }
        }
        match why {
            NotRun::Dependency { on } => format!("{} was not run", self.labels.name(on)),
            NotRun::RolloutStopped { by } => {
                format!(
                    "the rollout of the service stopped when {} failed",
                    self.labels.name(by)
                )
            }
            NotRun::Budget { group, unavailable } => {
                let hosts: Vec<&str> = unavailable.iter().map(HostName::as_str).collect();
                format!(
                    "the disruption budget of {group} was used up; unavailable: {}",
                    listed(&hosts)
                )
            }
            NotRun::FailFast => "another step failed, with --fail-fast".to_owned(),
            NotRun::Interrupted => "the run was interrupted".to_owned(),
        }
    }

    fn failed(&self) -> String {
        let mut out = String::new();
        for (id, node) in self.nodes() {
            let Some(NodeOutcome::Failed { failure: how }) = &node.outcome else {
                continue;
            };
            let took = node
                .took_us()
                .map_or_else(String::new, |took| format!(", after {}", duration(took)));
            let name = format!("{}{took}", self.labels.name(id));
            out.push_str(&wrapped("  ", 4, &name, self.screen.width));
            for line in failure(how) {
                let line = wrapped("", 6, &one_line(&line), self.screen.width);
                out.push_str(&line);
            }
        }
        if out.is_empty() {
            return out;
        }
        format!("{}{out}", self.heading(Paint::Bad, "Failed"))
    }

    fn verdict(&self) -> String {
        let tally = self.timeline.tally();
        let took = duration(self.timeline.took_us());
        let known = tally.done + tally.failed + tally.not_run;
        let mut parts = vec![format!("{} done", tally.done)];
        let others = [
            (tally.failed, "failed"),
            (tally.not_run, "not run"),
            (tally.running, "running"),
            (
                self.labels.len().saturating_sub(known + tally.running),
                "not started",
            ),
        ];
        for (number, what) in others {
            if number > 0 {
                parts.push(format!("{number} {what}"));
            }
        }
        let parts = parts.join(", ");
        let (paint, line) = if !self.timeline.finished {
            let line = format!("Unfinished: the run was killed after {took}, or is still running. {parts}.");
            (Paint::Bad, line)
        } else if self.timeline.interrupted {
            (Paint::Warn, format!("Interrupted after {took}: {parts}."))
        } else if tally.failed + tally.not_run > 0 {
            (Paint::Bad, format!("Failed after {took}: {parts}."))
        } else {
            (
                Paint::Good,
                format!("Done in {took}: {}.", count(tally.done, "step")),
            )
        };
        format!("{}\n", self.screen.paint(paint, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{killed_run, rolling_change, stopped_run, successful_run};

    fn shown(events: &[(i64, plan::Event)]) -> Page {
        render_outcome(&Labels::from(&rolling_change()), events, &Screen::plain())
    }

    #[test]
    fn a_successful_run() {
        insta::assert_snapshot!(shown(&successful_run()));
    }

    #[test]
    fn a_rollout_that_stopped_at_a_gate() {
        insta::assert_snapshot!(shown(&stopped_run()));
    }

    #[test]
    fn a_run_that_was_killed() {
        insta::assert_snapshot!(shown(&killed_run()));
    }

    #[test]
    fn a_run_of_nothing() {
        let events = [(
            0,
            plan::Event::RunFinished {
                outcome: plan::Outcome::default(),
            },
        )];
        assert_eq!(
            render_outcome(&Labels::default(), &events, &Screen::plain()),
            "Done in 0.0 s: 0 steps.\n"
        );
    }

    #[test]
    fn a_used_up_budget_names_the_unavailable_members() {
        let why = NotRun::Budget {
            group: "mq".parse().unwrap(),
            unavailable: vec!["db3".parse().unwrap()],
        };
        let node = "mq/restart@db1".parse().unwrap();
        let outcome = NodeOutcome::NotRun { why };
        let shown = shown(&[(0, plan::Event::NodeFinished { node, outcome })]);
        assert!(
            shown.contains("because the disruption budget of mq was used up; unavailable: db3:"),
            "{shown}"
        );
    }
}
