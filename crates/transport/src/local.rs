//! An agent as a child process of the controller: for tests of the agent without SSH, and for a host that is this one.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use types::HostName;

use crate::{AgentStream, BoxFuture, ConnectError, Transport};

/// Starts the agent's binary here, whatever the host is called.
#[derive(Debug, Clone)]
pub struct Local {
    /// The agent's binary.
    pub agent: PathBuf,
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
                let mut said = String::new();
                let read = stderr.read_to_string(&mut said).await;
                let status = child.wait().await;
                match (read, status) {
                    (Ok(_), Ok(status)) => format!("{status}: {}", said.trim()),
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
