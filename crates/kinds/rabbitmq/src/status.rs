//! What a plan for a cluster rests on: who belongs to it.

use std::collections::BTreeSet;

use plan::{Basis, Facts};

use crate::observe::view::{self, Node};
use crate::settings::Settings;

/// The clusters that there are, as their nodes tell: one where all belong together.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let nodes = settings
        .hosts
        .iter()
        .filter_map(|host| view::node(settings, host, facts).ok());
    let clusters: BTreeSet<String> = nodes
        .filter_map(|node| match node {
            Node::Up(broker) => Some(broker.members),
            Node::Halted(members) | Node::Off(Some(members)) => Some(members),
            Node::Off(None) | Node::OtherCookie => None,
        })
        .filter(|members| !members.is_empty())
        .map(|members| members.into_iter().collect::<Vec<_>>().join(", "))
        .collect();
    if clusters.is_empty() {
        return Vec::new();
    }
    let clusters: Vec<String> = clusters.into_iter().collect();
    vec![Basis::new(
        "the members of the cluster",
        &clusters.join("; and apart "),
    )]
}
