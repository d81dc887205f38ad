//! Inputs of the right form for the frames: made from the types of today, so that they never go stale.
//!
//! The actions and facts are those of the golden file of saved plans, which has every sort of them.

use plan::{Node, StepGraph};
use protocol::frame::{Message, encode};
use protocol::{ActionId, ActionRequest, Fact, FactError, Request, Response, ToAgent, ToController};
use serde::Serialize;

const GOLDEN: &str = include_str!("../../clusterctl/tests/golden/saved-plan-1.json");

/// Answers of an agent.
pub fn to_controller() -> Vec<Vec<u8>> {
    let facts: Vec<Fact> = preconditions().map(|(_, fact)| fact).collect();
    let alone = facts.iter().map(|fact| vec![Ok(fact.clone())]);
    let failed = FactError {
        message: "permission denied".to_owned(),
    };
    let mixed: Vec<_> = facts.iter().cloned().map(Ok).chain([Err(failed)]).collect();
    let responses = alone.chain([mixed]).map(Response::Facts);
    let others = [
        Response::Ready,
        Response::Locked,
        Response::Failed("no".to_owned()),
    ];
    frames(
        responses
            .chain(others)
            .map(|response| ToController { id: 7, response }),
    )
}

/// Requests of a controller.
pub fn to_agent() -> Vec<Vec<u8>> {
    let gather = Request::Gather(preconditions().map(|(query, _)| query).collect());
    let acts = nodes().into_iter().filter_map(|node| {
        let action = node.action?;
        let id = ActionId {
            node: node.id,
            number: 1,
        };
        Some(Request::Act(Box::new(ActionRequest {
            id,
            is_repeated: false,
            action,
        })))
    });
    frames(acts.chain([gather]).map(|request| ToAgent { id: 7, request }))
}

fn frames<T: Message + Serialize>(messages: impl Iterator<Item = T>) -> Vec<Vec<u8>> {
    messages.filter_map(|message| encode(&message).ok()).collect()
}

fn preconditions() -> impl Iterator<Item = (protocol::FactQuery, Fact)> {
    let actions = nodes().into_iter().filter_map(|node| node.action);
    actions
        .flat_map(|action| action.only_if)
        .map(|condition| (condition.query, condition.fact))
}

fn nodes() -> Vec<Node> {
    plan().map_or_else(Vec::new, |plan| plan.nodes().to_vec())
}

/// The plan of the golden file.
pub fn plan() -> Option<StepGraph> {
    #[derive(serde::Deserialize)]
    struct Saved {
        plan: StepGraph,
    }
    serde_json::from_str(GOLDEN).ok().map(|saved: Saved| saved.plan)
}

/// The golden file itself.
pub fn saved_plan() -> Vec<Vec<u8>> {
    vec![GOLDEN.as_bytes().to_vec()]
}
