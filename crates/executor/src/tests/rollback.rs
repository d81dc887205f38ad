//! A change that fails for certain: what the run wrote for it is put back, once, and nothing else is touched.

use plan::{Failure, NotRun};

use super::fake_cluster::{Script, Trouble};
use super::graphs::{NodeExt, budget, graph_with, node};
use super::setting::Setting;

/// Two members of a service: each gets its file, and is restarted with it.
fn rolling() -> Setting {
    let nodes = vec![
        node("w1", "h1", &[]).of("db").writing("/a"),
        node("r1", "h1", &["w1"])
            .of("db")
            .restarting()
            .disrupting(&["db"])
            .putting_back(&["w1"]),
        node("w2", "h2", &["r1"]).of("db").writing("/a"),
        node("r2", "h2", &["w2"])
            .of("db")
            .restarting()
            .disrupting(&["db"])
            .putting_back(&["w2"]),
    ];
    Setting::new(graph_with(nodes, &[("db", budget(&["h1", "h2"], 1, &[]))]))
}

/// The first member does not come back by itself.
fn never_back(setting: &Setting, trouble: Trouble) {
    let script = Script {
        back_after: None,
        trouble,
        ..Script::default()
    };
    setting.cluster.script("r1", script);
}

fn happened(setting: &Setting) -> Vec<String> {
    let mut all = setting.cluster.happenings();
    all.retain(|what| !what.contains("lock"));
    all
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_come_up_gets_its_file_back_and_the_rollout_ends() {
    let setting = rolling();
    never_back(&setting, Trouble::UnitFails);
    let ran = setting.run().await;
    let Failure::RolledBack { cause, files, error } = ran.failure("r1") else {
        panic!("{:?}", ran.of("r1"));
    };
    let Failure::Gate { last, .. } = *cause else {
        panic!("{cause:?}")
    };
    assert!(last.starts_with("r1 is failed on h1"), "{last}");
    assert_eq!((files, error), (vec!["/a".to_owned()], None));
    assert_eq!(
        happened(&setting),
        [
            "/a is written",
            "r1 begins",
            "r1 ends",
            "/a is put back",
            "r1 is restarted as it was"
        ]
    );
    let by = "r1".parse().unwrap();
    assert_eq!(ran.not_run("w2"), NotRun::RolloutStopped { by });
    assert!(setting.cluster.violations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_systemd_refuses_is_put_back_too() {
    let setting = rolling();
    setting.cluster.trouble("r2", Trouble::Fails);
    let ran = setting.run().await;
    assert!(ran.is_done("r1"));
    let Failure::RolledBack { cause, error, .. } = ran.failure("r2") else {
        panic!("{:?}", ran.of("r2"));
    };
    assert!(matches!(*cause, Failure::Action { .. }), "{cause:?}");
    assert_eq!(error, None);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_come_up_with_the_old_file_either_is_left_and_said() {
    let setting = rolling();
    never_back(&setting, Trouble::UnitEnds);
    let ran = setting.run().await;
    let Failure::RolledBack { files, error, .. } = ran.failure("r1") else {
        panic!("{:?}", ran.of("r1"));
    };
    assert_eq!(files, ["/a"]);
    let error = error.unwrap();
    assert!(error.starts_with("h1 serves: r1 is inactive on h1"), "{error}");
    let restarts = happened(&setting)
        .iter()
        .filter(|what| what.contains("as it was"))
        .count();
    assert_eq!(restarts, 1, "once");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_the_service_rewrote_is_nobodys_to_put_back() {
    let setting = rolling();
    setting.cluster.rewrites("/a");
    never_back(&setting, Trouble::UnitFails);
    let ran = setting.run().await;
    let Failure::RolledBack { files, error, .. } = ran.failure("r1") else {
        panic!("{:?}", ran.of("r1"));
    };
    assert_eq!(files, [""; 0]);
    assert_eq!(error.as_deref(), Some("/a is not what it was"));
    assert!(!happened(&setting).iter().any(|what| what.contains("as it was")));
}

#[tokio::test(start_paused = true)]
async fn what_is_only_slow_is_not_put_back() {
    let setting = rolling();
    setting.cluster.back_after("r1", None);
    let ran = setting.run().await;
    assert!(
        matches!(ran.failure("r1"), Failure::Gate { .. }),
        "{:?}",
        ran.of("r1")
    );
    assert!(!happened(&setting).iter().any(|what| what.contains("back")));
}
