//! The server: clients' requests.

use std::io::{self, BufReader};
use std::net::{TcpListener, TcpStream};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use super::config::Config;
use super::feed::{self, Ask};
use super::log::Log;
use super::message::{self, Message};
use super::shared::{Client, Shared};
use super::slave::Slave;
use super::store::Store;

/// The version that it says it has.
const VERSION: &str = "1.9.9";

/// Why the server does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Its data cannot be read.
    #[error("could not open main db: {}", path.display())]
    Store {
        /// Where they are.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its log cannot be written.
    #[error("error opening log file")]
    Log(#[source] io::Error),
    /// Its port cannot be had.
    #[error("error opening server socket! {0}")]
    Listen(String, #[source] io::Error),
}

/// A server that has its port.
pub struct Server {
    shared: Arc<Shared>,
    listener: TcpListener,
}

impl Server {
    /// Opens the data and the port.
    pub fn bind(config: Config) -> Result<Self, ServeError> {
        let log = Log::open(config.log.as_deref(), config.is_debug).map_err(ServeError::Log)?;
        let capacity = if config.has_binlog { config.capacity } else { 0 };
        let store = Store::open(&config.work_dir, capacity).map_err(|source| ServeError::Store {
            path: config.work_dir.clone(),
            source,
        })?;
        let listener = TcpListener::bind(config.listen)
            .map_err(|source| ServeError::Listen(config.listen.to_string(), source))?;
        log.info(&format!("ssdb server started on {}", config.listen));
        let shared = Shared {
            slaves: config.masters.iter().cloned().map(Slave::new).collect(),
            config,
            log,
            store: Mutex::new(store),
            clients: Mutex::default(),
            links: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        };
        Ok(Self {
            shared: Arc::new(shared),
            listener,
        })
    }

    /// Serves as long as the process lives.
    pub fn run(&self) {
        for at in 0..self.shared.slaves.len() {
            let shared = Arc::clone(&self.shared);
            std::thread::spawn(move || shared.slaves[at].run(&shared));
        }
        for stream in self.listener.incoming().flatten() {
            let shared = Arc::clone(&self.shared);
            std::thread::spawn(move || {
                shared.links.fetch_add(1, Ordering::Relaxed);
                // A client that goes away is no error of the server's.
                let _ = Connection {
                    shared: &shared,
                    is_let_in: shared.config.auth.is_none(),
                }
                .run(stream);
                shared.links.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

struct Connection<'a> {
    shared: &'a Arc<Shared>,
    is_let_in: bool,
}

impl Connection<'_> {
    fn run(mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        while let Some(request) = message::read(&mut reader)? {
            self.shared.calls.fetch_add(1, Ordering::Relaxed);
            self.shared.log.debug(&request);
            let name = request[0].to_ascii_lowercase();
            if name == b"sync140" && self.is_let_in {
                return self.feed(stream, &request);
            }
            message::write(&mut stream, &self.answer(&name, &request[1..])?)?;
        }
        Ok(())
    }

    fn feed(&self, stream: TcpStream, request: &Message) -> io::Result<()> {
        let text = |at: usize| {
            request
                .get(at)
                .map(|item| String::from_utf8_lossy(item))
                .unwrap_or_default()
        };
        let ask = Ask {
            last_seq: text(1).parse().unwrap_or_default(),
            last_key: request.get(2).cloned().unwrap_or_default(),
            is_mirror: text(3) == "mirror",
        };
        let client = Arc::new(Client {
            at: stream.peer_addr()?.to_string(),
            is_mirror: ask.is_mirror,
            state: Mutex::new(("INIT", ask.last_seq)),
        });
        let clients = || self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients().push(Arc::clone(&client));
        let ended = feed::run(self.shared, stream, &client, ask);
        clients().retain(|other| !Arc::ptr_eq(other, &client));
        ended
    }

    fn answer(&mut self, name: &[u8], args: &[Vec<u8>]) -> io::Result<Message> {
        if name == b"auth" {
            return Ok(self.authenticate(args));
        }
        if !self.is_let_in {
            return Ok(words(["noauth", "authentication required"]));
        }
        Ok(match (name, args) {
            (b"info", _) => self.info(),
            (b"get", [key]) => match self.shared.store(|store| store.data.get(key).cloned()) {
                Some(value) => vec![b"ok".to_vec(), value],
                None => words(["not_found"]),
            },
            (b"set", [key, value]) => {
                self.shared.change(|store| store.set(key, value, false))?;
                words(["ok", "1"])
            }
            (b"del", [key]) => {
                self.shared.change(|store| store.delete(key, false))?;
                words(["ok", "1"])
            }
            (b"keys", [from, to, limit]) => self.keys(from, to, limit),
            // Of lists there are none: only keys and values are kept here.
            (b"ping", []) | (b"hlist" | b"zlist" | b"qlist", [_, _, _]) => words(["ok"]),
            (b"dbsize", []) => {
                let size = self.shared.store(|store| {
                    store
                        .data
                        .iter()
                        .map(|(key, value)| key.len() + value.len())
                        .sum::<usize>()
                });
                words(["ok", &size.to_string()])
            }
            (
                b"ping" | b"get" | b"set" | b"del" | b"keys" | b"hlist" | b"zlist" | b"qlist" | b"dbsize",
                _,
            ) => words(["client_error", "wrong number of arguments"]),
            (other, _) => words([
                "client_error",
                &format!("Unknown Command: {}", String::from_utf8_lossy(other)),
            ]),
        })
    }

    /// A server without a password is content with any.
    fn authenticate(&mut self, args: &[Vec<u8>]) -> Message {
        match (args, &self.shared.config.auth) {
            ([given], Some(auth)) if given != auth.as_bytes() => words(["error", "invalid password"]),
            ([_], _) => {
                self.is_let_in = true;
                words(["ok", "1"])
            }
            _ => words(["client_error", "wrong number of arguments"]),
        }
    }

    fn keys(&self, from: &[u8], to: &[u8], limit: &[u8]) -> Message {
        let limit = String::from_utf8_lossy(limit).parse().unwrap_or(0);
        let end = if to.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Included(to.to_owned())
        };
        let range = (Bound::Excluded(from.to_owned()), end);
        let keys: Message = self.shared.store(|store| {
            store
                .data
                .range::<Vec<u8>, _>(range)
                .take(limit)
                .map(|(key, _)| key.clone())
                .collect()
        });
        std::iter::once(b"ok".to_vec()).chain(keys).collect()
    }

    fn info(&self) -> Message {
        let shared = self.shared;
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed).to_string();
        let (capacity, min, max) = shared.store(|store| (store.capacity, store.min_seq(), store.max_seq));
        let binlogs = format!("    capacity : {capacity}\n    min_seq  : {min}\n    max_seq  : {max}");
        let mut reply = words(["ok", "ssdb-server", "version", VERSION]);
        reply.extend(words([
            "links",
            &number(&shared.links),
            "total_calls",
            &number(&shared.calls),
        ]));
        reply.extend(words(["dbsize", "0", "binlogs", &binlogs]));
        let clients = shared
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let blocks = clients
            .iter()
            .map(|client| client.stats())
            .chain(shared.slaves.iter().map(Slave::stats));
        for block in blocks {
            reply.extend(words(["replication", &block]));
        }
        reply.extend(words([
            "serv_key_range",
            "    kv  : \"\" - \"\"",
            "leveldb.stats",
            "(a stand-in of clusterctl's lab)",
        ]));
        reply
    }
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Message {
    words.into_iter().map(|word| word.as_bytes().to_vec()).collect()
}
