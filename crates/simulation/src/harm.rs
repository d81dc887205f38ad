//! What a plan would do to a member whose answers failed: nothing that it would not do had they come.
//!
//! The plan of the answers that were given is compared with the plan of those that should have been. What ends, resets,
//! joins or empties a member stands in both, or it is a disruption: serial, gated, and within the budget.

use std::collections::BTreeMap;

use plan::{Node, StepGraph};
use protocol::facts::MongoCommand;
use protocol::{FileChange, Operation, Text, UnitVerb};
use types::NodeId;

/// Words of commands that take a member out of its cluster, into another one, or its data away. A handover of the
/// leader is the beginning of its restart.
const WORDS: [&str; 18] = [
    "replSetInitiate",
    "replSetReconfig",
    "stop_app",
    "reset",
    "force_reset",
    "force_boot",
    "join_cluster",
    "forget_cluster_node",
    "SLAVEOF",
    "REPLICAOF",
    "FLUSHALL",
    "RESET",
    "REMOVE",
    "MONITOR",
    "REPLICA",
    "DETACH",
    "TRUNCATE",
    "flushdb",
];

/// Whether a node is no disruption: those have gates and a budget, for a graph without them does not exist.
pub(crate) fn is_free(node: &Node) -> bool {
    node.disrupts.is_empty()
}

/// The nodes of these that would harm somebody, and how, whom none of these does in the plan of the whole truth.
pub(crate) fn beyond(told: &StepGraph, truth: &StepGraph, which: impl Fn(&Node) -> bool) -> Vec<String> {
    let harms = |graph: &StepGraph| -> BTreeMap<(String, String), NodeId> {
        let nodes = graph.nodes().iter().filter(|node| which(node));
        let harms = nodes.flat_map(|node| {
            // What is said to the primary is about the set, not about its host.
            let whom = match node.action.as_ref().map(|action| &action.operation) {
                Some(Operation::Mongo { .. }) => format!("{:?}", node.service),
                _ => node.host.to_string(),
            };
            let harms = node.action.iter().flat_map(|action| of(&action.operation));
            harms.map(move |harm| ((whom.clone(), harm), node.id.clone()))
        });
        harms.collect()
    };
    let meant = harms(truth);
    let beyond = harms(told)
        .into_iter()
        .filter(|(harm, _)| !meant.contains_key(harm));
    beyond.map(|((_, harm), node)| format!("{node} {harm}")).collect()
}

fn of(operation: &Operation) -> Vec<String> {
    match operation {
        Operation::Unit { name, verbs, .. } => ends(name, verbs).into_iter().collect(),
        Operation::UnitFiles {
            name,
            first,
            files,
            verbs,
            ..
        } => {
            let verbs = first.iter().chain(verbs).copied().collect::<Vec<UnitVerb>>();
            let taken = files.iter().filter_map(|file| match file {
                FileChange::MakeDirectory { .. } => None,
                file => Some(format!("takes {} away", file.path())),
            });
            ends(name, &verbs).into_iter().chain(taken).collect()
        }
        Operation::Run { commands } => named(commands.iter().flat_map(|command| command.argv.iter())),
        Operation::Mongo { commands, .. } => named(commands.iter().map(MongoCommand::name)),
        Operation::Resp { commands, .. } => named(
            commands
                .iter()
                .flat_map(|command| command.args.iter().map(Text::as_str)),
        ),
        Operation::FollowMaster { word, .. } => named(std::iter::once(word)),
        Operation::Ssdb { commands, .. } => named(
            commands
                .iter()
                .flat_map(|command| command.args.iter().map(Text::as_str)),
        ),
        Operation::Http { requests, .. } => named(
            requests
                .iter()
                .flat_map(|request| request.body.as_str().split_whitespace()),
        ),
        _ => Vec::new(),
    }
}

fn ends(unit: &str, verbs: &[UnitVerb]) -> Option<String> {
    let is_end = |verb: &UnitVerb| matches!(verb, UnitVerb::Restart | UnitVerb::Stop);
    verbs.iter().any(is_end).then(|| format!("ends {unit}"))
}

fn named<T: AsRef<str>>(words: impl Iterator<Item = T>) -> Vec<String> {
    let known = words.filter(|word| WORDS.contains(&word.as_ref()));
    known.map(|word| word.as_ref().to_owned()).collect()
}
