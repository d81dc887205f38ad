//! Queues as the cluster records them: what each is called, and on which nodes it is.
//!
//! `rabbit_amqqueue:list_by_type` returns the records of all durable queues of a type, whoever is up, without their
//! mirrors; `rabbit_amqqueue:list` those of queues that are up, with them (both seen on 3.10.8). Their shape is the
//! server's own business, so as little as possible is read off it: the name comes second, whether it belongs to one
//! connection fifth, where it is led seventh, and synchronised mirrors ninth (3.8 to 3.13); a node is in a quorum queue
//! where the record names it at all.

use protocol::facts::Term;

/// A queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    /// E.g. `queue "orders" in the virtual host "/"`.
    pub(crate) name: String,
    record: Term,
}

impl Seen {
    /// The queues of a list of records.
    pub(crate) fn all(records: &Term) -> Vec<Self> {
        let all = records.items().iter().map(|record| Self {
            name: name(record).unwrap_or_else(|| "queue of an unknown name".to_owned()),
            record: record.clone(),
        });
        all.collect()
    }

    /// Whether it is on a node, in any role.
    pub(crate) fn is_on(&self, node: &str) -> bool {
        // The fields before the seventh are what its client said.
        self.record
            .items()
            .iter()
            .skip(6)
            .any(|part| mentions(part, node))
    }

    /// Whether it belongs to one connection, and ends with that.
    pub(crate) fn is_exclusive(&self) -> bool {
        matches!(self.record.items().get(4), Some(Term::Other(_)))
    }

    /// Whether a classic queue is led on a node, as far as the record tells.
    pub(crate) fn is_led_on(&self, node: &str) -> bool {
        self.record
            .items()
            .get(6)
            .is_none_or(|leader| mentions(leader, node))
    }

    /// Whether a classic queue that is up has a synchronised mirror on another node.
    pub(crate) fn has_synchronised_mirror(&self, node: &str) -> bool {
        let mirrors = self.record.items().get(8).map(Term::items).unwrap_or_default();
        mirrors
            .iter()
            .any(|mirror| matches!(mirror, Term::Other(_)) && !mentions(mirror, node))
    }

    /// Whether a quorum queue has one member, on a node.
    pub(crate) fn is_only_on(&self, node: &str) -> bool {
        let members = self.record.items().last().and_then(|state| state.get("nodes"));
        self.is_on(node) && members.is_none_or(|members| members.items().len() < 2)
    }
}

/// `{amqqueue, {resource, <<"/">>, queue, <<"orders">>}, ...}`
fn name(record: &Term) -> Option<String> {
    match record.items().get(1)?.items() {
        [_, vhost, _, name] => Some(format!(
            "queue {:?} in the virtual host {:?}",
            name.as_str()?,
            vhost.as_str()?
        )),
        _ => None,
    }
}

/// Whether a term has a node's name in it, as an atom or as that of a process: `<'rabbit@db1'.712.0>`.
fn mentions(term: &Term, node: &str) -> bool {
    match term {
        Term::Atom(name) => name == node,
        Term::Other(text) => text.contains(&format!("<'{node}'.")),
        Term::List(items) | Term::Tuple(items) => items.iter().any(|item| mentions(item, node)),
        Term::Map(pairs) => pairs
            .iter()
            .any(|(key, value)| mentions(key, node) || mentions(value, node)),
        _ => false,
    }
}
