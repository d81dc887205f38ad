//! What a change cost the clients, as a table for people.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::members::Seen;

/// The figures of one change of one service.
pub(crate) struct Figures {
    pub(crate) what: String,
    /// How long the program ran.
    pub(crate) took: Duration,
    /// Requests that were sent, those that were sent again among them.
    pub(crate) requests: u64,
    /// Requests that were refused, or not answered in time.
    pub(crate) failed: u64,
    /// The longest time in which a client had no request answered.
    pub(crate) pause: Duration,
    /// Requests that no repetition got through.
    pub(crate) given_up: u64,
    /// Writes that the service acknowledged, and those of them that a member does not have afterwards; `None` for a
    /// service that stores nothing.
    pub(crate) writes: Option<(usize, Vec<u64>)>,
    pub(crate) seen: Vec<Seen>,
    /// What the failed requests were told, with how often.
    pub(crate) errors: BTreeMap<String, u64>,
}

const HEAD: &str = "\
| change | took | requests | failed | longest pause | acknowledged writes | lost | members up |
|---|--:|--:|--:|--:|--:|--:|---|
";

/// All figures, in Markdown.
pub(crate) fn table(all: &[Figures]) -> String {
    all.iter()
        .fold(HEAD.to_owned(), |table, figures| table + &row(figures))
}

fn row(figures: &Figures) -> String {
    let (acknowledged, lost) = figures.writes.as_ref().map_or_else(
        || ("–".to_owned(), "–".to_owned()),
        |(acknowledged, lost)| (acknowledged.to_string(), lost.len().to_string()),
    );
    let seen: Vec<String> = figures.seen.iter().map(Seen::to_string).collect();
    format!(
        "| {} | {} | {} | {} | {} | {acknowledged} | {lost} | {} |\n",
        figures.what,
        seconds(figures.took),
        figures.requests,
        figures.failed,
        seconds(figures.pause),
        seen.join(", "),
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

impl Figures {
    /// What the failed requests were told, most frequent first.
    pub(crate) fn told(&self) -> String {
        let mut errors: Vec<_> = self.errors.iter().collect();
        errors.sort_by_key(|&(_, times)| std::cmp::Reverse(times));
        let lines = errors
            .iter()
            .take(8)
            .map(|(error, times)| format!("  {times} × {error}\n"));
        format!("{}  {} × given up\n", lines.collect::<String>(), self.given_up)
    }

    /// Nothing acknowledged is lost, and no group of members fell below what it needs.
    pub(crate) fn check(&self) {
        if let Some((acknowledged, lost)) = &self.writes {
            assert!(*acknowledged > 0, "{}: nothing was written", self.what);
            assert!(
                lost.is_empty(),
                "{}: {} of {acknowledged} acknowledged writes are lost: {lost:?}",
                self.what,
                lost.len()
            );
        }
        for seen in &self.seen {
            assert!(seen.is_well(), "{}: {seen}", self.what);
        }
    }
}
