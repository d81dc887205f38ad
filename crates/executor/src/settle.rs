//! Waiting between plans: for what may pass by itself, and before a plan is carried out again.

use std::time::Duration;

use plan::{PATIENCE, Passing, StepGraph};
use tokio::time::{Instant, sleep_until};
use types::{HostName, ServiceName};

/// The first pause between two plans. It grows by half up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two plans.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause between two rounds of an apply.
const LONGEST_ROUND_PAUSE: Duration = Duration::from_secs(10);

/// Plans again, with growing pauses, while a plan has something that may pass by itself ([`StepGraph::passing`]). After
/// [`PATIENCE`] without progress the plan is returned as it is. There is progress where there is less to wait for than ever
/// before, so it ends. `report` is told what is waited for, and how long at most, whenever that is about another place.
///
/// Nothing is changed meanwhile, so it may be dropped at any time.
pub async fn settle<E>(
    mut graph: StepGraph,
    mut again: impl AsyncFnMut() -> Result<StepGraph, E>,
    mut report: impl FnMut(&StepGraph, Duration) -> Result<(), E>,
) -> Result<StepGraph, E> {
    let mut least = usize::MAX;
    let mut deadline = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut reported = Vec::new();
    loop {
        let places = places(&graph);
        let now = Instant::now();
        if places.len() < least {
            least = places.len();
            deadline = now + Duration::from_millis(PATIENCE);
            pause = FIRST_PAUSE;
        }
        if places.is_empty() || now >= deadline {
            return Ok(graph);
        }
        if places != reported {
            report(&graph, deadline - now)?;
            reported = places;
        }
        // The last look is at the deadline itself.
        sleep_until(deadline.min(now + pause)).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        graph = again().await?;
    }
}

/// The pause before the round after so many: what made an action fail (an election, a configuration that is not committed
/// yet) takes seconds, and a round may take none.
pub fn round_pause(rounds: usize) -> Duration {
    let doublings = u32::try_from(rounds.saturating_sub(1)).unwrap_or(u32::MAX);
    let pause = 2_u32.checked_pow(doublings).map(|factor| FIRST_PAUSE * factor);
    pause.map_or(LONGEST_ROUND_PAUSE, |pause| pause.min(LONGEST_ROUND_PAUSE))
}

fn places(graph: &StepGraph) -> Vec<(Option<ServiceName>, Option<HostName>)> {
    let place = |passing: Passing<'_>| (passing.service.cloned(), passing.host.cloned());
    graph.passing().map(place).collect()
}
