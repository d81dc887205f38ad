//! Generic steps in a service's playbook, and the check of its names.

use insta::assert_snapshot;
use plan::{ServiceStatus, Verdict};
use types::ServiceName;

use super::*;
use crate::resolution as check;
use kit::Task;

/// A service of db1 and db2.
struct Fake(ServiceName, Vec<HostName>);

impl Fake {
    fn new() -> Self {
        Self("mq".parse().unwrap(), names(&["db1", "db2"]))
    }
}

impl Service for Fake {
    fn name(&self) -> &ServiceName {
        &self.0
    }

    fn kind(&self) -> &'static str {
        "rabbitmq"
    }

    fn hosts(&self) -> &[HostName] {
        &self.1
    }

    fn vars(&self) -> BTreeMap<String, String> {
        let vars = [
            ("package", "rabbitmq-server"),
            ("site", "of the service"),
            ("cookie", "⟪secret:env:C⟫"),
        ];
        vars.into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn names(&self) -> Vec<HostName> {
        self.1.clone()
    }

    fn queries(&self, _: &HostName) -> Vec<FactQuery> {
        Vec::new()
    }

    fn plan_step(&self, _: &str, _: &Cx<'_>) -> StepPlan {
        StepPlan::nothing()
    }

    fn judge(&self, _: &str, _: Option<&HostName>, _: &Facts) -> Verdict {
        Verdict::Pass
    }

    fn unavailable(&self, _: &Facts) -> BTreeSet<HostName> {
        BTreeSet::new()
    }

    fn status(&self, _: &Facts) -> ServiceStatus {
        panic!("nobody asks")
    }
}

#[test]
fn a_services_variables_win_over_the_inventorys() {
    let playbook =
        "[[steps]]\nuses = \"file\"\nwith = { path = \"/a\", content = \"{{ package }}, {{ site }}\" }";
    let read = read(INVENTORY, playbook, &[], Some(&Fake::new()));
    assert_eq!(read.errors, "");
    assert_snapshot!(render(&World::default().plan(&read.steps)));
}

#[test]
fn a_services_secret_does_not_become_an_argument() {
    let playbook = "[[steps]]\nuses = \"command\"\nwith = { argv = [\"x\", \"{{ cookie }}\"], unless = [\"y\"] }\n\
                    [[steps]]\nuses = \"rabbitmq.jion\"\n[[steps]]\nuses = \"kvrocks.check\"";
    assert_snapshot!(read(INVENTORY, playbook, &[], Some(&Fake::new())).errors);
}

#[test]
fn a_restart_in_a_services_playbook_takes_from_its_budget() {
    let playbook =
        "[[steps]]\nuses = \"unit\"\nwith = { name = \"x\", state = \"started\", restart_on = [\"/a\"] }";
    let read = read(INVENTORY, playbook, &[], Some(&Fake::new()));
    let world = World::default()
        .later()
        .unit("x.service", "active", "enabled")
        .later()
        .file("/a", "");
    assert_snapshot!(render(&world.plan(&read.steps)));
}

fn checked(world: &World, earlier: &[Task]) -> String {
    let service = Fake::new();
    let facts = world.facts(check::queries(&service));
    render(&check::check(
        &service,
        &Cx {
            facts: &facts,
            hosts: &names(&["db1"]),
            earlier,
            stopped: &BTreeSet::new(),
            consents: &BTreeSet::new(),
            others: &[],
            restart: None,
        },
    ))
}

fn resolving(names: &[(&str, &str)]) -> World {
    let names = names
        .iter()
        .map(|(name, to)| ((*name).to_owned(), vec![(*to).to_owned()]));
    World {
        names: names.collect(),
        ..World::default()
    }
}

#[test]
fn names_that_resolve_are_no_matter() {
    assert_eq!(
        checked(&resolving(&[("db1", "10.0.0.1"), ("db2", "10.0.0.2")]), &[]),
        ""
    );
}

#[test]
fn names_that_do_not_resolve_stop_the_service_on_that_host() {
    let nothing = checked(&World::default(), &[]);
    let misled = checked(&resolving(&[("db1", "127.0.1.1"), ("db2", "127.0.0.1")]), &[]);
    assert_snapshot!([nothing, misled].join("\n"));
}

#[test]
fn names_with_ipv6_addresses_alone_stop_a_service_that_is_set_up_for_ipv4() {
    assert_snapshot!(checked(
        &resolving(&[("db1", "fd00::1"), ("db2", "fd00::2")]),
        &[]
    ));
    // One of two families is enough.
    let mut both = resolving(&[("db1", "10.0.0.1"), ("db2", "fd00::2")]);
    both.names.get_mut("db2").unwrap().push("10.0.0.2".to_owned());
    assert_eq!(checked(&both, &[]), "");
}

#[test]
fn names_that_the_hosts_file_is_going_to_have_will_resolve() {
    let world = World::default().file("/etc/hosts", "127.0.0.1 localhost\n");
    let inventory = format!("manage_hosts_file = true\n{INVENTORY}");
    let steps = read(&inventory, crate::HOSTS_PLAYBOOK, &[], None).steps;
    let plan = world.plan(&steps);
    assert_eq!(checked(&world, &plan.tasks), "");
}
