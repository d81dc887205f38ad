//! The quorum that keeps the replicas' common state: ZooKeeper, or Keeper within the servers.

pub(crate) mod election;
pub(crate) mod health;
pub(crate) mod ids;
pub(crate) mod interim_membership;
pub(crate) mod lost_quorum;
pub(crate) mod membership;
pub(crate) mod quorum;
pub(crate) mod quorum_guard;
pub(crate) mod rejoin;
mod zoo_cfg;
pub(crate) mod zookeeper_files;
