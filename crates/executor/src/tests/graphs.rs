//! Nodes, budgets and graphs for tests of the executor.

use std::collections::BTreeMap;

use plan::{Budget, Gate, Node, Rollback, StepGraph};
use protocol::facts::CommandQuery;
use protocol::{Action, Command, FileState, LockHolder, Operation, Query, Text, UnitVerb};
use types::{GroupId, HostName, ServiceName};

pub(super) fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

pub(super) fn group(name: &str) -> GroupId {
    name.parse().unwrap()
}

/// A node with an action, and a gate that passes once its member serves again.
pub(super) fn node(id: &str, on: &str, needs: &[&str]) -> Node {
    let query = CommandQuery {
        argv: vec!["state".into(), id.into()],
        limit_ms: 1000,
    };
    let gate = Gate {
        service: None,
        check: id.into(),
        host: Some(host(on)),
        title: format!("{on} serves"),
        watch: BTreeMap::from([(host(on), vec![query.wrap()])]),
        limit_ms: 60_000,
    };
    Node {
        id: id.parse().unwrap(),
        service: None,
        host: host(on),
        title: String::new(),
        reason: String::new(),
        action: Some(Action {
            only_if: Vec::new(),
            operation: Operation::Run {
                commands: vec![Command::new([id])],
            },
            limit_ms: 10_000,
        }),
        preview: None,
        disrupts: std::collections::BTreeSet::new(),
        before: Vec::new(),
        gates: vec![gate],
        needs: needs.iter().map(|id| id.parse().unwrap()).collect(),
        rollback: None,
    }
}

pub(super) trait NodeExt {
    fn of(self, service: &str) -> Self;
    fn restarting(self) -> Self;
    fn writing(self, path: &str) -> Self;
    fn putting_back(self, files: &[&str]) -> Self;
    fn disrupting(self, groups: &[&str]) -> Self;
    fn ungated(self) -> Self;
    fn gate_limit(self, limit_ms: u64) -> Self;
    fn asking(self, members: &[&str]) -> Self;
}

impl NodeExt for Node {
    fn of(mut self, service: &str) -> Self {
        self.service = Some(service.parse::<ServiceName>().unwrap());
        self
    }

    /// Its action is the restart of a unit that is called like the node.
    fn restarting(mut self) -> Self {
        let operation = Operation::Unit {
            name: self.id.to_string(),
            verbs: vec![UnitVerb::Restart],
            reads: Vec::new(),
        };
        self.action.as_mut().unwrap().operation = operation;
        self
    }

    /// Its action writes a file.
    fn writing(mut self, path: &str) -> Self {
        let operation = Operation::WriteFile {
            path: path.to_owned(),
            text: Text::new("new"),
            mode: 0o644,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            was: FileState::Any,
            trial: None,
        };
        self.action.as_mut().unwrap().operation = operation;
        self.ungated()
    }

    /// Where it fails for certain, what these nodes wrote is put back, and its unit restarted.
    fn putting_back(mut self, files: &[&str]) -> Self {
        let mut action = self.action.clone().unwrap();
        action.operation = Operation::Unit {
            name: self.id.to_string(),
            verbs: vec![UnitVerb::ResetFailed, UnitVerb::Restart],
            reads: Vec::new(),
        };
        self.rollback = Some(Rollback {
            files: files.iter().map(|id| id.parse().unwrap()).collect(),
            action: Some(action),
            gates: self.gates.clone(),
        });
        self
    }

    fn disrupting(mut self, groups: &[&str]) -> Self {
        self.disrupts = groups.iter().map(|name| group(name)).collect();
        self
    }

    fn ungated(mut self) -> Self {
        self.gates.clear();
        self
    }

    fn gate_limit(mut self, limit_ms: u64) -> Self {
        for gate in &mut self.gates {
            gate.limit_ms = limit_ms;
        }
        self
    }

    /// Right before it acts, it waits until these members, which were unavailable before, serve again.
    fn asking(mut self, members: &[&str]) -> Self {
        let watch = |name: &&str| {
            let query = CommandQuery {
                argv: vec!["member".into(), (*name).into()],
                limit_ms: 1000,
            };
            (host(name), vec![query.wrap()])
        };
        self.before = vec![Gate {
            service: None,
            check: "members".into(),
            host: None,
            title: "all other members serve".to_owned(),
            watch: members.iter().map(watch).collect(),
            limit_ms: 120_000,
        }];
        self
    }
}

pub(super) fn budget(members: &[&str], max_unavailable: usize, unavailable: &[&str]) -> Budget {
    Budget {
        members: members.iter().map(|name| host(name)).collect(),
        max_unavailable,
        unavailable: unavailable.iter().map(|name| host(name)).collect(),
    }
}

pub(super) fn graph(nodes: Vec<Node>) -> StepGraph {
    StepGraph::new(nodes, BTreeMap::new()).unwrap()
}

pub(super) fn graph_with(nodes: Vec<Node>, budgets: &[(&str, Budget)]) -> StepGraph {
    let budgets = budgets.iter().map(|(name, budget)| (group(name), budget.clone()));
    StepGraph::new(nodes, budgets.collect()).unwrap()
}

pub(super) fn holder(run: &str) -> LockHolder {
    LockHolder {
        who: format!("{run}@desk"),
        since: "now".into(),
        run: run.parse().unwrap(),
    }
}
