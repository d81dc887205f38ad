//! Looking through a RESP reply as it comes in: where it ends, how deep it nests and how many values it has.

use protocol::bounds::DEPTH;

use crate::bounds::REPLY;
use crate::wire::{Scan, Whole};

pub(super) const NO_RESP: &str = "it does not speak RESP";
const TOO_DEEP: &str = "its reply nests deeper than 64 levels";
const TOO_LONG: &str = "its reply is too long";

/// How far the look through a reply has come.
#[derive(Default)]
pub(super) struct Reply {
    /// Where the next value begins.
    at: usize,
    /// How far the end of its first line was searched for.
    searched: usize,
    /// How many elements are missing of each array that is open.
    open: Vec<usize>,
    values: usize,
}

impl Scan for Reply {
    fn go_on(&mut self, received: &[u8]) -> Result<Option<Whole>, &'static str> {
        loop {
            let Some(end) = self.line(received) else {
                return Ok(None);
            };
            let Some((&kind, line)) = received[self.at..end].split_first() else {
                return Err(NO_RESP);
            };
            let mut next = end + 2;
            let mut opens = 0;
            match kind {
                b'+' | b'-' | b':' => {}
                b'$' => {
                    if let Some(len) = length(line)? {
                        next += len + 2;
                        if received.len() < next {
                            // The line is read again, the value is not.
                            return Ok(None);
                        }
                        if !received[..next].ends_with(b"\r\n") {
                            return Err(NO_RESP);
                        }
                    }
                }
                b'*' => opens = length(line)?.unwrap_or(0),
                _ => return Err(NO_RESP),
            }
            self.values += 1;
            (self.at, self.searched) = (next, next);
            if opens > 0 {
                if self.open.len() == DEPTH {
                    return Err(TOO_DEEP);
                }
                self.open.push(opens);
            } else if self.closes() {
                let (len, values) = (self.at, self.values);
                return Ok(Some(Whole { len, values }));
            }
        }
    }
}

impl Reply {
    /// Where the line that begins here ends; `None` where its end has not come yet.
    fn line(&mut self, received: &[u8]) -> Option<usize> {
        let from = self.searched.max(self.at);
        let rest = received.get(from..)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        if end.is_none() {
            // The last byte may be the first half of the end.
            self.searched = from + rest.len().saturating_sub(1);
        }
        end.map(|end| from + end)
    }

    /// Whether the reply is whole with the value that has just ended.
    fn closes(&mut self) -> bool {
        while let Some(missing) = self.open.last_mut() {
            *missing -= 1;
            if *missing > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }
}

/// A length; `None` for nothing. Each element takes three bytes at least, so more than there are in the longest reply
/// is too many of them as well.
fn length(line: &[u8]) -> Result<Option<usize>, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| NO_RESP)?;
    match text.parse::<isize>().map_err(|_| NO_RESP)? {
        -1 => Ok(None),
        len => match usize::try_from(len) {
            Ok(len) if len <= REPLY => Ok(Some(len)),
            Ok(_) => Err(TOO_LONG),
            Err(_) => Err(NO_RESP),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redis_protocol::resp2::decode::decode;

    #[test]
    fn eighty_kilobytes_of_arrays_within_arrays_are_refused() {
        let mut reply = Reply::default();
        assert_eq!(reply.go_on(&b"*1\r\n".repeat(20_000)), Err(TOO_DEEP));
    }

    #[test]
    fn a_length_that_no_reply_can_have_is_refused_before_it_is_waited_for() {
        for claim in ["$9999999999\r\n", "*2000000000\r\n"] {
            assert_eq!(Reply::default().go_on(claim.as_bytes()), Err(TOO_LONG));
        }
        assert_eq!(Reply::default().go_on(b"$-2\r\n"), Err(NO_RESP));
        assert_eq!(Reply::default().go_on(b"HTTP/1.1 400\r\n"), Err(NO_RESP));
        // A text that is longer than it says would be waited for.
        assert_eq!(Reply::default().go_on(b"*2\r\n$1\r\n*0\r\n"), Err(NO_RESP));
    }

    proptest! {
        /// Texts made of what RESP is made of, so that many are almost replies.
        #[test]
        fn a_reply_ends_where_the_decoder_sees_its_end(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "*0\r\n", "*1\r\n", "*2\r\n", "*3\r\n", "*-1\r\n", "$-1\r\n", "$0\r\n\r\n", "$2\r\nab\r\n",
                    "$4\r\n\r\n\r\n\r\n", ":7\r\n", "+OK\r\n", "-ERR no\r\n", "\r\n", "*", "$1\r\n", "+",
                ]),
                0..20,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let bytes = parts.concat().into_bytes();
            let mut reply = Reply::default();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut found = Ok(None);
            for cut in cuts {
                found = reply.go_on(&bytes[..cut]);
                if found != Ok(None) {
                    break;
                }
            }
            match (found, decode(&bytes)) {
                (Ok(Some(Whole { len, .. })), Ok(Some((_, used)))) => prop_assert_eq!(len, used),
                // Where it ends may be known though a number in it is none.
                (Ok(None), Ok(None)) | (Err(_), _) | (Ok(Some(_)), Err(_)) => {}
                (found, decoded) => prop_assert!(false, "{found:?} and {decoded:?}"),
            }
        }

        #[test]
        fn bytes_of_any_kind_are_scanned_and_decoded(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(Some(Whole { len, .. })) = Reply::default().go_on(&bytes) {
                let _decoded = decode(&bytes[..len]);
            }
        }
    }
}
