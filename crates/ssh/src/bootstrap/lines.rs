//! What the command says, line by line, among whatever a login shell prints.

use tokio::io::{AsyncBufReadExt, AsyncReadExt};

use super::script::MARK;
use crate::channel::Output;

/// The most that is read in search of the command's word, and of what follows an `error`. A host is not trusted: its
/// line may never end.
const MOST_NOISE: usize = 64 << 10;

/// What the host said next.
pub(super) enum Line {
    /// A word of the command, and what a login shell printed before it.
    Said { noise: String, answer: String },
    /// The output ended without one.
    Ended(String),
    /// There is much output and no word in it.
    Endless(String),
}

/// The next line that is the command's own, within the first bytes that a host may print.
pub(super) async fn next_line(output: &mut Output) -> Line {
    let mut output = output.take(MOST_NOISE as u64);
    let mut seen = Vec::new();
    loop {
        let start = seen.len();
        // The stream of a channel has no errors: it ends.
        let read = output.read_until(b'\n', &mut seen).await.unwrap_or(0);
        if output.limit() == 0 {
            return Line::Endless(String::from_utf8_lossy(&seen[..seen.len().min(200)]).into_owned());
        }
        if read == 0 {
            return Line::Ended(String::from_utf8_lossy(&seen).into_owned());
        }
        let line = String::from_utf8_lossy(&seen[start..]);
        // The noise before it may not end with a newline.
        if let Some((before, answer)) = line.split_once(MARK) {
            let noise = format!("{}{before}", String::from_utf8_lossy(&seen[..start]));
            return Line::Said {
                noise: noise.trim().to_owned(),
                answer: answer.trim_end().to_owned(),
            };
        }
    }
}

/// What the command says after its word, as far as it is worth reading.
pub(super) async fn rest_of(output: &mut Output) -> String {
    let mut rest = Vec::new();
    // What came before an error is what there is.
    let _ended = output.take(MOST_NOISE as u64).read_to_end(&mut rest).await;
    String::from_utf8_lossy(&rest).into_owned()
}
