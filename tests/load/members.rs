//! Who was up at each moment, as somebody outside sees it.
//!
//! Each member is asked ten times a second, by a thread of its own. Between two looks it may have been anything, so only
//! what is sure counts: a member was away from the first of several looks in a row that failed until the last of them
//! began. That several were away at once is then never said of members that took turns.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// What a member is asked.
pub(crate) type Probe = Box<dyn Fn() -> bool + Send>;

/// How many of a group's members must be up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// As many, or more: a quorum.
    AtLeast(usize),
    /// As many, or fewer: masters.
    AtMost(usize),
}

/// Members of which only so many may be away.
pub(crate) struct Group {
    pub(crate) what: &'static str,
    pub(crate) rule: Rule,
    /// Each tells whether its member serves.
    pub(crate) probes: Vec<Probe>,
}

/// A time with its both ends.
type Span = (Instant, Instant);

/// When a member was surely up, and surely away.
#[derive(Default)]
struct Watched {
    up: Vec<Span>,
    away: Vec<Span>,
}

/// What was seen of a group at the worst moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    what: &'static str,
    rule: Rule,
    members: usize,
    count: usize,
    is_well: bool,
}

impl Seen {
    pub(crate) fn is_well(&self) -> bool {
        self.is_well
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Rule::AtLeast(_) => write!(f, "{} of {} {}", self.count, self.members, self.what),
            Rule::AtMost(_) => write!(f, "{} {}", self.count, self.what),
        }
    }
}

/// A group that is being watched.
pub(crate) struct Watch<'scope> {
    what: &'static str,
    rule: Rule,
    members: Vec<ScopedJoinHandle<'scope, Watched>>,
}

impl<'scope> Watch<'scope> {
    /// Watches until `is_done`.
    pub(crate) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        group: Group,
        is_done: &'scope AtomicBool,
    ) -> Self {
        let watch = |probe: Probe| scope.spawn(move || watch(&*probe, is_done));
        Self {
            what: group.what,
            rule: group.rule,
            members: group.probes.into_iter().map(watch).collect(),
        }
    }

    /// The worst moment.
    pub(crate) fn end(self) -> Seen {
        let members = self.members.into_iter().map(|member| member.join().unwrap());
        judge(self.what, self.rule, &members.collect::<Vec<_>>())
    }
}

fn watch(is_up: &dyn Fn() -> bool, is_done: &AtomicBool) -> Watched {
    let mut watched = Watched::default();
    let mut before = None;
    while !is_done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let now = is_up();
        let spans = if now { &mut watched.up } else { &mut watched.away };
        match spans.last_mut() {
            Some(span) if before == Some(now) => span.1 = began,
            _ => spans.push((began, began)),
        }
        before = Some(now);
        thread::sleep(PAUSE);
    }
    watched
}

fn judge(what: &'static str, rule: Rule, members: &[Watched]) -> Seen {
    let all = members.len();
    let most = |spans: fn(&Watched) -> &[Span]| most_at_once(&members.iter().map(spans).collect::<Vec<_>>());
    let (count, is_well) = match rule {
        Rule::AtLeast(least) => {
            let up = all - most(|member| &member.away);
            (up, up >= least)
        }
        Rule::AtMost(bound) => {
            let up = most(|member| &member.up);
            (up, up <= bound)
        }
    };
    Seen {
        what,
        rule,
        members: all,
        count,
        is_well,
    }
}

/// The greatest number of members that have a span at the same moment.
fn most_at_once(members: &[&[Span]]) -> usize {
    // Such a number is reached where some span begins.
    let has = |spans: &[Span], at| spans.iter().any(|span| (span.0..=span.1).contains(&at));
    let begins = members.iter().flat_map(|spans| spans.iter().map(|span| span.0));
    begins
        .map(|at| members.iter().filter(|spans| has(spans, at)).count())
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(start: Instant, spans: &[(u64, u64)]) -> Vec<Span> {
        let at = |ms| start + Duration::from_millis(ms);
        spans.iter().map(|&(from, to)| (at(from), at(to))).collect()
    }

    #[test]
    fn members_that_take_turns_are_never_away_at_once() {
        let start = Instant::now();
        let away = [&[(0, 100)][..], &[(101, 200)], &[(201, 300), (400, 400)]];
        let members = away.map(|away| Watched {
            up: Vec::new(),
            away: spans(start, away),
        });
        let seen = judge("brokers", Rule::AtLeast(2), &members);
        assert_eq!(
            (seen.to_string().as_str(), seen.is_well()),
            ("2 of 3 brokers", true)
        );
    }

    #[test]
    fn one_that_goes_while_another_is_away_is_seen() {
        let start = Instant::now();
        let away = [&[(0, 100)][..], &[(50, 60)], &[]];
        let members = away.map(|away| Watched {
            up: spans(start, away),
            away: spans(start, away),
        });
        assert!(!judge("brokers", Rule::AtLeast(2), &members).is_well());
        assert!(judge("brokers", Rule::AtLeast(1), &members).is_well());
        assert!(!judge("masters", Rule::AtMost(1), &members).is_well());
    }
}
