//! Case tests: what is planned in every situation that a cluster can be in.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use plan::{Facts, HostFacts};
use protocol::facts::{
    CandidateFact, ErlangFact, FileFact, FileKind, FileMeta, PackageFact, Silence, Term, UnitFact,
};
use protocol::{Fact, FactQuery, Text};
use types::HostName;

use cases::{answer_all, host, plan_steps, plan_steps_allowing, render};

use super::KIND;
use crate::observe::is_before;

/// The kinds that inventories here may name.
const KINDS: kit::Kinds = kit::Kinds::new(&[super::KIND]);

/// What reading an inventory reports.
fn errors(inventory: &str) -> Vec<String> {
    cases::errors(KINDS, inventory)
}

/// The service of an inventory.
fn service(inventory: &str) -> Box<dyn kit::Service> {
    cases::service(KINDS, inventory)
}

mod adopted;
mod basis;
mod bed;
mod khepri;
mod leave;
mod paused;
mod planned;
mod rebuilt;
mod rolling;
mod unknown;
mod users;
mod versions;

const INVENTORY: &str = r#"
[hosts]
db1 = "10.0.0.1"
db2 = "10.0.0.2"
db3 = "10.0.0.3"

[services.rabbitmq]
hosts = ["db1", "db2", "db3"]
cookie = { file = "secrets/cookie" }
"#;

/// When the units of these tests were started; files are older unless a test says otherwise.
const STARTED: i64 = 1_000_000;

/// A host as a test describes it.
#[derive(Clone)]
struct Host {
    /// What the cookie's file holds; `None` where it is missing.
    cookie: Option<Text>,
    enabled: bool,
    node: Node,
}

#[derive(Clone)]
enum Node {
    Off {
        members: Option<&'static str>,
    },
    OtherCookie,
    Halted(Vec<&'static str>),
    /// Its broker is in this state of its boot.
    Booting(&'static str),
    /// Its unit runs, and nobody answers.
    Silent,
    /// It answers this.
    Told(Vec<Result<Term, String>>),
    Up(Broker),
}

#[derive(Clone)]
struct Broker {
    version: &'static str,
    members: Vec<&'static str>,
    running: Vec<&'static str>,
    partitions: Vec<&'static str>,
    vhosts: Vec<&'static str>,
    queues: Vec<(&'static str, &'static str)>,
    policies: Vec<(&'static str, &'static str)>,
    alarms: Vec<Term>,
}

const ALL: [&str; 3] = ["rabbit@db1", "rabbit@db2", "rabbit@db3"];

fn ours() -> Text {
    Text::secret(&"file:secrets/cookie".parse().unwrap())
}

/// A running member of the cluster of all three, with the runbook's policy.
fn member() -> Host {
    Host {
        cookie: Some(ours()),
        enabled: true,
        node: Node::Up(clustered()),
    }
}

fn clustered() -> Broker {
    Broker {
        version: "3.10.8",
        members: ALL.to_vec(),
        running: ALL.to_vec(),
        partitions: vec![],
        vhosts: vec!["/"],
        queues: vec![],
        policies: vec![("/", "all")],
        alarms: vec![],
    }
}

/// A running node that is alone and was never used.
fn alone(name: &'static str) -> Host {
    let broker = Broker {
        members: vec![name],
        running: vec![name],
        policies: vec![],
        ..clustered()
    };
    Host {
        node: Node::Up(broker),
        ..member()
    }
}

/// A host whose package was installed and never started.
fn fresh() -> Host {
    Host {
        cookie: None,
        enabled: false,
        node: Node::Off { members: None },
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a test writes its hosts where it calls"
)]
fn facts(hosts: [Host; 3]) -> Facts {
    let service = service(INVENTORY);
    answer_all(&*service, |name, query| {
        let at = service.hosts().iter().position(|host| host == name)?;
        Some(answer(&hosts[at], query))
    })
}

fn answer(host: &Host, query: &FactQuery) -> Fact {
    match query {
        FactQuery::Package(_) => Fact::Package(PackageFact {
            version: Some("3.10.8-1.1+deb12u1".into()),
            is_partial: false,
        }),
        FactQuery::Candidate(_) => Fact::Candidate(CandidateFact { version: None }),
        FactQuery::Unit(_) => Fact::Unit(unit(host)),
        FactQuery::File(query) if query.path.ends_with(".erlang.cookie") => Fact::File(match &host.cookie {
            Some(text) => file(text.clone(), 0o400),
            None => FileFact::Absent,
        }),
        FactQuery::File(query) if query.path.ends_with("cluster_nodes.config") => {
            Fact::File(match &host.node {
                Node::Off { members: Some(text) } if !text.is_empty() => file(Text::new(*text), 0o640),
                Node::OtherCookie => {
                    let node = query.path.rsplit('/').nth(1).unwrap();
                    file(Text::new(format!("{{[{node}],[{node}]}}.")), 0o640)
                }
                _ => FileFact::Absent,
            })
        }
        FactQuery::File(query) if query.path.ends_with("-feature_flags") => Fact::File(match &host.node {
            Node::Off { members: None } => FileFact::Absent,
            _ => file(Text::new("[quorum_queue].\n"), 0o640),
        }),
        FactQuery::File(query) if query.path.contains("/mnesia/") => Fact::File(match &host.node {
            Node::Off { members: None } => FileFact::Absent,
            _ => directory(),
        }),
        FactQuery::File(_) => Fact::File(FileFact::Absent),
        FactQuery::Erlang(_) => Fact::Erlang(match &host.node {
            Node::Off { .. } | Node::Silent => ErlangFact::Down(Silence::refused()),
            Node::OtherCookie => ErlangFact::Denied("the challenge's answer is wrong".into()),
            Node::Halted(members) => ErlangFact::Results(stopped(members, "3.10.8")),
            Node::Booting(state) => {
                let mut results = stopped(&["rabbit@db1"], "3.10.8");
                results[10] = Ok(Term::atom(*state));
                ErlangFact::Results(results)
            }
            Node::Told(results) => ErlangFact::Results(results.clone()),
            Node::Up(broker) => ErlangFact::Results(results(broker)),
        }),
        other => panic!("nobody asks {other:?}"),
    }
}

fn unit(host: &Host) -> UnitFact {
    let runs = !matches!(host.node, Node::Off { .. });
    UnitFact {
        load: "loaded".into(),
        active: if runs { "active" } else { "inactive" }.into(),
        sub: if runs { "running" } else { "dead" }.into(),
        enabled: if host.enabled { "enabled" } else { "disabled" }.into(),
        main_pid: u32::from(runs),
        started_us: if runs { STARTED } else { 0 },
        invocation: String::new(),
        stale: false,
        started_with: Vec::new(),
    }
}

fn file(text: Text, mode: u32) -> FileFact {
    FileFact::Present(FileMeta {
        kind: FileKind::File,
        sha256: "aa".into(),
        len: 48,
        mode,
        owner: "rabbitmq".into(),
        group: "rabbitmq".into(),
        // Newer than the units: what was written when decides nothing.
        modified_us: STARTED + 1,
        text: Some(text),
        target: String::new(),
        names: 0,
        ahead_us: 0,
        changed_us: 0,
    })
}

fn directory() -> FileFact {
    match file(Text::new(""), 0o750) {
        FileFact::Present(meta) => FileFact::Present(FileMeta {
            kind: FileKind::Directory,
            text: None,
            ..meta
        }),
        FileFact::Absent => FileFact::Absent,
    }
}

fn pair(key: &str, value: Term) -> Term {
    Term::Tuple(vec![Term::atom(key), value])
}

fn str(text: &str) -> Term {
    Term::Str(text.to_owned())
}

fn atoms(names: &[&str]) -> Term {
    Term::List(names.iter().map(|name| Term::atom(*name)).collect())
}

fn nodes(members: &[&str]) -> Term {
    pair("nodes", Term::List(vec![pair("disc", atoms(members))]))
}

/// What RabbitMQ 3.10.8 answered, with the test's values in it.
fn results(broker: &Broker) -> Vec<Result<Term, String>> {
    let list = |items: Vec<Term>| Ok(Term::List(items));
    let policy = |(vhost, mode): &(&str, &str)| {
        Term::List(vec![
            pair("vhost", str(vhost)),
            pair("name", str("ha-all")),
            pair("pattern", str(".*")),
            pair("apply-to", str("all")),
            pair(
                "definition",
                Term::List(vec![
                    Term::Tuple(vec![str("ha-mode"), str(mode)]),
                    Term::Tuple(vec![str("ha-sync-mode"), str("automatic")]),
                ]),
            ),
            pair("priority", Term::Int(0)),
        ])
    };
    let queue = |(vhost, name): &(&str, &str)| {
        Term::Tuple(vec![
            Term::atom("resource"),
            str(vhost),
            Term::atom("queue"),
            str(name),
        ])
    };
    // 3.10.8 tells `undefined` where none was chosen, 4.0.5 a type in any case.
    let queue_type = |name: &str| {
        let told = if broker.version.starts_with('4') {
            str("classic")
        } else {
            Term::atom("undefined")
        };
        Term::List(vec![pair("name", str(name)), pair("default_queue_type", told)])
    };
    let partitions = broker
        .partitions
        .iter()
        .map(|name| Term::Tuple(vec![Term::atom("rabbit@db1"), atoms(&[name])]));
    let guest = Term::List(vec![
        pair("user", str("guest")),
        pair("tags", atoms(&["administrator"])),
    ]);
    let status = list(vec![
        nodes(&broker.members),
        pair("running_nodes", atoms(&broker.running)),
        pair("partitions", Term::List(partitions.collect())),
    ]);
    // With Mnesia the second passes on what the first tells (`rabbit_db_cluster:cli_cluster_status_using_mnesia`).
    let new_status = if is_before(broker.version, (3, 13, 0)) {
        Err("{badrpc,{'EXIT',{undef,[{rabbit_db_cluster,cli_cluster_status,[],[]}]}}}".to_owned())
    } else {
        status.clone()
    };
    vec![
        Ok(Term::atom("true")),
        status,
        list(broker.vhosts.iter().map(|name| str(name)).collect()),
        list(broker.policies.iter().map(policy).collect()),
        list(vec![guest]),
        list(broker.queues.iter().map(queue).collect()),
        list(broker.alarms.clone()),
        Ok(str(broker.version)),
        list(vec![]),
        new_status,
        Ok(Term::atom("ready")),
        list(broker.vhosts.iter().map(|name| queue_type(name)).collect()),
        Ok(Term::Map(Vec::new())),
        Ok(Term::atom("false")),
        Ok(Term::atom("undefined")),
    ]
}

/// What a node answers whose broker was stopped.
fn stopped(members: &[&str], version: &str) -> Vec<Result<Term, String>> {
    let unready = || Err("not asked: rabbit_boot_state:get returns Atom(\"stopped\")".to_owned());
    vec![
        Ok(Term::atom("false")),
        Ok(Term::List(vec![nodes(members)])),
        unready(),
        unready(),
        unready(),
        unready(),
        unready(),
        Ok(str(version)),
        unready(),
        unready(),
        Ok(Term::atom("stopped")),
        unready(),
        unready(),
        unready(),
        Ok(Term::atom("undefined")),
    ]
}

fn plan(hosts: [Host; 3]) -> String {
    render(&plan_steps(&*service(INVENTORY), &KIND.steps(), &facts(hosts)))
}

fn up(change: impl FnOnce(&mut Broker)) -> Host {
    let mut broker = clustered();
    change(&mut broker);
    Host {
        node: Node::Up(broker),
        ..member()
    }
}
