//! Gates end early once the process that the action started can no longer come up.

use super::fake_cluster::{Script, Trouble};
use super::graphs::{NodeExt, budget, graph, graph_with, node};
use super::setting::Setting;

const HOUR: u64 = 3_600_000;

/// A restart whose member does not serve again, with a gate of an hour.
fn restart(trouble: Trouble, back_after: Option<u64>) -> Setting {
    let setting = Setting::new(graph(vec![node("a", "h1", &[]).restarting().gate_limit(HOUR)]));
    let script = Script {
        back_after,
        trouble,
        ..Script::default()
    };
    setting.cluster.script("a", script);
    setting
}

#[tokio::test(start_paused = true)]
async fn a_gate_ends_with_the_journal_where_its_unit_failed_or_ended() {
    for (trouble, state) in [(Trouble::UnitFails, "failed"), (Trouble::UnitEnds, "inactive")] {
        let setting = restart(trouble, None);
        let ran = setting.run().await;
        let (title, last) = ran.gate_failure("a");
        assert_eq!(title, "h1 serves");
        let journal = "its journal ends: two | three | four | five | out of memory";
        assert_eq!(last, format!("a is {state} on h1: h1 is down; {journal}"));
        assert!(setting.cluster.elapsed() < 2000, "{}", setting.cluster.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_sees_by_itself_that_its_process_failed_has_the_journal_too() {
    let ran = restart(Trouble::UnitFailsForGood, None).run().await;
    let (_, last) = ran.gate_failure("a");
    assert_eq!(
        last,
        "h1 is broken; its journal ends: two | three | four | five | out of memory"
    );
}

#[tokio::test(start_paused = true)]
async fn a_gate_ends_where_systemd_started_its_unit_twice_again() {
    let setting = restart(Trouble::UnitLoops, None);
    let (_, last) = setting.run().await.gate_failure("a");
    assert!(
        last.starts_with("systemd started a on h1 twice again: h1 is down; "),
        "{last}"
    );
    assert!(
        setting.cluster.elapsed() < 25_000,
        "{}",
        setting.cluster.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_was_started_once_more_is_waited_for() {
    let setting = restart(Trouble::UnitStartsAgain, Some(600_000));
    let ran = setting.run().await;
    assert!(ran.is_done("a"), "{:?}", ran.of("a"));
}

#[tokio::test(start_paused = true)]
async fn what_serves_passes_whatever_its_unit_says() {
    let setting = restart(Trouble::UnitFails, Some(0));
    let ran = setting.run().await;
    assert!(ran.is_done("a"), "{:?}", ran.of("a"));
}

#[tokio::test(start_paused = true)]
async fn a_member_of_whose_init_script_nothing_is_left_is_not_waited_for() {
    let member = node("a", "h1", &[])
        .of("db")
        .restarting()
        .gate_limit(HOUR)
        .disrupting(&["db"]);
    let setting = Setting::new(graph_with(vec![member], &[("db", budget(&["h1"], 1, &[]))]));
    let script = Script {
        back_after: None,
        trouble: Trouble::ProcessesEnd,
        ..Script::default()
    };
    setting.cluster.script("a", script);
    let (_, last) = setting.run().await.gate_failure("a");
    assert!(
        last.starts_with("no process of a is left on h1: h1 is down; its journal ends: "),
        "{last}"
    );
    // What starts something and ends is no member.
    let setting = restart(Trouble::ProcessesEnd, Some(60_000));
    assert!(setting.run().await.is_done("a"));
}
