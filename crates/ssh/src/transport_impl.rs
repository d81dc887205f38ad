//! [`Ssh`]: the steps of the other modules, one after the other, and the connections to jump hosts that targets share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use thiserror::Error;
use tokio::time::Instant;
use transport::{AgentStream, BoxFuture, ConnectError, Transport};
use types::HostName;

use crate::auth::{self, AuthError};
use crate::bootstrap::{self, BootstrapError};
use crate::deadline::Deadline;
use crate::dial::{self, Connection, DialError};
use crate::error::{Advice, connect_error};
use crate::keyring::Keyring;
use crate::known_hosts::KnownHosts;
use crate::options::{AgentBinary, Endpoint, SshOptions};
use crate::prompt::Prompt;
use crate::target::{Resolver, Target};

/// Opens streams to agents over SSH.
///
/// One attempt for each call: trying again is the caller's, guided by [`ConnectError::transient`]. Passphrases that were
/// given, configuration that was asked for and connections to jump hosts are kept for the life of this value.
pub struct Ssh {
    resolver: Resolver,
    agent: AgentBinary,
    keyring: Keyring,
    known_hosts: Arc<KnownHosts>,
    jumps: Mutex<HashMap<String, Arc<Shared>>>,
}

/// A connection to a jump host, for all targets behind it.
#[derive(Default)]
struct Shared(tokio::sync::Mutex<SharedState>);

#[derive(Default)]
struct SharedState {
    connection: Option<Arc<Connection>>,
    failure: Option<(Instant, ConnectError)>,
}

#[derive(Debug, Error)]
enum LoginError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Auth(#[from] AuthError),
}

impl Advice for LoginError {
    fn hint(&self) -> String {
        match self {
            Self::Dial(error) => error.hint(),
            Self::Auth(error) => error.hint(),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_transient(),
            Self::Auth(error) => error.is_transient(),
        }
    }
}

impl Ssh {
    /// A way to hosts. An inventory's host without an endpoint is reached as `ssh` would reach it.
    pub fn new(
        options: SshOptions,
        endpoints: BTreeMap<HostName, Endpoint>,
        agent: AgentBinary,
        prompt: Box<dyn Prompt>,
    ) -> Self {
        Self {
            resolver: Resolver::new(options, endpoints),
            agent,
            keyring: Keyring::new(prompt),
            known_hosts: Arc::default(),
            jumps: Mutex::default(),
        }
    }

    async fn attempt(&self, host: &HostName) -> Result<AgentStream, ConnectError> {
        let target = self
            .resolver
            .resolve(host)
            .await
            .map_err(|error| connect_error(&error))?;
        let via = self.way(&target).await?;
        let deadline = Deadline::new(target.connect_timeout);
        let connection = self
            .log_in(&target, via, &deadline)
            .await
            .map_err(|error| connect_error(&error))?;
        bootstrap::start(Arc::new(connection), &self.agent, target.privilege, &deadline)
            .await
            .map_err(|error: BootstrapError| connect_error(&error))
    }

    async fn log_in(
        &self,
        target: &Target,
        via: Option<Arc<Connection>>,
        deadline: &Deadline,
    ) -> Result<Connection, LoginError> {
        let options = self.resolver.options();
        let mut connection = dial::dial(target, via, options, &self.known_hosts, deadline).await?;
        auth::log_in(&mut connection, target, &self.keyring, deadline).await?;
        Ok(connection)
    }

    /// The connection to the host before a target, if it has one.
    fn way<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Option<Arc<Connection>>, ConnectError>> {
        async move {
            match &target.via {
                Some(jump) => self.shared(jump).await.map(Some),
                None => Ok(None),
            }
        }
        .boxed()
    }

    async fn shared(&self, jump: &Target) -> Result<Arc<Connection>, ConnectError> {
        let asked_at = Instant::now();
        let shared = {
            let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(jumps.entry(jump.way()).or_default())
        };
        let mut state = shared.0.lock().await;
        if let Some(connection) = &state.connection
            && !connection.handle.is_closed()
        {
            return Ok(Arc::clone(connection));
        }
        // A target that waited while another's attempt failed shares its failure: a hundred hosts behind a dead jump host must
        // not wait for it one after the other.
        if let Some((at, error)) = &state.failure
            && *at >= asked_at
        {
            return Err(error.clone());
        }
        state.connection = None;
        match self.connect_jump(jump).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                state.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
            Err(error) => {
                state.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect_jump(&self, jump: &Target) -> Result<Connection, ConnectError> {
        let via = self.way(jump).await?;
        let deadline = Deadline::new(jump.connect_timeout);
        self.log_in(jump, via, &deadline).await.map_err(|error| {
            let mut error = connect_error(&error);
            error.message = format!("the jump host {}: {}", jump.label(), error.message);
            error
        })
    }
}

impl Transport for Ssh {
    fn open<'a>(&'a self, host: &'a HostName) -> BoxFuture<'a, Result<AgentStream, ConnectError>> {
        self.attempt(host).boxed()
    }
}
