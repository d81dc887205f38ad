//! Processes come and go, and who reaches whom.

use formats::engine::Engine;
use protocol::ActionError;

use super::server::Link;
use super::{Cluster, SENTINEL_ALIAS, Sentinel, Server};

impl Cluster {
    /// The engine starts anew with what its file says, and ends at once where it cannot.
    pub fn start_engine(&mut self, at: usize) -> Result<(), ActionError> {
        self.stop_engine(at);
        let (now, config, unit) = (self.tick(), self.config(), self.unit());
        let node = &mut self.nodes[at];
        if !node.machine.units.contains_key(unit) {
            return Err(no_unit(unit));
        }
        node.has_umask = node.has_read_drop_in;
        node.machine.unit(unit).start(now);
        let text = node.machine.files.get(config).map(|file| file.text.clone());
        let answers = now + self.tempo.start;
        let started = match text {
            Some(text) => Server::start(self.engine, &text, answers),
            None => Err(format!("Fatal error, can't open config file '{config}'")),
        };
        match started {
            Ok(server) => {
                node.has_data_files |= server.keeps_all();
                node.is_synced |= server.follows.is_none();
                node.odd = None;
                node.engine = Some(server);
                self.settle();
                Ok(())
            }
            Err(why) => {
                node.machine.unit(unit).die();
                Err(job_failed(unit, &why))
            }
        }
    }

    /// The engine ends in good order, and writes to disk what it holds.
    pub fn stop_engine(&mut self, at: usize) {
        let unit = self.unit();
        self.tick();
        let node = &mut self.nodes[at];
        if node.engine.take().is_some() {
            node.saved.clone_from(&node.data);
            node.has_data_files = true;
        }
        if node.machine.units.contains_key(unit) {
            node.machine.unit(unit).stop();
        }
        self.settle();
    }

    /// The engine's process dies.
    pub fn kill_engine(&mut self, at: usize) {
        let unit = self.unit();
        self.tick();
        let node = &mut self.nodes[at];
        if let Some(server) = node.engine.take() {
            if !server.keeps_all() {
                node.data.clone_from(&node.saved);
            }
            node.machine.unit(unit).die();
        }
        self.settle();
    }

    /// Sentinel starts anew with what its file says.
    pub fn start_sentinel(&mut self, at: usize) -> Result<(), ActionError> {
        self.stop_sentinel(at);
        let (now, path, unit) = (self.tick(), self.sentinel_config(), self.sentinel_unit());
        let names: Vec<(String, String)> = self
            .nodes
            .iter()
            .map(|node| (node.name.clone(), node.address.clone()))
            .collect();
        let resolve = |name: &str| {
            let found = names.iter().find(|(known, _)| known == name)?;
            Some(found.1.clone())
        };
        let answers = now + self.tempo.start;
        let node = &mut self.nodes[at];
        if !node.machine.units.contains_key(unit) {
            return Err(no_unit(unit));
        }
        node.machine.unit(unit).start(now);
        let text = node.machine.files.get(path).map(|file| file.text.clone());
        let started = match text {
            Some(text) => Sentinel::start(&text, answers, resolve),
            None => Err(format!("Fatal error, can't open config file '{path}'")),
        };
        match started {
            Ok(sentinel) => {
                node.sentinel = Some(sentinel);
                self.rewrite_sentinel(at);
                self.settle();
                Ok(())
            }
            Err(why) => {
                node.machine.unit(unit).die();
                Err(job_failed(unit, &why))
            }
        }
    }

    /// systemd enables the sentinel, unless another unit has its alias (ran: Debian 13).
    pub fn enable_sentinel(&mut self, at: usize) -> Result<(), ActionError> {
        let (now, unit) = (self.now, self.sentinel_unit());
        let machine = &mut self.nodes[at].machine;
        let own = format!("/lib/systemd/system/{unit}");
        let target = machine.text(SENTINEL_ALIAS).to_owned();
        if target != own && !target.is_empty() {
            return Err(ActionError::Failed {
                message: format!(
                    "Failed to enable unit: File {SENTINEL_ALIAS} already exists and is a symlink to {target}."
                ),
            });
        }
        machine.link(SENTINEL_ALIAS, &own, now);
        machine.unit(unit).is_enabled = true;
        Ok(())
    }

    /// Sentinel ends.
    pub fn stop_sentinel(&mut self, at: usize) {
        let unit = self.sentinel_unit();
        self.tick();
        let node = &mut self.nodes[at];
        node.sentinel = None;
        if node.machine.units.contains_key(unit) {
            node.machine.unit(unit).stop();
        }
        self.settle();
    }

    /// Sentinel writes its file whenever it learns something.
    pub fn rewrite_sentinel(&mut self, at: usize) {
        if let Some(sentinel) = &self.nodes[at].sentinel {
            let (text, path) = (sentinel.file(), self.sentinel_config());
            if self.nodes[at].machine.text(path) != text {
                self.write_file(at, path, &text);
            }
        }
    }

    /// The engine writes its file with what it runs with. Kvrocks makes a new file (recorded, 2.6: 0600 became 0644).
    pub fn rewrite_engine(&mut self, at: usize) {
        if let Some(server) = &self.nodes[at].engine {
            let path = self.config();
            let text = server.rewrite(self.nodes[at].machine.text(path));
            self.write_file(at, path, &text);
            let node = &mut self.nodes[at];
            if self.engine == Engine::Kvrocks
                && !node.has_umask
                && let Some(file) = node.machine.files.get_mut(path)
            {
                file.mode = 0o644;
            }
        }
    }

    /// Somebody makes an engine follow another, or nobody, and has it write that down.
    pub fn give_role(&mut self, at: usize, follows: Option<(String, u16)>) {
        let now = self.now;
        if let Some(server) = &mut self.nodes[at].engine
            && server.follows != follows
        {
            server.follow(follows, now);
            self.rewrite_engine(at);
        }
    }

    /// Whether a host reaches another.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        let (a, b) = (&self.nodes[from], &self.nodes[to]);
        !a.is_down && !b.is_down && (from == to || !a.is_cut && !b.is_cut)
    }

    /// The engine of a host where it answers.
    pub fn server(&self, at: usize) -> Option<&Server> {
        let node = &self.nodes[at];
        let server = node.engine.as_ref().filter(|_| !node.is_down)?;
        (server.answers_us <= self.now).then_some(server)
    }

    /// The sentinel of a host where it answers.
    pub fn sentinel(&self, at: usize) -> Option<&Sentinel> {
        let node = &self.nodes[at];
        let sentinel = node.sentinel.as_ref().filter(|_| !node.is_down)?;
        (sentinel.answers_us <= self.now).then_some(sentinel)
    }

    /// The engine that a host finds at an address and port with a password that it takes.
    pub fn engine_at(&self, from: usize, ip: &str, port: u16, password: &str) -> Option<(usize, &Server)> {
        let at = self.at(ip).filter(|to| self.reaches(from, *to))?;
        let server = self.server(at)?;
        let lets_in = !server.asks() || server.requirepass == password;
        (server.port == port && server.listens_at(ip) && lets_in).then_some((at, server))
    }

    /// The master that a node's engine finds.
    pub fn master_of(&self, at: usize) -> Option<usize> {
        let server = self.server(at)?;
        let (ip, port) = server.follows.as_ref()?;
        let (master, _) = self.engine_at(at, ip, *port, &server.masterauth)?;
        (master != at).then_some(master)
    }

    /// The engines that are linked to one, and those that are being sent a copy.
    pub fn replicas_of(&self, at: usize) -> Vec<usize> {
        let linked = |other: &usize| {
            let is_down = |server: &Server| matches!(server.link, Link::Down(_));
            self.master_of(*other) == Some(at) && self.server(*other).is_some_and(|server| !is_down(server))
        };
        (0..self.nodes.len()).filter(linked).collect()
    }
}

fn no_unit(unit: &str) -> ActionError {
    ActionError::Failed {
        message: format!("Unit {unit} not found."),
    }
}

fn job_failed(unit: &str, why: &str) -> ActionError {
    ActionError::Failed {
        message: format!("Job for {unit} failed because the control process exited with error code: {why}"),
    }
}
