//! An agent as a child process of the controller: for tests of the agent without SSH, and for a host that is this one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use types::HostName;

use crate::{AgentStream, BoxFuture, ConnectError, Transport};

/// Starts the agent's binary here, whatever the host is called.
#[derive(Debug, Clone)]
pub struct Local {
    /// The agent's binary.
    pub agent: PathBuf,
    /// Its arguments, such as `--lock FILE` where it must not share this machine's.
    pub args: Vec<OsString>,
}

impl Transport for Local {
    fn open<'a>(&'a self, _host: &'a HostName) -> BoxFuture<'a, Result<AgentStream, ConnectError>> {
        Box::pin(async move {
            let failed = |what: &str| ConnectError {
                message: format!("cannot start {}: {what}", self.agent.display()),
                hint: String::new(),
                transient: false,
            };
            let mut child = Command::new(&self.agent)
                .args(&self.args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|error| failed(&error.to_string()))?;
            let (reader, writer, stderr) = (child.stdout.take(), child.stdin.take(), child.stderr.take());
            let (Some(reader), Some(writer), Some(mut stderr)) = (reader, writer, stderr) else {
                return Err(failed("it has no pipes"));
            };
            let epilogue = Box::pin(async move {
                let said = tail(&mut stderr).await;
                match (said, child.wait().await) {
                    (Ok(said), Ok(status)) => format!("{status}: {}", said.trim()),
                    (Err(error), _) | (_, Err(error)) => error.to_string(),
                }
            });
            Ok(AgentStream {
                reader: Box::new(reader),
                writer: Box::new(writer),
                epilogue,
            })
        })
    }
}

/// How much of the standard error is kept.
const TAIL: usize = 8 << 10;

/// The end of what is read until the stream ends.
async fn tail(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let (mut said, mut part) = (Vec::new(), [0; 4 << 10]);
    loop {
        let read = stream.read(&mut part).await?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&said).into_owned());
        }
        said.extend_from_slice(&part[..read]);
        said.drain(..said.len().saturating_sub(TAIL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_the_last_words_the_end_is_kept() {
        let words = [vec![b'x'; 10 << 20], b"the end".to_vec()].concat();
        let kept = tail(&mut words.as_slice()).await.unwrap();
        assert_eq!(kept.len(), TAIL);
        assert!(kept.ends_with("xthe end"));
    }
}
