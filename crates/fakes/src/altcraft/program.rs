//! The two programs of the platform that work as a cluster.

/// One of the two programs.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    pub unit: &'static str,
    /// Its list in main.json.
    pub list: &'static str,
    /// Where it listens when it is alone.
    pub(super) alone: u16,
    pub log: &'static str,
}

pub const PROGRAMS: [Program; 2] = [
    Program {
        name: "proctask",
        unit: "proctask.service",
        list: "PROC_TASKS",
        alone: 8962,
        log: "/opt/akd/var/log/proctask.log",
    },
    Program {
        name: "procworkflow",
        unit: "procworkflow.service",
        list: "PROC_WORKFLOW",
        alone: 7962,
        log: "/opt/akd/var/log/procworkflow.log",
    },
];
