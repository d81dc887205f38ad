//! The voters of the quorum: ZooKeeper, or Keeper within the server.

pub(crate) mod on_disk;
pub(crate) mod queries;
pub(crate) mod voter;
