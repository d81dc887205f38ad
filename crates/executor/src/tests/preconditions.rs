//! What must be so before a member is touched, and the pause between members.

use std::time::Duration;

use plan::{Failure, Node, NodeOutcome, NotRun};

use super::fake_cluster::Trouble;
use super::graphs::{NodeExt, budget, graph_with, node};
use super::setting::Setting;

/// A node that may begin only while another's member serves.
fn after_all(id: &str, on: &str, other: &Node) -> Node {
    Node {
        before: other.gates.clone(),
        ..node(id, on, &[]).of("mq").disrupting(&["mq"])
    }
}

fn mq(nodes: Vec<Node>) -> Setting {
    Setting::new(graph_with(nodes, &[("mq", budget(&["h1", "h2", "h3"], 1, &[]))]))
}

#[tokio::test(start_paused = true)]
async fn a_member_is_not_touched_while_another_does_not_serve() {
    let first = node("a", "h1", &[]);
    let rest = node("c", "h3", &["b"]).of("mq").disrupting(&["mq"]);
    let setting = mq(vec![first.clone(), after_all("b", "h2", &first), rest]);
    setting.cluster.trouble("a", Trouble::GateFails);
    let ran = setting.run().await;
    let NodeOutcome::Failed {
        failure: Failure::Blocked { title, last },
    } = ran.of("b")
    else {
        panic!("{:?}", ran.of("b"));
    };
    assert_eq!((title.as_str(), last.as_str()), ("h1 serves", "h1 is broken"));
    assert_eq!(setting.cluster.calls("b"), 0, "its host was touched");
    assert!(matches!(ran.not_run("c"), NotRun::RolloutStopped { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_comes_back_in_time_is_waited_for() {
    let first = node("a", "h1", &[]);
    let setting = mq(vec![first.clone(), after_all("b", "h2", &first)]);
    setting.cluster.back_after("a", Some(20_000));
    let ran = setting.run().await;
    assert!(ran.is_done("b"), "{:?}", ran.of("b"));
    assert_eq!(ran.waits("b")[0], "h1 serves: h1 is down");
}

#[tokio::test(start_paused = true)]
async fn between_members_of_a_group_there_is_a_pause_and_none_between_groups() {
    let of = |id: &str, on: &str, group: &str| node(id, on, &[]).of(group).disrupting(&[group]);
    let members = &["h1", "h2"];
    let mut setting = Setting::new(graph_with(
        vec![of("a", "h1", "mq"), of("b", "h2", "mq"), of("x", "h1", "db")],
        &[("mq", budget(members, 1, &[])), ("db", budget(members, 1, &[]))],
    ));
    setting.limits.pause_between = Duration::from_mins(10);
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (3, 0, 0));
    let begins = |id: &str| {
        let log = setting.cluster.log();
        let found = log.into_iter().find(|(_, what)| *what == format!("{id} begins"));
        found.expect("it begins").0
    };
    assert!(begins("x") < 1000 && begins("a") < 1000);
    assert!(begins("b") >= 600_000, "{}", begins("b"));
    assert_eq!(ran.waits("b")[0], "the pause between members");
}

/// No clock can hold it: the sum of now and such a time ended the run in its middle.
#[tokio::test(start_paused = true)]
async fn a_pause_of_any_length_ends_no_run() {
    let of = |id: &str, on: &str| node(id, on, &[]).of("mq").disrupting(&["mq"]);
    let mut setting = mq(vec![of("a", "h1"), of("b", "h2")]);
    setting.limits.pause_between = Duration::MAX;
    let ran = setting.run_and(60_000, Setting::stop).await;
    assert_eq!((ran.figures(), setting.cluster.calls("b")), ((1, 1, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_pause_and_touches_nobody() {
    let of = |id: &str, on: &str| node(id, on, &[]).of("mq").disrupting(&["mq"]);
    let mut setting = mq(vec![of("a", "h1"), of("b", "h2")]);
    setting.limits.pause_between = Duration::from_hours(1);
    let ran = setting.run_and(60_000, Setting::stop).await;
    assert_eq!((ran.figures(), setting.cluster.calls("b")), ((1, 1, 0), 0));
    assert!(setting.cluster.elapsed() < 70_000);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_lost_counts_in_every_group_that_it_is_in() {
    let of =
        |id: &str, on: &str, group: &str, needs: &[&str]| node(id, on, needs).of(group).disrupting(&[group]);
    let members = &["h1", "h2", "h3"];
    let setting = Setting::new(graph_with(
        vec![
            of("a", "h1", "mq", &[]),
            of("slow", "h2", "db", &[]),
            of("c", "h3", "db", &["slow"]),
        ],
        &[("mq", budget(members, 1, &[])), ("db", budget(members, 1, &[]))],
    ));
    setting.cluster.trouble("a", Trouble::CutBefore(99));
    setting.cluster.takes("slow", 9000);
    let ran = setting.run().await;
    assert!(ran.is_done("slow"));
    let NodeOutcome::NotRun {
        why: NotRun::Budget { unavailable, .. },
    } = ran.of("c")
    else {
        panic!("{:?}", ran.of("c"));
    };
    assert_eq!(unavailable, [super::graphs::host("h1")]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_away_and_is_started_uses_the_budget_up_no_longer() {
    let start = node("start", "h1", &[]).of("mq");
    let restart = node("b", "h2", &["start"]).of("mq").disrupting(&["mq"]);
    let setting = Setting::new(graph_with(
        vec![start, restart],
        &[("mq", budget(&["h1", "h2", "h3"], 1, &["h1"]))],
    ));
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (2, 0, 0), "{:?}", ran.of("b"));
}

/// Restarts of two members, one after another, of a group whose third was down when the plan was made.
fn restarts_beside_one_that_was_down() -> Setting {
    let restart = |id: &str, on: &str, needs: &[&str]| {
        let node = node(id, on, needs).of("mq").disrupting(&["mq"]);
        node.asking(&["h3"])
    };
    let nodes = vec![restart("a", "h1", &[]), restart("b", "h2", &["a"])];
    Setting::new(graph_with(
        nodes,
        &[("mq", budget(&["h1", "h2", "h3"], 1, &["h3"]))],
    ))
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_down_is_asked_again_before_the_budget_counts_as_used_up() {
    let setting = restarts_beside_one_that_was_down();
    setting.cluster.heals("h3", 40_000);
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (2, 0, 0), "{:?}", ran.of("a"));
    assert_eq!(ran.waits("a")[0], "all other members serve: h3 is down");
    assert_eq!(setting.cluster.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_member_that_stays_down_is_asked_up_to_the_limit_that_the_plan_shows() {
    let setting = restarts_beside_one_that_was_down();
    let ran = setting.run().await;
    let Failure::Blocked { last, .. } = ran.failure("a") else {
        panic!("{:?}", ran.of("a"));
    };
    assert_eq!(last, "after 120 s: h3 is down");
    assert!((120_000..123_000).contains(&setting.cluster.elapsed()));
    assert!(matches!(ran.not_run("b"), NotRun::RolloutStopped { .. }));
    assert_eq!(
        setting.cluster.happenings(),
        Vec::<String>::new(),
        "somebody was touched"
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_that_the_run_may_still_bring_back_is_not_asked_yet() {
    let nodes = vec![
        node("a", "h1", &[]).of("mq").disrupting(&["mq"]).asking(&["h3"]),
        node("slow", "h2", &[]).of("kv"),
        node("start", "h3", &["slow"]).of("mq"),
    ];
    let setting = Setting::new(graph_with(
        nodes,
        &[("mq", budget(&["h1", "h2", "h3"], 1, &["h3"]))],
    ));
    // Longer than the gate of the restart would wait.
    setting.cluster.takes("slow", 9000);
    setting.cluster.back_after("start", Some(50_000));
    setting.cluster.heals("h3", 59_000);
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (3, 0, 0), "{:?}", ran.of("a"));
    assert_eq!(ran.waits("a"), ["h1 serves: h1 is down"], "it began too early");
}

#[tokio::test(start_paused = true)]
async fn what_the_run_itself_took_down_is_not_asked_about() {
    let asking = |id: &str, on: &str| node(id, on, &[]).of("mq").disrupting(&["mq"]).asking(&[]);
    let other = node("b", "h2", &[]).of("kv").disrupting(&["mq"]).asking(&[]);
    let setting = mq(vec![asking("a", "h1"), other]);
    setting.cluster.trouble("a", Trouble::Fails);
    let ran = setting.run().await;
    assert!(
        matches!(ran.not_run("b"), NotRun::Budget { .. }),
        "{:?}",
        ran.of("b")
    );
}
