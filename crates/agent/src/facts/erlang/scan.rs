//! Looking through a message of a node before it is decoded: how deep it nests, whether its lengths are true, and what
//! it will take.
//!
//! `eetf` recurses, makes room for as many elements as a message claims, and panics at what a node does not send to us
//! (a cache of atoms, compressed terms, bit strings of no bits). The format:
//! <https://www.erlang.org/doc/apps/erts/erl_ext_dist.html>.

use protocol::bounds::DEPTH;

/// What an element takes: as a term of `eetf`, and as one of ours.
const TERM: usize = 160;
/// An integer of more bytes is none of ours, and takes long to print.
const DIGITS: usize = 1 << 10;

const NOT_TERMS: &str = "a message that is not made of terms";

/// Looks through the terms of a message, each with its version before it; returns what they take in memory.
pub(super) fn scan(message: &[u8]) -> Result<usize, String> {
    let mut rest = Bytes(message);
    let mut bytes = message.len();
    while !rest.0.is_empty() {
        if rest.number::<1>()? != 131 {
            return Err(NOT_TERMS.to_owned());
        }
        bytes = bytes.saturating_add(term(&mut rest)?);
    }
    Ok(bytes)
}

/// Steps over a term.
fn term(rest: &mut Bytes<'_>) -> Result<usize, String> {
    // How many terms are missing of each one that is open. The answer itself stands within the tuple of its call.
    let mut open = vec![1_usize];
    let mut terms = 0_usize;
    while let Some(missing) = open.last_mut() {
        if *missing == 0 {
            open.pop();
            continue;
        }
        *missing -= 1;
        terms += 1;
        let within = step(rest)?;
        if within > 0 {
            if open.len() > DEPTH + 1 {
                return Err(format!("the answer nests deeper than {DEPTH} levels"));
            }
            // Each takes a byte at least: a greater number is a lie.
            if within > rest.0.len() {
                return Err(NOT_TERMS.to_owned());
            }
            open.push(within);
        }
    }
    Ok(terms.saturating_mul(TERM))
}

/// Steps over the head of a term and what it holds but terms; returns how many of these follow.
fn step(rest: &mut Bytes<'_>) -> Result<usize, String> {
    match rest.number::<1>()? {
        // Integers and floating-point numbers.
        97 => rest.skip(1),
        98 => rest.skip(4),
        99 => rest.skip(31),
        70 => rest.skip(8),
        tag @ (110 | 111) => {
            let len = if tag == 110 {
                rest.number::<1>()?
            } else {
                rest.number::<4>()?
            };
            if len > DIGITS {
                return Err("an integer that is too large".to_owned());
            }
            rest.skip(1 + len)
        }
        // Atoms.
        tag @ (100 | 115 | 118 | 119) => rest.atom(tag),
        // The empty list, a list of characters, binaries.
        106 => Ok(0),
        107 => {
            let len = rest.number::<2>()?;
            rest.skip(len)
        }
        109 => {
            let len = rest.number::<4>()?;
            rest.skip(len)
        }
        77 => {
            let len = rest.number::<4>()?;
            if !(1..=8).contains(&rest.number::<1>()?) {
                return Err(NOT_TERMS.to_owned());
            }
            rest.skip(len)
        }
        // Tuples, lists with their end, and maps.
        104 => rest.number::<1>(),
        105 => rest.number::<4>(),
        108 => Ok(rest.number::<4>()?.saturating_add(1)),
        116 => Ok(rest.number::<4>()?.saturating_mul(2)),
        // Processes and ports, each with its node before its numbers.
        103 => rest.named(9),
        88 | 120 => rest.named(12),
        89 => rest.named(8),
        // Ports and references of old; other references with as many numbers as they say.
        102 | 101 => rest.named(5),
        114 => {
            let numbers = rest.number::<2>()?;
            rest.named(1 + 4 * numbers)
        }
        90 => {
            let numbers = rest.number::<2>()?;
            rest.named(4 + 4 * numbers)
        }
        // Functions: module, function and arity; or a process, a module, two numbers and what is bound.
        113 => Ok(3),
        117 => Ok(rest.number::<4>()?.saturating_add(4)),
        112 => {
            rest.skip(4 + 1 + 16 + 4)?;
            Ok(rest.number::<4>()?.saturating_add(4))
        }
        _ => Err(NOT_TERMS.to_owned()),
    }
}

struct Bytes<'m>(&'m [u8]);

impl Bytes<'_> {
    fn number<const N: usize>(&mut self) -> Result<usize, String> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(NOT_TERMS)?;
        self.0 = rest;
        Ok(bytes
            .iter()
            .fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    /// Steps over bytes, after which no term follows.
    fn skip(&mut self, len: usize) -> Result<usize, String> {
        self.0 = self.0.get(len..).ok_or(NOT_TERMS)?;
        Ok(0)
    }

    /// Steps over the rest of an atom.
    fn atom(&mut self, tag: usize) -> Result<usize, String> {
        let len = match tag {
            100 | 118 => self.number::<2>()?,
            115 | 119 => self.number::<1>()?,
            _ => return Err(NOT_TERMS.to_owned()),
        };
        self.skip(len)
    }

    /// Steps over an atom and bytes.
    fn named(&mut self, len: usize) -> Result<usize, String> {
        let tag = self.number::<1>()?;
        self.atom(tag)?;
        self.skip(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use erl_dist::term::Term;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A term of these bytes behind its version.
    fn scanned(term: &[u8]) -> Result<usize, String> {
        scan(&[&[131], term].concat())
    }

    #[test]
    fn terms_that_nest_too_deep_are_refused() {
        let deep = |head: &[u8], levels: usize| [head.repeat(levels), vec![106]].concat();
        for head in [&[104, 1][..], &[108, 0, 0, 0, 1], &[116, 0, 0, 0, 1]] {
            let error = scanned(&deep(head, 80_000)).unwrap_err();
            assert_eq!(error, "the answer nests deeper than 64 levels");
        }
        scanned(&deep(&[104, 1], DEPTH + 1)).unwrap();
    }

    #[test]
    fn what_the_decoder_would_panic_at_or_believe_is_refused() {
        for term in [
            // A tuple, a list, a map and functions that claim thousands of millions of elements; a cached atom; a
            // compressed term; a bit string of no bits, and of nine.
            &[105, 255, 255, 255, 255][..],
            &[108, 255, 255, 255, 255, 106],
            &[116, 255, 255, 255, 255],
            &[117, 255, 255, 255, 255],
            &[109, 255, 255, 255, 255],
            &[111, 255, 255, 255, 255, 0],
            &[82, 0],
            &[80, 0, 0, 0, 1, 120, 156],
            &[68, 0],
            &[77, 0, 0, 0, 1, 0, 255],
            &[77, 0, 0, 0, 1, 9, 255],
            &[],
        ] {
            assert!(scanned(term).is_err(), "{term:?}");
        }
    }

    #[test]
    fn what_nodes_say_is_let_through() {
        let atom = [119, 1, b'a'];
        let pid = [&[88][..], &atom, &[0; 12]].concat();
        let terms = [
            vec![97, 7],
            vec![98, 0, 0, 0, 7],
            [&[70][..], &[0; 8]].concat(),
            vec![110, 1, 0, 7],
            atom.to_vec(),
            vec![107, 0, 1, 9],
            vec![109, 0, 0, 0, 1, 9],
            vec![77, 0, 0, 0, 1, 3, 0xe0],
            [&[108, 0, 0, 0, 1][..], &atom, &[106]].concat(),
            [&[116, 0, 0, 0, 1][..], &atom, &atom].concat(),
            pid.clone(),
            [&[89][..], &atom, &[0; 8]].concat(),
            [&[90, 0, 3][..], &atom, &[0; 16]].concat(),
            [&[113][..], &atom, &atom, &[97, 1]].concat(),
            [
                &[112, 0, 0, 0, 0, 1][..],
                &[0; 20],
                &[0, 0, 0, 1],
                &atom,
                &[97, 1, 97, 2],
                &pid,
                &[97, 3],
            ]
            .concat(),
        ];
        for term in terms {
            let message = [vec![131], term].concat();
            scan(&message).unwrap();
            Term::decode(message.as_slice()).unwrap();
        }
    }

    proptest! {
        /// Bytes that are often tags and small numbers.
        #[test]
        fn what_is_let_through_can_be_decoded_or_is_an_error(
            bytes in vec(
                prop_oneof![
                    prop::sample::select(vec![
                        70_u8, 77, 88, 89, 90, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110,
                        111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 80, 82,
                    ]),
                    0_u8..4,
                    any::<u8>(),
                ],
                0..60,
            ),
        ) {
            let message = [vec![131], bytes].concat();
            if scan(&message).is_ok() {
                let _term = Term::decode(message.as_slice());
            }
        }
    }
}
