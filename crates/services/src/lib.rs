//! The registry of kinds: the one place that knows all of them. A new kind is a crate under crates/kinds, with a line in
//! this crate's manifest and a line here.

use kit::Kinds;

/// Every kind.
pub static KINDS: Kinds = Kinds::new(&[
    altcraft::KIND,
    clickhouse::KIND,
    kvrocks::KIND,
    mongodb::KIND,
    rabbitmq::KIND,
    ssdb::KIND,
]);
