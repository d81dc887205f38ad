//! A replica set as the agents on its hosts see and change it.

use std::collections::BTreeSet;

use formats::replset::SetConfig;
use protocol::facts::{CommandFact, CommandQuery, Login, MongoCommand, MongoUser};
use protocol::{ActionError, Fact, FactError, FactQuery, Operation, UnitVerb};
use types::HostName;

use super::node::{CONF, UNIT};
use super::reply::{bad, may};
use super::set::{PACKAGED, Set};
use crate::{FakeCluster, Fault, Play};

/// The play of the simulation.
pub const PLAY: Play = Play {
    kind: "mongodb",
    inventory,
    number: Some("maxIncomingConnections = "),
    world: |hosts, pace| Box::new(Set::packaged(hosts, pace, 0)),
};

fn inventory(hosts: &[&str], turn: u32) -> String {
    let secret = |name: &str| format!("{{ file = \"secrets/mongodb.{name}\" }}");
    format!(
        "[services.mongodb]\nhosts = {hosts:?}\nkeyfile = {}\nadmin = {{ password = {} }}\n\
         users.altcraft = {{ password = {} }}\nconfig.net.maxIncomingConnections = {}\n",
        secret("keyfile"),
        secret("admin"),
        secret("altcraft"),
        1000 + turn
    )
}

impl Set {
    /// A unit's verb, as systemd takes it.
    fn tell(&mut self, at: usize, verb: UnitVerb) -> Result<(), ActionError> {
        let node = &mut self.nodes[at];
        if !node.machine.units.contains_key(UNIT) {
            return Err(failed(format!("Unit {UNIT} could not be found.")));
        }
        let runs = node.machine.runs(UNIT);
        match verb {
            UnitVerb::Enable => node.machine.unit(UNIT).is_enabled = true,
            UnitVerb::Disable => node.machine.unit(UNIT).is_enabled = false,
            UnitVerb::DaemonReload | UnitVerb::ResetFailed => {}
            UnitVerb::Reload => {
                return Err(failed(format!(
                    "Job type reload is not applicable for unit {UNIT}."
                )));
            }
            // After a stop that is under way, systemd starts it again.
            UnitVerb::Start if runs => node.is_restarting |= node.is_quiescing(),
            UnitVerb::Start => self.start(at),
            UnitVerb::Stop | UnitVerb::Restart => {
                self.note_stop(at);
                let node = &mut self.nodes[at];
                node.is_restarting = verb == UnitVerb::Restart;
                if !node.quiesce(self.now_us, self.pace.quiesce_us) {
                    self.end(at);
                }
            }
        }
        self.settle();
        Ok(())
    }

    /// The server is gone; the others notice before it is back, where systemd starts it again.
    pub(super) fn end(&mut self, at: usize) {
        self.nodes[at].stop();
        if std::mem::take(&mut self.nodes[at].is_restarting) {
            self.settle();
            self.start(at);
        }
    }

    /// A primary is stopped only where no other member could take over before.
    fn note_stop(&mut self, at: usize) {
        if !self.nodes[at].is_primary() || !self.has_majority(at) {
            return;
        }
        if let Some(next_primary) = self.next_primary(at) {
            let (name, next_primary) = (&self.nodes[at].name, &self.nodes[next_primary].name);
            self.violations.push(format!(
                "{name} was stopped as the primary, and {next_primary} could have taken over"
            ));
        }
    }

    /// Another member takes over, if one can.
    pub fn fail_over(&mut self) {
        if let Some(next_primary) = self.leader().and_then(|primary| self.next_primary(primary)) {
            self.win(next_primary);
        }
    }

    /// A fault of a host.
    fn apply(&mut self, at: usize, fault: &Fault) {
        let node = &mut self.nodes[at];
        match fault {
            Fault::Crash(_) if node.is_quiescing() => self.end(at),
            Fault::Crash(_) if node.process.take().is_some() => node.machine.unit(UNIT).die(),
            Fault::Revive(_) if node.is_up && node.machine.unit(UNIT).has_failed => self.start(at),
            Fault::Down(_) => {
                node.stop();
                (node.is_up, node.is_restarting) = (false, false);
            }
            Fault::Up(_) if !node.is_up => {
                node.is_up = true;
                if node.machine.unit(UNIT).is_enabled {
                    self.start(at);
                }
            }
            Fault::Cut(_) => node.is_cut = true,
            Fault::Heal(_) => node.is_cut = false,
            _ => {}
        }
    }

    /// Sends a command to the server on a host, as the agent there does.
    fn send(
        &mut self,
        at: usize,
        port: u16,
        user: Option<&MongoUser>,
        command: &MongoCommand,
    ) -> Result<(), ActionError> {
        let node = &self.nodes[at];
        let said =
            |error: &dyn std::fmt::Display| failed(format!("127.0.0.1:{port}: {}: {error}", command.name()));
        let server = node.server(self.now_us).filter(|server| server.port == port);
        let process = server.ok_or_else(|| said(&"connection refused"))?;
        let login = match user {
            None => Login::Nobody,
            Some(user) if node.accepts(user) => Login::Accepted,
            Some(_) => return Err(said(&bad(18, "AuthenticationFailed", "Authentication failed."))),
        };
        if !may(node, process, &login, command) {
            return Err(said(&bad(13, "Unauthorized", "command requires authentication")));
        }
        self.change(at, command).map_err(|error| said(&error))
    }
}

fn failed(message: impl Into<String>) -> ActionError {
    ActionError::Failed {
        message: message.into(),
    }
}

fn is_ours(path: &str) -> bool {
    path.starts_with("/etc/mongod") || path.starts_with("/var/lib/mongodb")
}

fn is_our_package(name: &str) -> bool {
    name.contains("mongodb")
}

impl FakeCluster for Set {
    fn advance(&mut self, now_us: i64) {
        while let Some(due) = self.next_due().filter(|due| *due <= now_us) {
            self.now_us = due;
            self.settle();
        }
        self.now_us = self.now_us.max(now_us);
    }

    fn answer(&self, host: &HostName, query: &FactQuery) -> Option<Result<Fact, FactError>> {
        let at = self.find(host)?;
        let machine = &self.nodes[at].machine;
        let fact = match query {
            FactQuery::Unit(query) if query.name == UNIT => Fact::Unit(machine.unit_fact(UNIT)),
            FactQuery::File(query) if is_ours(&query.path) => Fact::File(machine.file_fact(query)),
            FactQuery::Package(query) if is_our_package(&query.name) => {
                Fact::Package(machine.package_fact(&query.name))
            }
            FactQuery::Mongo(query) => Fact::Mongo(self.talk(at, query)),
            FactQuery::Command(CommandQuery { argv, .. }) if *argv == ["mongod", "--version"] => {
                Fact::Command(CommandFact {
                    status: 0,
                    stdout: format!("db version v{}\nBuild Info: {{}}\n", self.version),
                    stderr: String::new(),
                })
            }
            FactQuery::Command(CommandQuery { argv, .. })
                if *argv == ["systemctl", "show", "--property=ExecStart", UNIT] =>
            {
                Fact::Command(CommandFact {
                    status: 0,
                    stdout: self.nodes[at].command_line(),
                    stderr: String::new(),
                })
            }
            _ => return None,
        };
        Some(Ok(fact))
    }

    fn operate(&mut self, host: &HostName, operation: &Operation) -> Option<Result<(), ActionError>> {
        let at = self.find(host)?;
        let now_us = self.now_us + 1;
        let done = match operation {
            Operation::WriteFile { path, .. }
            | Operation::RestoreFile { path, .. }
            | Operation::MakeDirectory { path, .. }
            | Operation::SetAccess { path, .. }
                if is_ours(path) =>
            {
                self.nodes[at].machine.put(operation, now_us)?
            }
            Operation::InstallPackages { names } if names.iter().any(|name| is_our_package(name)) => {
                let machine = &mut self.nodes[at].machine;
                machine.packages.extend(names.iter().cloned());
                machine.unit(UNIT);
                if !machine.files.contains_key(CONF) {
                    machine.write(CONF, PACKAGED, 0o644, "root", now_us);
                }
                Ok(())
            }
            Operation::Unit { name, verbs, .. } if name == UNIT => {
                self.now_us = now_us;
                self.nodes[at].machine.note(operation);
                verbs.iter().try_for_each(|verb| self.tell(at, *verb))
            }
            Operation::Mongo {
                port, user, commands, ..
            } => {
                self.now_us = now_us;
                let mut commands = commands.iter();
                commands.try_for_each(|command| self.send(at, *port, user.as_ref(), command))
            }
            _ => return None,
        };
        self.now_us = now_us;
        Some(done)
    }

    fn busy_until(&self, host: &HostName) -> Option<i64> {
        let node = &self.nodes[self.find(host)?];
        let ends_us = node.process.as_ref().and_then(|process| process.ends_us);
        let busy_us = ends_us.unwrap_or(node.busy_us);
        (busy_us > self.now_us).then_some(busy_us)
    }

    fn inject(&mut self, fault: &Fault) {
        self.now_us += 20_000;
        match fault.host() {
            None => self.fail_over(),
            Some(host) => {
                if let Some(at) = self.find(host) {
                    self.apply(at, fault);
                }
            }
        }
        self.settle();
    }

    fn serving(&self) -> BTreeSet<HostName> {
        let serving = self.in_force().map(|config| self.serving_of(config));
        let names = serving
            .into_iter()
            .flatten()
            .map(|at| self.nodes[at].name.parse());
        names.filter_map(Result::ok).collect()
    }

    fn needed(&self) -> usize {
        // Two voters, or one, have no majority without each of them: then there is nothing to keep.
        let needed = |config: &SetConfig| (config.voters() / 2 + 1).min(config.voters().saturating_sub(1));
        self.in_force().map_or(0, needed)
    }

    fn write(&mut self, value: u64) -> bool {
        let Some(primary) = self.leader() else {
            return false;
        };
        let data = &mut self.nodes[primary].disk.data;
        data.at.1 += 1;
        data.values.insert(value);
        self.settle();
        self.is_majority_served(primary)
    }

    fn has_value(&self, value: u64) -> bool {
        let primary = self.leader().map(|primary| &self.nodes[primary]);
        primary.is_some_and(|primary| primary.disk.data.values.contains(&value))
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}
