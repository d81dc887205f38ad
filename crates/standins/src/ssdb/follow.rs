//! The slave's side of a link: one thread for each master that the file names.

use std::io::{self, BufReader};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::config::Master;
use super::link::Word;
use super::message;
use super::shared::Shared;
use super::slave::Slave;
use super::store::Position;

/// Between two attempts to reach a master.
const RETRY: Duration = Duration::from_secs(5);
/// After a refused password.
const REFUSED: Duration = Duration::from_secs(1);

impl Slave {
    /// Follows the master as long as the process lives.
    pub(super) fn run(&self, shared: &Arc<Shared>) {
        self.state().position = shared.store(|store| store.position(&self.master.id));
        loop {
            match self.connect() {
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
    fn connect(&self) -> io::Result<Option<BufReader<TcpStream>>> {
        let Master {
            host,
            port,
            auth,
            recv_timeout,
            ..
        } = &self.master;
        let address = (host.as_str(), *port)
            .to_socket_addrs()?
            .next()
            .ok_or(io::ErrorKind::NotFound)?;
        let stream = TcpStream::connect_timeout(&address, RETRY)?;
        stream.set_nodelay(true)?;
        self.state().status = "INIT";
        let mut stream = BufReader::new(stream);
        if !auth.is_empty() {
            stream.get_ref().set_read_timeout(Some(RETRY))?;
            message::write(stream.get_mut(), &[b"auth", auth.as_bytes()])?;
            let reply = message::read(&mut stream)?.unwrap_or_default();
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
                if self.state().status == "OUT_OF_SYNC" {
                    return Ok(());
                }
                position.last_seq = seq;
            }
            Word::CopyBegin => status = "COPY",
            Word::Copy { seq, key, value } => {
                status = "COPY";
                shared.change(|store| store.set(&key, &value, is_mirror))?;
                self.state().copied += 1;
                position = Position {
                    last_seq: seq,
                    last_key: key,
                };
            }
            Word::CopyEnd(seq) => {
                position = Position {
                    last_seq: seq,
                    last_key: Vec::new(),
                }
            }
            Word::Set { seq, key, value } => {
                shared.change(|store| store.set(&key, &value, is_mirror))?;
                self.state().synchronised += 1;
                position.last_seq = seq;
            }
            Word::Delete { seq, key } => {
                shared.change(|store| store.delete(&key, is_mirror))?;
                self.state().synchronised += 1;
                position.last_seq = seq;
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
