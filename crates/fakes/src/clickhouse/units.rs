//! Packages and processes: what is installed, what starts, and what it dies of.

use protocol::facts::FileKind;
use protocol::{ActionError, UnitVerb};
use types::HostName;

use super::cluster::{Cluster, failed};
use super::node::{Process, Tree, texts};
use super::paths::{CONFIG, ENVIRONMENT, EPOCH, KEEPER_LOG, MYID, PACKAGES, SERVER, ZK, ZOO_CFG};
use super::role::Role;
use crate::File;
use formats::xml;

/// Where Debian's package links the number of the member into its configuration.
const DATA_MYID: &str = "/var/lib/zookeeper/myid";
/// How long after a change the server reads its files by itself (18.16 and later look every two seconds).
const RELOAD_US: i64 = 2_000_000;

impl Cluster {
    /// Installs packages; their services are not started.
    pub fn install(&mut self, at: usize, names: &[String]) {
        let root = if self.is_old() { "yandex" } else { "clickhouse" };
        let now = self.now;
        let machine = &mut self.nodes[at].machine;
        for name in names {
            if !PACKAGES.contains(&name.as_str()) || !machine.packages.insert(name.clone()) {
                continue;
            }
            let mut write = |path: &str, text: &str| {
                if !machine.files.contains_key(path) {
                    machine.write(path, text, 0o644, "root", now);
                }
            };
            if name == PACKAGES[0] {
                write(CONFIG, &format!("<?xml version=\"1.0\"?>\n<{root}>\n</{root}>\n"));
                let users = format!(
                    "<{root}><users><default><password></password><networks><ip>::/0</ip></networks></default></users></{root}>"
                );
                write("/etc/clickhouse-server/users.xml", &users);
                machine.unit(SERVER);
            } else {
                write(
                    ZOO_CFG,
                    "tickTime=2000\ninitLimit=10\nsyncLimit=5\n# not there\ndataDir=/tmp/zookeeper\nclientPort=2181\n",
                );
                write(MYID, "replace this text with the instance id (1-255)\n");
                write(ENVIRONMENT, "#JMXLOCALONLY=true\n#JAVA_OPTS=\"\"\n");
                write(DATA_MYID, "");
                if let Some(link) = machine.files.get_mut(DATA_MYID) {
                    link.kind = FileKind::Link;
                }
                machine.unit(ZK);
            }
        }
    }

    /// Whether the servers are from before `SYSTEM DROP REPLICA`, and do not outlive a start without a quorum.
    pub fn is_old(&self) -> bool {
        self.version.starts_with("18")
    }

    pub fn tell(&mut self, at: usize, unit: &str, verb: UnitVerb) -> Result<(), ActionError> {
        if verb == UnitVerb::DaemonReload {
            return Ok(());
        }
        let node = &mut self.nodes[at];
        if !node.machine.units.contains_key(unit) {
            return Err(failed(format!("systemctl: Unit {unit} not found.")));
        }
        match verb {
            UnitVerb::Enable => node.machine.unit(unit).is_enabled = true,
            UnitVerb::Disable => node.machine.unit(unit).is_enabled = false,
            UnitVerb::Stop => {
                node.machine.unit(unit).stop();
                self.end(at, unit);
            }
            UnitVerb::Start if node.machine.runs(unit) => {}
            UnitVerb::Start | UnitVerb::Restart => self.start(at, unit),
            UnitVerb::DaemonReload | UnitVerb::Reload | UnitVerb::ResetFailed => {}
        }
        Ok(())
    }

    /// A unit's process starts, anew where it runs. systemd does not wait for it to answer, and not for it to die either.
    pub fn start(&mut self, at: usize, unit: &str) {
        self.end(at, unit);
        // The others notice that it is gone, and may have another leader by the time that it is back.
        self.settle();
        let ready_us = self.now + self.pace.start_us;
        let now = self.now;
        let node = &mut self.nodes[at];
        node.machine.unit(unit).start(now);
        let process = Process::start(&node.machine, unit, now, ready_us);
        if unit == SERVER {
            node.write_merged(&process, now);
        }
        *node.process(unit) = Some(process);
        // Those who were in the quorum, and whose disk was lost since, know nothing of it.
        let past = if unit == ZK { EPOCH } else { KEEPER_LOG };
        let is_member = node
            .member()
            .is_some_and(|(_, is_zookeeper)| is_zookeeper == (unit == ZK));
        if is_member && !node.machine.files.contains_key(past) {
            node.tree = Tree::default();
        }
        self.settle();
    }

    /// The traces of a process that is no more.
    fn end(&mut self, at: usize, unit: &str) {
        let node = &mut self.nodes[at];
        let was_member = node
            .member()
            .is_some_and(|(_, is_zookeeper)| is_zookeeper == (unit == ZK));
        *node.process(unit) = None;
        if was_member {
            node.role = Role::Down;
        }
    }

    fn die(&mut self, at: usize, unit: &str) {
        self.nodes[at].machine.unit(unit).die();
        self.end(at, unit);
    }

    /// Processes whose time has come answer, or die of what their files say; servers read what changed some time ago.
    pub fn come_up(&mut self) {
        for at in 0..self.nodes.len() {
            for unit in [ZK, SERVER] {
                let now = self.now;
                let is_due = |process: &&mut Process| !process.is_ready && process.ready_us <= now;
                let Some(process) = self.nodes[at].process(unit).as_mut().filter(is_due) else {
                    continue;
                };
                process.is_ready = true;
                if self.is_sound(at, unit) {
                    self.begin(at, unit);
                } else {
                    self.die(at, unit);
                }
            }
            self.reload(at, false);
        }
    }

    /// Whether a process lives with what it read.
    fn is_sound(&self, at: usize, unit: &str) -> bool {
        let node = &self.nodes[at];
        let (Some(process), is_zookeeper) = (
            if unit == ZK { &node.zookeeper } else { &node.server },
            unit == ZK,
        ) else {
            return false;
        };
        // Neither of the two starts where its own number is none of the members' (`QuorumPeer`, `KeeperStateManager`).
        let is_named = process.members.iter().any(|(id, _)| *id == process.id);
        let is_member = !process.members.is_empty();
        if is_zookeeper {
            return !is_member || is_named;
        }
        let files = &process.loaded;
        let root = files.get(CONFIG).and_then(|text| xml::parse(text).ok());
        let Some(root) = root else { return false };
        (!is_member || is_named) && has_one_root(files, &root.name)
    }

    /// A process that answers from now on.
    fn begin(&mut self, at: usize, unit: &str) {
        let now = self.now;
        let node = &mut self.nodes[at];
        if unit == SERVER {
            let has_all = node
                .table
                .as_ref()
                .is_some_and(|table| self.agreed.parts.keys().all(|part| table.contains(part)));
            node.fetches_from = if has_all { now } else { now + self.pace.copy_us };
        }
        let Some((process, is_zookeeper)) = node.member() else {
            return;
        };
        if is_zookeeper != (unit == ZK) {
            return;
        }
        let (id, members) = (process.id, process.members.clone());
        node.role = Role::Looking { since: now };
        if !is_zookeeper && !node.machine.files.contains_key(KEEPER_LOG) {
            node.machine.write(KEEPER_LOG, "", 0o750, "clickhouse", now);
        }
        if members.is_empty() {
            return;
        }
        let name = node.name().to_owned();
        for (number, owner) in members.into_iter().chain([(id, name)]) {
            if let Some(other) = self
                .numbers
                .insert(number, owner.clone())
                .filter(|other| *other != owner)
            {
                self.report(format!("the number {number} of {other} was given to {owner}"));
            }
        }
    }

    /// A server reads its files again: because it was told to, or because they changed some time ago.
    pub fn reload(&mut self, at: usize, is_told: bool) {
        let now = self.now;
        let node = &mut self.nodes[at];
        let Some(server) = node.server.as_mut().filter(|server| server.is_ready) else {
            return;
        };
        let read_us = server.read_us;
        let is_due = |file: &File| file.modified_us >= read_us && file.modified_us + RELOAD_US <= now;
        if !is_told && !node.machine.files.values().any(is_due) {
            return;
        }
        let fresh = texts(&node.machine);
        let root = fresh.get(CONFIG).and_then(|text| xml::parse(text).ok());
        // A file that it cannot read changes nothing.
        if root.is_some_and(|root| has_one_root(&fresh, &root.name)) {
            server.read(fresh, now);
            let process = server.clone();
            node.write_merged(&process, now);
        }
    }

    /// An old server with replicated tables does not outlive a start without a quorum (18.16).
    pub fn die_without_quorum(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            let is_new = |server: &Process| server.is_ready && server.ready_us == self.now;
            let is_starting = node
                .server
                .as_ref()
                .is_some_and(|server| is_new(server) && !server.is_keeper());
            if self.is_old() && is_starting && node.table.is_some() && !self.has_session(node) {
                self.die(at, SERVER);
            }
        }
    }

    pub fn crash(&mut self, host: &HostName) {
        let Some(at) = self.at(host.as_str()) else { return };
        for unit in [SERVER, ZK] {
            if self.nodes[at].machine.runs(unit) {
                self.die(at, unit);
            }
        }
    }

    pub fn revive(&mut self, host: &HostName) {
        let Some(at) = self.at(host.as_str()).filter(|&at| self.nodes[at].is_up) else {
            return;
        };
        for unit in [ZK, SERVER] {
            let known = self.nodes[at].machine.units.get(unit);
            if known.is_some_and(|unit| unit.has_failed) {
                self.start(at, unit);
            }
        }
    }

    pub fn go_down(&mut self, host: &HostName) {
        let Some(at) = self.at(host.as_str()) else { return };
        self.nodes[at].is_up = false;
        for unit in [SERVER, ZK] {
            if let Some(known) = self.nodes[at].machine.units.get_mut(unit) {
                known.stop();
            }
            self.end(at, unit);
        }
    }

    pub fn boot(&mut self, host: &HostName) {
        let Some(at) = self.at(host.as_str()).filter(|&at| !self.nodes[at].is_up) else {
            return;
        };
        self.nodes[at].is_up = true;
        for unit in [ZK, SERVER] {
            let known = self.nodes[at].machine.units.get(unit);
            if known.is_some_and(|unit| unit.is_enabled) {
                self.start(at, unit);
            }
        }
    }
}

/// Whether all of the server's files have the root element of its config.xml: else it does not start.
fn has_one_root(files: &std::collections::BTreeMap<String, String>, root: &str) -> bool {
    let ours = files
        .iter()
        .filter(|(path, _)| path.rsplit('.').next() == Some("xml"));
    ours.into_iter()
        .all(|(_, text)| xml::parse(text).is_ok_and(|element| element.name == root))
}
