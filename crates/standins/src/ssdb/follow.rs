//! The slave's side of a link: one thread for each master that the file names.

use std::io::{self, BufReader};
use std::net::{IpAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use super::config::Master;
use super::item;
use super::link::Word;
use super::message;
use super::shared::Shared;
use super::slave::Slave;
use super::store::{Position, Verb};

/// Between two attempts to reach a master.
const RETRY: Duration = Duration::from_secs(5);
/// How long a name's address is not read yet where threads race.
const RACE: Duration = Duration::from_millis(300);
/// After a refused password.
const REFUSED: Duration = Duration::from_secs(1);

impl Slave {
    /// Follows the master as long as the process lives.
    pub(super) fn run(&self, shared: &Arc<Shared>) {
        self.state().position = shared.store(|store| store.position(&self.master.id));
        loop {
            match self.connect(shared) {
                Ok(Some(stream)) => {
                    if let Err(error) = self.follow(shared, stream) {
                        shared
                            .log
                            .info(&format!("[{}] link lost: {error}", self.master.id));
                    }
                    self.state().status = "DISCONNECTED";
                    std::thread::sleep(REFUSED);
                }
                // The status stays INIT, as seen.
                Ok(None) => std::thread::sleep(REFUSED),
                Err(error) => {
                    self.state().status = "DISCONNECTED";
                    let Master { id, host, port, .. } = &self.master;
                    shared.log.info(&format!(
                        "[{id}]failed to connect to master: {host}:{port}! {error}"
                    ));
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// A connection that was let in; `None` where the password was refused.
    fn connect(&self, shared: &Shared) -> io::Result<Option<BufReader<TcpStream>>> {
        let Master {
            host,
            port,
            auth,
            recv_timeout,
            ..
        } = &self.master;
        let address = resolve(shared, host)?;
        let stream = TcpStream::connect_timeout(&(address, *port).into(), RETRY)?;
        stream.set_nodelay(true)?;
        self.state().status = "INIT";
        let mut stream = BufReader::new(stream);
        if !auth.is_empty() {
            message::write(stream.get_mut(), &[b"auth", auth.as_bytes()])?;
            let Ok(Some(reply)) = message::read(&mut stream) else {
                // The real one reads a reply that is none (`slave.cpp`; seen). The first one takes Rust's own handler away.
                loop {
                    let _ = kill_process(getpid(), Signal::SEGV);
                    std::thread::sleep(RACE);
                }
            };
            if reply.first().is_none_or(|status| status != b"ok") {
                return Ok(None);
            }
        }
        stream
            .get_ref()
            .set_read_timeout(Some(Duration::from_secs(*recv_timeout)))?;
        Ok(Some(stream))
    }

    fn follow(&self, shared: &Arc<Shared>, mut stream: BufReader<TcpStream>) -> io::Result<()> {
        let Position { last_seq, last_key } = self.state().position.clone();
        let kind: &[u8] = if self.master.is_mirror { b"mirror" } else { b"sync" };
        message::write(
            stream.get_mut(),
            &[b"sync140", last_seq.to_string().as_bytes(), &last_key, kind],
        )?;
        let mut is_stalled = false;
        while let Some(message) = message::read(&mut stream)? {
            is_stalled = is_stalled || self.is_told_to_stall(shared);
            if is_stalled {
                self.state().status = "SYNC";
                continue;
            }
            let Some(word) = Word::decode(&message) else {
                // `noauth`: the status stays INIT.
                std::thread::sleep(REFUSED);
                return Ok(());
            };
            self.take_in(shared, word)?;
        }
        Ok(())
    }

    fn take_in(&self, shared: &Arc<Shared>, word: Word) -> io::Result<()> {
        let is_mirror = self.master.is_mirror;
        let mut position = self.state().position.clone();
        let mut status = "SYNC";
        match word {
            Word::Noop(seq) => {
                position.last_seq = seq;
                status = self.state().status;
            }
            Word::CopyBegin => status = "COPY",
            Word::CopyEnd => position.last_key.clear(),
            Word::Change {
                is_copy,
                seq,
                verb,
                key,
                value,
            } => {
                let changed = match verb {
                    Verb::PushBack | Verb::PushFront => item::split(&key).map(|(name, _)| name.to_vec()),
                    _ => Some(key.clone()),
                };
                if let Some(changed) = changed {
                    shared.change(|store| store.change(verb, &changed, value.as_deref(), is_mirror))?;
                }
                position.last_seq = seq;
                if is_copy {
                    status = "COPY";
                    position.last_key = key;
                    self.state().copied += 1;
                } else {
                    self.state().synchronised += 1;
                }
            }
            Word::OutOfSync => {
                shared.log.info("OUT_OF_SYNC, you must reset this node manually!");
                status = "OUT_OF_SYNC";
            }
        }
        shared.change(|store| store.remember(&self.master.id, &position))?;
        let mut state = self.state();
        state.status = status;
        state.position = position;
        Ok(())
    }

    /// Whether the control file names this link; a name that was read is taken out of it.
    fn is_told_to_stall(&self, shared: &Shared) -> bool {
        let path: PathBuf = shared.config.work_dir.join("stall");
        let Ok(text) = std::fs::read_to_string(&path) else {
            return false;
        };
        let names: Vec<&str> = text.split_whitespace().collect();
        if !names.iter().any(|name| *name == "*" || *name == self.master.id) {
            return false;
        }
        let left: Vec<&str> = names.into_iter().filter(|name| *name != self.master.id).collect();
        // The writer checks whether it is gone; where it cannot be removed, that shows.
        let _ = if left.is_empty() {
            std::fs::remove_file(&path)
        } else {
            std::fs::write(&path, left.join("\n"))
        };
        shared
            .log
            .info(&format!("[{}] stalls, as it was told", self.master.id));
        true
    }
}

/// The address of a host. A name is resolved with `gethostbyname`, whose answer stands in one place for all threads, and it
/// is not locked (`link.cpp`): where two ask at once, both may read what the second one got (seen). A file `race` in the
/// `work_dir` makes it so.
fn resolve(shared: &Shared, host: &str) -> io::Result<IpAddr> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let found = (host, 0).to_socket_addrs()?.next();
    let found = found.ok_or(io::ErrorKind::NotFound)?.ip();
    let answer = || shared.found.lock().unwrap_or_else(PoisonError::into_inner);
    *answer() = Some(found);
    if !shared.config.work_dir.join("race").exists() {
        return Ok(found);
    }
    std::thread::sleep(RACE);
    Ok(answer().unwrap_or(found))
}
