//! Why a saved plan is stale: what changed since it was made, in words that an operator can act on.

use std::collections::BTreeSet;

use plan::{Aspect, Budget, Comparison, Difference, SkippedSteps, Step};
use protocol::FileState;
use types::HostName;

use crate::text::{listed, one_line, wrapped};
use crate::{Page, Paint, Screen};

/// How the texts that a project was read from changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextChanges {
    /// Those with other content.
    pub changed: Vec<String>,
    /// Those that are no longer read.
    pub gone: Vec<String>,
    /// Those that were not read before.
    pub new: Vec<String>,
}

impl TextChanges {
    /// Whether none changed.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.gone.is_empty() && self.new.is_empty()
    }
}

/// A saved plan that is stale.
pub struct StalePlan<'a> {
    /// Its file, as the operator named it.
    pub file: &'a str,
    /// Its time and author.
    pub made: &'a str,
    /// The project's texts.
    pub texts: &'a TextChanges,
    /// What was found on the hosts.
    pub comparison: &'a Comparison,
}

/// Reports that it was not executed, why, and how to resolve it.
pub fn render_stale(stale: &StalePlan<'_>, screen: &Screen) -> Page {
    let is_done = *stale.comparison == Comparison::Done && stale.texts.is_empty();
    let (head, resolve) = if is_done {
        ("No changes of it remain.", "Nothing was changed.")
    } else {
        (
            "Changed since:",
            "Nothing was changed. To resolve: make a new plan with clusterctl plan INVENTORY --out FILE",
        )
    };
    let first = format!(
        "The plan in {} (made {}) was not executed. {head}",
        stale.file, stale.made
    );
    let mut out = screen.paint(
        Paint::Bad,
        wrapped("", 0, &one_line(&first), screen.width).trim_end(),
    );
    out.push('\n');
    for (title, lines) in blocks(stale) {
        out.push('\n');
        out.push_str(&screen.paint(Paint::Warn, title));
        out.push('\n');
        for line in lines {
            out.push_str(&wrapped("  ", 2, &one_line(&line), screen.width));
        }
    }
    out.push('\n');
    out.push_str(&wrapped("", 0, resolve, screen.width));
    Page::drawn(out.trim_end(), screen)
}

/// The blocks that are not empty, causes before consequences.
fn blocks(stale: &StalePlan<'_>) -> Vec<(&'static str, Vec<String>)> {
    let differences: &[Difference] = match stale.comparison {
        Comparison::Changed(differences) => differences,
        Comparison::Same | Comparison::Done => &[],
    };
    let of = |wanted: Block| -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for line in differences.iter().filter(|one| block(one) == wanted).map(line) {
            // Each service of an unreachable host reports it.
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    };
    let blocks = [
        ("The project", project(stale.texts)),
        ("The services", of(Block::Services)),
        ("Files on hosts", of(Block::Files)),
        ("No longer possible", of(Block::Impossible)),
        ("Steps", of(Block::Steps)),
    ];
    blocks
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .collect()
}

fn project(texts: &TextChanges) -> Vec<String> {
    let line = |what: &'static str| move |name: &String| format!("{name} {what}");
    let changed = texts.changed.iter().map(line("changed"));
    let gone = texts.gone.iter().map(line("is no longer read"));
    let new = texts.new.iter().map(line("is new"));
    changed.chain(gone).chain(new).collect()
}

#[derive(PartialEq)]
enum Block {
    Services,
    Files,
    Impossible,
    Steps,
}

fn block(difference: &Difference) -> Block {
    match difference {
        Difference::Basis { .. } | Difference::Budget { .. } => Block::Services,
        Difference::File { .. } => Block::Files,
        Difference::Refused(_) | Difference::Unplanned(_) => Block::Impossible,
        Difference::Removed(_)
        | Difference::Added(_)
        | Difference::Modified { .. }
        | Difference::NoLongerRefused(_)
        | Difference::NoLongerUnplanned(_)
        | Difference::Structure => Block::Steps,
    }
}

fn line(difference: &Difference) -> String {
    match difference {
        Difference::Basis {
            service,
            what,
            was,
            now,
        } => match (was, now) {
            (Some(was), Some(now)) => format!("{service}: {what}: was {was}, is {now}"),
            (Some(was), None) => format!("{service}: {what}: was {was}, is unknown now"),
            (None, now) => {
                let now = now.as_deref().unwrap_or_default();
                format!("{service}: {what}: was unknown, is {now}")
            }
        },
        Difference::Budget { group, was, now } => {
            format!("{group}: disruption budget: {}", budget(was, now))
        }
        Difference::File { host, path, was, now } => {
            format!("{host}: {path}: was {}, is {}", state(was), state(now))
        }
        Difference::Refused(refusal) => {
            let place = refusal
                .host
                .as_ref()
                .map_or_else(String::new, |host| format!("{host}: "));
            format!("{place}refused: {}, because {}", refusal.what, refusal.why)
        }
        Difference::NoLongerRefused(refusal) => format!("no longer refused: {}", refusal.what),
        Difference::NoLongerUnplanned(left) => {
            format!("{}: no longer skipped: {}", left.host, steps(&left.steps))
        }
        Difference::Structure => "the plan lists the same in another order".to_owned(),
        Difference::Unplanned(left) => format!("{}: {} skipped: {}", left.host, steps(&left.steps), left.why),
        Difference::Removed(step) => format!("{} is no longer needed", named(step)),
        Difference::Added(step) => format!("{} is needed now, because {}", named(step), step.reason),
        Difference::Modified { step, aspects } => {
            let aspects: Vec<&str> = aspects.iter().map(|&aspect| words(aspect)).collect();
            format!("{} differs in {}", named(step), listed(&aspects))
        }
    }
}

/// What differs about a budget.
fn budget(was: &Budget, now: &Budget) -> String {
    let names = |hosts: &BTreeSet<HostName>| match hosts.len() {
        0 => "none".to_owned(),
        _ => listed(&hosts.iter().collect::<Vec<_>>()),
    };
    let parts = [
        ("unavailable", names(&was.unavailable), names(&now.unavailable)),
        ("members", names(&was.members), names(&now.members)),
        (
            "max unavailable",
            was.max_unavailable.to_string(),
            now.max_unavailable.to_string(),
        ),
    ];
    let differ = parts.into_iter().filter(|(_, was, now)| was != now);
    let words: Vec<String> = differ
        .map(|(what, was, now)| format!("{what} was {was}, is {now}"))
        .collect();
    words.join("; ")
}

fn named(step: &Step) -> String {
    format!("{}: {}", step.host, step.title)
}

fn steps(steps: &SkippedSteps) -> &str {
    match steps {
        SkippedSteps::All => "all steps",
        SkippedSteps::One(name) => name,
    }
}

fn state(state: &FileState) -> String {
    match state {
        FileState::Absent => "absent".to_owned(),
        // Enough to tell them apart.
        FileState::Hash(hash) => format!("SHA-256 {}…", hash.get(..12).unwrap_or(hash)),
        FileState::Any => "as an earlier step leaves it".to_owned(),
        FileState::Obstructed(obstacle) => obstacle.to_string(),
    }
}

fn words(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Action => "its action",
        Aspect::Precondition => "its preconditions",
        Aspect::GatesBefore => "the gates before it",
        Aspect::GatesAfter => "the gates after it",
        Aspect::Disruption => "the members that it makes unavailable",
        Aspect::Order => "its order",
        Aspect::Title => "its title",
        Aspect::Preview => "its preview",
    }
}

#[cfg(test)]
mod tests {
    use plan::{Refusal, Unplanned};

    use super::*;
    use crate::samples;

    fn step(host: &str, title: &str) -> Step {
        Step {
            node: format!("set/x@{host}").parse().unwrap(),
            host: host.parse().unwrap(),
            title: title.to_owned(),
            reason: "it runs with another setting".to_owned(),
        }
    }

    fn unplanned(service: &str) -> Difference {
        Difference::Unplanned(Unplanned {
            service: Some(service.parse().unwrap()),
            steps: SkippedSteps::All,
            host: "db3".parse().unwrap(),
            why: "db3 cannot be reached: connection refused".to_owned(),
            passing: false,
        })
    }

    fn rendered(texts: &TextChanges, comparison: &Comparison) -> Page {
        let stale = StalePlan {
            file: "tonight.json",
            made: "2026-11-24T09:40:19Z by root@vm",
            texts,
            comparison,
        };
        render_stale(&stale, &Screen::plain())
    }

    #[test]
    fn what_changed_on_the_hosts() {
        let differences = vec![
            Difference::Basis {
                service: "set".parse().unwrap(),
                what: "the term of the replica set".to_owned(),
                was: Some("3".to_owned()),
                now: Some("4".to_owned()),
            },
            Difference::Basis {
                service: "set".parse().unwrap(),
                what: "the primary".to_owned(),
                was: None,
                now: Some("db2".to_owned()),
            },
            Difference::Budget {
                group: "set".parse().unwrap(),
                was: samples::budget(1, &[]),
                now: samples::budget(1, &["db2"]),
            },
            Difference::File {
                host: "db2".parse().unwrap(),
                path: "/etc/mongod.conf".to_owned(),
                was: FileState::Absent,
                now: FileState::Hash("ab".repeat(32)),
            },
            Difference::Refused(Refusal {
                service: Some("set".parse().unwrap()),
                host: Some("db2".parse().unwrap()),
                what: "db2 is not restarted".to_owned(),
                why: "the quorum would be lost".to_owned(),
                resolve: "start db3".to_owned(),
                consent: None,
                passing: false,
            }),
            unplanned("set"),
            unplanned("mq"),
            Difference::Removed(step("db1", "change /etc/mongod.conf")),
            Difference::Added(step("db2", "restart mongod")),
            Difference::Modified {
                step: step("db1", "restart mongod"),
                aspects: vec![Aspect::Action, Aspect::Precondition, Aspect::GatesAfter],
            },
        ];
        insta::assert_snapshot!(rendered(
            &TextChanges::default(),
            &Comparison::Changed(differences)
        ));
    }

    #[test]
    fn what_changed_in_the_project() {
        let texts = TextChanges {
            changed: vec!["/srv/inventory.toml".to_owned()],
            gone: vec!["/srv/playbooks/ssdb.toml".to_owned()],
            new: vec!["/srv/playbooks/site.toml".to_owned()],
        };
        insta::assert_snapshot!(rendered(&texts, &Comparison::Same));
    }

    #[test]
    fn a_plan_that_was_done() {
        insta::assert_snapshot!(rendered(&TextChanges::default(), &Comparison::Done));
    }
}
