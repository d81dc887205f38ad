//! One running server: its state under one lock, and the few things that every part does with it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bson::{Document, doc};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::config::Options;
use super::control::Control;
use super::errors::{Code, CommandError, fail};
use super::log::Log;
use super::oplog::{Entry, Op, Oplog};
use super::optime::OpTime;
use super::peer::Peers;
use super::refusal::{EXIT_UNCAUGHT, StartError};
use super::repl::{MemberState, Repl};
use super::setconfig::SetConfig;
use super::store::Store;

/// Everything that changes.
#[derive(Debug)]
pub struct State {
    /// Every change so far, on disk.
    pub oplog: Oplog,
    /// What the changes come to.
    pub store: Store,
    /// The replica set, as this member knows it.
    pub repl: Repl,
    /// What a test asks for.
    pub control: Control,
    /// Whether the server is on its way out.
    pub stopping: bool,
    /// Since when the server was told to stop, while it goes on as a secondary.
    pub quiescing: Option<Instant>,
    /// What clients were last told of the set, and how often that has changed: `topologyVersion`.
    topology: (Topology, i64),
}

/// What of the set a client that watches it wants to hear of: this member's role, the primary, the configuration,
/// and whether the server stops.
type Topology = (Option<MemberState>, Option<i32>, Option<(i64, i32)>, bool);

impl State {
    /// How often what clients see of the set has changed.
    pub fn topology_version(&mut self) -> i64 {
        let repl = &self.repl;
        let config = repl.config.as_ref().map(SetConfig::rank);
        let seen = (
            Some(repl.state),
            repl.primary(self.control.election()),
            config,
            self.stopping || self.quiescing.is_some(),
        );
        if self.topology.0 != seen {
            self.topology = (seen, self.topology.1 + 1);
        }
        self.topology.1
    }
}

/// One running server.
pub struct Node {
    /// What it was started with.
    pub options: Options,
    /// Its log.
    pub log: Log,
    /// The other members.
    pub peers: Peers,
    /// The addresses that it listens on.
    pub addresses: Vec<SocketAddr>,
    /// Tells this process from others.
    pub instance: bson::oid::ObjectId,
    /// When it started.
    pub started: Instant,
    /// Tells who runs the server that a client asked for its end.
    pub stop_asked: Notify,
    /// Wakes the heartbeats before their time.
    pub beat_now: Notify,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Node {
    /// Loads what is on disk.
    pub fn open(
        options: Options,
        log: Log,
        peers: Peers,
        addresses: Vec<SocketAddr>,
    ) -> Result<Self, StartError> {
        let failed = |error: std::io::Error| StartError::new(EXIT_UNCAUGHT, error.to_string());
        let oplog = Oplog::open(&options.db_path).map_err(failed)?;
        let store = Store::replay(oplog.entries());
        let mut repl = Repl::load(&options.db_path, options.release());
        let control = Control::read(&options.db_path, options.times);
        repl.ready_at = Instant::now() + Duration::from_secs(control.slow_start_s);
        if repl.config.is_some() && options.repl_set.is_none() {
            log.write(
                "W",
                "CONTROL",
                20547,
                "Document(s) exist in 'system.replset', but started without --replSet",
                &Value::Null,
            );
        }
        Ok(Self {
            log,
            peers,
            addresses,
            instance: bson::oid::ObjectId::new(),
            started: Instant::now(),
            stop_asked: Notify::new(),
            beat_now: Notify::new(),
            state: Mutex::new(State {
                oplog,
                store,
                repl,
                control,
                stopping: false,
                quiescing: None,
                topology: ((None, None, None, false), -1),
            }),
            changed: watch::Sender::new(()),
            options,
        })
    }

    /// The state, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether clients and members are let in with and without a login.
    pub fn lenient(&self) -> bool {
        self.options.transition_to_auth
    }

    /// How long the server still goes on after it was told to stop; nothing where it was not told.
    pub fn quiesces(&self, state: &State) -> Option<Duration> {
        let since = state.quiescing?;
        Some(state.control.quiesce().saturating_sub(since.elapsed()))
    }

    /// Asks who runs the server to stop it.
    pub fn ask_to_stop(&self) {
        self.stop_asked.notify_one();
    }

    /// Wakes everybody who waits for the state to change.
    pub fn touch(&self) {
        self.changed.send_replace(());
    }

    /// Waits until clients are to hear something else of the set than this version, or the time is over.
    pub async fn await_topology(&self, version: i64, limit: Duration) {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while self.lock().topology_version() == version {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(limit, wait).await;
    }

    /// Waits until a condition is met, or the time is over; returns whether it is met.
    pub async fn wait_until(&self, limit: Option<Duration>, is_met: impl Fn(&State) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while !is_met(&self.lock()) {
                if changed.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        match limit {
            None => wait.await,
            Some(limit) => tokio::time::timeout(limit, wait).await.unwrap_or(false),
        }
    }

    /// Puts the replication state on disk. Where that fails there is nothing to be done but to stop.
    pub fn save(&self, state: &State) {
        // The directory may be another server's by now, or gone.
        if state.stopping {
            return;
        }
        if let Err(error) = state.repl.save(&self.options.db_path) {
            self.give_up(&error);
        }
    }

    /// Ends the program where the disk fails it.
    fn give_up(&self, error: &std::io::Error) -> ! {
        let attributes = json!({"error": error.to_string()});
        self.log
            .write("F", "STORAGE", 23095, "Fatal assertion", &attributes);
        std::process::exit(14);
    }

    /// Forgets all changes from this one on.
    pub fn truncate(&self, state: &mut State, length: usize) {
        if let Err(error) = state.oplog.truncate(length) {
            self.give_up(&error);
        }
        state.store = Store::replay(state.oplog.entries());
    }

    /// Makes a change: appends it to the oplog and applies it. Only the primary's, or a standalone's, to make.
    pub fn write(&self, state: &mut State, op: &Op) -> Result<OpTime, CommandError> {
        // A set that is being made has no term yet.
        let term = if self.options.repl_set.is_some() && state.repl.config.is_some() {
            state.repl.term
        } else {
            -1
        };
        let at = state.oplog.last().next(term);
        self.append(state, vec![Entry::new(at, op)])?;
        state.repl.advance_commit(at);
        Ok(at)
    }

    /// Appends changes that are placed already, and applies them.
    pub fn append(&self, state: &mut State, entries: Vec<Entry>) -> Result<(), CommandError> {
        if state.stopping {
            return fail(Code::ShutdownInProgress, "The server is shutting down");
        }
        let from = state.oplog.entries().len();
        if let Err(error) = state.oplog.append(entries) {
            return fail(Code::InternalError, error.to_string());
        }
        let State { oplog, store, .. } = state;
        oplog.entries()[from..]
            .iter()
            .for_each(|entry| store.apply(entry));
        self.touch();
        Ok(())
    }

    /// Takes another role, and says so in the log.
    pub fn become_state(&self, state: &mut State, new: MemberState) {
        let old = state.repl.state;
        if old == new {
            return;
        }
        state.repl.state = new;
        if new != MemberState::Primary {
            state.repl.elected = None;
        }
        let attributes = json!({"newState": new.name(), "oldState": old.name()});
        self.log.repl(21358, "Replica set state transition", &attributes);
        self.touch();
        self.beat_now.notify_one();
    }

    /// Learns of a newer term: whoever is primary in an older one is primary no more.
    pub fn learn_term(&self, state: &mut State, term: i64) {
        if term <= state.repl.term {
            return;
        }
        state.repl.term = term;
        self.save(state);
        if state.repl.state == MemberState::Primary {
            self.log.repl(
                21402,
                "Stepping down from primary, because a new term has begun",
                &json!({"term": term}),
            );
            self.become_state(state, MemberState::Secondary);
        }
    }

    /// Which members of a configuration this server is.
    pub async fn find_self(&self, config: &SetConfig) -> Vec<i32> {
        let mut found = Vec::new();
        for member in &config.members {
            let lookup = tokio::net::lookup_host(member.host.clone());
            let Ok(Ok(addresses)) = tokio::time::timeout(Duration::from_secs(3), lookup).await else {
                continue;
            };
            if addresses.into_iter().any(|address| self.is_mine(address)) {
                found.push(member.id);
            }
        }
        found
    }

    fn is_mine(&self, address: SocketAddr) -> bool {
        let local = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
        self.addresses.iter().any(|mine| {
            mine.port() == address.port()
                && (mine.ip() == address.ip() || mine.ip().is_unspecified() && local(address.ip()))
        })
    }

    /// Puts a configuration in force: on disk first, then this member's role in it.
    pub fn install(&self, state: &mut State, config: SetConfig, me: Option<i32>) {
        let last = state.oplog.last();
        let repl = &mut state.repl;
        repl.config_barrier = if repl.config.is_some() { last } else { OpTime::NULL };
        repl.config = Some(config);
        repl.me = me;
        repl.match_peers();
        let arbiter = repl.my_member().is_some_and(|member| member.arbiter);
        let new = match (me, repl.state) {
            (None, _) => MemberState::Removed,
            (Some(_), _) if arbiter => MemberState::Arbiter,
            (Some(_), MemberState::Startup | MemberState::Removed | MemberState::Arbiter) => {
                MemberState::Startup2
            }
            (Some(_), state) => state,
        };
        repl.election_at = Instant::now() + state.control.election();
        // An initial sync begins with dropping what there is.
        if new == MemberState::Startup2 && !repl.synced {
            self.truncate(state, 0);
        }
        self.save(state);
        self.become_state(state, new);
        state.repl.advance_commit(last);
        self.log.repl(
            21392,
            "New replica set config in use",
            &json!({"config": state.repl.config.as_ref().map(|c| c.document.to_string())}),
        );
        self.touch();
        self.beat_now.notify_one();
    }

    /// The first thing a member does with the configuration that it finds on its disk.
    pub async fn load_config(&self) {
        let Some(name) = &self.options.repl_set else {
            return;
        };
        let Some(config) = self.lock().repl.config.clone() else {
            return;
        };
        let me = if config.name == *name {
            self.find_self(&config).await.first().copied()
        } else {
            let attributes = json!({"localConfigSetName": config.name, "commandLineSetName": name});
            self.log.write("W", "REPL", 21405, "Local replica set configuration document set name differs from command line set name; waiting for reconfig or remote heartbeat", &attributes);
            None
        };
        let state = &mut *self.lock();
        self.install(state, config, me);
    }

    /// Writes an entry that changes nothing but proves that its writer was primary.
    pub fn write_noop(&self, state: &mut State, message: &str) -> Result<OpTime, CommandError> {
        self.write(state, &Op::new("n", "", doc! {"msg": message}))
    }

    /// This member's own `host:port` in the configuration.
    pub fn my_host(state: &State) -> Option<String> {
        state.repl.my_member().map(|member| member.host.clone())
    }
}

/// The command's number of milliseconds as a limit; 0 and nothing mean none.
pub fn max_time(command: &Document) -> Option<Duration> {
    let millis = command.get("maxTimeMS").and_then(super::query::whole)?;
    u64::try_from(millis)
        .ok()
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
}
