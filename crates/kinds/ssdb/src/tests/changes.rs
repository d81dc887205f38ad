//! Mirrors that serve, and something that changes.

use insta::assert_snapshot;

use super::{STEPS, apply, built, converge, converge_from_everywhere, plan, service};
use crate::tests::hosts::{Files as _, Rig as _};
use cases::{host, plan_restart, render};
use fakes::ssdb::{Cluster, OURS};
use fakes::{FakeCluster as _, Fault};
use kit::StepPlan;

fn with_data() -> Cluster {
    let mut cluster = built(&*service(3, ""));
    cluster.set("db2", "user", Some("data"));
    cluster
}

fn assert_data(cluster: &mut Cluster) {
    for name in ["db1", "db2", "db3"] {
        assert_eq!(cluster.get(name, "user").as_deref(), Some("data"), "{name}");
    }
}

#[test]
fn a_converged_service_has_no_plan() {
    assert_eq!(render(&plan(&*service(3, ""), &with_data(), &[])), "");
}

#[test]
fn a_setting_that_changes_rolls_through_with_canaries_in_between() {
    let service = service(3, "capacity = 5000\n");
    let cluster = with_data();
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge_from_everywhere(&*service, &cluster, &[]);
    let mut cluster = cluster;
    converge(&*service, &mut cluster, &[]);
    assert_data(&mut cluster);
}

#[test]
fn a_restart_that_is_asked_for_rolls_through_and_ends() {
    let service = service(3, "");
    let mut cluster = with_data();
    let then = cluster.facts(&*service);
    let rest = |cluster: &Cluster| plan_restart(&*service, &STEPS, &cluster.facts(&*service), &then);
    assert_snapshot!(render(&rest(&cluster)));
    let restarts = |plan: &StepPlan| -> Vec<String> {
        let tasks = plan.tasks.iter().filter(|task| task.disrupts);
        tasks.map(|task| task.host.to_string()).collect()
    };
    let mut due = restarts(&rest(&cluster));
    assert_eq!(due, ["db1", "db2", "db3"]);
    for task in rest(&cluster).tasks {
        cluster.perform(&*service, &task).unwrap();
        due.retain(|host| !task.disrupts || *host != task.host.as_str());
        // Wherever the run stops, a restarted member is not due any more.
        assert_eq!(restarts(&rest(&cluster)), due);
    }
    assert!(rest(&cluster).tasks.is_empty());
    assert_data(&mut cluster);
}

#[test]
fn the_budget_is_taken_by_members_that_serve_and_by_nothing_else() {
    let service = service(3, "capacity = 5000\n");
    let cluster = with_data();
    let disrupting: Vec<String> = plan(&*service, &cluster, &[])
        .tasks
        .iter()
        .filter(|task| task.disrupts)
        .map(|task| format!("{}: {}", task.host, task.title))
        .collect();
    assert_eq!(
        disrupting,
        ["db1", "db2", "db3"].map(|host| format!("{host}: restart ssdb-sessions.service"))
    );
}

#[test]
fn a_run_that_died_between_the_file_and_the_restart_is_finished() {
    let service = service(3, "");
    let mut cluster = with_data();
    let text = cluster.text("db1").replace("cache_size: 500", "cache_size: 600");
    cluster.put_file("db1", &text);
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge(&*service, &mut cluster, &[]);
}

#[test]
fn a_file_that_was_put_back_with_an_old_date_is_told_by_what_the_server_mirrors() {
    let service = service(3, "");
    let mut cluster = with_data();
    // As if it had been started with a file that names no db3.
    let whole = cluster.text("db1");
    let at = whole.find("\tslaveof:\n\t\tid: db3").unwrap();
    let end = whole[at..].find("\n\n").unwrap() + at;
    cluster.put_file("db1", &format!("{}{}", &whole[..at], &whole[end + 1..]));
    cluster.start("db1");
    cluster.node("db1").file().text = whole;
    cluster.node("db1").file().modified_us = 1;
    let rendered = render(&plan(&*service, &cluster, &[]));
    assert!(
        rendered.contains("because it does not mirror db3, which its file names"),
        "{rendered}"
    );
    converge(&*service, &mut cluster, &[]);
}

#[test]
fn access_is_closed_without_a_restart() {
    let service = service(3, "");
    let mut cluster = with_data();
    cluster.node("db3").file().mode = 0o644;
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge(&*service, &mut cluster, &[]);
}

#[test]
fn a_unit_that_does_not_start_at_boot_is_enabled_and_left_running() {
    let service = service(3, "");
    let mut cluster = with_data();
    cluster.node("db2").unit().is_enabled = false;
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge(&*service, &mut cluster, &[]);
}

#[test]
fn a_stopped_member_is_started_whatever_its_pid_file_says() {
    let service = service(3, "");
    let mut cluster = with_data();
    cluster.stop("db2");
    cluster.set("db1", "later", Some("x"));
    cluster.leave_pid_file("db2");
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    converge(&*service, &mut cluster, &[]);
    assert_eq!(cluster.get("db2", "later").as_deref(), Some("x"));
}

#[test]
fn after_a_full_stop_all_are_started_side_by_side() {
    let service = service(3, "capacity = 5000\n");
    let mut cluster = with_data();
    for name in ["db1", "db2", "db3"] {
        cluster.stop(name);
    }
    let plan = plan(&*service, &cluster, &[]);
    assert!(plan.tasks.iter().all(|task| !task.disrupts), "{}", render(&plan));
    converge_from_everywhere(&*service, &cluster, &[]);
    converge(&*service, &mut cluster, &[]);
    assert_data(&mut cluster);
}

#[test]
fn nobody_is_restarted_while_another_is_missing() {
    let service = service(3, "capacity = 5000\n");
    let mut cluster = with_data();
    cluster.inject(&Fault::Cut(host("db3")));
    assert_snapshot!(render(&plan(&*service, &cluster, &[])));
    let budget = service.budget(&cluster.facts(&*service));
    assert_eq!(budget.unavailable.into_iter().collect::<Vec<_>>(), [host("db3")]);
}

#[test]
fn another_password_cuts_mirrors_off_and_needs_consent_of_all() {
    let service = service(3, "");
    let mut cluster = with_data();
    for name in ["db1", "db2", "db3"] {
        let text = cluster.text(name).replace(OURS, "⟪kept:1+32⟫");
        cluster.put_file(name, &text);
        cluster.start(name);
    }
    let refused = plan(&*service, &cluster, &[]);
    assert_snapshot!(render(&refused));
    let all = [
        "ssdb.restart-all=db1",
        "ssdb.restart-all=db2",
        "ssdb.restart-all=db3",
    ];
    assert_eq!(plan(&*service, &cluster, &all[..2]).refusals.len(), 1);
    assert_snapshot!(render(&plan(&*service, &cluster, &all)));
    converge_from_everywhere(&*service, &cluster, &all);
    converge(&*service, &mut cluster, &all);
    assert_data(&mut cluster);
}

#[test]
fn a_gate_says_what_it_waits_for() {
    let service = service(3, "");
    let mut cluster = Cluster::bare(3);
    // Nobody starts db3: db1 and db2 wait for it.
    let tasks = plan(&*service, &cluster, &[]).tasks;
    let told: Vec<String> = tasks
        .iter()
        .filter(|task| task.host.as_str() != "db3")
        .filter_map(|task| cluster.perform(&*service, task).err())
        .take(2)
        .collect();
    assert_snapshot!(told.join("\n"));
    let _ = apply(&*service, &mut cluster, &[]);
    converge(&*service, &mut cluster, &[]);
}

#[test]
fn a_file_from_the_future_or_with_an_old_time_restarts_its_server_once() {
    const HOUR: i64 = 3_600_000_000;
    let service = service(3, "");
    for (modified, ahead_us, why) in [
        (
            2 * HOUR,
            HOUR,
            "its file has a time that lies 60 min ahead of the host's clock",
        ),
        (
            0,
            0,
            "its file was changed after its process started, though its time is older",
        ),
    ] {
        let mut cluster = with_data();
        // Nobody noted what it was started with.
        cluster.start("db1");
        let file = cluster.node("db1").file();
        (file.modified_us, file.changed_us) = (file.modified_us + modified, file.changed_us + HOUR);
        file.ahead_us = ahead_us;
        let rendered = render(&plan(&*service, &cluster, &[]));
        let restart = format!("db1: restart ssdb-sessions.service (disrupts), because {why}");
        assert!(rendered.contains(&restart), "{rendered}");
        converge(&*service, &mut cluster, &[]);
    }
}
