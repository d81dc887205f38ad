//! Accounts: numbers and ranges, `1-5,8`.

use std::ops::RangeInclusive;

/// Accounts as ranges; empty text is no account.
pub(super) fn parse(text: &str) -> Result<Vec<RangeInclusive<u64>>, String> {
    let number = |word: &str| {
        let word = word.trim();
        word.parse::<u64>()
            .map_err(|_| format!("{word:?} is not an account's number; write \"1-5,8\""))
    };
    let mut ranges = Vec::new();
    for part in text.split(',').filter(|_| !text.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("{first}-{last} goes backwards"));
        }
        ranges.push(first..=last);
    }
    Ok(ranges)
}

pub(super) fn subtract(
    included: Vec<RangeInclusive<u64>>,
    excluded: &[RangeInclusive<u64>],
) -> Vec<RangeInclusive<u64>> {
    let mut left = included;
    for hole in excluded {
        let mut rest = Vec::new();
        for range in left {
            if range.end() < hole.start() || hole.end() < range.start() {
                rest.push(range);
                continue;
            }
            if range.start() < hole.start() {
                rest.push(*range.start()..=hole.start() - 1);
            }
            if hole.end() < range.end() {
                rest.push(hole.end() + 1..=*range.end());
            }
        }
        left = rest;
    }
    left.sort_by_key(|range| *range.start());
    left
}

/// The first account that is in both.
pub(super) fn overlap(a: &[RangeInclusive<u64>], b: &[RangeInclusive<u64>]) -> Option<u64> {
    let both = a.iter().flat_map(|one| b.iter().map(move |other| (one, other)));
    let common = both.filter_map(|(one, other)| {
        let (first, last) = (one.start().max(other.start()), one.end().min(other.end()));
        (first <= last).then_some(*first)
    });
    common.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_numbers_and_ranges() {
        assert_eq!(parse("1-5, 8"), Ok(vec![1..=5, 8..=8]));
        assert_eq!(parse(" "), Ok(vec![]));
        assert!(parse("5-1").is_err() && parse("1,").is_err() && parse("a").is_err() && parse("-3").is_err());
    }

    #[test]
    fn exclusion_cuts_holes() {
        assert_eq!(subtract(vec![1..=5, 8..=8], &[2..=3, 8..=9]), vec![1..=1, 4..=5]);
        assert_eq!(subtract(vec![0..=u64::MAX], &[0..=u64::MAX]), vec![]);
        assert_eq!(overlap(&[1..=1, 4..=9], &[2..=3, 7..=8]), Some(7));
        assert_eq!(overlap(&[1..=1], &[2..=2]), None);
    }
}
