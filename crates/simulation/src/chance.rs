//! Chance: everything that is drawn, from a seed and nothing else.

use std::time::Duration;

/// A sequence of draws.
#[derive(Debug, Clone)]
pub(crate) struct Chance(fastrand::Rng);

impl Chance {
    /// The sequence of a seed. Different streams of the same seed have nothing in common: what is drawn on one does not
    /// move what is drawn on another.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(fastrand::Rng::with_seed(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
                ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93),
        ))
    }

    /// A number, both ends included.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0.u64(least..=most.max(least))
    }

    /// An index below a length that is not 0.
    pub(crate) fn below(&mut self, length: usize) -> usize {
        self.0.usize(..length.max(1))
    }

    /// One of several; `None` of none.
    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        among.get(self.below(among.len()))
    }

    /// Yes, once in so many times.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.between(1, times) == 1
    }

    /// A time of which every order of magnitude is as likely as any other.
    pub(crate) fn time(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        let doublings = (most_ms / least_ms.max(1)).max(1).ilog2();
        let floor = least_ms << self.between(0, u64::from(doublings));
        Duration::from_millis(self.between(floor, (floor * 2).min(most_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_sequence_and_another_stream_another() {
        let draw = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            (0..8).map(|_| chance.between(0, 1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn times_keep_their_bounds() {
        let mut chance = Chance::new(1, 0);
        for _ in 0..1000 {
            let time = chance.time(10, 5000);
            assert!((10..=5000).contains(&time.as_millis()), "{time:?}");
        }
    }
}
