//! What the agents answer.

use protocol::facts::{LogFact, LogQuery, Silence, TcpFact};
use protocol::{Fact, FactQuery, Text};
use regex_lite::Regex;

use super::{CONFIG, Cluster, PROGRAMS};

impl Cluster {
    pub(super) fn fact(&self, at: usize, query: &FactQuery) -> Option<Fact> {
        let node = &self.nodes[at];
        Some(match query {
            FactQuery::File(query) if query.path == CONFIG => Fact::File(node.machine.file_fact(query)),
            FactQuery::Unit(query) if PROGRAMS.iter().any(|program| program.unit == query.name) => {
                Fact::Unit(node.machine.unit_fact(&query.name))
            }
            FactQuery::Log(query) => {
                let number = PROGRAMS.iter().position(|program| program.log == query.path)?;
                Fact::Log(lines(&node.logs[number], query))
            }
            FactQuery::Tcp(query) => {
                let to = self.find(&query.host)?;
                let (from, other) = (node, &self.nodes[to]);
                let is_there = other.is_up && (to == at || !from.is_cut && !other.is_cut);
                let mut open = (0..PROGRAMS.len()).filter(|&number| self.is_ready(to, number));
                let listens = |number: usize| {
                    let process = other.processes[number].as_ref();
                    process.is_some_and(|process| process.role.port == query.port)
                };
                Fact::Tcp(if is_there && open.any(listens) {
                    TcpFact::Open
                } else {
                    TcpFact::Closed(Silence::refused())
                })
            }
            _ => return None,
        })
    }
}

fn lines(log: &[String], query: &LogQuery) -> LogFact {
    if log.is_empty() {
        return LogFact::Absent;
    }
    let found = query.patterns.iter().map(|pattern| {
        let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let matching: Vec<&String> = log.iter().filter(|line| regex.is_match(line)).collect();
        let last = usize::try_from(query.last).unwrap_or(usize::MAX);
        let from = matching.len().saturating_sub(last);
        matching[from..]
            .iter()
            .map(|line| Text::new((*line).clone()))
            .collect()
    });
    LogFact::Lines(found.collect())
}
