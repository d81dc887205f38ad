//! systemd units.

use serde::{Deserialize, Serialize};

/// Asks systemd about a unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitQuery {
    /// The unit's name, e.g. `rabbitmq-server.service`.
    pub name: String,
}

impl UnitQuery {
    /// Asks about a unit.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// A unit's state, in systemd's own words (`systemctl show`, org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFact {
    /// `LoadState`: `loaded`, `not-found`, `masked`, ...
    pub load: String,
    /// `ActiveState`: `active`, `activating`, `inactive`, `failed`, ...
    pub active: String,
    /// `SubState`, e.g. `running`.
    pub sub: String,
    /// `UnitFileState`: `enabled`, `disabled`, `static`, ...
    pub enabled: String,
    /// `MainPID`; 0 where there is none.
    pub main_pid: u32,
    /// `ExecMainStartTimestamp`: when the main process was started, microseconds since 1970; 0 where never.
    pub started_us: i64,
    /// `InvocationID`: another value means that the unit was started again.
    pub invocation: String,
    /// `NeedDaemonReload`: the unit's file was changed since systemd read it.
    pub stale: bool,
    /// The files that the process of this invocation was started with, where an agent started it and noted them.
    #[serde(default)]
    pub started_with: Vec<StartedWith>,
}

/// A file that a process read when it was started. The host compares the content then with the content now: a hash of a
/// file with a weak password in it would help to guess that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedWith {
    /// Its path.
    pub path: String,
    /// Whether it has the same content now.
    pub is_same: bool,
}

impl UnitFact {
    /// Whether the unit exists.
    pub fn exists(&self) -> bool {
        self.load == "loaded"
    }

    /// Whether it runs (or is being reloaded, during which it runs).
    pub fn is_active(&self) -> bool {
        self.active == "active" || self.active == "reloading"
    }

    /// Whether systemd has no process of it, and starts none by itself.
    pub fn has_ended(&self) -> bool {
        self.active == "inactive" || self.active == "failed"
    }

    /// Whether nothing but the files that it was started with differs.
    pub fn is_same_process(&self, then: &Self) -> bool {
        let started_with = self.started_with.clone();
        *self
            == Self {
                started_with,
                ..then.clone()
            }
    }

    /// Whether it starts at boot.
    pub fn is_enabled(&self) -> bool {
        matches!(
            self.enabled.as_str(),
            "enabled" | "enabled-runtime" | "static" | "generated" | "alias"
        )
    }
}
