//! Restarts: in which order, and after what.

use insta::assert_snapshot;
use plan::Verdict;
use types::HostName;

use super::{Host, INVENTORY, Role, STARTED, converged, facts, fresh, inventory, outline, plan_of};
use crate::checks::Check;
use crate::tests::service;
use cases::{host, plan_steps};

fn both(inventory: &str) -> [(&'static str, Host); 2] {
    [
        ("app1", converged(inventory, "app1")),
        ("app2", converged(inventory, "app2")),
    ]
}

fn with(text: &'static str) -> String {
    inventory(|inventory| {
        inventory.replace("[services.altcraft]\n", &format!("[services.altcraft]\n{text}\n"))
    })
}

#[test]
fn a_converged_platform_is_left_alone() {
    assert_eq!(plan_of(INVENTORY, &both(INVENTORY), &[]), "");
}

#[test]
fn a_converged_platform_whose_logs_were_rotated_is_left_alone() {
    let silent = both(INVENTORY).map(|(name, host)| {
        (
            name,
            Host {
                runs: [Some(Role::Silent); 2],
                ..host
            },
        )
    });
    assert_eq!(plan_of(INVENTORY, &silent, &[]), "");
}

#[test]
fn fresh_hosts_start_the_master_first() {
    let later = with("master = \"app2\"");
    assert_snapshot!(outline(&later, &[("app1", fresh()), ("app2", fresh())]));
}

#[test]
fn after_main_json_was_written_what_is_left_is_planned() {
    let mut hosts = both(INVENTORY);
    hosts[1].1.modified_us = STARTED + 5_000_000;
    assert_snapshot!(plan_of(INVENTORY, &hosts, &[]));
}

#[test]
fn a_file_that_was_written_within_the_clocks_tick_of_the_start_is_newer() {
    let mut hosts = both(INVENTORY);
    hosts[0].1.modified_us = STARTED - 4_000;
    assert!(plan_of(INVENTORY, &hosts, &[]).contains("app1 [proctask]: restart"));
}

#[test]
fn a_file_from_the_future_or_with_an_old_time_restarts_until_it_was_noted() {
    const HOUR: i64 = 3_600_000_000;
    for (modified, ahead_us, why) in [
        (
            2 * HOUR,
            HOUR,
            "main.json has a time that lies 60 min ahead of the host's clock",
        ),
        (
            -HOUR,
            0,
            "main.json was changed after its process started, though its time is older",
        ),
    ] {
        let mut hosts = both(INVENTORY);
        let host = &mut hosts[0].1;
        (host.modified_us, host.changed_us) = (STARTED + modified, STARTED + HOUR);
        host.ahead_us = ahead_us;
        let plan = plan_of(INVENTORY, &hosts, &[]);
        assert!(
            plan.contains("app1 [proctask]: restart") && plan.contains(why),
            "{plan}"
        );
        hosts[0].1.noted = Some(true);
        assert_eq!(plan_of(INVENTORY, &hosts, &[]), "");
        hosts[0].1.noted = Some(false);
        let plan = plan_of(INVENTORY, &hosts, &[]);
        assert!(
            plan.contains("main.json differs from what its process was started with"),
            "{plan}"
        );
    }
}

#[test]
fn a_changed_address_rolls_the_master_last() {
    let moved = INVENTORY.replace("port = 4430", "port = 4431");
    assert_snapshot!(outline(&moved, &both(INVENTORY)));
    assert_eq!(plan_of(&moved, &both(&moved), &[]), "");
}

#[test]
fn a_master_that_moves_gives_the_role_up_first() {
    let moved = with("master = \"app2\"");
    assert_snapshot!(outline(&moved, &both(INVENTORY)));
    assert_eq!(plan_of(&moved, &both(&moved), &[]), "");
}

#[test]
fn a_master_that_moved_on_disk_only_still_gives_the_role_up_first() {
    let moved = with("master = \"app2\"");
    let mut hosts = both(&moved);
    for (at, role) in [(0, Role::Master), (1, Role::Slave)] {
        hosts[at].1.modified_us = STARTED + 1_000_000;
        hosts[at].1.runs = [Some(role); 2];
    }
    assert_snapshot!(outline(&moved, &hosts));
}

#[test]
fn readers_of_groups_come_after_the_master_that_defines_them() {
    let grouped = inventory(|text| {
        text.replace(
            "[services.ssdb-notify]",
            "[services.altcraft.reader_groups]\nacc2 = { include = \"2\" }\n\
             acc1-5 = { include = \"1-5\", exclude = \"2\" }\n\
             [services.altcraft.readers]\napp2 = \"acc2\"\n\n[services.ssdb-notify]",
        )
    });
    assert_snapshot!(plan_of(&grouped, &both(INVENTORY), &[]));
    assert_eq!(plan_of(&grouped, &both(&grouped), &[]), "");
    // And away again, when the inventory says that there are none.
    let none = with("reader_groups = {}");
    assert!(plan_of(&none, &both(&grouped), &[]).contains("app1: change /opt/akd/config/main.json"));
    // An inventory that says nothing leaves them.
    assert_eq!(plan_of(INVENTORY, &both(&grouped), &[]), "");
}

#[test]
fn a_process_that_was_put_an_old_file_under_is_restarted_for_what_it_said() {
    let mut hosts = both(INVENTORY);
    hosts[1].1.runs[1] = Some(Role::Master);
    assert_snapshot!(outline(INVENTORY, &hosts));
}

#[test]
fn a_host_that_is_down_is_started_before_the_other_is_restarted() {
    let moved = INVENTORY.replace("port = 4430", "port = 4431");
    let mut hosts = both(INVENTORY);
    hosts[0].1.runs = [None; 2];
    assert_snapshot!(outline(&moved, &hosts));
}

#[test]
fn a_third_host_is_added() {
    let three = INVENTORY.replace(
        "hosts = [\"app1\", \"app2\"]",
        "hosts = [\"app1\", \"app2\", \"app3\"]",
    );
    let [one, two] = both(INVENTORY);
    assert_snapshot!(outline(&three, &[one, two, ("app3", fresh())]));
}

#[test]
fn gates_pass_on_what_the_processes_say() {
    let moved = INVENTORY.replace("port = 4430", "port = 4431");
    let service = service(&moved);
    let before = facts(&moved, &both(INVENTORY));
    let plan = plan_steps(&*service, &["check", "config", "restart"], &before);
    let gates: Vec<_> = plan.tasks.iter().flat_map(|task| &task.gates).collect();
    assert_eq!(gates.len(), 6);
    let judge = |hosts: &[(&str, Host)]| {
        let facts = facts(&moved, hosts);
        let verdicts = gates
            .iter()
            .map(|gate| service.judge(&gate.check, gate.host.as_ref(), &facts));
        verdicts
            .filter(|verdict| *verdict != Verdict::Pass)
            .collect::<Vec<_>>()
    };
    assert_eq!(judge(&both(&moved)), vec![]);

    let mut two_masters = both(&moved);
    two_masters[1].1.runs[0] = Some(Role::Master);
    assert_snapshot!(format!("{:#?}", judge(&two_masters)));

    let mut silent = both(&moved);
    silent[1].1.runs[1] = Some(Role::Silent);
    assert_snapshot!(format!("{:#?}", judge(&silent)));

    let mut ended = both(&moved);
    ended[0].1.runs[0] = None;
    assert!(
        judge(&ended)
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Fail(_)))
    );
}

#[test]
fn every_spelling_of_saved_plans_is_read() {
    for spelling in [
        "started proctask",
        "started procworkflow",
        "serving proctask",
        "serving procworkflow",
        "others-serve",
        "one-master proctask",
        "one-master procworkflow",
    ] {
        let check: Check = spelling.parse().unwrap();
        assert_eq!(check.to_string(), spelling);
    }
    let service = service(INVENTORY);
    let facts = facts(INVENTORY, &both(INVENTORY));
    for unknown in [
        "",
        "started",
        "started akd",
        "serving",
        "others-serve proctask",
        "one-master",
    ] {
        assert!(unknown.parse::<Check>().is_err(), "{unknown}");
        let verdict = service.judge(unknown, Some(&host("app1")), &facts);
        assert!(matches!(verdict, Verdict::Fail(_)), "{unknown}: {verdict:?}");
    }
    let verdict = service.judge("started proctask", Some(&host("db9")), &facts);
    assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
}

/// `plan` restarts such a process: `after_main_json_was_written_what_is_left_is_planned`.
#[test]
fn the_status_tells_of_a_process_that_does_not_run_with_its_main_json() {
    let detail = |hosts: &[(&str, Host)]| {
        let status = service(INVENTORY).status(&facts(INVENTORY, hosts));
        (status.health, status.members[2].detail.clone())
    };
    let newer = |mut hosts: Vec<(&'static str, Host)>| {
        hosts[1].1.modified_us = STARTED + 5_000_000;
        hosts
    };
    let (health, why) = detail(&newer(both(INVENTORY).to_vec()));
    assert_eq!(health, plan::Health::Degraded);
    assert_eq!(why, "main.json is newer than its process");
    // Whichever was changed last.
    let mut hosts = both(INVENTORY);
    hosts[1].1.runs = [Some(Role::Master); 2];
    assert_eq!(detail(&hosts).1, "it runs as master");
    let found = plan_of(INVENTORY, &hosts, &[]);
    assert!(
        found.contains("app2") && found.contains("it runs as master"),
        "{found}"
    );
}

#[test]
fn the_status_tells_roles() {
    let service = service(INVENTORY);
    let status = service.status(&facts(INVENTORY, &both(INVENTORY)));
    assert_eq!(status.health, plan::Health::Healthy);
    assert_eq!(
        status.summary,
        "2 of 2 serve, proctask master app1, procworkflow master app1"
    );
    let lost: Vec<HostName> = service
        .unavailable(&facts(INVENTORY, &both(INVENTORY)[..1]))
        .into_iter()
        .collect();
    assert_eq!(lost, [host("app2")]);
}
