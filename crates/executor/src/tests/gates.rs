//! Waiting for gates, and being asked to stop.

use std::time::Duration;

use plan::{Event, NodeOutcome, NotRun};
use tokio::time::sleep;

use super::fake_cluster::Trouble;
use super::graphs::{NodeExt, graph, host, node};
use super::setting::Setting;

#[tokio::test(start_paused = true)]
async fn a_gate_that_runs_out_of_time_tells_what_it_saw_last() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[]).gate_limit(30_000)]));
    setting.cluster.back_after("a", None);
    let ran = setting.run().await;
    assert_eq!(
        ran.gate_failure("a"),
        ("h1 serves".into(), "after 30 s: h1 is down".into())
    );
    assert_eq!(
        ran.waits("a"),
        ["h1 serves: h1 is down"],
        "said once, not at every look"
    );
    assert_eq!(setting.cluster.elapsed(), 31_000, "neither sooner nor later");
}

#[tokio::test(start_paused = true)]
async fn a_gate_passes_up_to_its_limit() {
    for limit in [1000, 3000, 10_000, 60_000] {
        let setting = Setting::new(graph(vec![node("a", "h1", &[]).gate_limit(limit)]));
        setting.cluster.back_after("a", Some(limit - 100));
        let ran = setting.run().await;
        assert!(ran.is_done("a"), "limit {limit}: {:?}", ran.of("a"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_less_than_a_second_is_told_as_it_is() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[]).gate_limit(500)]));
    setting.cluster.back_after("a", None);
    let (_, last) = setting.run().await.gate_failure("a");
    assert_eq!(last, "after 0.5 s: h1 is down");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_can_never_pass_is_not_waited_for() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    setting.cluster.trouble("a", Trouble::GateFails);
    let ran = setting.run().await;
    assert_eq!(ran.gate_failure("a").1, "h1 is broken");
    assert!(setting.cluster.elapsed() < 2000);
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_nothing_new_starts_and_what_runs_is_finished() {
    let nodes = vec![
        node("a", "h1", &[]).ungated(),
        node("b", "h1", &["a"]).ungated(),
        node("c", "h1", &["b"]),
    ];
    let setting = Setting::new(graph(nodes));
    let ran = setting.run_and(500, Setting::stop).await;
    assert!(ran.outcome.interrupted);
    assert!(ran.is_done("a"));
    assert_eq!(ran.figures(), (1, 0, 2));
    let why = NotRun::Interrupted;
    assert_eq!(ran.of("b"), NodeOutcome::NotRun { why });
    assert!(ran.events.contains(&Event::Interrupted));
    assert_eq!(setting.cluster.happenings(), ["a begins", "a ends"]);
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_before_it_began_a_run_starts_nothing() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[]), node("b", "h2", &[])]));
    setting.stop();
    let ran = setting.run().await;
    assert_eq!(ran.figures(), (0, 0, 2));
    assert!(ran.outcome.interrupted);
    assert_eq!(setting.cluster.happenings(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_stop_at_the_instant_when_a_node_ends_starts_nothing_more() {
    for _ in 0..20 {
        let nodes = vec![node("a", "h1", &[]).ungated(), node("b", "h1", &["a"]).ungated()];
        let setting = Setting::new(graph(nodes));
        let ran = setting.run_and(1000, Setting::stop).await;
        // Which of the two came first is open; that nothing starts after `Interrupted` is told is not.
        let told = ran
            .events
            .iter()
            .position(|event| *event == Event::Interrupted)
            .unwrap();
        let starts_after = ran.events[told..]
            .iter()
            .any(|event| matches!(event, Event::NodeStarted { .. }));
        assert!(!starts_after);
        assert_eq!(
            ran.of("b")
                == NodeOutcome::NotRun {
                    why: NotRun::Interrupted
                },
            setting.cluster.calls("b") == 0
        );
    }
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_gates_are_given_up_and_what_follows_was_interrupted() {
    let nodes = vec![
        node("a", "h1", &[]).of("mq"),
        node("b", "h2", &[]).of("mq").gate_limit(600_000),
        node("c", "h1", &["a"]).of("mq"),
        node("d", "h2", &["b"]).of("mq"),
    ];
    let setting = Setting::new(graph(nodes));
    setting.cluster.back_after("b", None);
    let ran = setting.run_and(5000, Setting::stop).await;
    assert!(
        setting.cluster.elapsed() < 11_000,
        "{}",
        setting.cluster.elapsed()
    );
    let (_, last) = ran.gate_failure("b");
    assert_eq!(last, "interrupted while waiting; last seen: h2 is down");
    assert!(ran.outcome.interrupted);
    let interrupted_first = ran.events.iter().position(|event| *event == Event::Interrupted)
        < ran
            .events
            .iter()
            .position(|event| matches!(event, Event::NodeFinished { node, .. } if node.as_str() == "b"));
    assert!(interrupted_first, "{:?}", ran.events);
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_the_rest_of_a_rollout_was_interrupted_not_stopped_by_a_gate() {
    let nodes = vec![
        node("b", "h2", &[]).of("mq").gate_limit(600_000),
        node("slow", "h3", &[]).of("mq").ungated(),
        node("e", "h3", &["slow"]).of("mq"),
    ];
    let setting = Setting::new(graph(nodes));
    setting.cluster.back_after("b", None);
    setting.cluster.takes("slow", 9000);
    let ran = setting.run_and(5000, Setting::stop).await;
    assert!(ran.is_done("slow"));
    assert_eq!(ran.not_run("e"), NotRun::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_holds_already_passes_after_a_stop_too() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    setting.cluster.back_after("a", Some(0));
    let ran = setting.run_and(500, Setting::stop).await;
    assert!(ran.is_done("a"), "{:?}", ran.of("a"));
}

#[tokio::test(start_paused = true)]
async fn a_gate_whose_host_is_silent_ends_with_its_limit() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[]).gate_limit(20_000)]));
    let ran = setting
        .run_and(1500, |setting| setting.cluster.set_silent("h1", true))
        .await;
    let (_, last) = ran.gate_failure("a");
    assert_eq!(last, "no answer within 20 s; before that: h1 is down");
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_a_gate_looks_at_a_silent_host_is_heard() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[]).gate_limit(3_600_000)]));
    let ran = setting
        .run_and(1500, |setting| {
            setting.cluster.set_silent("h1", true);
            setting.stop();
        })
        .await;
    assert!(ran.gate_failure("a").1.starts_with("interrupted while waiting"));
    assert!(
        setting.cluster.elapsed() < 15_000,
        "{}",
        setting.cluster.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_gate_waits_for_a_host_that_is_away_for_a_while() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    let fake = setting.fake.clone();
    let back = async {
        sleep(Duration::from_secs(20)).await;
        fake.set_down(&host("h1"), false);
    };
    let running = setting.run_and(1500, |setting| {
        setting.fake.set_down(&host("h1"), true);
    });
    let (ran, ()) = tokio::join!(running, back);
    assert!(ran.is_done("a"), "{:?}", ran.of("a"));
    assert!(
        ran.waits("a").iter().any(|why| why.contains("cut off")),
        "{:?}",
        ran.waits("a")
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_a_connection_is_tried_again_ends_the_tries() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    setting.fake.set_down(&host("h1"), true);
    let connections = setting.connections().with_retry(transport::Retry {
        attempts: 10,
        first_wait: Duration::from_mins(1),
    });
    let stop = async {
        sleep(Duration::from_secs(5)).await;
        setting.stop();
    };
    let (ran, ()) = tokio::join!(setting.run_over(&connections), stop);
    assert!(ran.outcome.interrupted);
    assert!(ran.lost("a").contains("interrupted"), "{}", ran.lost("a"));
    assert!(setting.cluster.elapsed() < 6000, "{}", setting.cluster.elapsed());
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_an_action_whose_connection_was_lost_is_not_sent_again() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    let fake = setting.fake.clone();
    let back = async {
        sleep(Duration::from_millis(510)).await;
        fake.set_down(&host("h1"), false);
    };
    let running = setting.run_and(500, |setting| {
        setting.stop();
        setting.fake.set_down(&host("h1"), true);
    });
    let (ran, ()) = tokio::join!(running, back);
    assert_eq!(setting.cluster.calls("a"), 1);
    assert_eq!(ran.lost("a"), "the fake host went away");
}
