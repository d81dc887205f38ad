//! How the world obeys the agent's actions.

use protocol::facts::{RespCommand, RespQuery};
use protocol::{ActionError, Operation, Text, UnitVerb};
use types::{HostName, SecretId};

use super::{Cluster, SENTINEL_ALIAS};
use formats::directives::{Directives, unquoted};

type Done = Result<(), ActionError>;

impl Cluster {
    /// Does what an operation says; `None` where it is about nothing of the store.
    pub fn obey(&mut self, host: &HostName, operation: &Operation) -> Option<Done> {
        let at = self.named(host.as_str())?;
        if self.nodes[at].is_down {
            return Some(Err(failed("the host is down")));
        }
        match operation {
            Operation::WriteFile { path, .. }
            | Operation::RestoreFile { path, .. }
            | Operation::MakeDirectory { path, .. }
            | Operation::SetAccess { path, .. }
            | Operation::SetDirectives { path, .. } => {
                let (directory, drop_in) = self.drop_in();
                let paths = [self.config(), self.sentinel_config(), &directory, &drop_in];
                paths
                    .contains(&path.as_str())
                    .then(|| self.put(at, path, operation))
            }
            Operation::Unit { name, verbs, .. } => {
                let units = [self.unit(), self.sentinel_unit()];
                units.contains(&name.as_str()).then(|| {
                    self.nodes[at].machine.note(operation);
                    let mut verbs = verbs.iter();
                    verbs.try_for_each(|verb| self.tell(at, name, *verb))
                })
            }
            Operation::InstallPackages { names } => self.install_packages(at, names),
            Operation::Resp {
                address,
                port,
                password,
                commands,
            } => Some(self.send(at, (address, *port), password.as_ref(), commands)),
            Operation::FollowMaster {
                address,
                port,
                password,
                word,
                sentinel,
                old,
                commands,
            } => Some(self.named_by(at, sentinel, old).and_then(|(ip, master_port)| {
                let follow = RespCommand::new([word.as_str(), &ip, &master_port]);
                let all: Vec<RespCommand> = std::iter::once(follow).chain(commands.iter().cloned()).collect();
                self.send(at, (address, *port), password.as_ref(), &all)
            })),
            _ => None,
        }
    }

    fn put(&mut self, at: usize, path: &str, operation: &Operation) -> Done {
        let role_stands = |cluster: &Self| {
            let text = cluster.nodes[at].machine.text(path);
            let file = Directives::parse(text, cluster.engine);
            let role = file.last(cluster.engine.replica_directive()).map(unquoted);
            role.is_some_and(|role| !role.starts_with("no"))
        };
        let before = role_stands(self);
        let now = self.tick();
        self.nodes[at].machine.put(operation, now).unwrap_or(Ok(()))?;
        if path == self.config() {
            let after = role_stands(self);
            self.after_write(at, before, after);
        }
        Ok(())
    }

    fn tell(&mut self, at: usize, unit: &str, verb: UnitVerb) -> Done {
        let is_engine = unit == self.unit();
        let machine = &self.nodes[at].machine;
        if !machine.units.contains_key(unit) {
            return Err(failed(&format!("Unit {unit} not found.")));
        }
        let runs = machine.runs(unit);
        match verb {
            UnitVerb::ResetFailed => {}
            UnitVerb::DaemonReload => self.nodes[at].has_read_drop_in = self.has_drop_in(at),
            UnitVerb::Enable if !is_engine => return self.enable_sentinel(at),
            UnitVerb::Enable => self.nodes[at].machine.unit(unit).is_enabled = true,
            UnitVerb::Disable => {
                let machine = &mut self.nodes[at].machine;
                machine.unit(unit).is_enabled = false;
                if machine.text(SENTINEL_ALIAS).ends_with(unit) {
                    machine.files.remove(SENTINEL_ALIAS);
                }
            }
            UnitVerb::Start if runs => {}
            UnitVerb::Stop if !runs => {}
            UnitVerb::Start | UnitVerb::Restart if is_engine => {
                if runs {
                    self.before_stop(at);
                }
                let started = self.start_engine(at);
                self.after_start(at);
                return started;
            }
            UnitVerb::Start | UnitVerb::Restart => return self.start_sentinel(at),
            UnitVerb::Stop if is_engine => {
                self.before_stop(at);
                self.stop_engine(at);
            }
            UnitVerb::Stop => self.stop_sentinel(at),
            UnitVerb::Reload => {
                return Err(failed(&format!(
                    "Job type reload is not applicable for unit {unit}."
                )));
            }
        }
        Ok(())
    }

    fn install_packages(&mut self, at: usize, names: &[String]) -> Option<Done> {
        let defaults = self.engine.defaults();
        let host = self.nodes[at].name.clone();
        let mut is_ours = false;
        for name in names {
            let is_new = !self.nodes[at].machine.packages.contains(name);
            let (engine, sentinel) = (name == defaults.package, name == defaults.sentinel_package);
            is_ours |= engine || sentinel;
            if engine && is_new {
                self.install_engine(&host, true);
            }
            if sentinel && is_new {
                self.install_sentinel(&host);
            }
        }
        is_ours.then_some(Ok(()))
    }

    /// The master that a sentinel names, which is not the old one.
    fn named_by(&self, from: usize, query: &RespQuery, old: &str) -> Result<(String, String), ActionError> {
        let at = self.at(&query.address).unwrap_or(from);
        let sentinel = self.sentinel(at).filter(|_| self.reaches(from, at));
        let sentinel = sentinel.ok_or_else(|| failed("connection refused"))?;
        let name = query.commands.first().and_then(|command| command.args.last());
        let watched = name.and_then(|name| sentinel.watched(name.as_str()));
        let watched = watched.ok_or_else(|| failed("the sentinel names no master"))?;
        if watched.ip == old {
            return Err(failed("the sentinel still names the old master"));
        }
        Ok((watched.ip.clone(), watched.port.to_string()))
    }

    fn send(
        &mut self,
        at: usize,
        (address, port): (&str, u16),
        password: Option<&SecretId>,
        commands: &[RespCommand],
    ) -> Done {
        let to_sentinel = self.sentinel(at).is_some_and(|sentinel| sentinel.port == port);
        for command in commands {
            let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
            let shown = words.join(" ");
            let reply = if to_sentinel {
                self.tell_sentinel(at, &words)
            } else {
                self.tell_server(at, (address, port), password, &words)
            };
            reply.map_err(|why| failed(&format!("{address}:{port}: {shown}: {why}")))?;
        }
        Ok(())
    }

    #[expect(
        clippy::panic,
        reason = "a command that the world does not know is a defect of the kind, or of the world"
    )]
    fn tell_server(
        &mut self,
        at: usize,
        (address, port): (&str, u16),
        password: Option<&SecretId>,
        words: &[&str],
    ) -> Result<(), String> {
        let is_there = self
            .server(at)
            .filter(|server| server.port == port && server.listens_at(address));
        let server = is_there.ok_or("connection refused")?;
        let shown = password.map(Text::secret);
        if server.asks() && shown.as_ref().map(Text::as_str) != Some(&server.requirepass) {
            return Err(self.wrong_password().to_owned());
        }
        if let ["SLAVEOF", ip, _] = words {
            self.can_follow(at, ip)?;
        }
        let now = self.now;
        let Some(server) = &mut self.nodes[at].engine else {
            return Ok(());
        };
        match words {
            ["CONFIG", "SET", key, value] => server.set(key, value)?,
            ["CONFIG", "REWRITE"] => self.rewrite_engine(at),
            ["REPLICAOF" | "SLAVEOF", ip, port] => {
                let port = port.parse().map_err(|_| "ERR Invalid master port")?;
                server.follow(Some(((*ip).to_owned(), port)), now);
            }
            ["CLIENT", "PAUSE", ms, "WRITE"] => {
                let ms: i64 = ms
                    .parse()
                    .map_err(|_| "ERR timeout is not an integer or out of range")?;
                server.paused_us = now + ms * 1_000;
            }
            ["CLIENT", "UNPAUSE"] => server.paused_us = now,
            other => panic!("the engine does not know {other:?}"),
        }
        self.tick();
        self.settle();
        Ok(())
    }

    /// What Kvrocks refuses (`IsTryingToReplicateItself` in `cmd_server.cc`, ran: 2.6).
    fn can_follow(&self, at: usize, ip: &str) -> Result<(), String> {
        let followed = self.at(ip);
        if followed == Some(at) {
            return Err("ERR can't replicate itself".to_owned());
        }
        if followed.is_some_and(|followed| self.replicas_of(at).contains(&followed)) {
            return Err("ERR can't replicate your own replicas".to_owned());
        }
        Ok(())
    }

    #[expect(
        clippy::panic,
        reason = "a command that the world does not know is a defect of the kind, or of the world"
    )]
    fn tell_sentinel(&mut self, at: usize, words: &[&str]) -> Result<(), String> {
        let now = self.tick();
        match words {
            ["SENTINEL", "FAILOVER", name] => return self.ask_failover(at, name, true),
            ["SENTINEL", "RESET", name] => {
                self.before_reset(at);
                let sentinel = self.nodes[at].sentinel.as_mut().ok_or("connection refused")?;
                // It takes a pattern, and one that fits nothing is no error.
                if let Ok(watched) = sentinel.watched_mut(name) {
                    watched.reset(now);
                }
            }
            ["SENTINEL", "MONITOR" | "SET" | "REMOVE", ..] => {
                if let ["SENTINEL", "MONITOR", _, ip, ..] = words {
                    self.before_monitor(at, ip);
                }
                let sentinel = self.nodes[at].sentinel.as_mut().ok_or("connection refused")?;
                sentinel.command(&words[1..])?;
            }
            other => panic!("the sentinel does not know {other:?}"),
        }
        self.rewrite_sentinel(at);
        self.settle();
        Ok(())
    }

    /// SENTINEL FAILOVER: another becomes the master, without anybody's agreement.
    pub fn ask_failover(&mut self, at: usize, name: &str, is_ours: bool) -> Result<(), String> {
        let due = self.now + self.tempo.hello;
        let watched = self.sentinel(at).and_then(|sentinel| sentinel.watched(name));
        let watched = watched.ok_or("ERR No such master with that name")?;
        if watched.failover.is_some() {
            return Err("INPROG Failover already in progress".to_owned());
        }
        if self.candidate(at, watched).is_none() {
            return Err("NOGOODSLAVE No suitable replica to promote".to_owned());
        }
        let sentinel = self.nodes[at].sentinel.as_mut().ok_or("connection refused")?;
        sentinel.watched_mut(name)?.failover = Some((due, is_ours));
        self.settle();
        Ok(())
    }
}

fn failed(message: &str) -> ActionError {
    ActionError::Failed {
        message: message.to_owned(),
    }
}
