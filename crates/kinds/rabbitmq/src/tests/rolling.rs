//! Members are restarted one at a time, and no queue goes away with one.

use insta::assert_snapshot;
use plan::RunningUnits;
use protocol::ActionError;

use super::bed::{Bed, crash};
use cases::{host, render};
use fakes::{FakeCluster, Fault, PLAYS, Pace};

const THREE: [&str; 3] = ["db1", "db2", "db3"];
const CONFIG: &str = "config.cluster_partition_handling = \"pause_minority\"\n";

/// A cluster with a quorum queue and a mirrored queue that hold something.
fn in_use() -> Bed {
    let mut bed = Bed::built(&THREE, CONFIG);
    assert!((1..=9).all(|value| bed.cluster.write(value)));
    bed
}

fn assert_kept(bed: &Bed) {
    assert!((1..=9).all(|value| bed.cluster.has_value(value)));
    assert_eq!(bed.cluster.violations(), [] as [String; 0]);
}

#[test]
fn hosts_without_the_package_become_a_cluster_wherever_the_run_is_killed() {
    let bed = Bed::new(&THREE, CONFIG);
    assert_snapshot!(bed.shown());
    bed.converge_from_everywhere();
}

#[test]
fn a_key_of_the_configuration_is_rolled_out_one_member_at_a_time() {
    let mut bed = in_use();
    bed.say(&THREE, &format!("{CONFIG}config.channel_max = 100\n"));
    assert_snapshot!(bed.shown());
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn what_the_inventory_has_taken_out_of_the_file_is_rolled_out_too() {
    let mut bed = Bed::built(&THREE, &format!("{CONFIG}config.channel_max = 100\n"));
    assert!((1..=9).all(|value| bed.cluster.write(value)));
    // A key that is not named any more stays.
    bed.say(&THREE, CONFIG);
    assert_eq!(bed.shown(), "");
    bed.say(
        &THREE,
        &format!("{CONFIG}absent = [\"channel_max\", \"heartbeat\"]\n"),
    );
    assert_snapshot!(bed.shown());
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
}

/// A change by hand, long after all brokers were started.
fn changed_by_hand(settings: &str) -> Bed {
    let mut bed = Bed::built(&THREE, settings);
    let path = "/etc/rabbitmq/rabbitmq.conf";
    let machine = bed.cluster.machine_mut(&host("db2"));
    let text = format!("{}heartbeat = 30\n", machine.text(path));
    machine.write(path, &text, 0o644, "root", 1_000_000_000_000);
    bed
}

/// What `status` says of a member.
fn detail(bed: &Bed, name: &str) -> String {
    let status = super::service(&bed.inventory).status(&bed.facts());
    let mut members = status.members.into_iter();
    members.find(|row| row.host == host(name)).unwrap().detail
}

#[test]
fn a_file_that_was_changed_by_hand_and_that_the_broker_has_not_read() {
    let newer = "/etc/rabbitmq/rabbitmq.conf differs from what its process was started with";
    // One in which the inventory names keys is ours to put into force.
    let mut managed = changed_by_hand(CONFIG);
    assert_eq!(managed.order(), ["db2 restart rabbitmq-server.service"]);
    assert!(managed.shown().contains(newer), "{}", managed.shown());
    assert_eq!(detail(&managed, "db2"), format!("3.10.8, 0 queues, {newer}"));
    assert_eq!(detail(&managed, "db1"), "3.10.8, 0 queues");
    managed.converge();
    assert_eq!(detail(&managed, "db2"), "3.10.8, 0 queues");
    // Another is told.
    let foreign = changed_by_hand("");
    let told = format!("Info db2: {newer}, and is not managed: `--restart` puts it into force");
    assert_eq!(foreign.shown(), told);
    assert_eq!(detail(&foreign, "db2"), format!("3.10.8, 0 queues, {newer}"));
}

#[test]
fn a_requested_restart_ends_once_every_member_was_restarted() {
    let mut bed = in_use();
    let then = RunningUnits::of(&bed.facts());
    let mut left = bed.plan_asked(Some(then.clone()));
    assert_snapshot!(render(&left));
    let mut restarted = 0;
    while let Some(task) = left.tasks.first() {
        bed.act(task).unwrap();
        restarted += 1;
        // Killed here, the rest is planned and no more.
        left = bed.plan_asked(Some(then.clone()));
        assert_eq!(left.tasks.len(), 3 - restarted);
    }
    assert_eq!(restarted, 3);
    assert_kept(&bed);
}

#[test]
fn a_member_is_not_restarted_while_a_mirror_is_not_synchronised() {
    let mut bed = in_use();
    let then = RunningUnits::of(&bed.facts());
    let plan = bed.plan_asked(Some(then));
    // The leader of the mirrored queue is the last that has all of it.
    let last = plan
        .tasks
        .iter()
        .find(|task| task.host == host("db1"))
        .unwrap()
        .clone();
    bed.cluster.set_pace(Pace {
        copy_us: 60_000_000,
        ..Pace::default()
    });
    for name in ["db2", "db3"] {
        bed.inject(&crash(name));
        bed.inject(&Fault::Revive(host(name)));
    }
    let mut early = last.clone();
    early.before.clear();
    assert!(matches!(bed.act(&early), Err(ActionError::Changed { .. })));
    // The gate before it waits until mirrors are filled.
    bed.perform(&last);
    assert_kept(&bed);
}

#[test]
fn no_member_is_restarted_while_another_is_down() {
    let mut bed = in_use();
    bed.inject(&Fault::Down(host("db3")));
    bed.unreachable.push(host("db3"));
    bed.say(&THREE, &format!("{CONFIG}config.channel_max = 100\n"));
    assert_snapshot!(bed.shown());
}

#[test]
fn a_departing_member_that_is_down_is_not_taken_for_a_host_whose_name_begins_its_own() {
    let mut bed = Bed::built(&["db1", "db2", "db3", "db10"], CONFIG);
    bed.inject(&crash("db10"));
    bed.say(&THREE, &format!("{CONFIG}config.channel_max = 100\n"));
    let plan = bed.plan();
    // A refusal would keep it from leaving.
    assert_eq!(plan.refusals, []);
    for task in plan.tasks {
        bed.perform(&task);
    }
    bed.converge();
    assert_eq!(bed.cluster.violations(), [] as [String; 0]);
}

#[test]
fn a_member_that_was_killed_is_started_before_others_are_restarted() {
    let mut bed = in_use();
    bed.inject(&crash("db2"));
    bed.say(&THREE, &format!("{CONFIG}config.channel_max = 100\n"));
    assert_eq!(bed.order()[3], "db2 start rabbitmq-server.service");
    bed.converge_from_everywhere();
}

#[test]
fn a_queue_of_one_member_is_restarted_with_consent_only() {
    let mut bed = Bed::built(&THREE, CONFIG);
    bed.cluster
        .declare_quorum("single", &["rabbit@db2".to_owned()].into());
    bed.tick();
    bed.say(&THREE, &format!("{CONFIG}config.channel_max = 100\n"));
    let restart = |bed: &Bed| {
        let tasks = bed.plan().tasks.into_iter();
        tasks
            .rev()
            .find(|task| task.disrupts && task.host == host("db2"))
            .unwrap()
    };
    let why = bed.clone().wait(&restart(&bed).before[0]).unwrap_err();
    assert_snapshot!(why);
    bed.allow = vec!["rabbitmq.restart=db2"];
    assert!(restart(&bed).before.is_empty());
}

#[test]
fn a_member_that_nobody_sees_is_unavailable_and_a_new_host_is_no_member() {
    let mut bed = in_use();
    let unavailable = |bed: &Bed| crate::tests::service(&bed.inventory).unavailable(&bed.facts());
    assert!(unavailable(&bed).is_empty());
    bed.inject(&Fault::Cut(host("db3")));
    assert_eq!(unavailable(&bed), [host("db3")].into());
    bed.inject(&Fault::Heal(host("db3")));
    assert!(unavailable(&bed).is_empty());
    bed.say(&["db1", "db2", "db3", "db4"], CONFIG);
    assert!(unavailable(&bed).is_empty());
    assert_kept(&bed);
}

#[test]
fn a_broker_that_paused_in_a_minority_comes_back_by_itself() {
    let mut bed = in_use();
    bed.inject(&Fault::Cut(host("db1")));
    assert_eq!(bed.cluster.serving().len(), 2);
    assert!(bed.cluster.write(10));
    // Started by us, it would be a second cluster.
    assert_snapshot!(bed.shown());
    bed.inject(&Fault::Heal(host("db1")));
    assert_eq!(bed.cluster.serving().len(), 3);
    bed.assert_settled();
    assert!(bed.cluster.has_value(10));
    assert_kept(&bed);
}

#[test]
fn brokers_that_outlive_a_partition_tell_of_it() {
    let mut bed = Bed::built(&THREE, "");
    bed.inject(&Fault::Cut(host("db3")));
    bed.inject(&Fault::Heal(host("db3")));
    assert_eq!(bed.plan().refusals.len(), 3);
}

#[test]
fn a_full_stop_is_over_once_the_member_that_stopped_last_runs() {
    let mut bed = in_use();
    for name in THREE {
        bed.inject(&crash(name));
    }
    // All wait for the last one.
    bed.inject(&Fault::Revive(host("db1")));
    assert!(bed.cluster.serving().is_empty());
    // They are started side by side, for each waits for the others.
    for task in bed.plan().tasks {
        bed.act(&task).unwrap();
    }
    bed.assert_settled();
    assert_kept(&bed);
}

#[test]
fn what_is_played_is_a_valid_inventory_and_each_turn_takes_a_restart() {
    let play = PLAYS.iter().find(|play| play.kind == "rabbitmq").unwrap();
    let mut bed = Bed::new(&THREE, "");
    let hosts = "db1 = \"10.0.0.1\"\ndb2 = \"10.0.0.2\"\ndb3 = \"10.0.0.3\"\n";
    let inventory = |turn| format!("[hosts]\n{hosts}\n{}", (play.inventory)(&THREE, turn));
    bed.inventory = inventory(0);
    bed.converge();
    bed.inventory = inventory(1);
    assert_eq!(bed.plan().tasks.iter().filter(|task| task.disrupts).count(), 3);
    bed.converge();
    assert_eq!(bed.cluster.violations(), [] as [String; 0]);
}

#[test]
fn a_new_member_gets_quorum_queues_only_where_the_inventory_says_so() {
    let mut bed = in_use();
    bed.say(&["db1", "db2", "db3", "db4"], CONFIG);
    let without = bed.order();
    assert_eq!(without[without.len() - 1], "db4 join rabbit@db1");
    bed.say(
        &["db1", "db2", "db3", "db4"],
        &format!("{CONFIG}grow_quorum_queues = true\n"),
    );
    assert_snapshot!(bed.shown());
    bed.converge_from_everywhere();
    bed.converge();
    assert_kept(&bed);
}

#[test]
fn a_file_from_the_future_or_with_an_old_time_restarts_its_broker_once() {
    const HOUR: i64 = 3_600_000_000;
    for (modified, ahead_us, why) in [
        (
            2 * HOUR,
            HOUR,
            "has a time that lies 60 min ahead of the host's clock",
        ),
        (
            0,
            0,
            "was changed after its process started, though its time is older",
        ),
    ] {
        let mut bed = in_use();
        let machine = bed.cluster.machine_mut(&host("db2"));
        // Nobody noted what it was started with.
        let unit = machine.unit("rabbitmq-server.service");
        let started_us = unit.started_us.unwrap();
        unit.start(started_us);
        let file = machine.files.get_mut("/etc/rabbitmq/rabbitmq.conf").unwrap();
        (file.modified_us, file.changed_us) = (file.modified_us + modified, file.changed_us + HOUR);
        file.ahead_us = ahead_us;
        let shown = bed.shown();
        let because = format!("because /etc/rabbitmq/rabbitmq.conf {why}");
        assert!(
            shown.contains("db2: restart rabbitmq-server.service") && shown.contains(&because),
            "{shown}"
        );
        bed.converge();
        assert_kept(&bed);
    }
}
