//! A host with its node.

use std::collections::BTreeSet;

use protocol::ActionError;
use types::HostName;

use crate::Machine;

pub(super) const PACKAGE: &str = "rabbitmq-server";
pub(super) const UNIT: &str = "rabbitmq-server.service";
pub(super) const COOKIE: &str = "/var/lib/rabbitmq/.erlang.cookie";
pub(super) const CONFIG: &str = "/etc/rabbitmq/rabbitmq.conf";

pub(super) fn members_path(host: &HostName) -> String {
    format!("/var/lib/rabbitmq/mnesia/{}/cluster_nodes.config", name_of(host))
}

pub(super) fn failed(message: impl Into<String>) -> ActionError {
    ActionError::Failed {
        message: message.into(),
    }
}

/// Something that no RabbitMQ is asked or told.
#[expect(
    clippy::panic,
    reason = "a defect of the kind or of this world, which nobody may overlook"
)]
pub(super) fn unknown(what: &dyn std::fmt::Debug) -> ! {
    panic!("nobody asks RabbitMQ or tells it: {what:?}")
}

/// A host.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) machine: Machine,
    /// Whether the host is off.
    pub(super) is_down: bool,
    /// Whether it and the others cannot reach each other.
    pub(super) is_cut: bool,
    pub(super) process: Process,
    /// The cookie that the process was started with.
    pub(super) cookie: String,
    /// The configuration that the process was started with.
    pub(super) config: String,
    /// The members as its disk has them; empty where it never ran.
    pub(super) view: BTreeSet<String>,
    /// The members that ran when it stopped: one of them has newer state.
    pub(super) awaits: BTreeSet<String>,
    /// Its cluster; `None` where it never ran, and where the cluster forgot it.
    pub(super) cluster: Option<usize>,
    /// Whom it found again after it was cut off from them while it ran.
    pub(super) partitions: BTreeSet<String>,
}

/// The node's virtual machine and its broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    Off,
    /// The virtual machine runs, the broker will, once its time is come and it finds whom it waits for.
    Booting {
        ready_us: i64,
    },
    /// The broker was stopped with `stop_app`.
    Halted,
    /// The broker stopped itself for being in a minority.
    Paused,
    Up,
}

impl Node {
    pub(super) fn new() -> Self {
        Self {
            machine: Machine::default(),
            is_down: false,
            is_cut: false,
            process: Process::Off,
            cookie: String::new(),
            config: String::new(),
            view: BTreeSet::new(),
            awaits: BTreeSet::new(),
            cluster: None,
            partitions: BTreeSet::new(),
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.process != Process::Off
    }

    pub(super) fn pauses(&self) -> bool {
        let mut lines = self.config.lines().filter_map(|line| line.split_once('='));
        lines.any(|(key, value)| {
            key.trim() == "cluster_partition_handling" && value.trim() == "pause_minority"
        })
    }
}

/// A node's name.
pub(super) fn name_of(host: &HostName) -> String {
    format!("rabbit@{}", host.short())
}
