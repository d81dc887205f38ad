//! Pauses: what is not done on a paused host and with a paused service, who counts on them, and what is said.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use kit::{Cx, Service, StepPlan, Task};
use plan::{
    Consent, Facts, Gate, Health, HostFacts, Judge as _, Level, Paused, Refusal, ServiceStatus, StepGraph,
    Verdict,
};
use protocol::facts::{FileFact, FileKind, FileMeta, UnitFact};
use protocol::{Action, Fact, FactQuery, Operation, UnitVerb};
use types::{HostName, ServiceName};

use super::{NOW, answer, command, host, read, ties, unplanned};
use crate::bind::{Bound, BoundStep};
use crate::chain::Chain;
use crate::pauses::Pauses;
use crate::request::PlanCx;
use crate::stages::{Predecessors, Rollout, Stages};
use crate::{Options, Project, Scope};

/// A service of three members and one that uses it, with more keys of a host, of the service and of its user.
fn inventory(db2: &str, mq: &str, app: &str) -> String {
    format!(
        "[hosts]\ndb1 = \"10.0.0.1\"\ndb2 = {{ address = \"10.0.0.2\" {db2} }}\ndb3 = \"10.0.0.3\"\n\
         [services.mq]\nkind = \"rabbitmq\"\nhosts = [\"db1\", \"db2\", \"db3\"]\ncookie = {{ file = \"mq\" }}\n{mq}\n\
         [services.app]\nkind = \"altcraft\"\nhosts = [\"db1\", \"db2\"]\n{app}\n"
    )
}

const OPEN: &str = ", paused = { reason = \"its disk is replaced\" }";
const PAUSED: &str = "paused = { reason = \"a release\", until = \"2026-12-24T08:00:00Z\" }";

/// Restarts the member, because its file is newer than its process.
const RESTART: &str = "[[steps]]\nid = \"restart\"\nuses = \"unit\"\nrollout = \"serial\"\n\
                       with = { name = \"mq\", state = \"started\", restart_on = [\"/etc/mq\"] }\n";

fn project(inventory: &str, rabbitmq: &str, altcraft: &str) -> Project {
    let site = "[[stages]]\nplaybooks = [\"hosts\"]\nper_host = true\n[[stages]]\nplaybooks = [\"rabbitmq\"]\n\
                [[stages]]\nplaybooks = [\"altcraft\"]\n";
    let hosts = command("names", "");
    let playbooks = [
        ("site", site),
        ("hosts", &hosts),
        ("rabbitmq", rabbitmq),
        ("altcraft", altcraft),
    ];
    let (project, diagnostics, _) = read(inventory, &playbooks, None);
    assert_eq!(diagnostics, []);
    project
}

/// Answers what is asked; guards end with this status.
fn facts(project: &Project, status: i32) -> Facts {
    let mut facts = answer(project, |_, _| status);
    for (host, queries) in project.queries(&Scope::default()) {
        let answers = queries.into_iter().filter_map(|query| match &query {
            FactQuery::Unit(unit) if unit.name == "mq.service" => Some((query.clone(), Ok(running()))),
            FactQuery::File(file) if file.path == "/etc/mq" => Some((query.clone(), Ok(newer()))),
            _ => None,
        });
        facts.add(host, HostFacts::Observed(answers.collect()));
    }
    let further = project.further(&Scope::default(), &mut facts);
    assert!(further.is_empty(), "{further:?}");
    facts
}

fn reload() -> Action {
    let operation = Operation::Unit {
        name: "mq.service".to_owned(),
        verbs: vec![UnitVerb::Reload],
        reads: Vec::new(),
    };
    kit::action(operation, 1)
}

fn running() -> Fact {
    Fact::Unit(UnitFact {
        load: "loaded".to_owned(),
        active: "active".to_owned(),
        sub: "running".to_owned(),
        enabled: "enabled".to_owned(),
        main_pid: 7,
        started_us: 1_000_000,
        invocation: "a".to_owned(),
        stale: false,
        started_with: Vec::new(),
    })
}

fn newer() -> Fact {
    Fact::File(FileFact::Present(FileMeta {
        kind: FileKind::File,
        sha256: String::new(),
        len: 1,
        mode: 0o644,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        modified_us: 2_000_000,
        changed_us: 2_000_000,
        ahead_us: 0,
        text: None,
        names: 0,
        target: String::new(),
    }))
}

fn plan_allowing(project: &Project, facts: &Facts, max: usize, allow: &[&str]) -> StepGraph {
    let consents = allow.iter().map(|name| Consent {
        action: "rabbitmq.outage".to_owned(),
        host: host(name),
    });
    let options = Options {
        consents: consents.collect(),
        max_unavailable: NonZeroUsize::new(max),
        ..Options::default()
    };
    project.plan(facts, &Scope::default(), &options).unwrap()
}

fn plan(project: &Project, status: i32) -> StepGraph {
    plan_allowing(project, &facts(project, status), 0, &[])
}

fn said(graph: &StepGraph) -> Vec<String> {
    let place = |paused: &Paused| {
        let host = paused.host.as_ref().map(HostName::as_str);
        let service = paused.service.as_ref().map(ServiceName::as_str);
        format!("{}: {paused}", host.or(service).unwrap_or_default())
    };
    graph.paused.iter().map(place).collect()
}

#[test]
fn nothing_is_asked_or_done_on_a_paused_host() {
    let project = project(&inventory(OPEN, "", ""), &command("a", ""), "steps = []");
    let asked = project.queries(&Scope::default());
    assert!(!asked.contains_key(&host("db2")) && asked.contains_key(&host("db1")));
    let graph = plan(&project, 1);
    let nodes: Vec<&str> = graph.nodes().iter().map(|node| node.id.as_str()).collect();
    assert_eq!(
        nodes,
        ["hosts/names@db1", "hosts/names@db3", "mq/a@db1", "mq/a@db3"]
    );
    assert_eq!((unplanned(&graph), graph.refusals.len()), (Vec::new(), 0));
    assert_eq!(said(&graph), ["db2: paused: its disk is replaced"]);
}

#[test]
fn where_only_a_pause_is_left_the_plan_has_converged_and_names_it() {
    let playbook = command("a", "");
    let of_host = plan(&project(&inventory(OPEN, "", ""), &playbook, "steps = []"), 0);
    assert!(of_host.is_converged(), "{:?}", unplanned(&of_host));
    let of_service = plan(&project(&inventory("", PAUSED, ""), &playbook, "steps = []"), 0);
    assert!(of_service.is_converged(), "{:?}", unplanned(&of_service));
    assert_eq!(
        said(&of_service),
        ["mq: paused until 2026-12-24T08:00:00Z: a release"]
    );
    assert_eq!(of_service.notes, []);
}

#[test]
fn a_pause_that_is_over_is_none_and_its_key_may_go() {
    let over = ", paused = { reason = \"x\", until = \"2026-11-30T23:59:59Z\" }";
    let graph = plan(
        &project(&inventory(over, "", ""), &command("a", ""), "steps = []"),
        1,
    );
    assert_eq!(said(&graph), Vec::<String>::new());
    assert!(
        ties(&graph).iter().any(|tie| tie.starts_with("mq/a@db2")),
        "{:?}",
        ties(&graph)
    );
    let note = graph
        .notes
        .iter()
        .find(|note| note.host == Some(host("db2")))
        .unwrap();
    assert_eq!(note.level, Level::Info);
    assert_eq!(
        note.text,
        "its pause ended at 2026-11-30T23:59:59Z; the key `paused` can be removed from the inventory"
    );
}

#[test]
fn what_a_step_says_of_a_paused_host_is_left_out() {
    let project = project(&inventory(OPEN, "", ""), "steps = []", "steps = []");
    let stub = Stub::new("mq");
    let step = BoundStep::of_kind("everywhere".parse().unwrap(), stub.hosts.clone());
    let rollout = Bound {
        hosts: stub.hosts.clone(),
        steps: vec![step],
        ..bound(0, &stub.name, false)
    };
    let pauses = Pauses::at(NOW, &project.inventory);
    let cx = PlanCx {
        facts: &Facts::default(),
        scope: &Scope::default(),
        scoped_hosts: None,
        options: &Options::default(),
        pauses: &pauses,
    };
    let planned = Chain::plan(&cx, &rollout, Some(&stub), Predecessors::default());
    let nodes: Vec<&str> = planned.nodes.iter().map(|node| node.host.as_str()).collect();
    assert_eq!(nodes, ["db1", "db3"]);
    assert_eq!(
        (planned.remarks.refusals, planned.remarks.unplanned),
        (Vec::new(), Vec::new())
    );
}

#[test]
fn a_paused_member_uses_up_the_budget() {
    let project = project(&inventory(OPEN, "", ""), RESTART, "steps = []");
    let facts = facts(&project, 0);
    let refused = plan_allowing(&project, &facts, 0, &[]);
    assert_eq!(ties(&refused), Vec::<String>::new());
    let [refusal] = refused.refusals.as_slice() else {
        panic!("{:?}", refused.refusals);
    };
    assert_eq!(refusal.what, "no member of mq is made unavailable");
    assert_eq!(
        refusal.why,
        "a paused member counts as unavailable (db2), and at most 1 of 3 may be"
    );
    assert!(
        refusal.resolve.ends_with("pass --max-unavailable 2"),
        "{}",
        refusal.resolve
    );
    assert!(!refused.is_converged());
    // With consent to the outage the others go one by one, beside the one that is paused.
    let graph = plan_allowing(&project, &facts, 2, &["db1", "db3"]);
    assert_eq!(ties(&graph).len(), 2, "{:?}", graph.refusals);
    let budget = graph.budgets().values().next().unwrap();
    assert!(budget.max_unavailable == 2 && budget.unavailable.contains(&host("db2")));
    assert!(graph.nodes().iter().all(|node| node.host != host("db2")));
}

#[test]
fn a_gate_counts_on_no_paused_member_whatever_is_observed_there() {
    let project = project(&inventory(OPEN, "", ""), RESTART, "steps = []");
    let graph = plan_allowing(&project, &facts(&project, 0), 2, &["db1", "db3"]);
    let gate: &Gate = &graph.nodes()[0].before[0];
    let Verdict::Wait(why) = project.judge(gate, &Facts::default()) else {
        panic!("nothing is known");
    };
    assert!(why.contains("db2"), "{why}");
    let paused = Pauses::at(0, &project.inventory).unavailable(&Stub::new("mq"), &Facts::default());
    assert_eq!(paused, [host("db2")].into(), "its kind says that all serve");
}

#[test]
fn users_of_a_paused_service_go_on_while_it_is_healthy_and_members_do_not_leave() {
    let blocked = |used: Stub, paused: &str, late: bool| {
        let services: Vec<Box<dyn Service>> = vec![Box::new(used), Box::new(Stub::new("app"))];
        let mut stages = Stages::default();
        for (at, service) in services
            .iter()
            .enumerate()
            .filter(|(_, service)| service.name().as_str() == paused)
        {
            let rollout = Rollout::paused(&bound(at, service.name(), false), &**service, &Facts::default());
            stages.add(rollout, false);
        }
        let later = usize::from(!late);
        stages
            .predecessors(&bound(later, services[later].name(), late), &services)
            .blocked_by
    };
    assert_eq!(blocked(Stub::new("mq"), "mq", false), Vec::<String>::new());
    let ill = Stub {
        health: Health::Degraded,
        ..Stub::new("mq")
    };
    assert_eq!(blocked(ill, "mq", false), ["mq: it is paused, and db1 is down"]);
    // The user may still name a member that is to leave.
    assert_eq!(blocked(Stub::new("mq"), "app", true), ["app: it is paused"]);
}

#[test]
fn no_member_leaves_before_a_host_of_its_user_that_is_paused_or_out_of_reach() {
    let late = command("leave", "after_users = true");
    // The user's stage comes first, so that the health of what it uses is not in its way.
    let site = "[[stages]]\nplaybooks = [\"altcraft\"]\n[[stages]]\nplaybooks = [\"rabbitmq\"]\n";
    let config = command("config", "");
    let playbooks = [
        ("site", site),
        ("rabbitmq", late.as_str()),
        ("altcraft", config.as_str()),
    ];
    for (db2, why) in [
        (OPEN, "app: db2 is paused: its disk is replaced"),
        ("", "app: db2 cannot be reached: no route"),
    ] {
        let (project, diagnostics, _) = read(&inventory(db2, "", ""), &playbooks, None);
        assert_eq!(diagnostics, []);
        let mut facts = facts(&project, 1);
        if db2.is_empty() {
            facts.add(host("db2"), HostFacts::Unreachable("no route".to_owned()));
        }
        let graph = plan_allowing(&project, &facts, 0, &[]);
        assert_eq!(ties(&graph), ["app/config@db1"]);
        let left = unplanned(&graph);
        let why = format!("a service that uses it is not healthy ({why})");
        assert!(left.iter().any(|left| left.contains(&why)), "{left:?}");
    }
}

fn bound(service: usize, name: &ServiceName, is_late: bool) -> Bound {
    Bound {
        rollout: name.to_string(),
        service: Some(service),
        hosts: vec![host("db1")],
        steps: Vec::new(),
        stage: if is_late { 9 } else { service },
        per_host: false,
        is_late,
        overrides: None,
    }
}

/// A service whose health is given, on three hosts, all of which serve. `app` uses `mq`.
struct Stub {
    name: ServiceName,
    hosts: Vec<HostName>,
    health: Health,
}

impl Stub {
    fn new(name: &str) -> Self {
        Self {
            name: name.parse().unwrap(),
            hosts: ["db1", "db2", "db3"].map(host).to_vec(),
            health: Health::Healthy,
        }
    }
}

impl Service for Stub {
    fn name(&self) -> &ServiceName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "stub"
    }

    fn hosts(&self) -> &[HostName] {
        &self.hosts
    }

    fn vars(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn names(&self) -> Vec<HostName> {
        Vec::new()
    }

    fn queries(&self, _: &HostName) -> Vec<FactQuery> {
        Vec::new()
    }

    /// A task on each host, though one is out of reach, and all else that a step can say of that one.
    fn plan_step(&self, _: &str, _: &Cx<'_>) -> StepPlan {
        let db2 = host("db2");
        StepPlan {
            tasks: self
                .hosts
                .iter()
                .map(|host| Task::new(host, "x", "y", reload()))
                .collect(),
            notes: Vec::new(),
            refusals: vec![Refusal::new("a", "b", "c").on(&db2)],
            unplanned: vec![(db2.clone(), "d".to_owned())],
            not_yet: vec![(db2, "e".to_owned())],
        }
    }

    fn judge(&self, _: &str, _: Option<&HostName>, _: &Facts) -> Verdict {
        Verdict::Pass
    }

    fn unavailable(&self, _: &Facts) -> BTreeSet<HostName> {
        BTreeSet::new()
    }

    fn status(&self, _: &Facts) -> ServiceStatus {
        ServiceStatus {
            service: self.name.clone(),
            kind: "stub".to_owned(),
            health: self.health,
            summary: "db1 is down".to_owned(),
            members: Vec::new(),
        }
    }

    fn uses(&self) -> Vec<ServiceName> {
        let uses = (self.name.as_str() == "app").then(|| "mq".parse().unwrap());
        uses.into_iter().collect()
    }
}
