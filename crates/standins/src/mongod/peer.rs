//! How members call each other: the ordinary wire protocol, as `__system` where there is a key file.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use tokio::net::TcpStream;

use super::scram::{ClientExchange, Credentials, salted};
use super::wire;

/// Why a call got no answer that says `ok`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct PeerError {
    /// The answer's error number; 0 where there was no answer.
    pub code: i32,
    /// Why.
    pub message: String,
    /// Whether the peer did answer, so that it is alive.
    pub answered: bool,
}

/// What members prove themselves to each other with.
pub struct MemberKey {
    password: String,
    salt: Vec<u8>,
    salted: [u8; 32],
    /// What this member checks others' proofs against.
    pub credentials: Credentials,
}

impl MemberKey {
    /// From the key file's content. Hashed once, with a salt of its own, as each connection needs it.
    pub fn new(password: String) -> Self {
        let salt = b"clusterctl-standin".to_vec();
        let rounds = super::scram::ITERATIONS;
        let salted = salted(&password, &salt, rounds);
        let credentials = Credentials::from_salted(&salted, &salt, rounds);
        Self {
            password,
            salt,
            salted,
            credentials,
        }
    }

    fn salted(&self, salt: &[u8], rounds: u32) -> [u8; 32] {
        if salt == self.salt {
            self.salted
        } else {
            salted(&self.password, salt, rounds)
        }
    }
}

/// Connections to the other members, kept for the next call.
#[derive(Default)]
pub struct Peers {
    key: Option<MemberKey>,
    /// Whether a peer that does not know the key is talked to all the same (`security.transitionToAuth`).
    lenient: bool,
    idle: Mutex<HashMap<String, Vec<TcpStream>>>,
}

impl Peers {
    /// Members that prove themselves with this key, if any.
    pub fn new(key: Option<MemberKey>, lenient: bool) -> Self {
        Self {
            key,
            lenient,
            idle: Mutex::default(),
        }
    }

    /// What others must prove, if there is a key file.
    pub fn key(&self) -> Option<&MemberKey> {
        self.key.as_ref()
    }

    /// Sends a command to `host` and waits for its answer.
    pub async fn call(&self, host: &str, command: &Document, limit: Duration) -> Result<Document, PeerError> {
        let call = async {
            let idle = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_mut(host)
                .and_then(Vec::pop);
            // A kept connection may have died meanwhile: that is no answer of the peer, so it is asked anew.
            if let Some(mut connection) = idle
                && let Ok(reply) = exchange(&mut connection, command).await
            {
                return Ok((connection, reply));
            }
            let mut connection = self.connect(host).await?;
            let reply = exchange(&mut connection, command).await?;
            Ok((connection, reply))
        };
        let (connection, reply) = match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer?,
            Err(_) => {
                return Err(lost(format!(
                    "Couldn't get a connection to {host} within the time limit"
                )));
            }
        };
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(host.to_owned())
            .or_default()
            .push(connection);
        succeeded(reply)
    }

    async fn connect(&self, host: &str) -> Result<TcpStream, PeerError> {
        let unreachable = |error: std::io::Error| {
            lost(format!(
                "Error connecting to {host} :: caused by :: {}",
                error_text(&error)
            ))
        };
        let mut connection = TcpStream::connect(host).await.map_err(unreachable)?;
        connection.set_nodelay(true).map_err(unreachable)?;
        if let Some(key) = &self.key
            && let Err(error) = log_in(&mut connection, key).await
            && !self.lenient
        {
            return Err(error);
        }
        Ok(connection)
    }
}

async fn log_in(connection: &mut TcpStream, key: &MemberKey) -> Result<(), PeerError> {
    let (client, first) = ClientExchange::start("__system");
    let start = doc! {
        "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": binary(&first),
        "options": {"skipEmptyExchange": true}, "$db": "local",
    };
    let reply = succeeded(exchange(connection, &start).await?)?;
    let challenge = reply.get_binary_generic("payload").cloned().unwrap_or_default();
    let challenge = String::from_utf8_lossy(&challenge).into_owned();
    let proof = client.prove(&challenge, |salt, rounds| key.salted(salt, rounds));
    let proof = proof.map_err(|error| lost(error.to_string()))?;
    let id = reply.get("conversationId").cloned().unwrap_or(1.into());
    let last = doc! {"saslContinue": 1, "conversationId": id, "payload": binary(&proof), "$db": "local"};
    succeeded(exchange(connection, &last).await?).map(drop)
}

/// An error of the system in its own words alone, as the real server tells it.
pub fn error_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// A SASL payload.
pub fn binary(text: &str) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: text.as_bytes().to_vec(),
    }
}

async fn exchange(connection: &mut TcpStream, command: &Document) -> Result<Document, PeerError> {
    let broken = |error: wire::WireError| lost(format!("Connection failed: {error}"));
    wire::write_request(connection, 1, command)
        .await
        .map_err(broken)?;
    match wire::read(connection).await.map_err(broken)? {
        Some(reply) => Ok(reply.body),
        None => Err(lost("Connection closed by peer".into())),
    }
}

fn succeeded(reply: Document) -> Result<Document, PeerError> {
    if super::query::truthy(reply.get("ok")) {
        return Ok(reply);
    }
    let message = reply.get_str("errmsg").unwrap_or("failed").to_owned();
    Err(PeerError {
        code: reply.get_i32("code").unwrap_or(0),
        message,
        answered: true,
    })
}

fn lost(message: String) -> PeerError {
    PeerError {
        code: 0,
        message,
        answered: false,
    }
}
