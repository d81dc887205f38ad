//! Waiting: every wait of the lab has a limit and says what it waited for.

use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(50);

/// A condition did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {} s for {what}", limit.as_secs())]
pub struct WaitError {
    /// What was waited for, as in "waited 10 s for db1 to stop".
    pub what: String,
    /// How long.
    pub limit: Duration,
}

/// Looks until `look` returns a value, at most for `limit`; errors of `look` end the wait.
pub(crate) fn until<T, E: From<WaitError>>(
    what: impl Into<String>,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, E>,
) -> Result<T, E> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(WaitError {
                what: what.into(),
                limit,
            }
            .into());
        }
        thread::sleep(EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_returns_the_first_value() {
        let mut left = 3;
        let result: Result<u32, WaitError> = until("three looks", Duration::from_secs(10), || {
            left -= 1;
            Ok((left == 0).then_some(7))
        });
        assert_eq!(result.unwrap(), 7);
    }

    #[test]
    fn it_gives_up_and_says_on_what() {
        let result: Result<(), WaitError> = until("nothing", Duration::from_millis(1), || Ok(None));
        assert_eq!(result.unwrap_err().to_string(), "waited 0 s for nothing");
    }
}
