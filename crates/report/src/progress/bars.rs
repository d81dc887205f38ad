//! Lines that move: one for each node under way, and one that counts.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use plan::Event;
use types::NodeId;

use crate::Screen;
use crate::progress::log::ProgressLog;
use crate::text::one_line;

/// So many nodes under way have a line; more would not fit on a small terminal, and are counted.
const VISIBLE: usize = 12;
const TICK: Duration = Duration::from_millis(120);

/// The lines on the terminal.
pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    line: ProgressStyle,
    visible: Vec<(NodeId, ProgressBar)>,
    hidden: VecDeque<NodeId>,
}

impl Bars {
    /// Lines on standard error, for so many nodes.
    pub(super) fn on_stderr(nodes: usize, screen: Screen) -> Self {
        Self::on_target(nodes, screen, ProgressDrawTarget::stderr())
    }

    fn on_target(nodes: usize, screen: Screen, target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let total = all.add(ProgressBar::new(u64::try_from(nodes).unwrap_or(u64::MAX)));
        let (line, sum) = if screen.colour {
            (
                "  {spinner:.cyan} {elapsed:>5.dim}  {wide_msg}",
                "[{bar:24.green/dim}] {pos}/{len}  {msg}",
            )
        } else {
            (
                "  {spinner} {elapsed:>5}  {wide_msg}",
                "[{bar:24}] {pos}/{len}  {msg}",
            )
        };
        total.set_style(style(sum).progress_chars("=> "));
        Self {
            all,
            total,
            line: style(line),
            visible: Vec::new(),
            hidden: VecDeque::new(),
        }
    }

    /// Updates the bars after an event. A finished line goes above them.
    pub(super) fn on(&mut self, event: &Event, finished: Option<&str>, log: &ProgressLog) {
        if let Some(line) = finished {
            let _ = self.all.println(line);
        }
        match event {
            Event::NodeStarted { node, .. } => self.begin(node, log),
            Event::NodeWaiting { node, .. } => self.update(node, log),
            Event::NodeFinished { node, .. } => self.end(node, log),
            Event::RunFinished { .. } => return self.clear(),
            Event::RunStarted { .. } | Event::Interrupted => {}
        }
        let tally = log.timeline().tally();
        let mut message = format!("{} running", tally.running);
        if !self.hidden.is_empty() {
            let _ = write!(message, " ({} not shown)", self.hidden.len());
        }
        if tally.failed > 0 {
            let _ = write!(message, ", {} failed", tally.failed);
        }
        if tally.not_run > 0 {
            let _ = write!(message, ", {} not run", tally.not_run);
        }
        self.total.set_message(message);
        self.total
            .set_position(u64::try_from(tally.done + tally.failed + tally.not_run).unwrap_or(u64::MAX));
    }

    /// Takes the lines off the terminal while something else writes to it.
    pub(super) fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.all.suspend(work)
    }

    /// Takes the lines off the terminal.
    pub(super) fn clear(&mut self) {
        for (_, bar) in self.visible.drain(..) {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
        let _ = self.all.clear();
    }

    fn begin(&mut self, node: &NodeId, log: &ProgressLog) {
        if self.visible.iter().any(|(known, _)| known == node) {
            return;
        }
        if self.visible.len() >= VISIBLE {
            self.hidden.push_back(node.clone());
            return;
        }
        self.show(node.clone(), log);
    }

    fn show(&mut self, node: NodeId, log: &ProgressLog) {
        let bar = ProgressBar::new_spinner().with_style(self.line.clone());
        let timeline = log.timeline();
        let began = timeline.nodes.get(&node).and_then(|node| node.started_us);
        let waited = began.map_or(0, |began| timeline.last_us.saturating_sub(began));
        let bar = bar.with_elapsed(Duration::from_micros(u64::try_from(waited).unwrap_or(0)));
        let bar = self.all.insert_before(&self.total, bar);
        bar.set_message(message(&node, log));
        bar.enable_steady_tick(TICK);
        self.visible.push((node, bar));
    }

    fn update(&mut self, node: &NodeId, log: &ProgressLog) {
        if let Some((_, bar)) = self.visible.iter().find(|(known, _)| known == node) {
            bar.set_message(message(node, log));
        }
    }

    fn end(&mut self, node: &NodeId, log: &ProgressLog) {
        self.hidden.retain(|known| known != node);
        if let Some(at) = self.visible.iter().position(|(known, _)| known == node) {
            let (_, bar) = self.visible.remove(at);
            bar.finish_and_clear();
            self.all.remove(&bar);
            if let Some(next) = self.hidden.pop_front() {
                self.show(next, log);
            }
        }
    }
}

fn message(node: &NodeId, log: &ProgressLog) -> String {
    let name = log.labels().name(node);
    let waits_for = log.timeline().nodes.get(node).map(|node| node.waits_for.as_str());
    match waits_for.filter(|waits_for| !waits_for.is_empty()) {
        Some(waits_for) => format!("{name} · {}", one_line(waits_for)),
        None => name,
    }
}

/// The templates are constants that a test draws; were one wrong, indicatif's own would do.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;
    use crate::samples::{clock, killed_run, rolling_change, successful_run};
    use indicatif::InMemoryTerm;

    fn screen(events: &[(i64, Event)]) -> String {
        let term = InMemoryTerm::new(20, 80);
        let labels = Labels::from(&rolling_change());
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 250);
        let mut bars = Bars::on_target(labels.len(), Screen::plain(), target);
        let mut log = ProgressLog::new(labels, clock(), Screen::plain());
        for (at, event) in events {
            let line = log.line(*at, event, false);
            bars.on(event, line.as_deref(), &log);
        }
        bars.total.force_draw();
        term.contents()
    }

    #[test]
    fn what_is_under_way_has_a_line_with_what_it_waits_for() {
        let screen = screen(&killed_run());
        let lines: Vec<&str> = screen.lines().collect();
        assert!(
            lines[0].starts_with("done     db1: write /etc/rabbitmq"),
            "{screen}"
        );
        let [.., running, total] = lines.as_slice() else {
            panic!("{screen}");
        };
        assert!(
            running.contains("db2: restart rabbitmq-server · starting"),
            "{screen}"
        );
        assert!(total.ends_with("5/9  1 running"), "{screen}");
    }

    #[test]
    fn after_the_end_only_what_was_done_is_left() {
        let screen = screen(&successful_run());
        assert!(screen.lines().all(|line| !line.contains(" running")), "{screen}");
        assert!(
            screen.contains("done     db3: restart rabbitmq-server (41.9 s)"),
            "{screen}"
        );
    }

    #[test]
    fn more_than_fit_are_counted() {
        let mut events = Vec::new();
        for number in 0..15 {
            events.push((
                number,
                Event::NodeStarted {
                    node: format!("a@{number}").parse().unwrap(),
                    host: "db1".parse().unwrap(),
                },
            ));
        }
        assert!(screen(&events).contains("15 running (3 not shown)"));
    }
}
