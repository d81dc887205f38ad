//! Units, and waiting.

use insta::assert_snapshot;
use plan::{Gate, Verdict};
use protocol::facts::StartedWith;

use super::*;
use crate::checks::Check;

const UNIT: &str = "
    [[steps]]
    uses = \"unit\"
    with = { name = \"nginx\", state = \"started\", enabled = true, restart_on = [\"/etc/nginx\"] }
";
const FILE: &str = "
    [[steps]]
    uses = \"file\"
    with = { path = \"/etc/nginx\", content = \"new\\n\" }
";

fn running() -> World {
    World::default()
        .file("/etc/nginx", "new\n")
        .later()
        .unit("nginx.service", "active", "enabled")
        .later()
}

#[test]
fn a_unit_is_started_and_enabled() {
    assert_eq!(running().comes_to(UNIT), "");
    let stopped = World::default().unit("nginx.service", "inactive", "disabled");
    let failed = World::default().unit("nginx.service", "failed", "enabled");
    assert_snapshot!([stopped.converges(UNIT), failed.converges(UNIT)].join("\n"));
}

#[test]
fn a_unit_is_restarted_for_a_file_that_is_written() {
    let both = format!("{FILE}{UNIT}");
    assert_eq!(running().comes_to(&both), "");
    assert_snapshot!(running().file("/etc/nginx", "old\n").converges(&both));
}

#[test]
fn a_run_that_died_between_writing_and_restarting_loses_nothing() {
    let both = steps(&format!("{FILE}{UNIT}"));
    let mut world = running().file("/etc/nginx", "old\n").later();
    let mut plan = world.plan(&both);
    plan.tasks.truncate(1);
    world.apply(&plan);
    assert_snapshot!(render(&world.plan(&both)));
}

#[test]
fn a_file_from_the_future_or_with_an_old_time_restarts_until_it_was_noted() {
    const HOUR: i64 = 3_600_000_000;
    for (modified, ahead_us, why) in [
        (
            2 * HOUR,
            HOUR,
            "/etc/nginx has a time that lies 60 min ahead of the host's clock",
        ),
        (
            -HOUR,
            0,
            "/etc/nginx was changed after its process started, though its time is older",
        ),
    ] {
        let mut world = running();
        let now = world.now;
        let meta = world.files.get_mut("/etc/nginx").unwrap();
        (meta.modified_us, meta.changed_us, meta.ahead_us) = (now + modified, now + HOUR, ahead_us);
        let plan = world.comes_to(UNIT);
        assert!(
            plan.contains(&format!("db1: restart nginx.service, because {why}")),
            "{plan}"
        );
        let unit = world.units.get_mut("nginx.service").unwrap();
        unit.started_with.push(StartedWith {
            path: "/etc/nginx".to_owned(),
            is_same: true,
        });
        assert_eq!(world.comes_to(UNIT), "");
    }
}

#[test]
fn a_unit_that_another_step_restarts_is_restarted_once() {
    let again = UNIT.replace("uses", "id = \"again\"\nuses");
    let plan = running()
        .file("/etc/nginx", "old\n")
        .plan(&steps(&format!("{FILE}{UNIT}{again}")));
    assert_eq!(plan.tasks.len(), 2);
}

#[test]
fn a_unit_of_a_package_to_come_is_started() {
    let package = "[[steps]]\nuses = \"package\"\nwith = { names = \"nginx\" }\n";
    assert_snapshot!(World::default().converges(&format!("{package}{UNIT}")));
    let mut masked = World::default().unit("nginx.service", "inactive", "masked");
    masked.units.get_mut("nginx.service").unwrap().load = "masked".to_owned();
    assert_snapshot!([World::default().comes_to(UNIT), masked.comes_to(UNIT)].join("\n"));
}

#[test]
fn a_units_own_file_is_read_again() {
    let file = FILE.replace("/etc/nginx", "/etc/systemd/system/nginx.service");
    let unit = UNIT.replace("/etc/nginx", "/etc/systemd/system/nginx.service");
    let both = format!("{file}{unit}");
    assert_snapshot!(World::default().converges(&both));
    assert_snapshot!(running().converges(&both));
    let mut stale = running();
    stale.units.get_mut("nginx.service").unwrap().stale = true;
    assert_snapshot!(stale.converges(UNIT));
}

#[test]
fn a_unit_is_stopped_and_one_that_is_not_there_is_stopped_already() {
    let stopped = UNIT
        .replace("started", "stopped")
        .replace("true, restart_on = [\"/etc/nginx\"]", "false");
    assert_snapshot!(running().converges(&stopped));
    assert_eq!(World::default().comes_to(&stopped), "");
}

const WAIT: &str = "
    [[steps]]
    uses = \"wait-for\"
    with = { tcp = \"{{ address }}:80\", limit = 7 }
    [[steps]]
    id = \"second\"
    uses = \"wait-for\"
    with = { unit = \"nginx\" }
";

#[test]
fn waiting_is_planned_only_where_there_is_something_to_wait_for() {
    let mut world = running();
    world.ports.insert(80);
    assert_eq!(world.comes_to(WAIT), "");
    assert_snapshot!(World::default().comes_to(WAIT));
    // It holds now, and a step before it restarts what it waits for.
    assert_snapshot!(
        world
            .file("/etc/nginx", "old\n")
            .comes_to(&format!("{FILE}{UNIT}{WAIT}"))
    );
}

#[test]
fn gates_are_judged_by_what_they_watch() {
    let down = World::default();
    let plan = down.plan(&steps(WAIT));
    let gates: Vec<_> = plan.tasks.iter().flat_map(|task| task.gates.clone()).collect();
    let judge = |world: &World| -> Vec<Verdict> {
        let watched = gates
            .iter()
            .flat_map(|gate| gate.watch.values().flatten().cloned());
        let facts = world.facts(watched.collect());
        gates
            .iter()
            .map(|gate| super::super::judge(gate, &facts))
            .collect()
    };
    let wait = |text: &str| Verdict::Wait(text.to_owned());
    assert_eq!(
        judge(&down),
        [
            wait("10.0.0.1:80: connection refused"),
            wait("nginx.service is inactive on db1")
        ]
    );
    let mut up = running();
    up.ports.insert(80);
    assert_eq!(judge(&up), [Verdict::Pass, Verdict::Pass]);
    let failed = World::default().unit("nginx.service", "failed", "enabled");
    assert_eq!(
        judge(&failed)[1],
        Verdict::Fail("nginx.service failed on db1".to_owned())
    );
    let facts = Facts::default();
    assert!(matches!(super::super::judge(&gates[0], &facts), Verdict::Wait(_)));
}

#[test]
fn the_checks_of_saved_plans_are_read_and_an_unknown_one_fails() {
    for (spelling, check) in [("generic.tcp", Check::Tcp), ("generic.unit", Check::Unit)] {
        assert_eq!(spelling.parse(), Ok(check));
        assert_eq!(check.to_string(), spelling);
    }
    for spelling in ["", "tcp", "generic.", "generic.units"] {
        let gate = Gate {
            check: spelling.to_owned(),
            ..crate::checks::unit(&cases::host("db1"), "nginx.service", 1000)
        };
        let verdict = crate::judge(&gate, &Facts::default());
        assert!(matches!(verdict, Verdict::Fail(_)), "{spelling}: {verdict:?}");
    }
}
