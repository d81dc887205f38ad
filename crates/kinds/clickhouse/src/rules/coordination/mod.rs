//! The quorum that keeps the replicas' common state: ZooKeeper's members, or Keeper's.

pub(crate) mod ids;
pub(crate) mod interim_membership;
pub(crate) mod quorum;
pub(crate) mod quorum_guard;
pub(crate) mod rejoin;
pub(crate) mod zoo_cfg;
