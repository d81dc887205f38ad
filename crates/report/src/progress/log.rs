//! Progress in words: which events get a line, and what it says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use plan::{Event, NodeOutcome};
use types::NodeId;

use crate::clock::duration;
use crate::history::ended;
use crate::text::one_line;
use crate::timeline::{NodeProgress, Timeline};
use crate::{Clock, Labels, Page, Paint, Screen};

/// The shortest time between two lines about a node that waits: what it sees may change every second.
const QUIET_US: i64 = 15_000_000;

/// Turns events into lines.
#[derive(Debug)]
pub struct ProgressLog {
    labels: Labels,
    clock: Clock,
    screen: Screen,
    timeline: Timeline,
    reported_waiting: BTreeMap<NodeId, i64>,
}

impl ProgressLog {
    /// A log of these nodes, without events.
    pub fn new(labels: Labels, clock: Clock, screen: Screen) -> Self {
        Self {
            labels,
            clock,
            screen,
            timeline: Timeline::default(),
            reported_waiting: BTreeMap::new(),
        }
    }

    /// The nodes.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The run so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Adds an event, and returns its line where it gets one. Lines that are `timed` begin with their time, and report starts
    /// and waiting too; otherwise the bars show those.
    pub fn line(&mut self, at_us: i64, event: &Event, timed: bool) -> Option<Page> {
        self.timeline.add(at_us, event);
        let (paint, word, text) = match event {
            Event::NodeFinished { node, outcome } => self.finished(node, outcome)?,
            Event::NodeStarted { node, .. } if timed => (Paint::Faint, "started", self.labels.name(node)),
            Event::NodeWaiting { node, why } if timed && self.is_news(node, at_us) => {
                let text = format!("{}: {}", self.labels.name(node), one_line(why));
                (Paint::Faint, "waiting", text)
            }
            Event::Interrupted => {
                let text = "running steps reach their next safe point; nothing new starts";
                (Paint::Warn, "stopping", text.to_owned())
            }
            _ => return None,
        };
        let time = if timed {
            format!("{}  ", self.clock.time(at_us))
        } else {
            String::new()
        };
        let line = format!("{time}{} {text}", self.screen.paint(paint, format!("{word:<8}")));
        Some(Page::drawn(&line, &self.screen))
    }

    /// Nodes that were not run are reported at the end, with their causes.
    fn finished(&self, node: &NodeId, outcome: &NodeOutcome) -> Option<(Paint, &'static str, String)> {
        let paint = match outcome {
            NodeOutcome::Done { .. } => Paint::Good,
            NodeOutcome::Failed { .. } => Paint::Bad,
            NodeOutcome::NotRun { .. } => return None,
        };
        let (word, what) = ended(outcome);
        let mut text = self.labels.name(node);
        let took = self.timeline.nodes.get(node).and_then(NodeProgress::took_us);
        if let Some(took) = took {
            let _ = write!(text, " ({})", duration(took));
        }
        if let Some(what) = what {
            text.push_str(": ");
            text.push_str(&one_line(&what));
        }
        Some((paint, word, text))
    }

    fn is_news(&mut self, node: &NodeId, at_us: i64) -> bool {
        let last = self.reported_waiting.get(node);
        let news = last.is_none_or(|last| at_us.saturating_sub(*last) >= QUIET_US);
        if news {
            self.reported_waiting.insert(node.clone(), at_us);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{clock, rolling_change, stopped_run};

    fn log() -> ProgressLog {
        ProgressLog::new(Labels::from(&rolling_change()), clock(), Screen::plain())
    }

    #[test]
    fn a_timed_log_has_every_event() {
        let mut log = log();
        let lines: Vec<Page> = stopped_run()
            .iter()
            .filter_map(|(at, event)| log.line(*at, event, true))
            .collect();
        let lines: Vec<&str> = lines.iter().map(Page::as_str).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_terminal_keeps_nodes_that_ended() {
        let mut log = log();
        let lines: Vec<Page> = stopped_run()
            .iter()
            .filter_map(|(at, event)| log.line(*at, event, false))
            .collect();
        let lines: Vec<&str> = lines.iter().map(Page::as_str).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn waiting_is_reported_now_and_then() {
        let mut log = log();
        let mut told = Vec::new();
        for second in 0..40 {
            let waiting = Event::NodeWaiting {
                node: "mq/restart@db1".parse().unwrap(),
                why: format!("{} messages behind", 40 - second),
            };
            if log.line(second * 1_000_000, &waiting, true).is_some() {
                told.push(second);
            }
        }
        assert_eq!(told, [0, 15, 30]);
    }
}
