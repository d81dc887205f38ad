//! The time limit of an attempt to connect, which stands still while the operator types.
//!
//! One limit holds over TCP, key exchange, authentication and the agent's first word. Waiting for a passphrase is not
//! the host's fault, and an upload that makes progress is not stuck: both restart the limit.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, sleep_until};

/// The time is up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no answer within {limit:?} while {doing}")]
pub(crate) struct TimedOut {
    pub(crate) limit: Duration,
    pub(crate) doing: &'static str,
}

/// A time limit over several steps.
#[derive(Debug)]
pub(crate) struct Deadline {
    limit: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    at: Instant,
    pauses: u32,
}

/// While it lives, the deadline does not come; when it is dropped, the limit restarts.
pub(crate) struct Pause<'a>(&'a Deadline);

impl Deadline {
    /// A limit that starts now.
    pub(crate) fn new(limit: Duration) -> Self {
        let state = State {
            at: Instant::now() + limit,
            pauses: 0,
        };
        Self {
            limit,
            state: Mutex::new(state),
        }
    }

    /// How long nothing may happen.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Restarts the limit: there was progress.
    pub(crate) fn renew(&self) {
        self.lock().at = Instant::now() + self.limit;
    }

    /// Stops the clock until the result is dropped.
    pub(crate) fn pause(&self) -> Pause<'_> {
        self.lock().pauses += 1;
        Pause(self)
    }

    /// Does a step, within what is left of the time.
    pub(crate) async fn run<T>(
        &self,
        doing: &'static str,
        step: impl Future<Output = T>,
    ) -> Result<T, TimedOut> {
        tokio::pin!(step);
        loop {
            let at = self.comes_at();
            tokio::select! {
                biased;
                done = &mut step => return Ok(done),
                () = sleep_until(at) => {}
            }
            // The limit may have been restarted meanwhile.
            if self.comes_at() <= Instant::now() {
                return Err(TimedOut {
                    limit: self.limit,
                    doing,
                });
            }
        }
    }

    fn comes_at(&self) -> Instant {
        let state = self.lock();
        if state.pauses == 0 {
            state.at
        } else {
            Instant::now() + self.limit
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.pauses -= 1;
        state.at = Instant::now() + self.0.limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn the_limit_holds_over_all_steps_together() {
        let deadline = Deadline::new(Duration::from_secs(10));
        assert!(deadline.run("a", sleep(Duration::from_secs(6))).await.is_ok());
        let late = deadline
            .run("b", sleep(Duration::from_secs(6)))
            .await
            .unwrap_err();
        assert_eq!(late.to_string(), "no answer within 10s while b");
    }

    #[tokio::test(start_paused = true)]
    async fn typing_does_not_count() {
        let deadline = Deadline::new(Duration::from_secs(10));
        let typing = async {
            let _pause = deadline.pause();
            sleep(Duration::from_secs(100)).await;
        };
        assert!(deadline.run("typing", typing).await.is_ok());
        assert!(deadline.run("after", sleep(Duration::from_secs(9))).await.is_ok());
        assert!(deadline.run("late", sleep(Duration::from_secs(9))).await.is_err());
    }
}
