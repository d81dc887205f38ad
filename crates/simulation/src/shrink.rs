//! Shrinking: the fewest troubles with which a scenario still fails.

use crate::play::{Settings, play};
use crate::scenario::Scenario;

/// Leaves troubles out, one after another, as long as it still fails, and phases that are not reached. A scenario that does
/// not fail is returned as it is.
pub fn shrink(scenario: &Scenario, settings: Settings) -> Scenario {
    let settings = Settings {
        is_logged: false,
        ..settings
    };
    let fails = |scenario: &Scenario| !play(scenario, settings).failures.is_empty();
    let mut least = scenario.clone();
    if !fails(&least) {
        return least;
    }
    while let Some(fewer) = without_one(&least).into_iter().find(|fewer| fails(fewer)) {
        least = fewer;
    }
    least
}

/// The scenario without its last phase, and without each of its troubles.
fn without_one(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    if scenario.phases.len() > 1 {
        let mut fewer = scenario.clone();
        fewer.phases.pop();
        all.push(fewer);
    }
    for (at, phase) in scenario.phases.iter().enumerate() {
        for trouble in 0..phase.troubles.len() {
            let mut fewer = scenario.clone();
            fewer.phases[at].troubles.remove(trouble);
            all.push(fewer);
        }
    }
    all
}
