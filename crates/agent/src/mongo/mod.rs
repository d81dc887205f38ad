//! A client of MongoDB servers, for facts and for actions.
//!
//! The official driver brings a TLS stack, an async runtime and a pool with its own idea of when a server is there;
//! the agent talks to the one server on its own host and wants to know at once that it refuses (docs/adr). So the
//! documents are coded by `bson`, and what is here is the conversation: `OP_MSG` over a connection with a time limit,
//! and SCRAM-SHA-256.

mod bounds;
mod error;
mod scram;
mod value;

use std::io::{Read, Write};

use bson::{Document, RawDocument, doc};
use protocol::TextError;
use protocol::facts::{MongoError, MongoUser, Silence};
use secrets::Secrets;
use zeroize::Zeroizing;

use crate::bounds::{REPLY, Share, Time};
use crate::client::silence;
use crate::stream::Stream;

pub(crate) use error::ClientError;
pub(crate) use value::{failure, fields, reply};

/// `OP_MSG`, the one kind of message that is left since MongoDB 5.1, and that all since 3.6 speak.
const OP_MSG: i32 = 2013;
/// Length, request id, id of the request that is answered, kind of message: four 32-bit integers.
const HEADER: usize = 16;

/// A connection to a server.
pub(crate) struct Connection {
    stream: Stream,
    /// The number of the latest request.
    request: i32,
}

impl Connection {
    /// Connects. All that is said over the connection is said within a time.
    pub(crate) fn open(address: &str, port: u16, time: Time) -> Result<Self, ClientError> {
        Ok(Self {
            stream: Stream::open(address, port, time)?,
            request: 0,
        })
    }

    /// Authenticates with SCRAM-SHA-256.
    pub(crate) fn log_in(
        &mut self,
        secrets: &Secrets,
        user: &MongoUser,
        share: &mut Share<'_>,
    ) -> Result<(), ClientError> {
        let password = secrets
            .get(&user.password)
            .ok_or_else(|| TextError::UnknownSecret(user.password.clone()))?;
        let mut scram = scram::Client::new(&user.name, password.expose()).map_err(ClientError::Command)?;
        let start = doc! {
            "saslStart": 1,
            "mechanism": "SCRAM-SHA-256",
            "payload": value::bytes(scram.first().into_bytes()),
            "options": { "skipEmptyExchange": true },
        };
        let mut said = self.sasl(&user.auth_db, start, share)?;
        let proof = scram.answer(&said.payload).map_err(Silence::foreign)?;
        said = self.sasl(&user.auth_db, said.go_on(proof.into_bytes()), share)?;
        // Otherwise anybody who listens on the port could pass for the server.
        scram.verify(&said.payload).map_err(Silence::foreign)?;
        if !said.is_done {
            // Servers before 4.4 want to hear an empty message at the end.
            self.sasl(&user.auth_db, said.go_on(Vec::new()), share)?;
        }
        Ok(())
    }

    fn sasl(&mut self, db: &str, command: Document, share: &mut Share<'_>) -> Result<Sasl, ClientError> {
        let reply = self.ask(db, command, share)?.map_err(ClientError::Denied)?;
        Sasl::read(reply).ok_or_else(|| Silence::foreign("its answer to a login is not complete").into())
    }

    /// Sends a command and reads its reply: a document, or the server's error.
    pub(crate) fn ask(
        &mut self,
        db: &str,
        mut command: Document,
        share: &mut Share<'_>,
    ) -> Result<Result<Document, MongoError>, ClientError> {
        command.insert("$db", db);
        self.send(&command)?;
        let reply = self.receive(share)?;
        Ok(value::failure(&reply).map_or(Ok(reply), Err))
    }

    fn send(&mut self, command: &Document) -> Result<(), ClientError> {
        // It may hold a password.
        let mut message = Zeroizing::new(vec![0; HEADER]);
        // No flags, and one section of kind 0: a document.
        message.extend_from_slice(&[0; 5]);
        command
            .to_writer(&mut *message)
            .map_err(|error| ClientError::Command(error.to_string()))?;
        let len = i32::try_from(message.len());
        let len = len.map_err(|_| ClientError::Command("the command is too long".to_owned()))?;
        self.request += 1;
        for (at, number) in [len, self.request, 0, OP_MSG].into_iter().enumerate() {
            message[at * 4..][..4].copy_from_slice(&number.to_le_bytes());
        }
        Ok(self.stream.write_all(&message).map_err(|error| silence(&error))?)
    }

    fn receive(&mut self, share: &mut Share<'_>) -> Result<Document, ClientError> {
        let not_mongo = || ClientError::Silent(Silence::foreign(NO_MONGO));
        let mut header = [0; HEADER];
        self.fill(&mut header)?;
        let number =
            |at: usize| i32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (len, answered, kind) = (number(0), number(8), number(12));
        let len = usize::try_from(len).map_err(|_| not_mongo())?;
        if kind != OP_MSG || answered != self.request || len <= HEADER + 5 {
            return Err(not_mongo());
        }
        if len > REPLY {
            return Err(ClientError::Command("its reply is too long".to_owned()));
        }
        share.grow(len).map_err(ClientError::Command)?;
        let mut body = vec![0; len - HEADER];
        self.fill(&mut body)?;
        document(&body, share)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ClientError> {
        Ok(self.stream.read_exact(buffer).map_err(|error| silence(&error))?)
    }
}

const NO_MONGO: &str = "it does not speak MongoDB's protocol";

/// The document in a message after its header: flags, then one section of kind 0, for what is asked for with one
/// document is answered with one.
pub(crate) fn document(body: &[u8], share: &mut Share<'_>) -> Result<Document, ClientError> {
    let not_mongo = || Silence::foreign(NO_MONGO);
    let Some((0, section)) = body.get(4..).and_then(<[u8]>::split_first) else {
        return Err(not_mongo().into());
    };
    let raw = RawDocument::from_bytes(section).map_err(|_| not_mongo())?;
    bounds::check(raw, share).map_err(ClientError::Command)?;
    Ok(raw.try_into().map_err(|_| not_mongo())?)
}

/// What a server says in the course of a login.
struct Sasl {
    conversation: bson::Bson,
    payload: Vec<u8>,
    is_done: bool,
}

impl Sasl {
    fn read(mut reply: Document) -> Option<Self> {
        let bson::Bson::Binary(payload) = reply.remove("payload")? else {
            return None;
        };
        Some(Self {
            conversation: reply.remove("conversationId")?,
            payload: payload.bytes,
            is_done: reply.get_bool("done").unwrap_or(false),
        })
    }

    fn go_on(&self, payload: Vec<u8>) -> Document {
        doc! {
            "saslContinue": 1,
            "conversationId": self.conversation.clone(),
            "payload": value::bytes(payload),
        }
    }
}
