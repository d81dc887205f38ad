//! Queues as the cluster records them: what each is called, and on which nodes it is.
//!
//! `rabbit_amqqueue:list_by_type` returns the records of all durable queues of a type, on whichever nodes, without their
//! mirrors; `rabbit_amqqueue:list` those of queues that are up, with them (both seen on 3.10.8). Their shape is the
//! server's own business, so as little as possible is read off it: the name comes second, whether it belongs to one
//! connection fifth, its leader seventh, and synchronised mirrors ninth (3.8 to 3.13); a node is in a quorum queue
//! where the record names it at all.

use protocol::facts::{ErlangFact, ErlangQuery, Term};
use thiserror::Error;
use types::HostName;

use super::calls;
use super::replies::{Results, readable_names};
use super::view::View;
use crate::settings::NodeName;

/// A queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Queue {
    /// E.g. `queue "orders" in the virtual host "/"`.
    pub(crate) name: String,
    record: Term,
}

/// Why queues are not told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Untold {
    /// The node's version has no such function: asking again does not help.
    #[error("{0}")]
    Lacking(String),
    /// Another reason.
    #[error("{0}")]
    Other(String),
}

impl Untold {
    /// What `rpc:call` says where there is no such function: `{badrpc,{'EXIT',{undef,[...]}}}`.
    fn of(host: &HostName, why: &str) -> Self {
        let words = format!("{host}: {why}");
        if why.contains("{undef,") {
            Self::Lacking(words)
        } else {
            Self::Other(words)
        }
    }
}

/// The queues that there are, by type.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) classic: Vec<Queue>,
    pub(crate) quorum: Vec<Queue>,
    pub(crate) streams: Vec<Queue>,
    /// Those of all types that are up.
    pub(crate) live: Vec<Queue>,
}

impl Queues {
    /// All queues, as a host that may be a former member tells when it is asked for its state.
    pub(crate) fn of_former(view: &View<'_>, host: &HostName) -> Result<Self, Untold> {
        let results = results(view, host, &calls::node(view.settings, host))?;
        Self::read(host, results.get(calls::FORMER_QUEUES..).unwrap_or_default())
    }

    /// All queues, as a member tells.
    pub(crate) fn of_member(view: &View<'_>, host: &HostName) -> Result<Self, Untold> {
        Self::read(host, results(view, host, &calls::queues(view.settings, host))?)
    }

    fn read(host: &HostName, results: &Results) -> Result<Self, Untold> {
        let list = |at: usize| records(host, results, at);
        Ok(Self {
            classic: list(0)?,
            quorum: list(1)?,
            streams: list(2)?,
            live: list(3)?,
        })
    }
}

/// The quorum queues of the cluster, as a member tells.
pub(crate) fn quorum_queues(view: &View<'_>, host: &HostName) -> Result<Vec<Queue>, Untold> {
    records(
        host,
        results(view, host, &calls::quorum_queues(view.settings, host))?,
        0,
    )
}

/// The queues that would become unavailable without a host, as its node tells.
pub(crate) fn critical_queues(
    view: &View<'_>,
    host: &HostName,
    has_mirrors: bool,
) -> Result<Vec<String>, Untold> {
    let query = calls::critical_queues(view.settings, host, has_mirrors);
    let results = results(view, host, &query)?;
    let (mirrored, quorum) = results.split_at(usize::from(has_mirrors).min(results.len()));
    let told = |result: &Result<Term, String>| match result {
        Ok(list) => Ok(readable_names(Some(list))),
        Err(why) => Err(Untold::of(host, why)),
    };
    let mut queues = Vec::new();
    for result in mirrored {
        queues.extend(told(result)?);
    }
    // A broker knows one of the two; where it knows neither, the newer one's error is told.
    let known = quorum.iter().find(|result| result.is_ok()).or(quorum.last());
    queues.extend(known.map(told).transpose()?.unwrap_or_default());
    Ok(queues)
}

/// What a host's node answered; the error says why there is no answer, for people.
fn results<'f>(view: &View<'f>, host: &HostName, query: &ErlangQuery) -> Result<&'f Results, Untold> {
    match view.facts.get(host, query) {
        Ok(ErlangFact::Results(results)) => Ok(results),
        Ok(ErlangFact::Down(silence)) => Err(Untold::Other(format!("{host}: {silence}"))),
        Ok(ErlangFact::Denied(why)) => Err(Untold::Other(format!("{host}: {why}"))),
        Err(unknown) => Err(Untold::Other(unknown.to_string())),
    }
}

fn records(host: &HostName, results: &Results, at: usize) -> Result<Vec<Queue>, Untold> {
    match results.get(at) {
        Some(Ok(records)) => Ok(records.items().iter().map(Queue::read).collect()),
        Some(Err(why)) => Err(Untold::of(host, why)),
        None => Err(Untold::Other(format!("{host} told no queues"))),
    }
}

impl Queue {
    /// `{amqqueue, {resource, <<"/">>, queue, <<"orders">>}, ...}`
    fn read(record: &Term) -> Self {
        let name = match record.items().get(1).map(Term::items) {
            Some([_, vhost, _, name]) => vhost.as_str().zip(name.as_str()),
            _ => None,
        };
        Self {
            name: name.map_or_else(
                || "queue of an unknown name".to_owned(),
                |(vhost, name)| format!("queue {name:?} in the virtual host {vhost:?}"),
            ),
            record: record.clone(),
        }
    }

    /// Whether it is on a node, in any role.
    pub(crate) fn is_on(&self, node: &NodeName) -> bool {
        // The fields before the seventh are what its client said.
        let mut fields = self.record.items().iter().skip(6);
        fields.any(|field| mentions(field, node))
    }

    /// Whether it belongs to one connection, and ends with that.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self.record.items().get(4), Some(Term::Other(_)))
    }

    /// Whether a classic queue is led on a node, as far as the record tells.
    pub(crate) fn is_led_on(&self, node: &NodeName) -> bool {
        let leader = self.record.items().get(6);
        leader.is_none_or(|leader| mentions(leader, node))
    }

    /// Whether a classic queue that is up has a synchronised mirror on another node.
    pub(crate) fn has_synchronised_mirror(&self, node: &NodeName) -> bool {
        let mirrors = self.record.items().get(8).map(Term::items).unwrap_or_default();
        mirrors
            .iter()
            .any(|mirror| matches!(mirror, Term::Other(_)) && !mentions(mirror, node))
    }

    /// Whether a quorum queue has one member, on a node.
    pub(crate) fn is_only_on(&self, node: &NodeName) -> bool {
        let members = self.record.items().last().and_then(|state| state.get("nodes"));
        self.is_on(node) && members.is_none_or(|members| members.items().len() < 2)
    }
}

/// Whether a term has a node's name in it, as an atom or as that of a process, which Erlang prints as
/// `<'rabbit@db1'.712.0>`.
fn mentions(term: &Term, node: &NodeName) -> bool {
    match term {
        Term::Atom(name) => name == node.as_str(),
        Term::Other(text) => text.contains(&format!("<'{node}'.")),
        Term::List(items) | Term::Tuple(items) => items.iter().any(|item| mentions(item, node)),
        Term::Map(pairs) => pairs
            .iter()
            .any(|(key, value)| mentions(key, node) || mentions(value, node)),
        _ => false,
    }
}
