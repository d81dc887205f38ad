//! One command that starts the agent, and takes it in first where the host does not have it.
//!
//! The command ([`script`]) looks for the agent in the login user's cache by its hash. Found, it says `start` and becomes
//! the agent: no round trip is spent. Not found, it says `need` and in which form, reads the binary from its standard input
//! ([`upload`]), verifies it, and goes on the same way. What a login shell prints of its own accord comes before the first of these words and is
//! skipped; what follows `start` is the agent's, whose first byte is the zero of a short frame's length.

mod error;
mod lines;
mod refusal;
mod script;
mod upload;

use std::sync::Arc;

use russh::client;
use russh::{ChannelWriteHalf, Error as Ssh};
use tokio::io::AsyncBufReadExt;
use transport::AgentStream;

use crate::channel::{self, LastWords, Output};
use crate::deadline::Deadline;
use crate::dial::Connection;
use crate::error::excerpt;
use crate::options::{AgentBinary, Form, Privilege};
use lines::{Line, next_line, rest_of};
use refusal::Refusal;

pub(crate) use error::BootstrapError;

/// Starts the agent at the far end of a connection where somebody is logged in.
pub(crate) async fn start(
    connection: Arc<Connection>,
    agent: &AgentBinary,
    privilege: Privilege,
    deadline: &Deadline,
) -> Result<AgentStream, BootstrapError> {
    let label = connection.label.clone();
    let command = script::command(agent, privilege);
    let opening = async {
        let channel = connection.handle.channel_open_session().await?;
        channel.exec(true, command).await?;
        Ok::<_, Ssh>(channel.split())
    };
    let (messages, input) = match deadline.run("opening a session", opening).await? {
        Ok(halves) => halves,
        Err(source) => return Err(BootstrapError::Session { label, source }),
    };
    let (output, words) = channel::sort(messages, connection);
    let mut starting = Starting {
        label,
        output,
        words,
        input: &input,
        deadline,
    };
    if let Answer::Need(form) = starting.answer().await? {
        starting.upload(agent, form).await?;
    }
    starting.first_byte().await?;
    let Starting { output, words, .. } = starting;
    Ok(AgentStream {
        reader: Box::new(output),
        writer: Box::new(input.make_writer()),
        epilogue: Box::pin(async move { words.describe() }),
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Start,
    Need(Form),
}

struct Starting<'a> {
    label: String,
    output: Output,
    words: LastWords,
    input: &'a ChannelWriteHalf<client::Msg>,
    deadline: &'a Deadline,
}

impl Starting<'_> {
    /// The command's next word.
    async fn answer(&mut self) -> Result<Answer, BootstrapError> {
        let line = self
            .deadline
            .run("starting the agent", next_line(&mut self.output))
            .await?;
        self.read_answer(line).await
    }

    async fn read_answer(&mut self, line: Line) -> Result<Answer, BootstrapError> {
        let (noise, answer) = match line {
            Line::Said { noise, answer } => (noise, answer),
            Line::Ended(said) => return Err(self.ended(&said)),
            Line::Endless(said) => {
                let label = self.label.clone();
                return Err(BootstrapError::NotOurs { label, said });
            }
        };
        if !noise.is_empty() {
            tracing::warn!(
                label = self.label,
                printed = excerpt(&noise),
                "the login shell prints on a non-interactive login; that is skipped, but breaks other tools"
            );
        }
        match answer.split_once(' ').unwrap_or((&answer, "")) {
            ("start", _) => Ok(Answer::Start),
            ("need", "gzip") => Ok(Answer::Need(Form::Gzip)),
            ("need", _) => Ok(Answer::Need(Form::Plain)),
            ("error", rest) => {
                // What a tool said may have more lines.
                let more = self
                    .deadline
                    .run("starting the agent", rest_of(&mut self.output))
                    .await?;
                Err(BootstrapError::Refused {
                    label: self.label.clone(),
                    refusal: Refusal::read(&excerpt(&format!("{rest}\n{more}"))),
                })
            }
            _ => Err(BootstrapError::NotOurs {
                label: self.label.clone(),
                said: excerpt(&answer),
            }),
        }
    }

    /// Sends the binary, and reads the command's answer meanwhile: a full disk is told long before the end.
    async fn upload(&mut self, agent: &AgentBinary, form: Form) -> Result<(), BootstrapError> {
        let mut writer = self.input.make_writer();
        let payload = agent.payload(form);
        let line = upload::send(&self.label, payload, &mut writer, &mut self.output, self.deadline).await?;
        match self.read_answer(line).await? {
            Answer::Start => Ok(()),
            Answer::Need(_) => Err(BootstrapError::NotOurs {
                label: self.label.clone(),
                said: "it wants the agent twice".to_owned(),
            }),
        }
    }

    /// Waits for the agent to speak, so that what keeps it from starting is told here and not later.
    async fn first_byte(&mut self) -> Result<(), BootstrapError> {
        self.deadline.renew();
        let first = self
            .deadline
            .run("waiting for the agent's first word", self.output.fill_buf());
        // The stream of a channel has no errors: it ends.
        let bytes = first.await?.unwrap_or_default();
        match bytes.first() {
            Some(0) => Ok(()),
            Some(_) => Err(BootstrapError::Noise {
                label: self.label.clone(),
                said: String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned(),
            }),
            None => Err(self.did_not_start()),
        }
    }

    /// The output ended before the command said a word.
    fn ended(&self, said: &str) -> BootstrapError {
        let label = self.label.clone();
        if self.words.is_refused() {
            BootstrapError::NoExec { label }
        } else if self.words.is_lost() {
            BootstrapError::Lost {
                label,
                said: self.words.describe(),
            }
        } else {
            let said = format!("{} ({})", excerpt(said.trim()), self.words.describe());
            BootstrapError::NotOurs {
                label,
                said: said.trim().to_owned(),
            }
        }
    }

    /// The output ended after `start`: sudo or the kernel would not run the agent.
    fn did_not_start(&self) -> BootstrapError {
        let label = self.label.clone();
        if self.words.is_lost() {
            return BootstrapError::Lost {
                label,
                said: self.words.describe(),
            };
        }
        BootstrapError::Refused {
            label,
            refusal: Refusal::of_start(
                &self.words.stderr(),
                self.words.exit().as_ref(),
                &self.words.describe(),
            ),
        }
    }
}
