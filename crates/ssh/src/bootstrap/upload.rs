//! Sending the agent to a host that does not have it.
//!
//! The host says which form it can take, and how much it has of an earlier attempt. While the bytes are on their way it says
//! every second how many it has: only that is progress. What this side has queued may wait in buffers for minutes.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::error::{BootstrapError, Progress};
use super::lines::{Line, next_line};
use crate::channel::Output;
use crate::deadline::Deadline;
use crate::options::Payload;

/// The upload goes in pieces of this size.
const PIECE: usize = 32 << 10;

/// Sends the agent, and gives the first line of the host that is about something else than its progress.
pub(super) async fn send(
    label: &str,
    payload: Payload<'_>,
    writer: &mut (impl AsyncWrite + Unpin),
    output: &mut Output,
    deadline: &Deadline,
) -> Result<Line, BootstrapError> {
    let header = format!("{} {}\n", payload.sha256, payload.bytes.len());
    // Where writing fails the reader sees the same end, and has the words for it.
    let _written = writer.write_all(header.as_bytes()).await.is_ok() && writer.flush().await.is_ok();
    let line = deadline.run("sending the agent", next_line(output)).await?;
    let Some(from) = number(&line, "from ").filter(|&from| from <= payload.bytes.len()) else {
        return Ok(line);
    };
    tracing::info!(
        label,
        bytes = payload.bytes.len() - from,
        from,
        "sending the agent"
    );
    let sending = async {
        for piece in payload.bytes[from..].chunks(PIECE) {
            if writer.write_all(piece).await.is_err() {
                return;
            }
        }
        let _flushed = writer.flush().await.is_ok();
    };
    tokio::pin!(sending);
    let (begun, mut is_sent) = (Instant::now(), false);
    let mut progress = Progress {
        from,
        arrived: from,
        total: payload.bytes.len(),
        took: Duration::ZERO,
    };
    deadline.renew();
    loop {
        let answering = deadline.run("sending the agent", next_line(output));
        tokio::pin!(answering);
        let line = loop {
            tokio::select! {
                () = &mut sending, if !is_sent => is_sent = true,
                line = &mut answering => break line,
            }
        };
        progress.took = begun.elapsed();
        let Ok(line) = line else {
            let (label, limit) = (label.to_owned(), deadline.limit());
            return Err(BootstrapError::Stuck {
                label,
                progress,
                limit,
            });
        };
        match number(&line, "got ") {
            None => return Ok(line),
            Some(arrived) if arrived > progress.arrived => {
                progress.arrived = arrived;
                deadline.renew();
            }
            Some(_) => {}
        }
    }
}

/// The number after a word of the command.
fn number(line: &Line, word: &str) -> Option<usize> {
    match line {
        Line::Said { answer, .. } => answer.strip_prefix(word)?.parse().ok(),
        Line::Ended(_) | Line::Endless(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{AgentBinary, Form};
    use bytes::Bytes;
    use futures::Stream;
    use std::io;
    use std::pin::Pin;
    use tokio::io::{AsyncReadExt, DuplexStream};
    use tokio::time::sleep;
    use tokio_util::io::{ReaderStream, StreamReader};

    const LIMIT: Duration = Duration::from_secs(15);
    const SECOND: Duration = Duration::from_secs(1);

    /// A host at the end of a link that carries so many bytes a second, and nothing after so many; it has some already.
    async fn host(stream: DuplexStream, has: usize, rate: usize, cut: usize) -> usize {
        let (mut input, mut output) = tokio::io::split(stream);
        let mut header = Vec::new();
        while header.last() != Some(&b'\n') {
            header.push(input.read_u8().await.unwrap());
        }
        let header = String::from_utf8(header).unwrap();
        let total: usize = header.trim().split_once(' ').unwrap().1.parse().unwrap();
        output
            .write_all(format!("clusterctl/1 from {has}\n").as_bytes())
            .await
            .unwrap();
        let (mut arrived, mut buffer) = (has, vec![0; rate]);
        while arrived < total.min(cut) {
            sleep(SECOND).await;
            let most = rate.min(total.min(cut) - arrived);
            let Ok(read) = input.read(&mut buffer[..most]).await else {
                break;
            };
            arrived += read;
            let got = format!("clusterctl/1 got {arrived}\n");
            if read == 0 || output.write_all(got.as_bytes()).await.is_err() {
                return arrived;
            }
        }
        if arrived == total {
            output.write_all(b"clusterctl/1 start\n").await.unwrap();
        }
        // A cut cable: nobody is told.
        std::future::pending::<()>().await;
        arrived
    }

    /// Bytes that do not compress.
    fn agent() -> AgentBinary {
        let mut state = 1_u32;
        let random = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        AgentBinary::new(random.take(4 << 20).collect::<Vec<u8>>())
    }

    async fn sent(has: usize, rate: usize, cut: usize) -> (Result<String, BootstrapError>, Duration) {
        // As much as OpenSSH lets wait in its window.
        let (ours, theirs) = tokio::io::duplex(2 << 20);
        let far_end = tokio::spawn(host(theirs, has, rate, cut));
        let (reader, mut writer) = tokio::io::split(ours);
        let stream: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> =
            Box::pin(ReaderStream::new(reader));
        let (agent, begun) = (agent(), Instant::now());
        let deadline = Deadline::new(LIMIT);
        let mut output = StreamReader::new(stream);
        let payload = agent.payload(Form::Plain);
        let line = send("db1", payload, &mut writer, &mut output, &deadline).await;
        far_end.abort();
        let said = line.map(|line| match line {
            Line::Said { answer, .. } => answer,
            Line::Ended(said) | Line::Endless(said) => said,
        });
        (said, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_of_100_kbit_takes_the_agent_however_long_that_takes() {
        let (said, took) = sent(0, 12_500, usize::MAX).await;
        assert_eq!(said.unwrap(), "start");
        assert!(took > Duration::from_mins(5), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_goes_on_where_an_earlier_one_ended() {
        let (said, took) = sent(4 << 20, 12_500, usize::MAX).await;
        assert_eq!(said.unwrap(), "start");
        assert!(took < SECOND, "{took:?}");
        let (said, took) = sent((4 << 20) - 50_000, 12_500, usize::MAX).await;
        assert_eq!(said.unwrap(), "start");
        assert!(took <= 5 * SECOND, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_carries_nothing_more_is_given_up_and_the_rate_is_told() {
        let (said, took) = sent(0, 12_500, 250_000).await;
        let error = said.unwrap_err();
        // Twenty seconds, and the limit: what is queued on this side is no progress.
        assert_eq!(took, 20 * SECOND + LIMIT);
        assert_eq!(
            error.to_string(),
            "sending the agent to db1 is stuck: it has 244 of 4096 KiB after 35 s (57 kbit/s), and got nothing more within 15s"
        );
    }
}
