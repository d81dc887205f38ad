//! What one side may make the other hold: how deep a message nests, and how much memory it takes.
//!
//! A host is not trusted, and what a server answers to the agent is not either. A value that nests without a bound
//! overflows the stack of the thread that decodes, compares, prints or drops it; a frame of one-byte elements takes a hundred
//! times its own length once it is decoded. So nesting and memory are counted while a message is decoded ([`read`]),
//! and in the same way before one is sent ([`measure`]). The count is made around serde's traits and not in the types,
//! so that it holds for a new type without being thought of.

mod budget;
mod measure;
mod read;

use crate::{Fact, FactError};

pub use budget::{DEPTH, Exceeded, Limits};
pub use measure::measure;
pub use read::read;

/// Replaces the answers that are too large or too deep by errors, so that the others arrive: in a frame of this length
/// and with this much memory for all of them.
pub fn fit(answers: &mut [Result<Fact, FactError>], frame: usize, bytes: usize) {
    /// What an error takes in a frame.
    const ERROR: usize = 256;
    let mut frame = frame.saturating_sub(answers.len() * ERROR);
    let mut bytes = bytes;
    for answer in answers {
        let fits = || {
            let weight = measure(answer, Limits::ANSWER).map_err(|exceeded| exceeded.to_string())?;
            let len = postcard::experimental::serialized_size(answer).map_err(|error| error.to_string())?;
            let together = || "the host's answers together are too large".to_owned();
            let left = (frame.checked_sub(len), bytes.checked_sub(weight));
            let (Some(frame), Some(bytes)) = left else {
                return Err(together());
            };
            Ok((frame, bytes))
        };
        match fits() {
            Ok(left) => (frame, bytes) = left,
            Err(why) => {
                let message = format!("the answer is skipped: {why}");
                *answer = Err(FactError { message });
            }
        }
    }
}

#[cfg(test)]
mod tests;
