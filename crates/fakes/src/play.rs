//! What the simulation plays with a kind.

use crate::cluster::{FakeCluster, Pace};

/// What the simulation plays with a kind.
#[derive(Clone, Copy)]
pub struct Play {
    /// The kind's name.
    pub kind: &'static str,
    /// The text of `[services.NAME]` and its tables for members on these hosts. Each `turn` differs from the one before
    /// it in a setting that takes a rolling restart.
    pub inventory: fn(hosts: &[&str], turn: u32) -> String,
    /// What stands in it before the number that each turn changes, where the service does not start with anything else than
    /// a number there.
    pub number: Option<&'static str>,
    /// Hosts with nothing on them but what the kind expects to find; they resolve each other's names, and the first has
    /// the address 10.0.0.1, the second 10.0.0.2, and so on.
    pub world: fn(hosts: &[&str], pace: Pace) -> Box<dyn FakeCluster>,
}
