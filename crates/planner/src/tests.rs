//! From playbooks and facts to nodes: what needs what, what a scope leaves out, and what a refusal stops.
//!
//! Two services of a real kind, under playbooks of generic steps: a `command` whose guard fails is a task.

mod bad_setting;
mod clickhouse;
mod paused;
mod stages;

use std::collections::{BTreeMap, BTreeSet};

use config::{Findings, Inventory};
use kit::{ReadCx, Service};
use plan::{Facts, HostFacts, StepGraph};
use protocol::facts::{CommandFact, FileFact, ResolveFact};
use protocol::{Fact, FactError, FactQuery};
use services::KINDS;
use types::{Diagnostic, HostName, SecretId, Sources};

use crate::{Input, Options, PlaybookText, Project, Scope};

/// 2026-12-01T00:00:00Z.
const NOW: i64 = 1_796_083_200_000_000;

const INVENTORY: &str = r#"
[hosts]
db1 = "10.0.0.1"
db2 = "10.0.0.2"
db3 = "10.0.0.3"
web = "10.0.0.4"

[services.mq]
kind = "rabbitmq"
hosts = ["db2", "db1"]
cookie = { file = "secrets/mq" }

[services.jobs]
kind = "rabbitmq"
hosts = ["db3"]
cookie = { file = "secrets/jobs" }
"#;

/// The order of the two playbooks.
const SITE: &str = r#"
[[stages]]
playbooks = ["hosts"]
per_host = true

[[stages]]
playbooks = ["rabbitmq"]
"#;

/// One line of a playbook: a command that is needed wherever `needed` says so, or a line in a file.
fn command(id: &str, more: &str) -> String {
    format!(
        "[[steps]]\nid = \"{id}\"\nuses = \"command\"\nwith = {{ argv = [\"do\", \"{id}\"], unless = [\"is\", \"{id}\"] }}\n{more}\n"
    )
}

/// A step that refuses where its file is missing.
fn line(id: &str) -> String {
    format!("[[steps]]\nid = \"{id}\"\nuses = \"line\"\nwith = {{ path = \"/etc/{id}\", line = \"x\" }}\n")
}

/// A service of three members.
pub(crate) fn service() -> Box<dyn Service> {
    let text = "[hosts]\ndb1 = \"10.0.0.1\"\ndb2 = \"10.0.0.2\"\ndb3 = \"10.0.0.3\"\n[services.mq]\n\
                kind = \"rabbitmq\"\nhosts = [\"db1\", \"db2\", \"db3\"]\ncookie = { file = \"mq\" }\n";
    let mut sources = Sources::new();
    let id = sources.add("inventory.toml", text);
    let findings = Findings::default();
    let inventory = Inventory::read(&sources, id, &[], &findings);
    let cx = ReadCx {
        inventory: &inventory,
        kinds: KINDS,
        findings: &findings,
    };
    cx.read(&inventory.services[0]).unwrap()
}

struct Case {
    project: Project,
    diagnostics: Vec<Diagnostic>,
    facts: Facts,
}

/// Reads a project with these playbooks, by name, and perhaps one that runs alone; the number of its secrets, too.
fn read(
    inventory: &str,
    playbooks: &[(&str, &str)],
    only: Option<&str>,
) -> (Project, Vec<Diagnostic>, usize) {
    let mut sources = Sources::new();
    let inventory = sources.add("inventory.toml", inventory);
    let mut text = |name: &str, text: &str| PlaybookText {
        name: name.to_owned(),
        source: sources.add(format!("playbooks/{name}.toml"), text),
        overrides: name == "rabbitmq",
    };
    let playbooks = playbooks.iter().map(|(name, read)| text(name, read)).collect();
    let only = only.map(|only| text("mine", only));
    let findings = Findings::default();
    let input = Input {
        sources: &sources,
        inventory,
        overlays: Vec::new(),
        playbooks,
        only,
        templates: BTreeMap::new(),
        now_us: NOW,
    };
    let project = Project::read(&input, &findings);
    let (diagnostics, secrets) = findings.into_parts();
    let known: BTreeSet<SecretId> = secrets.into_iter().map(|secret| secret.id).collect();
    (project, diagnostics, known.len())
}

/// Reads a project with a playbook of hosts, one of rabbitmq, or one that runs alone.
fn project(hosts: &str, rabbitmq: &str, only: Option<&str>) -> (Project, Vec<Diagnostic>) {
    let playbooks = [("site", SITE), ("hosts", hosts), ("rabbitmq", rabbitmq)];
    let (project, diagnostics, secrets) = read(INVENTORY, &playbooks, only);
    assert_eq!(secrets, 2);
    (project, diagnostics)
}

fn case(hosts: &str, rabbitmq: &str, only: Option<&str>) -> Case {
    let (project, diagnostics) = project(hosts, rabbitmq, only);
    assert_eq!(diagnostics, []);
    let facts = answer(&project, |_, _| 1);
    Case {
        project,
        diagnostics,
        facts,
    }
}

/// Answers what a project asks: guards with an exit status, names with an address; files are missing.
fn answer(project: &Project, status: impl Fn(&HostName, &str) -> i32) -> Facts {
    let mut facts = Facts::default();
    for (host, queries) in project.queries(&Scope::default()) {
        let answers = queries.into_iter().map(|query| {
            let fact = match &query {
                FactQuery::Command(guard) if guard.argv[0] == "is" => Ok(Fact::Command(CommandFact {
                    status: status(&host, &guard.argv[1]),
                    stdout: String::new(),
                    stderr: String::new(),
                })),
                FactQuery::Resolve(_) => Ok(Fact::Resolve(ResolveFact {
                    addresses: vec!["10.0.0.9".to_owned()],
                })),
                FactQuery::File(_) => Ok(Fact::File(FileFact::Absent)),
                _ => Err(FactError {
                    message: "it is not there".to_owned(),
                }),
            };
            (query, fact)
        });
        facts.add(host.clone(), HostFacts::Observed(answers.collect()));
    }
    facts
}

impl Case {
    fn plan(&self, scope: &Scope) -> StepGraph {
        self.project
            .plan(&self.facts, scope, &Options::default())
            .unwrap()
    }

    /// No file of a host can be read.
    fn hide_files(&mut self, name: &str) {
        let asked = self
            .project
            .queries(&Scope::default())
            .remove(&host(name))
            .unwrap();
        let files = asked
            .into_iter()
            .filter(|query| matches!(query, FactQuery::File(_)));
        let denied = FactError {
            message: "permission denied".to_owned(),
        };
        let answers = files.map(|query| (query, Err(denied.clone()))).collect();
        self.facts.add(host(name), HostFacts::Observed(answers));
    }

    fn lose(&mut self, name: &str) {
        self.facts.add(
            host(name),
            HostFacts::Unreachable("connection refused".to_owned()),
        );
    }
}

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

fn scope(services: &[&str], hosts: &[&str]) -> Scope {
    Scope {
        services: services.iter().map(|name| name.parse().unwrap()).collect(),
        hosts: hosts.iter().map(|name| host(name)).collect(),
    }
}

/// Nodes and what they need, one a line: `mq/b@db1 after mq/a@db1`.
fn ties(graph: &StepGraph) -> Vec<String> {
    let ties = graph.nodes().iter().map(|node| {
        let needs: Vec<&str> = node.needs.iter().map(types::NodeId::as_str).collect();
        if needs.is_empty() {
            node.id.to_string()
        } else {
            format!("{} after {}", node.id, needs.join(" "))
        }
    });
    ties.collect()
}

fn unplanned(graph: &StepGraph) -> Vec<String> {
    let all = graph.unplanned.iter();
    all.map(|left| format!("{}@{}: {}", String::from(left.steps.clone()), left.host, left.why))
        .collect()
}

#[test]
fn a_host_goes_on_by_itself_in_the_order_of_its_service() {
    let case = case("steps = []", &[command("a", ""), command("b", "")].concat(), None);
    assert_eq!(
        ties(&case.plan(&scope(&["mq"], &[]))),
        [
            "mq/a@db2",
            "mq/a@db1",
            "mq/b@db2 after mq/a@db2",
            "mq/b@db1 after mq/a@db1"
        ]
    );
}

#[test]
fn what_comes_after_the_users_comes_after_all_of_the_rollout() {
    let late = command("z", "after_users = true");
    let case = case("steps = []", &[late, line("missing")].concat(), None);
    let blocked = case.plan(&scope(&["mq"], &[]));
    assert_eq!((blocked.refusals.len(), ties(&blocked)), (2, Vec::new()));
    assert!(
        unplanned(&blocked)[0].contains("a service that uses it is not healthy"),
        "{:?}",
        unplanned(&blocked)
    );
    let late = command("z", "after_users = true");
    let case = self::case("steps = []", &[late, command("a", "")].concat(), None);
    assert_eq!(
        ties(&case.plan(&scope(&["mq"], &[]))),
        [
            "mq/a@db2",
            "mq/a@db1",
            "mq/z@db2 after mq/a@db1 mq/a@db2",
            "mq/z@db1 after mq/a@db1 mq/a@db2"
        ]
    );
}

#[test]
fn at_a_barrier_every_host_waits_for_all() {
    let case = case(
        "steps = []",
        &[command("a", ""), command("b", "barrier = true"), command("c", "")].concat(),
        None,
    );
    let ties = ties(&case.plan(&scope(&["mq"], &[])));
    assert_eq!(
        ties[2..],
        [
            "mq/b@db2 after mq/a@db1 mq/a@db2",
            "mq/b@db1 after mq/a@db1 mq/a@db2",
            "mq/c@db2 after mq/b@db2",
            "mq/c@db1 after mq/b@db1",
        ]
    );
}

#[test]
fn a_barrier_waits_for_hosts_that_have_nothing_to_do_in_the_step_before_it() {
    let mut case = case(
        "steps = []",
        &[command("a", ""), command("b", ""), command("c", "barrier = true")].concat(),
        None,
    );
    case.facts = answer(&case.project, |on, guard| {
        i32::from(guard != "b" || on.as_str() == "db1")
    });
    let ties = ties(&case.plan(&scope(&["mq"], &[])));
    assert!(
        ties.contains(&"mq/c@db2 after mq/a@db2 mq/b@db1".to_owned()),
        "{ties:?}"
    );
}

#[test]
fn serial_tasks_follow_each_other() {
    let case = case(
        "steps = []",
        &[command("a", "rollout = \"serial\""), command("b", "")].concat(),
        None,
    );
    assert_eq!(
        ties(&case.plan(&scope(&["mq"], &[]))),
        [
            "mq/a@db2",
            "mq/a@db1 after mq/a@db2",
            "mq/b@db2 after mq/a@db2",
            "mq/b@db1 after mq/a@db1"
        ]
    );
}

#[test]
fn services_know_nothing_of_each_other_and_follow_the_playbook_of_hosts() {
    let case = case(&command("names", ""), &command("a", "barrier = true"), None);
    let graph = case.plan(&Scope::default());
    assert_eq!(
        ties(&graph),
        [
            "hosts/names@db1",
            "hosts/names@db2",
            "hosts/names@db3",
            "hosts/names@web",
            "mq/a@db2 after hosts/names@db1 hosts/names@db2",
            "mq/a@db1 after hosts/names@db1 hosts/names@db2",
            "jobs/a@db3 after hosts/names@db3",
        ]
    );
    assert!(graph.budgets().is_empty(), "nobody disrupts");
}

#[test]
fn a_converged_project_has_nothing_to_do() {
    let mut case = case(&command("names", ""), &command("a", ""), None);
    case.facts = answer(&case.project, |_, _| 0);
    assert!(case.plan(&Scope::default()).is_converged());
}

#[test]
fn one_service_alone_is_its_hosts_alone() {
    let case = case(&command("names", ""), &command("a", ""), None);
    let only = scope(&["jobs"], &[]);
    assert_eq!(
        ties(&case.plan(&only)),
        ["hosts/names@db3", "jobs/a@db3 after hosts/names@db3"]
    );
    let asked: Vec<HostName> = case.project.queries(&only).into_keys().collect();
    // A host of no service of that kind may have been a member.
    assert_eq!(asked, [host("db3"), host("web")]);
}

#[test]
fn a_service_and_a_host_that_is_not_its_own_leave_nothing() {
    let case = case(&command("names", ""), &command("a", ""), None);
    assert_eq!(
        ties(&case.plan(&scope(&["jobs"], &["db1"]))),
        Vec::<String>::new()
    );
}

#[test]
fn one_host_alone_is_acted_on_and_all_are_looked_at() {
    let case = case(&command("names", ""), &command("a", ""), None);
    let only = scope(&["mq"], &["db1"]);
    assert_eq!(
        ties(&case.plan(&only)),
        ["hosts/names@db1", "mq/a@db1 after hosts/names@db1"]
    );
    let asked: Vec<HostName> = case.project.queries(&only).into_keys().collect();
    assert_eq!(asked, [host("db1"), host("db2"), host("web")]);
}

#[test]
fn a_scope_must_exist() {
    let case = case("steps = []", "steps = []", None);
    let wrong = case.project.check_scope(&scope(&["jbos", "mq"], &["db9", "web"]));
    let said: Vec<String> = wrong
        .into_iter()
        .map(|found| format!("{}; {}", found.message, found.hint.unwrap_or_default()))
        .collect();
    assert_eq!(
        said[0],
        "there is no service jbos in the inventory; did you mean \"jobs\"?"
    );
    assert!(said[1].starts_with("there is no host db9 in the inventory; did you mean \"db"));
    assert_eq!(said.len(), 2);
}

#[test]
fn a_refusal_about_a_host_stops_its_later_steps_and_no_other_hosts() {
    let mut case = case(
        "steps = []",
        &[line("missing"), command("a", ""), command("b", "")].concat(),
        None,
    );
    case.hide_files("db1");
    let graph = case.plan(&scope(&["mq"], &[]));
    // On db2 the file is missing, which is refused; on db1 it cannot be read, so what it needs is not known.
    assert_eq!(graph.refusals.len(), 1);
    assert_eq!(graph.refusals[0].host, Some(host("db2")));
    assert_eq!(graph.refusals[0].service, Some("mq".parse().unwrap()));
    assert_eq!(ties(&graph), Vec::<String>::new());
    for stopped in [
        "b@db2: run do: depends on a refused step",
        "missing@db1: on db1: permission denied",
        "a@db1: run do: depends on a step that could not be planned",
        "b@db1: run do: depends on a step that could not be planned",
    ] {
        let found = unplanned(&graph);
        assert!(found.contains(&stopped.to_owned()), "{stopped}: {found:#?}");
    }
}

#[test]
fn what_the_playbook_of_hosts_refuses_stops_the_services_on_that_host() {
    let hosts = format!("hosts = [\"db2\"]\n{}", line("missing"));
    let case = case(&hosts, &command("a", ""), None);
    let graph = case.plan(&Scope::default());
    assert_eq!(graph.refusals.len(), 1);
    assert_eq!(ties(&graph), ["mq/a@db1", "jobs/a@db3"]);
    assert_eq!(unplanned(&graph), ["a@db2: run do: depends on a refused step"]);
}

#[test]
fn what_one_service_refuses_stops_no_other() {
    let case = case("steps = []", &[line("missing"), command("a", "")].concat(), None);
    let graph = case.plan(&Scope::default());
    assert_eq!(graph.refusals.len(), 3);
    assert_eq!(ties(&graph), Vec::<String>::new());
}

#[test]
fn a_host_that_cannot_be_reached_is_told_and_the_others_go_on() {
    let mut case = case("steps = []", &command("a", ""), None);
    case.lose("db1");
    let graph = case.plan(&scope(&["mq"], &[]));
    assert_eq!(ties(&graph), ["mq/a@db2"]);
    assert!(
        unplanned(&graph).contains(&"every step@db1: db1 cannot be reached: connection refused".to_owned()),
        "{:?}",
        unplanned(&graph)
    );
    assert!(!graph.is_converged());
    let graph = case.plan(&scope(&["jobs"], &[]));
    assert_eq!(
        unplanned(&graph),
        Vec::<String>::new(),
        "another service's host is not in the way"
    );
}

#[test]
fn a_playbook_in_a_built_in_ones_place_is_noted() {
    let case = case("steps = []", "steps = []", None);
    let notes: Vec<String> = case
        .plan(&Scope::default())
        .notes
        .into_iter()
        .map(|note| note.text)
        .collect();
    let note = "the playbook rabbitmq is playbooks/rabbitmq.toml instead of the built-in one";
    assert_eq!(notes, [note; 2], "once for each of its services");
    assert!(case.diagnostics.is_empty());
}

#[test]
fn a_playbook_alone_runs_instead_of_all_others() {
    let mine = format!(
        "hosts = [\"web\", \"db1\"]\n{}",
        command("x", "rollout = \"serial\"")
    );
    let case = case(&command("names", ""), &command("a", ""), Some(&mine));
    assert_eq!(
        ties(&case.plan(&Scope::default())),
        ["mine/x@web", "mine/x@db1 after mine/x@web"]
    );
}

#[test]
fn a_playbook_alone_of_a_kind_runs_for_each_service_of_it() {
    let mine = format!(
        "kind = \"rabbitmq\"\n{}",
        command("x", "hosts = [\"db1\", \"db3\"]")
    );
    let case = case("steps = []", "steps = []", Some(&mine));
    assert_eq!(ties(&case.plan(&Scope::default())), ["mq/x@db1", "jobs/x@db3"]);
}

#[test]
fn unknown_steps_are_told_once_with_what_was_meant() {
    let said = |rabbitmq: &str, only: Option<&str>| {
        let (_, diagnostics) = project("steps = []", rabbitmq, only);
        let said = diagnostics
            .into_iter()
            .map(|found| format!("{}; {}", found.message, found.hint.unwrap_or_default()));
        said.collect::<Vec<String>>()
    };
    assert_eq!(
        said("[[steps]]\nuses = \"rabbitmq.jion\"\n", None),
        ["there is no step kind \"rabbitmq.jion\" here; did you mean \"rabbitmq.join\"?"]
    );
    assert_eq!(
        said("[[steps]]\nuses = \"comand\"\n", None),
        ["there is no step kind \"comand\" here; did you mean \"command\"?"]
    );
    assert_eq!(
        said("[[steps]]\nuses = \"rabbitmq.join\"\nwith = { x = 1 }\n", None).len(),
        2
    );
    let alone = said("steps = []", Some("[[steps]]\nuses = \"rabbitmq.join\"\n"));
    assert_eq!(alone.len(), 1);
    let foreign = said(
        "steps = []",
        Some("kind = \"kvrocks\"\n[[steps]]\nuses = \"kvrocks.check\"\n"),
    );
    assert_eq!(
        foreign,
        ["the playbook mine is for kvrocks; the inventory has no service of that kind"]
    );
}

#[test]
fn the_built_in_playbooks_are_sound() {
    for (name, text) in crate::builtin_playbooks() {
        let mut sources = Sources::new();
        let id = sources.add(name, text);
        let findings = Findings::default();
        match name {
            "site" => drop(config::Site::read(&sources, id, &findings)),
            _ => drop(config::Playbook::read(&sources, id, &findings)),
        }
        assert_eq!(findings.into_parts().0, [], "{name}");
    }
}
