//! What was observed: for each host, the answer to each query.
//!
//! A fact is looked up by the query that asked for it. There are no keys to keep in step: code that needs a fact
//! builds the same query that it asked with, and the type of the query gives the type of the answer.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{Fact, FactError, FactQuery, Query};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::HostName;

/// The observations of one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    hosts: BTreeMap<HostName, HostFacts>,
}

/// What was observed on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HostFacts {
    /// Nothing: there is no connection to it, and why.
    Unreachable(String),
    /// The answers.
    Observed(Vec<(FactQuery, Result<Fact, FactError>)>),
}

/// Why a fact is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unknown {
    /// The host was not reached.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The host.
        host: HostName,
        /// The error of the connection.
        why: String,
    },
    /// The host was reached and the query failed there.
    #[error("on {host}: {why}")]
    Failed {
        /// The host.
        host: HostName,
        /// The error of the agent.
        why: String,
    },
    /// It was not asked: a defect of the caller.
    #[error("{host} was not asked for this fact")]
    NotAsked {
        /// The host.
        host: HostName,
    },
}

impl Facts {
    /// Adds what was observed on a host to what is known of it; newer answers replace older ones.
    pub fn add(&mut self, host: HostName, facts: HostFacts) {
        match (self.hosts.get_mut(&host), facts) {
            (Some(HostFacts::Observed(known)), HostFacts::Observed(new)) => {
                let asked: BTreeSet<&FactQuery> = new.iter().map(|(query, _)| query).collect();
                known.retain(|(query, _)| !asked.contains(query));
                known.extend(new);
            }
            (_, facts) => {
                self.hosts.insert(host, facts);
            }
        }
    }

    /// Adds one answer: how tests and simulations build facts.
    pub fn answer<Q: Query>(&mut self, host: &HostName, query: &Q, fact: Fact) {
        self.add(host.clone(), HostFacts::Observed(vec![(query.wrap(), Ok(fact))]));
    }

    /// The answer to a query on a host.
    pub fn get<Q: Query>(&self, host: &HostName, query: &Q) -> Result<&Q::Fact, Unknown> {
        let not_asked = || Unknown::NotAsked { host: host.clone() };
        match self.hosts.get(host).ok_or_else(not_asked)? {
            HostFacts::Unreachable(why) => Err(Unknown::Unreachable {
                host: host.clone(),
                why: why.clone(),
            }),
            HostFacts::Observed(answers) => {
                let wanted = query.wrap();
                let answer = answers
                    .iter()
                    .find(|(query, _)| *query == wanted)
                    .ok_or_else(not_asked)?;
                match &answer.1 {
                    Ok(fact) => Q::pick(fact).ok_or_else(not_asked),
                    Err(error) => Err(Unknown::Failed {
                        host: host.clone(),
                        why: error.message.clone(),
                    }),
                }
            }
        }
    }

    /// Adds what was observed later.
    pub fn extend(&mut self, later: Self) {
        for (host, facts) in later.hosts {
            self.add(host, facts);
        }
    }

    /// The answer to a query on a host, whatever its type; `None` where it was not asked, or not reached.
    pub fn answer_to(&self, host: &HostName, query: &FactQuery) -> Option<&Result<Fact, FactError>> {
        match self.hosts.get(host)? {
            HostFacts::Unreachable(_) => None,
            HostFacts::Observed(answers) => answers
                .iter()
                .find(|(asked, _)| asked == query)
                .map(|(_, answer)| answer),
        }
    }

    /// Why a host is out of reach; `None` where it was reached.
    pub fn unreachable(&self, host: &HostName) -> Option<&str> {
        match self.hosts.get(host) {
            Some(HostFacts::Unreachable(why)) => Some(why),
            _ => None,
        }
    }

    /// The hosts that were asked.
    pub fn hosts(&self) -> impl Iterator<Item = (&HostName, &HostFacts)> {
        self.hosts.iter()
    }
}
