//! What the fuzz targets call: the readers and editors of texts that hosts and operators wrote.
//!
//! They are private to their kinds; nothing but tests uses this module. A text that a kind reads has its function in the
//! kind's own `fuzzing.rs`, and its line here.

pub use crate::altcraft::fuzzing::main_json;
pub use crate::clickhouse::fuzzing::{xml, zoo_cfg};
pub use crate::generic::fuzzing::{ini, template};
pub use crate::kvrocks::fuzzing::directives;
pub use crate::mongodb::fuzzing::mongod_conf;
pub use crate::rabbitmq::fuzzing::rabbitmq_conf;
pub use crate::ssdb::fuzzing::ssdb_conf;

/// What an editor makes of a file that it can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The file with our settings.
    pub once: String,
    /// The same edit on the result. Where it differs, a plan is never empty.
    pub twice: Option<String>,
    /// Whether the editor's own reader finds our settings in the result.
    pub is_set: bool,
}
