//! A bad setting of a real kind: which member has it when.

use fakes::kvrocks::{Cluster, Tempo};
use formats::engine::Engine;
use plan::{Facts, HostFacts, StepGraph};
use services::KINDS;

use super::{read, ties};
use crate::{Options, Project, Scope};

const SITE: &str = "[[stages]]\nplaybooks = [\"kvrocks\"]\n";
const NAMES: [&str; 3] = ["db1", "db2", "db3"];

/// Three members behind Sentinel with what the inventory says beside `directives`; db1 is the master.
fn cluster(engine: Engine) -> Cluster {
    let tempo = Tempo {
        elect: i64::MAX / 4,
        ..Tempo::default()
    };
    let mut cluster = Cluster::new(engine, &NAMES, tempo);
    let (config, sentinel_config) = (cluster.config(), cluster.sentinel_config());
    for (at, name) in NAMES.into_iter().enumerate() {
        let address = cluster.nodes[at].address.clone();
        cluster.install_engine(name, true);
        cluster.install_sentinel(name);
        let role = if at == 0 { "" } else { "replicaof 10.0.0.1 6666\n" };
        let ours = "⟪secret:file:pw⟫";
        let text = format!(
            "port 6666\nbind 127.0.0.1 {address}\nmasterauth \"{ours}\"\nrequirepass \"{ours}\"\n{role}"
        );
        cluster.write_file(at, config, &text);
        cluster.start_engine(at).unwrap();
        let text = format!("sentinel monitor altcraft 10.0.0.1 6666 2\nsentinel auth-pass altcraft {ours}\n");
        cluster.write_file(at, sentinel_config, &text);
        cluster.start_sentinel(at).unwrap();
    }
    cluster.settle();
    cluster
}

fn project(directives: &str) -> Project {
    let inventory = format!(
        "[hosts]\ndb1 = \"10.0.0.1\"\ndb2 = \"10.0.0.2\"\ndb3 = \"10.0.0.3\"\n[services.cache]\nkind = \"kvrocks\"\n\
         engine = \"redis\"\nhosts = [\"db1\", \"db2\", \"db3\"]\npassword = {{ file = \"pw\" }}\n\
         directives = {{ {directives} }}\n"
    );
    let playbook = KINDS.named("kvrocks").unwrap().playbook();
    let (project, diagnostics, _) = read(&inventory, &[("site", SITE), ("kvrocks", playbook)], None);
    assert_eq!(diagnostics, []);
    project
}

fn plan(directives: &str, cluster: &Cluster) -> StepGraph {
    let project = project(directives);
    let mut facts = Facts::default();
    for (host, queries) in project.queries(&Scope::default()) {
        let answers = queries.into_iter().map(|query| {
            let fact = cluster.tell_fact(&host, &query).unwrap();
            (query, fact)
        });
        let answers = answers.collect();
        facts.add(host, HostFacts::Observed(answers));
    }
    project
        .plan(&facts, &Scope::default(), &Options::default())
        .unwrap()
}

/// The nodes with what puts them back.
fn turns(graph: &StepGraph) -> Vec<String> {
    assert!(graph.refusals.is_empty(), "{:?}", graph.refusals);
    let nodes = graph.nodes().iter().map(|node| {
        let id = node.id.as_str().trim_start_matches("cache/");
        let rollback = node.rollback.iter().flat_map(|rollback| &rollback.files);
        let files: Vec<&str> = rollback
            .map(|id| id.as_str().trim_start_matches("cache/"))
            .collect();
        if files.is_empty() {
            id.to_owned()
        } else {
            format!("{id}, or puts back {}", files.join(" "))
        }
    });
    nodes.collect()
}

#[test]
fn a_setting_that_needs_a_restart_is_given_to_one_member_after_another() {
    let graph = plan("databases = \"abc\"", &cluster(Engine::Redis));
    assert_eq!(
        turns(&graph),
        [
            "config@db2",
            "restart@db2, or puts back config@db2",
            "config@db3",
            "restart@db3, or puts back config@db3",
            "config@db1",
            "restart.hold@db1",
            "restart.failover@db2",
            "restart.follow@db1",
            "restart.config@db1",
            "restart@db1, or puts back config@db1 restart.config@db1",
        ]
    );
}

#[test]
fn a_setting_that_the_running_engine_takes_is_given_to_one_member_after_another_the_master_last() {
    let graph = plan("maxmemory = \"abc\"", &cluster(Engine::Redis));
    assert_eq!(
        turns(&graph),
        [
            "config@db2",
            "set@db2, or puts back config@db2",
            "config@db3",
            "set@db3, or puts back config@db3",
            "config@db1",
            "set@db1, or puts back config@db1",
        ]
    );
    assert_eq!(
        ties(&graph),
        [
            "cache/config@db2",
            "cache/set@db2 after cache/config@db2",
            "cache/config@db3 after cache/set@db2",
            "cache/set@db3 after cache/config@db3 cache/set@db2",
            "cache/config@db1 after cache/set@db2 cache/set@db3",
            "cache/set@db1 after cache/config@db1 cache/set@db3",
        ]
    );
}
