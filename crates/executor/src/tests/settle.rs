//! Waiting between plans, in simulated time.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Duration;

use plan::{Refusal, SkippedSteps, StepGraph, Unplanned};
use tokio::time::{Instant, timeout};

use super::graphs::host;
use crate::{round_pause, settle};

/// A plan with a refusal on each of these hosts that may pass by itself.
fn passing(hosts: &[&str]) -> StepGraph {
    let mut graph = StepGraph::default();
    let refusal = |name: &&str| {
        Refusal::new("", format!("{name} starts"), "")
            .on(&host(name))
            .passing()
    };
    graph.refusals = hosts.iter().map(refusal).collect();
    graph
}

/// What is planned at a second, by a script of plans with the second from which each is made.
struct Script<'s> {
    plans: &'s [(u64, StepGraph)],
    began: Instant,
    /// At which seconds plans were made, and what was said.
    made: RefCell<Vec<f64>>,
    said: RefCell<Vec<(usize, u64)>>,
}

impl<'s> Script<'s> {
    fn new(plans: &'s [(u64, StepGraph)]) -> Self {
        Self {
            plans,
            began: Instant::now(),
            made: RefCell::default(),
            said: RefCell::default(),
        }
    }

    fn now(&self) -> StepGraph {
        let second = self.began.elapsed().as_secs();
        let plan = self.plans.iter().rev().find(|(from, _)| *from <= second);
        plan.map(|(_, plan)| plan.clone()).unwrap_or_default()
    }

    async fn settle(&self) -> StepGraph {
        let again = async || {
            self.made.borrow_mut().push(self.began.elapsed().as_secs_f64());
            Ok::<_, Infallible>(self.now())
        };
        let report = |graph: &StepGraph, left: Duration| {
            self.said
                .borrow_mut()
                .push((graph.passing().count(), left.as_secs()));
            Ok(())
        };
        settle(self.now(), again, report).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_without_anything_passing_is_not_waited_for() {
    let mut refused = StepGraph::default();
    refused.refusals = vec![Refusal::new("", "it holds data", "")];
    let plans = [(0, refused.clone())];
    let script = Script::new(&plans);
    assert_eq!(script.settle().await, refused);
    assert_eq!(script.began.elapsed(), Duration::ZERO);
    assert!(script.said.borrow().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_waited_for_and_said_once() {
    let plans = [(0, passing(&["db2"])), (17, StepGraph::default())];
    let script = Script::new(&plans);
    assert_eq!(script.settle().await, StepGraph::default());
    let took = script.began.elapsed().as_secs();
    assert!((17..23).contains(&took), "{took} s");
    assert_eq!(*script.said.borrow(), [(1, 120)]);
    // The pauses grow: an election of 17 s costs a handful of observations.
    assert!(script.made.borrow().len() < 9, "{:?}", script.made.borrow());
}

#[tokio::test(start_paused = true)]
async fn after_two_minutes_without_progress_the_refusal_is_returned() {
    let plans = [(0, passing(&["db2"]))];
    let script = Script::new(&plans);
    assert_eq!(script.settle().await, passing(&["db2"]));
    assert_eq!(script.began.elapsed(), Duration::from_mins(2));
}

#[tokio::test(start_paused = true)]
async fn progress_renews_the_time_and_a_relapse_does_not() {
    let mut plans = vec![(0, passing(&["db1", "db2"])), (100, passing(&["db2"]))];
    let script = Script::new(&plans);
    assert_eq!(script.settle().await, passing(&["db2"]));
    let took = script.began.elapsed().as_secs();
    assert!((220..227).contains(&took), "{took} s");
    assert_eq!(script.said.borrow().len(), 2);
    // It goes to and fro: two minutes from the first time that there was but one.
    plans.extend((11..100).map(|ten| {
        let hosts: &[&str] = if ten % 2 == 1 { &["db1", "db2"] } else { &["db1"] };
        (ten * 10, passing(hosts))
    }));
    let script = Script::new(&plans);
    script.settle().await;
    let took = script.began.elapsed().as_secs();
    assert!((220..227).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn skipped_steps_pass_too() {
    let mut plan = StepGraph::default();
    plan.unplanned = vec![Unplanned {
        service: None,
        steps: SkippedSteps::All,
        host: host("db2"),
        why: "the broker is starting".to_owned(),
        passing: true,
    }];
    let plans = [(0, plan), (5, StepGraph::default())];
    let script = Script::new(&plans);
    assert_eq!(script.settle().await, StepGraph::default());
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_the_wait_at_once() {
    let plans = [(0, passing(&["db2"]))];
    let script = Script::new(&plans);
    assert!(
        timeout(Duration::from_millis(10_500), script.settle())
            .await
            .is_err()
    );
    assert_eq!(script.began.elapsed(), Duration::from_millis(10_500));
}

#[test]
fn rounds_pause_longer_each_time() {
    let pauses: Vec<u64> = (1..=9).map(|rounds| round_pause(rounds).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 10, 10, 10, 10, 10]);
    assert_eq!(round_pause(usize::MAX), Duration::from_secs(10));
}
