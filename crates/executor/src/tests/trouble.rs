//! Lost connections, silent agents, hosts that go away and come back.

use plan::{Failure, NotRun};

use super::fake_cluster::Trouble;
use super::graphs::{NodeExt, budget, graph, graph_with, host, node};
use super::setting::Setting;

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_reached_is_tried_with_patience_and_then_lost() {
    let nodes = vec![
        node("a", "h1", &[]).of("mq"),
        node("b", "h2", &[]).of("kv"),
        node("c", "h1", &["a"]).of("mq"),
    ];
    let setting = Setting::new(graph(nodes));
    setting.fake.set_down(&host("h1"), true);
    let ran = setting.run().await;
    assert_eq!(ran.lost("a"), "h1 is cut off");
    assert_eq!(ran.figures(), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn attempts_to_connect_are_backed_off_and_the_same_every_time() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    setting.fake.set_down(&host("h1"), true);
    setting.run().await;
    let first = setting.cluster.elapsed();
    // Three waits of half to all of 200, 400 and 800 ms.
    assert!((700..=1400).contains(&first), "{first}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_in_time_is_acted_on() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    setting.fake.set_down(&host("h1"), true);
    let ran = setting
        .run_and(300, |setting| setting.fake.set_down(&host("h1"), false))
        .await;
    assert!(ran.is_done("a"), "{:?}", ran.of("a"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_cut_before_anything_was_done_is_opened_again_and_the_action_sent_again() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    setting.cluster.trouble("a", Trouble::CutBefore(2));
    let ran = setting.run().await;
    assert!(ran.is_done("a"), "{:?}", ran.of("a"));
    assert_eq!(setting.cluster.calls("a"), 3);
    assert_eq!(
        ran.waits("a")[0],
        "the connection to h1 was lost: the fake host went away"
    );
}

#[tokio::test(start_paused = true)]
async fn between_two_sendings_there_is_a_pause() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    setting.cluster.trouble("a", Trouble::CutBefore(99));
    let ran = setting.run().await;
    assert_eq!(ran.lost("a"), "the fake host went away");
    assert_eq!(setting.cluster.calls("a"), 3);
    assert!(setting.cluster.elapsed() >= 300, "{}", setting.cluster.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_action_whose_answer_was_lost_is_answered_again_and_not_done_again() {
    for node in [node("a", "h1", &[]), node("a", "h1", &[]).restarting()] {
        let setting = Setting::new(graph(vec![node]));
        setting.cluster.trouble("a", Trouble::CutAfter);
        let ran = setting.run().await;
        assert!(ran.is_done("a"), "{:?}", ran.of("a"));
        assert_eq!(setting.cluster.happenings(), ["a begins", "a ends"], "done once");
    }
}

#[tokio::test(start_paused = true)]
async fn an_action_of_an_agent_that_died_in_the_middle_is_not_repeated_and_stops_its_rollout() {
    for trouble in [Trouble::AgentDies, Trouble::HostRestarts] {
        let nodes = vec![
            node("mq/a", "h1", &[]).of("mq"),
            node("mq/b", "h2", &["mq/a"]).of("mq"),
        ];
        let setting = Setting::new(graph(nodes));
        setting.cluster.trouble("mq/a", trouble);
        let ran = setting.run().await;
        assert_eq!(
            ran.failure("mq/a"),
            Failure::CutOff {
                what: "it began, and its result is not known".into()
            }
        );
        assert_eq!(setting.cluster.happenings(), ["mq/a begins", "mq/a ends"]);
        assert!(matches!(ran.not_run("mq/b"), NotRun::RolloutStopped { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_was_made_before_its_agent_died_is_not_made_again() {
    for trouble in [Trouble::AgentDies, Trouble::HostRestarts] {
        let setting = Setting::new(graph(vec![node("a", "h1", &[]).restarting()]));
        setting.cluster.trouble("a", trouble);
        let ran = setting.run().await;
        assert!(ran.is_done("a"), "{:?}", ran.of("a"));
        assert_eq!(
            setting.cluster.happenings(),
            ["a begins", "a ends", "a is started"],
            "restarted once"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_did_not_come_to_be_is_sent_again() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[]).restarting()]));
    setting.cluster.trouble("a", Trouble::CutBefore(2));
    let ran = setting.run().await;
    assert!(ran.is_done("a"), "{:?}", ran.of("a"));
    assert_eq!(setting.cluster.happenings(), ["a begins", "a ends"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_action_may_have_been_made_stays_in_the_books() {
    let nodes = vec![
        node("restart@h1", "h1", &[]).of("mq").disrupting(&["mq"]),
        node("restart@h2", "h2", &[]).of("kv").disrupting(&["mq"]),
    ];
    let setting = Setting::new(graph_with(nodes, &[("mq", budget(&["h1", "h2"], 1, &[]))]));
    setting.cluster.trouble("restart@h1", Trouble::AgentDies);
    let ran = setting.run().await;
    assert_eq!(setting.cluster.violations(), Vec::<String>::new());
    assert!(
        matches!(ran.not_run("restart@h2"), NotRun::Budget { .. }),
        "{:?}",
        ran.of("restart@h2")
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_lost_in_mid_action_stops_its_services_rollout() {
    let nodes = vec![
        node("mq/a", "h1", &[]).of("mq"),
        node("mq/b", "h2", &[]).of("mq").ungated(),
        node("mq/c", "h2", &["mq/b"]).of("mq"),
        node("kv/c", "h2", &["mq/b"]).of("kv"),
    ];
    let setting = Setting::new(graph(nodes));
    let ran = setting
        .run_and(500, |setting| setting.fake.set_down(&host("h1"), true))
        .await;
    assert_eq!(ran.lost("mq/a"), "h1 is cut off");
    // Found out after the attempts to connect, when mq/c may have begun or not; another service goes on.
    assert!(ran.is_done("kv/c"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_answers_an_action_is_lost() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[]), node("b", "h2", &[])]));
    setting.cluster.trouble("a", Trouble::Silent);
    let ran = setting.run().await;
    assert!(ran.lost("a").contains("no answer within"), "{}", ran.lost("a"));
    assert!(ran.is_done("b"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_answers_nothing_at_all_is_lost_or_unreachable() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[])]));
    setting.cluster.set_silent("h1", true);
    let ran = setting.run().await;
    assert!(ran.lost("a").contains("no answer within"));
}

#[tokio::test(start_paused = true)]
async fn an_action_may_take_all_of_its_limit() {
    let setting = Setting::new(graph(vec![node("a", "h1", &[]).ungated()]));
    setting.cluster.script(
        "a",
        super::fake_cluster::Script {
            takes: 10_000,
            ..Default::default()
        },
    );
    assert!(setting.run().await.is_done("a"));
    assert_eq!(setting.cluster.calls("a"), 1);
}
