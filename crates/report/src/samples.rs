//! Plans for the tests of this crate.

use std::collections::{BTreeMap, BTreeSet};

use plan::{
    Budget, Consent, Event, Failure, Gate, Health, Level, MemberStatus, Node, NodeOutcome, NotRun, Note,
    Outcome, Paused, Preview, Refusal, ServiceStatus, SkippedSteps, StepGraph, Unplanned,
};
use protocol::{Action, Change, Command, FileState, Operation, Text, UnitVerb};
use types::HostName;

use crate::{Clock, Labels, RunLine, RunView};

/// A node that writes a file.
pub(crate) fn node(id: &str, host: &str, needs: &[&str]) -> Node {
    Node {
        id: id.parse().unwrap(),
        service: None,
        host: host.parse().unwrap(),
        title: format!("do {id}"),
        reason: "it is not done".to_owned(),
        action: Some(Action {
            only_if: Vec::new(),
            operation: Operation::WriteFile {
                path: "/etc/x".to_owned(),
                text: Text::new("x"),
                mode: 0o644,
                owner: "root".to_owned(),
                group: "root".to_owned(),
                was: FileState::Hash("00".to_owned()),
                trial: None,
            },
            limit_ms: 10_000,
        }),
        preview: None,
        disrupts: BTreeSet::new(),
        before: Vec::new(),
        gates: Vec::new(),
        needs: needs.iter().map(|id| id.parse().unwrap()).collect(),
        rollback: None,
    }
}

/// A node `service/restart@host` that restarts a member and waits until it is back.
pub(crate) fn restart(service: &str, host: &str, needs: &[&str]) -> Node {
    Node {
        service: Some(service.parse().unwrap()),
        title: "restart rabbitmq-server".to_owned(),
        reason: "rabbitmq.conf is newer than the process".to_owned(),
        action: Some(unit(&[UnitVerb::Restart])),
        disrupts: BTreeSet::from([service.parse().unwrap()]),
        gates: vec![gate(service, host)],
        ..node(&format!("{service}/restart@{host}"), host, needs)
    }
}

fn unit(verbs: &[UnitVerb]) -> Action {
    Action {
        only_if: Vec::new(),
        operation: Operation::Unit {
            name: "rabbitmq-server".to_owned(),
            verbs: verbs.to_vec(),
            reads: Vec::new(),
        },
        limit_ms: 60_000,
    }
}

fn gate(service: &str, host: &str) -> Gate {
    Gate {
        service: Some(service.parse().unwrap()),
        check: "member-healthy".to_owned(),
        host: Some(host.parse().unwrap()),
        title: format!("{host} is running and sees all members"),
        watch: BTreeMap::new(),
        limit_ms: 300_000,
    }
}

/// A budget for db1, db2 and db3.
pub(crate) fn budget(max_unavailable: usize, unavailable: &[&str]) -> Budget {
    let hosts =
        |names: &[&str]| -> BTreeSet<HostName> { names.iter().map(|name| name.parse().unwrap()).collect() };
    Budget {
        members: hosts(&["db1", "db2", "db3"]),
        max_unavailable,
        unavailable: hosts(unavailable),
    }
}

pub(crate) fn graph(nodes: Vec<Node>, budgets: &[(&str, Budget)]) -> StepGraph {
    let budgets = budgets
        .iter()
        .map(|(group, budget)| (group.parse().unwrap(), budget.clone()));
    StepGraph::new(nodes, budgets.collect()).unwrap()
}

/// A change of `RabbitMQ`'s configuration on three hosts, with everything that a plan can have.
pub(crate) fn rolling_change() -> StepGraph {
    let mut nodes = Vec::new();
    for host in ["db1", "db2", "db3"] {
        nodes.push(Node {
            service: Some("mq".parse().unwrap()),
            title: "write /etc/rabbitmq/rabbitmq.conf".to_owned(),
            reason: "its text differs from the inventory's".to_owned(),
            preview: Some(Preview::File {
                path: "/etc/rabbitmq/rabbitmq.conf".to_owned(),
                before: Some(Text::new(
                    "listeners.tcp.default = 5672\ndefault_pass = ⟪kept:44+12⟫\nlog.file.level = info\n",
                )),
                after: Text::new(
                    "listeners.tcp.default = 5672\ndefault_pass = ⟪secret:file:mq.pass⟫\nlog.file.level = info\n\
                     cluster_partition_handling = pause_minority\n",
                ),
            }),
            ..node(&format!("mq/config@{host}"), host, &[])
        });
    }
    let mut before = vec!["mq/config@db1".to_owned()];
    for host in ["db1", "db2", "db3"] {
        before.push(format!("mq/config@{host}"));
        let needs: Vec<&str> = before.iter().map(String::as_str).collect();
        nodes.push(restart("mq", host, &needs));
        before = vec![format!("mq/restart@{host}")];
    }
    nodes.push(Node {
        service: Some("mq".parse().unwrap()),
        title: "set the policy ha-all in \"/\"".to_owned(),
        reason: "it does not exist".to_owned(),
        action: Some(Action {
            only_if: Vec::new(),
            operation: Operation::Run {
                commands: vec![Command::new(["rabbitmqctl", "set_policy"])],
            },
            limit_ms: 60_000,
        }),
        preview: Some(Preview::Commands(vec![
            "rabbitmqctl set_policy ha-all '.*' '{\"ha-mode\":\"all\"}'".to_owned(),
        ])),
        ..node("mq/policy@db1", "db1", &["mq/restart@db3"])
    });
    nodes.push(Node {
        title: "write /etc/motd".to_owned(),
        preview: Some(Preview::File {
            path: "/etc/motd".to_owned(),
            before: None,
            after: Text::new("managed by clusterctl"),
        }),
        ..node("base/motd@app1", "app1", &[])
    });
    nodes.push(Node {
        title: "wait for the application".to_owned(),
        reason: "it needs the queue".to_owned(),
        action: None,
        gates: vec![gate("app", "app1")],
        ..node("base/wait@app1", "app1", &["mq/policy@db1"])
    });
    let mut graph = graph(nodes, &[("mq", budget(1, &[]))]);
    remarks(&mut graph);
    graph
}

fn remarks(graph: &mut StepGraph) {
    let note = |level, host: Option<&str>, text: &str| Note {
        level,
        service: Some("mq".parse().unwrap()),
        host: host.map(|host| host.parse().unwrap()),
        text: text.to_owned(),
    };
    graph.notes = vec![
        note(
            Level::Info,
            None,
            "the playbook playbooks/rabbitmq.toml is in force instead of the built-in one",
        ),
        note(
            Level::Warning,
            Some("db3"),
            "the disk alarm is on: publishers are blocked",
        ),
    ];
    graph.refusals = vec![Refusal {
        service: Some("mq".parse().unwrap()),
        host: Some("db4".parse().unwrap()),
        what: "db4 does not join the cluster".to_owned(),
        why: "it holds the queue \"orders\" with 12 messages in the virtual host \"/\", which joining would delete"
            .to_owned(),
        resolve: "move the messages away, or delete the queue on db4".to_owned(),
        consent: Some(Consent {
            action: "rabbitmq.reset".to_owned(),
            host: "db4".parse().unwrap(),
        }),
        passing: false,
    }];
    let unplanned = |step: &str| Unplanned {
        service: Some("sessions".parse().unwrap()),
        steps: SkippedSteps::One(step.to_owned()),
        host: "db5".parse().unwrap(),
        why: "db5 cannot be reached: connection refused".to_owned(),
        passing: false,
    };
    graph.unplanned = vec![unplanned("config"), unplanned("start")];
}

/// A run's events, each with the milliseconds since its beginning.
fn at(events: Vec<(i64, Event)>) -> Vec<(i64, Event)> {
    let stamp = |(ms, event)| (1_700_000_000_000_000 + ms * 1_000, event);
    events.into_iter().map(stamp).collect()
}

fn started(id: &str, host: &str) -> Event {
    Event::NodeStarted {
        node: id.parse().unwrap(),
        host: host.parse().unwrap(),
    }
}

fn waiting(id: &str, why: &str) -> Event {
    Event::NodeWaiting {
        node: id.parse().unwrap(),
        why: why.to_owned(),
    }
}

fn finished(id: &str, outcome: NodeOutcome) -> Event {
    Event::NodeFinished {
        node: id.parse().unwrap(),
        outcome,
    }
}

fn did(summary: &str, backup: Option<&str>) -> NodeOutcome {
    NodeOutcome::Done {
        change: Some(Change {
            summary: summary.to_owned(),
            backup: backup.map(str::to_owned),
            wrote: None,
        }),
    }
}

fn wrote() -> NodeOutcome {
    did(
        "wrote /etc/rabbitmq/rabbitmq.conf",
        Some("/etc/rabbitmq/rabbitmq.conf.20231114T221320Z"),
    )
}

/// The beginning of a run of [`rolling_change`]: the files are written, db1 is restarted.
fn beginning() -> Vec<(i64, Event)> {
    vec![
        (0, Event::RunStarted { nodes: 9 }),
        (10, started("mq/config@db1", "db1")),
        (10, started("mq/config@db2", "db2")),
        (10, started("mq/config@db3", "db3")),
        (10, started("base/motd@app1", "app1")),
        (210, finished("mq/config@db1", wrote())),
        (230, finished("mq/config@db2", wrote())),
        (250, finished("mq/config@db3", wrote())),
        (260, finished("base/motd@app1", did("wrote /etc/motd", None))),
        (270, started("mq/restart@db1", "db1")),
        (12_000, waiting("mq/restart@db1", "running, sees 2 of 3 members")),
        (
            41_000,
            finished("mq/restart@db1", did("restarted rabbitmq-server", None)),
        ),
        (41_010, started("mq/restart@db2", "db2")),
        (50_000, waiting("mq/restart@db2", "starting")),
    ]
}

/// A run in which everything went well.
pub(crate) fn successful_run() -> Vec<(i64, Event)> {
    let mut events = beginning();
    events.extend([
        (
            80_000,
            finished("mq/restart@db2", did("restarted rabbitmq-server", None)),
        ),
        (80_010, started("mq/restart@db3", "db3")),
        (
            122_000,
            finished("mq/restart@db3", did("restarted rabbitmq-server", None)),
        ),
        (122_010, started("mq/policy@db1", "db1")),
        (123_500, finished("mq/policy@db1", did("ran 1 command", None))),
        (123_510, started("base/wait@app1", "app1")),
        (
            125_000,
            finished("base/wait@app1", NodeOutcome::Done { change: None }),
        ),
        (
            125_010,
            Event::RunFinished {
                outcome: Outcome {
                    done: 9,
                    ..Outcome::default()
                },
            },
        ),
    ]);
    at(events)
}

/// A run that stopped because db2 did not come back.
pub(crate) fn stopped_run() -> Vec<(i64, Event)> {
    let not_run = |id: &str, why| finished(id, NodeOutcome::NotRun { why });
    let gate = Failure::Gate {
        title: "db2 is running and sees all members".to_owned(),
        last: "running, sees 2 of 3 members\n\u{1b}[31mpartitioned from db3".to_owned(),
    };
    let mut events = beginning();
    events.extend([
        (
            341_010,
            finished("mq/restart@db2", NodeOutcome::Failed { failure: gate }),
        ),
        (
            341_010,
            not_run(
                "mq/restart@db3",
                NotRun::RolloutStopped {
                    by: "mq/restart@db2".parse().unwrap(),
                },
            ),
        ),
        (
            341_010,
            not_run(
                "mq/policy@db1",
                NotRun::Dependency {
                    on: "mq/restart@db3".parse().unwrap(),
                },
            ),
        ),
        (341_010, not_run("base/wait@app1", NotRun::Interrupted)),
        (
            341_020,
            Event::RunFinished {
                outcome: Outcome {
                    done: 5,
                    failed: 1,
                    not_run: 3,
                    interrupted: false,
                },
            },
        ),
    ]);
    at(events)
}

/// A run that was killed while db2 was restarting.
pub(crate) fn killed_run() -> Vec<(i64, Event)> {
    at(beginning())
}

/// An hour after the runs above began.
pub(crate) fn clock() -> Clock {
    Clock {
        now_us: 1_700_003_600_000_000,
        zone: jiff::tz::TimeZone::UTC,
    }
}

/// A paused host and a paused service.
pub(crate) fn paused() -> Vec<Paused> {
    let host = Paused {
        service: None,
        host: Some("db2".parse().unwrap()),
        reason: "its disk is replaced".to_owned(),
        until: Some("2026-12-24T08:00:00Z".to_owned()),
    };
    let service = Paused {
        service: Some("sessions".parse().unwrap()),
        host: None,
        reason: "a customer's release".to_owned(),
        until: None,
    };
    vec![host, service]
}

/// A healthy service and one that is not.
pub(crate) fn services() -> Vec<ServiceStatus> {
    let member = |host: &str, process: &str, role: &str, health, lag: &str, detail: &str| MemberStatus {
        host: host.parse().unwrap(),
        process: process.to_owned(),
        role: role.to_owned(),
        health,
        lag: lag.to_owned(),
        since_us: (health != Health::Down).then_some(1_700_000_000_000_000),
        detail: detail.to_owned(),
    };
    let mq = ["db1", "db2", "db3"].map(|host| member(host, "", "disc", Health::Healthy, "", ""));
    vec![
        ServiceStatus {
            service: "mq".parse().unwrap(),
            kind: "rabbitmq".to_owned(),
            health: Health::Healthy,
            summary: "3 of 3 running, policy ha-all in 1 virtual host".to_owned(),
            members: mq.to_vec(),
        },
        ServiceStatus {
            service: "cache".parse().unwrap(),
            kind: "kvrocks".to_owned(),
            health: Health::Degraded,
            summary: "the master is db1; 1 of 2 replicas follows it".to_owned(),
            members: vec![
                member("db1", "kvrocks", "master", Health::Healthy, "", ""),
                member("db2", "kvrocks", "replica", Health::Healthy, "12 B", ""),
                member(
                    "db3",
                    "kvrocks",
                    "",
                    Health::Down,
                    "",
                    "the unit failed: exit status 1",
                ),
                member(
                    "db1",
                    "sentinel",
                    "sentinel",
                    Health::Unknown,
                    "",
                    "connection refused",
                ),
            ],
        },
    ]
}

/// Three runs: one that succeeded, one that failed, one that was killed.
pub(crate) fn run_lines() -> Vec<RunLine> {
    let line = |run: &str, ago_s: i64, took_s: i64, outcome: Option<(usize, usize, usize)>| {
        let started_us = clock().now_us - ago_s * 1_000_000;
        let last_us = started_us + took_s * 1_000_000;
        let end = outcome.map(|(done, failed, not_run)| Outcome {
            done,
            failed,
            not_run,
            interrupted: false,
        });
        RunLine {
            run: run.parse().unwrap(),
            started_us,
            who: "ana@bastion".to_owned(),
            command: "clusterctl apply inventory.toml".to_owned(),
            inventory: "inventory.toml".to_owned(),
            nodes: 9,
            last_us,
            end: end.map(|end| (last_us, end)),
        }
    };
    vec![
        line("018bcfe5-6800-7000-8000-000000000003", 45, 20, None),
        line(
            "018bcfe5-5400-7000-8000-000000000002",
            3_600,
            341,
            Some((5, 1, 3)),
        ),
        line(
            "018bbfe5-0000-7000-8000-000000000001",
            400_000,
            125,
            Some((9, 0, 0)),
        ),
    ]
}

/// The second of them in full.
pub(crate) fn run_view() -> RunView {
    RunView {
        line: run_lines().remove(1),
        labels: Labels::from(&rolling_change()),
        events: stopped_run(),
    }
}
