//! A service account puts something else where a file of its service is expected: every kind refuses, and says what it is.

use fakes::{FakeCluster, PLAYS, Pace, Play};
use plan::{Facts, HostFacts, StepGraph};
use planner::{Options, Project, Scope};
use protocol::facts::{FileFact, FileKind, FileMeta, ResolveFact};
use protocol::{Fact, FactError, FactQuery, Operation};
use types::HostName;

use crate::project;

const HOSTS: [&str; 3] = ["db1", "db2", "db3"];

fn observe(project: &Project, world: &dyn FakeCluster) -> Facts {
    let mut facts = Facts::default();
    for (host, queries) in project.queries(&Scope::default()) {
        let answers = queries.into_iter().map(|query| {
            let answer = world.answer(&host, &query).unwrap_or_else(|| match &query {
                FactQuery::Resolve(query) => {
                    let at = HOSTS.iter().position(|name| *name == query.name);
                    let addresses = at.map(|at| format!("10.0.0.{}", at + 1)).into_iter().collect();
                    Ok(Fact::Resolve(ResolveFact { addresses }))
                }
                _ => Err(FactError {
                    message: "nobody answers".to_owned(),
                }),
            });
            (query, answer)
        });
        let answers = answers.collect();
        facts.add(host, HostFacts::Observed(answers));
    }
    facts
}

fn planned(project: &Project, facts: &Facts) -> StepGraph {
    let graph = project.plan(facts, &Scope::default(), &Options::default());
    graph.expect("a plan")
}

fn operations(graph: &StepGraph) -> impl Iterator<Item = (&HostName, &Operation)> {
    let nodes = graph.nodes().iter();
    nodes.filter_map(|node| Some((&node.host, &node.action.as_ref()?.operation)))
}

/// The same facts, with something else at a path of a host.
fn with(facts: &Facts, on: &HostName, path: &str, kind: FileKind) -> Facts {
    let mut changed = Facts::default();
    for (host, known) in facts.hosts() {
        let mut known = known.clone();
        if let HostFacts::Observed(answers) = &mut known
            && host == on
        {
            for (query, answer) in answers {
                if matches!(query, FactQuery::File(query) if query.path == path) {
                    *answer = Ok(Fact::File(FileFact::Present(FileMeta {
                        kind,
                        sha256: String::new(),
                        len: 11,
                        mode: 0o777,
                        owner: "daemon".to_owned(),
                        group: "daemon".to_owned(),
                        modified_us: 1,
                        text: None,
                        target: match kind {
                            FileKind::Link => "/etc/shadow".to_owned(),
                            _ => String::new(),
                        },
                        names: 0,
                        ahead_us: 0,
                        changed_us: 0,
                    })));
                }
            }
        }
        changed.add(host.clone(), known);
    }
    changed
}

/// Hosts whose packages are there, and nothing else of ours.
fn installed(play: &Play, project: &Project) -> Facts {
    let mut world = (play.world)(&HOSTS, Pace::default());
    for _ in 0..3 {
        let facts = observe(project, &*world);
        let graph = planned(project, &facts);
        for (host, operation) in operations(&graph) {
            if matches!(operation, Operation::InstallPackages { .. }) {
                world.operate(host, operation);
            }
        }
        world.advance(3_600_000_000);
    }
    observe(project, &*world)
}

#[test]
fn what_is_no_file_is_refused_by_every_kind_with_its_path_and_target() {
    let mut silent = Vec::new();
    for play in PLAYS {
        let inventory = project::inventory(&[*play], &HOSTS, &HOSTS, 0);
        let project = project::read(&inventory).expect("a sound inventory").project;
        let facts = installed(play, &project);
        let graph = planned(&project, &facts);
        let mut written: Vec<(&HostName, &str)> = operations(&graph)
            .filter_map(|(host, operation)| Some((host, operation.file()?.0)))
            .collect();
        written.sort_unstable();
        written.dedup();
        assert!(!written.is_empty(), "{} writes nothing", play.kind);
        for (host, path) in written {
            for kind in [FileKind::Link, FileKind::Directory, FileKind::Other] {
                let graph = planned(&project, &with(&facts, host, path, kind));
                let is_written = operations(&graph)
                    .any(|(on, operation)| on == host && operation.file().is_some_and(|file| file.0 == path));
                assert!(!is_written, "{}: {path} is written over a {kind:?}", play.kind);
                let is_refused = graph.refusals.iter().any(|refusal| {
                    let text = format!("{} {}", refusal.what, refusal.why);
                    let target = kind != FileKind::Link || text.contains("/etc/shadow");
                    refusal.host.as_ref() == Some(host) && text.contains(path) && target
                });
                let refusals = &graph.refusals;
                let unplanned = &graph.unplanned;
                if !is_refused {
                    let found = format!("{refusals:?} {unplanned:?}");
                    silent.push(format!("{}: {kind:?} at {path} of {host}: {found}", play.kind));
                }
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}
