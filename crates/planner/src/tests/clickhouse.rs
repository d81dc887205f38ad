//! The files of ClickHouse: which member has them when.

use fakes::FakeCluster as _;
use fakes::clickhouse::{Cluster, DEBIAN, MODERN};
use plan::{Facts, HostFacts, StepGraph};
use protocol::facts::ResolveFact;
use protocol::{Fact, FactQuery, Operation};
use services::KINDS;

use super::read;
use crate::{Options, Project, Scope};

const SITE: &str = "[[stages]]\nplaybooks = [\"clickhouse\"]\n";
const ALL: [&str; 4] = ["db1", "db2", "db3", "db4"];

/// A service on the first hosts, with what the inventory says of it.
fn project(hosts: usize, more: &str) -> Project {
    let inventory = format!(
        "[hosts]\ndb1 = \"10.0.0.1\"\ndb2 = \"10.0.0.2\"\ndb3 = \"10.0.0.3\"\ndb4 = \"10.0.0.4\"\n\
         [services.clickhouse]\nhosts = {:?}\ncoordination_hosts = {:?}\n{more}\n",
        &ALL[..hosts],
        &ALL[..hosts]
    );
    let playbook = KINDS.named("clickhouse").unwrap().playbook();
    let (project, ..) = read(&inventory, &[("site", SITE), ("clickhouse", playbook)], None);
    project
}

fn plan(project: &Project, cluster: &Cluster) -> StepGraph {
    let mut facts = Facts::default();
    for (host, queries) in project.queries(&Scope::default()) {
        let answers = queries.into_iter().map(|query| {
            let fact = match &query {
                FactQuery::Resolve(query) => Ok(Fact::Resolve(ResolveFact {
                    addresses: vec![query.name.replace("db", "10.0.0.")],
                })),
                _ => cluster.answer(&host, &query).expect("a question for this fake"),
            };
            (query, fact)
        });
        let answers = answers.collect();
        facts.add(host, HostFacts::Observed(answers));
    }
    let graph = project
        .plan(&facts, &Scope::default(), &Options::default())
        .unwrap();
    assert!(graph.refusals.is_empty(), "{:?}", graph.refusals);
    graph
}

/// The cluster of these hosts as its own plan makes it.
fn built(project: &Project, version: &'static str) -> Cluster {
    let mut cluster = Cluster::new(&ALL, version);
    let names = ["clickhouse-server", "zookeeperd"].map(str::to_owned).to_vec();
    for host in ALL {
        let installed = Operation::InstallPackages { names: names.clone() };
        assert_eq!(cluster.operate(&host.parse().unwrap(), &installed), Some(Ok(())));
    }
    let graph = plan(project, &cluster);
    for node in graph.nodes() {
        let Some(action) = &node.action else { continue };
        let done = cluster.operate(&node.host, &action.operation);
        assert_eq!(done, Some(Ok(())), "{}", node.id);
        cluster.advance(cluster.now + 3_000_000);
    }
    cluster
}

/// The nodes of these steps, with what puts them back.
fn turns(graph: &StepGraph, steps: &[&str]) -> Vec<String> {
    let nodes = graph.nodes().iter().map(|node| {
        let short = |id: &types::NodeId| id.as_str().trim_start_matches("clickhouse/").to_owned();
        let rollback = node.rollback.iter().flat_map(|rollback| &rollback.files);
        let files: Vec<String> = rollback.map(short).collect();
        let id = short(&node.id);
        if files.is_empty() {
            id
        } else {
            format!("{id}, or puts back {}", files.join(" "))
        }
    });
    let is_one = |line: &String| steps.iter().any(|step| line.starts_with(step));
    nodes.filter(is_one).collect()
}

const ZOO: &str = "coordination = \"zookeeper\"";

#[test]
fn what_the_servers_take_at_run_time_is_given_to_one_after_another() {
    let cluster = built(&project(3, ZOO), DEBIAN);
    let graph = plan(
        &project(3, &format!("{ZOO}\npassword = {{ file = \"pw\" }}")),
        &cluster,
    );
    assert_eq!(
        turns(&graph, &["config.users", "reload"]),
        [
            "config.users@db1",
            "reload@db1, or puts back config.users@db1",
            "config.users@db2",
            "reload@db2, or puts back config.users@db2",
            "config.users@db3",
            "reload@db3, or puts back config.users@db3",
        ]
    );
    let second = graph
        .nodes()
        .iter()
        .find(|node| node.id.as_str() == "clickhouse/config.users@db2");
    let needs: Vec<&str> = second.unwrap().needs.iter().map(types::NodeId::as_str).collect();
    assert!(needs.contains(&"clickhouse/reload@db1"), "{needs:?}");
}

#[test]
fn servers_that_restart_take_all_their_files_with_it() {
    let cluster = built(&project(3, ZOO), DEBIAN);
    let more = format!("{ZOO}\npassword = {{ file = \"pw\" }}\nlisten = [\"127.0.0.1\", \"address\"]");
    let graph = plan(&project(3, &more), &cluster);
    let turn = |host: &str| {
        [
            format!("config.settings@{host}"),
            format!("config.users@{host}"),
            format!("restart@{host}, or puts back config.settings@{host} config.users@{host}"),
        ]
    };
    assert_eq!(
        turns(&graph, &["config.settings", "config.users", "restart", "reload"]),
        [turn("db1"), turn("db2"), turn("db3")].concat()
    );
}

#[test]
fn bare_hosts_have_all_their_files_at_once_and_before_they_start() {
    let graph = plan(&project(3, ZOO), &Cluster::new(&ALL, DEBIAN));
    let files = graph
        .nodes()
        .iter()
        .filter(|node| node.id.as_str().starts_with("clickhouse/config."));
    for file in files {
        let mut needs = file.needs.iter().map(types::NodeId::as_str);
        assert!(
            !needs.any(|need| need.starts_with("clickhouse/config.") && !need.ends_with(file.host.as_str()))
        );
        assert!(file.rollback.is_none());
    }
    let starts = turns(&graph, &["config.", "start", "reload"]);
    let first = starts.iter().position(|line| line.starts_with("start")).unwrap();
    assert!(
        starts[first..].iter().all(|line| line.starts_with("start")),
        "{starts:?}"
    );
}

/// Seen: a voter that joined was started without its zoo.cfg, alone with a tree of its own, for the file waited for the restart
/// of the first member that serves.
#[test]
fn a_host_that_joins_has_its_files_before_it_starts() {
    for (more, version) in [(ZOO, DEBIAN), ("", MODERN)] {
        let cluster = built(&project(3, more), version);
        let graph = plan(&project(4, more), &cluster);
        let nodes: Vec<&str> = graph
            .nodes()
            .iter()
            .map(|node| node.id.as_str().trim_start_matches("clickhouse/"))
            .collect();
        let at = |id: &str| nodes.iter().position(|node| *node == id);
        let start = at("start@db4").unwrap_or_else(|| panic!("{nodes:#?}"));
        for part in ["clusters", "macros", "settings", "keeper"] {
            assert!(at(&format!("config.{part}@db4")).unwrap() < start, "{nodes:#?}");
        }
        if version == DEBIAN {
            let start = at("zookeeper-start@db4").unwrap();
            assert!(at("zookeeper-config.zoo.cfg@db4").unwrap() < start, "{nodes:#?}");
            assert!(at("zookeeper-config.myid@db4").unwrap() < start, "{nodes:#?}");
        }
        // Those that serve have theirs in their turns.
        let restart = if version == DEBIAN {
            "zookeeper-restart@db1"
        } else {
            "restart@db1"
        };
        let file = if version == DEBIAN {
            "zookeeper-config.zoo.cfg@db1"
        } else {
            "config.keeper@db1"
        };
        assert!(start < at(file).unwrap() && at(file) < at(restart), "{nodes:#?}");
    }
}
