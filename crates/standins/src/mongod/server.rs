//! Starting, serving and stopping: from the options to the last closed connection.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::commands::{self, Session};
use super::config::Options;
use super::log::{Line, Log};
use super::node::Node;
use super::peer::{MemberKey, Peers, error_text};
use super::refusal::{EXIT_NET_ERROR, EXIT_UNCAUGHT, StartError};
use super::repl::MemberState;
use super::{election, heartbeat, keyfile, sync, wire};

/// A server that runs.
pub struct Server {
    node: Arc<Node>,
    tasks: tokio::task::JoinSet<()>,
    /// Held as long as the server runs, so that no second one takes the same directory.
    _lock: File,
}

impl Server {
    /// Starts a server with these options.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let log = Log::open(options.log_path.clone(), options.log_append)
            .map_err(|error| StartError::new(1, format!("Failed to open log file: {error}")))?;
        match Self::start_logging(options, &log).await {
            Ok((addresses, listeners, peers, lock, options)) => {
                let node = Arc::new(Node::open(options, log, peers, addresses)?);
                node.load_config().await;
                let mut tasks = tokio::task::JoinSet::new();
                for listener in listeners {
                    tasks.spawn(accept(Arc::clone(&node), listener));
                }
                if node.options.repl_set.is_some() {
                    tasks.spawn(heartbeat::run(Arc::clone(&node)));
                    tasks.spawn(election::run(Arc::clone(&node)));
                    tasks.spawn(sync::run(Arc::clone(&node)));
                    tasks.spawn(sync::keep_alive(Arc::clone(&node)));
                }
                let attributes = json!({"port": node.options.port, "ssl": "off"});
                node.log
                    .write("I", "NETWORK", 23016, "Waiting for connections", &attributes);
                Ok(Self {
                    node,
                    tasks,
                    _lock: lock,
                })
            }
            Err(error) => {
                if let Some(line) = &error.logged {
                    log.line(line);
                }
                Err(error)
            }
        }
    }

    async fn start_logging(
        options: Options,
        log: &Log,
    ) -> Result<(Vec<SocketAddr>, Vec<TcpListener>, Peers, File, Options), StartError> {
        let attributes = json!({"pid": std::process::id(), "port": options.port, "dbPath": options.db_path, "standIn": true});
        log.write("I", "CONTROL", 4_615_611, "MongoDB starting", &attributes);
        let key = options.key_file.as_deref().map(keyfile::read).transpose()?;
        let lock = lock_directory(&options)?;
        let (addresses, listeners) = listen(&options).await?;
        let peers = Peers::new(key.map(MemberKey::new), options.transition_to_auth);
        Ok((addresses, listeners, peers, lock, options))
    }

    /// The server's state.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Stops in order: a primary hands over first, as the real one does on `SIGTERM`.
    pub async fn stop(mut self) {
        let begun = Instant::now();
        let node = &self.node;
        node.log.write(
            "I",
            "CONTROL",
            4_784_900,
            "Stepping down the ReplicationCoordinator for shutdown",
            &Value::Null,
        );
        let has_successors = {
            let state = node.lock();
            let alive = |id: i32| {
                state
                    .repl
                    .peers
                    .get(&id)
                    .is_some_and(|peer| peer.up_since.is_some())
            };
            let mut others = state.repl.others().into_iter();
            state.repl.state == MemberState::Primary
                && others.any(|member| member.electable() && alive(member.id))
        };
        if has_successors {
            let (period, catch_up) = (Duration::from_mins(1), Duration::from_secs(10));
            // With nobody to hand over to it stops all the same.
            let _ = commands::step_down_primary(node, period, catch_up, true).await;
            let missed = node.lock().control.election();
            node.wait_until(Some(missed), |state| state.repl.primary(missed).is_some())
                .await;
        }
        quiesce(node, begun).await;
        node.lock().stopping = true;
        node.touch();
        self.tasks.shutdown().await;
        node.log
            .write("I", "CONTROL", 23138, "Shutting down", &json!({"exitCode": 0}));
    }

    /// Stops as a `kill -9` does: at once, with nobody told.
    pub async fn kill(mut self) {
        self.node.lock().stopping = true;
        self.tasks.shutdown().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.node.lock().stopping = true;
    }
}

/// Goes on as a secondary for a while, so that clients hear of the end before their questions fail.
async fn quiesce(node: &Node, begun: Instant) {
    {
        let state = &mut *node.lock();
        if state.repl.state != MemberState::Secondary {
            return;
        }
        state.quiescing = Some(begun);
    }
    node.touch();
    while node.quiesces(&node.lock()).is_some_and(|rest| !rest.is_zero()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn lock_directory(options: &Options) -> Result<File, StartError> {
    let path = &options.db_path;
    let failed = |why: String| {
        let line = Line::storage(&why);
        StartError::new(EXIT_UNCAUGHT, why).logged(line)
    };
    if !path.is_dir() {
        return Err(failed(format!(
            "NonExistentPath: Data directory {} not found. Create the missing directory or specify another path using \
             (1) the --dbpath command line option, or (2) by adding the 'storage.dbPath' option in the configuration \
             file.",
            path.display()
        )));
    }
    let failed = |why: String| failed(format!("DBPathInUse: {why}"));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join("mongod.lock"));
    let file = file.map_err(|error| failed(format!("Unable to create/open the lock file: {error}")))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        let path = path.display();
        failed(format!(
            "Unable to lock the lock file: {path}/mongod.lock (Resource temporarily unavailable). Another mongod \
             instance is already running on the {path} directory"
        ))
    })?;
    // As WiredTiger does when it makes a database, and never again.
    let made = path.join("WiredTiger");
    if !made.exists() {
        std::fs::write(&made, "WiredTiger\nWiredTiger 10.0.0: stand-in\n")
            .map_err(|error| failed(format!("Unable to create {}: {error}", made.display())))?;
    }
    Ok(file)
}

async fn listen(options: &Options) -> Result<(Vec<SocketAddr>, Vec<TcpListener>), StartError> {
    let (mut addresses, mut listeners) = (Vec::new(), Vec::new());
    for name in &options.bind {
        let failed = |code: i32, kind: &str, why: String| {
            let error = json!({"error": {"code": code, "codeName": kind, "errmsg": why}});
            let line = Line::new("E", "CONTROL", 20568, "Error setting up listener", error);
            StartError::new(
                EXIT_NET_ERROR,
                format!("Error setting up listener: {kind}: {why}"),
            )
            .logged(line)
        };
        let found = tokio::net::lookup_host((name.as_str(), options.port)).await;
        let found: Vec<_> = found
            .map_err(|_| {
                let why = format!(
                    "Could not find address for {name}:{}: SocketException: Host not found",
                    options.port
                );
                failed(7, "HostNotFound", why)
            })?
            .filter(SocketAddr::is_ipv4)
            .collect();
        for address in found {
            if addresses.contains(&address) {
                continue;
            }
            let listener = TcpListener::bind(address).await;
            listeners.push(listener.map_err(|error| failed(9001, "SocketException", error_text(&error)))?);
            addresses.push(address);
        }
    }
    Ok((addresses, listeners))
}

async fn accept(node: Arc<Node>, listener: TcpListener) {
    static CONNECTIONS: AtomicI32 = AtomicI32::new(1);
    let mut open = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let id = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
                    open.spawn(serve(Arc::clone(&node), stream, Session::new(from, id)));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
}

async fn serve(node: Arc<Node>, mut stream: TcpStream, mut session: Session) {
    let _ = stream.set_nodelay(true);
    // Broken messages end the connection, as the real server ends it.
    while let Ok(Some(message)) = wire::read(&mut stream).await {
        let reply = commands::answer(&node, &mut session, &message.body).await;
        if !message.silent && wire::write_reply(&mut stream, &message, &reply).await.is_err() {
            return;
        }
    }
}
