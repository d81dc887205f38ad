//! A kind's steps: names, and the functions that plan them, in one table.

use plan::Refusal;

use crate::step::{Cx, StepPlan};

/// Plans a step of a service with these settings.
pub type PlanStep<S> = fn(&S, &Cx<'_>) -> StepPlan;

/// The steps of a kind, in the order of its built-in playbook. The names that a playbook may use and the functions behind
/// them are one table, so that no step is named and forgotten.
pub struct Steps<S: 'static>(&'static [(&'static str, PlanStep<S>)]);

impl<S> Steps<S> {
    /// A table of steps.
    pub const fn new(steps: &'static [(&'static str, PlanStep<S>)]) -> Self {
        Self(steps)
    }

    /// Their names, without the kind's.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    /// Plans a step. One that is not in the table is refused: nothing is known of it, least of all that it has no work.
    pub fn plan(&self, step: &str, settings: &S, cx: &Cx<'_>) -> StepPlan {
        match self.0.iter().find(|(name, _)| *name == step) {
            Some((_, plan)) => plan(settings, cx),
            None => StepPlan {
                refusals: vec![Refusal::new(
                    format!("the step {step} is not planned"),
                    "its kind has no step of that name",
                    format!("use one of {}", self.names().join(", ")),
                )],
                ..StepPlan::nothing()
            },
        }
    }
}
