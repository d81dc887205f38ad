//! The controller is killed at many points of a full apply of the whole runbook, and an apply after it ends converged.
//!
//! It takes minutes, so it is left out of the usual tests: `cargo xtask chaos` runs it and shows the table.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Instant;

use e2e::{Applying, Bed, DB, kill_points};
use serde_json::Value;

const SITE: [&str; 2] = ["--overlay", "lab.toml"];

/// The agents of a run that was killed finish what is under way: the next apply waits for them.
const PATIENT: [&str; 4] = ["--overlay", "lab.toml", "--lock-timeout", "5min"];

fn apply_until(bed: &Bed, last: usize) -> Vec<Value> {
    Applying::killed_after(bed, &PATIENT, last)
}

fn done(events: &[Value]) -> usize {
    let is_done = |event: &&Value| event["outcome"]["outcome"] == "done";
    events.iter().filter(is_done).count()
}

fn fresh(bed: &Bed) {
    for host in DB.iter().chain(&["app1", "app2"]) {
        bed.lab.reset(host).unwrap();
    }
}

/// After which of so many events the controller is killed: the ones that were asked for, or evenly from the first event to
/// the last but one.
fn points(events: usize) -> Vec<usize> {
    if let Ok(asked) = std::env::var("CLUSTERCTL_CHAOS_AFTER") {
        return asked.split(',').map(|event| event.parse().unwrap()).collect();
    }
    let kills: usize = std::env::var("CLUSTERCTL_CHAOS_KILLS").map_or(30, |kills| kills.parse().unwrap());
    kill_points(events, kills)
}

/// What went wrong in an apply, as it told.
fn failures(events: &[Value]) -> Vec<String> {
    let failed = events
        .iter()
        .filter(|event| event["outcome"]["outcome"] == "failed");
    failed
        .map(|event| format!("{}: {}", event["node"], event["outcome"]))
        .collect()
}

#[test]
#[ignore = "it takes minutes: cargo xtask chaos"]
fn wherever_the_controller_is_killed_the_next_apply_ends_converged() {
    let bed = Bed::site();
    let _ = bed
        .run(&["secrets", "init", "inventory.toml", "--overlay", "lab.toml"])
        .expect(0);
    let whole = apply_until(&bed, usize::MAX);
    println!(
        "\nA full apply: {} events, {} steps.\n",
        whole.len(),
        done(&whole)
    );
    println!("| event | killed after | steps done before | steps of the next apply | it took | then |");
    println!("|---|---|---|---|---|---|");
    let mut unfinished = Vec::new();
    for last in points(whole.len()) {
        fresh(&bed);
        let before = apply_until(&bed, last);
        let event = before.last().unwrap();
        let began = Instant::now();
        let next = apply_until(&bed, usize::MAX);
        let took = began.elapsed().as_secs_f64();
        let rest = bed.clusterctl("plan", &[&SITE[..], &["--detailed-exitcode"]].concat());
        let verdict = if rest.code == 0 {
            "converged"
        } else {
            "NOT converged"
        };
        println!(
            "| {last} | {} {} | {} | {} | {took:.0} s | {verdict} |",
            event["event"].as_str().unwrap(),
            event["node"].as_str().unwrap_or_default(),
            done(&before),
            done(&next),
        );
        if rest.code != 0 {
            unfinished.push(format!(
                "after event {last}: {:#?}\n{}",
                failures(&next),
                rest.stdout
            ));
        }
    }
    assert!(unfinished.is_empty(), "{}", unfinished.join("\n"));
}
