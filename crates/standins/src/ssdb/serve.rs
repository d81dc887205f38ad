//! The server: clients' requests.

use std::io::{self, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use super::commands::{self, words};
use super::config::{Config, SHORTEST};
use super::feed::{self, Ask};
use super::info::info;
use super::log::Log;
use super::message::{self, Message};
use super::shared::{Client, Shared};
use super::slave::Slave;
use super::store::Store;

/// Why the server does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Its data cannot be read.
    #[error("could not open data db: {}/data", path.display())]
    Store {
        /// Where they are.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its port cannot be had.
    #[error("error opening server socket! {0}")]
    Listen(String),
    /// The password is too short.
    #[error("WARNING! Weak password is not allowed!")]
    WeakPassword,
}

/// A server that has its port.
pub struct Server {
    shared: Arc<Shared>,
    listener: TcpListener,
}

impl Server {
    /// Opens the data and the port.
    pub fn bind(config: Config, log: Log) -> Result<Self, ServeError> {
        let opened = Store::open(&config.work_dir, config.capacity, config.has_binlog);
        let store = opened.map_err(|source| ServeError::Store {
            path: config.work_dir.clone(),
            source,
        })?;
        let listener =
            TcpListener::bind(config.listen).map_err(|error| ServeError::Listen(in_short(&error)))?;
        let auth = config.auth.as_deref().unwrap_or_default();
        if !auth.is_empty() && auth.len() < SHORTEST {
            return Err(ServeError::WeakPassword);
        }
        log.info(&format!("ssdb server started on {}", config.listen));
        let shared = Shared {
            slaves: config.masters.iter().cloned().map(Slave::new).collect(),
            config,
            log,
            store: Mutex::new(store),
            clients: Mutex::default(),
            found: Mutex::default(),
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

/// What C's `strerror` says.
pub fn in_short(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
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
            if request[0] == b"sync140" && self.is_let_in {
                // It is no client's link any more.
                self.shared.links.fetch_sub(1, Ordering::Relaxed);
                let ended = self.feed(stream, &request);
                self.shared.links.fetch_add(1, Ordering::Relaxed);
                return ended;
            }
            message::write(&mut stream, &self.answer(&request[0], &request[1..])?)?;
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
            return Ok(words(["noauth", "authentication required."]));
        }
        if name == b"info" {
            let asked = args.first().map(|text| String::from_utf8_lossy(text));
            return info(self.shared, asked.as_deref());
        }
        commands::answer(self.shared, name, args)
    }

    /// A server without a password is content with any.
    fn authenticate(&mut self, args: &[Vec<u8>]) -> Message {
        match (args, &self.shared.config.auth) {
            ([given], Some(auth)) if given != auth.as_bytes() => words(["error", "invalid password"]),
            ([_], _) => {
                self.is_let_in = true;
                words(["ok", "1"])
            }
            _ => words(["client_error"]),
        }
    }
}
