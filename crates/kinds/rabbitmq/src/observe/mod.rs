//! The questions to hosts, their answers, and the view of the cluster that these make.

mod broker;
pub(crate) mod calls;
mod configuration;
pub(crate) mod queries;
mod queues;
mod replies;
mod terms;
mod view;

pub(crate) use broker::{Broker, SeenPermission, SeenPolicy, SeenUser, is_before};
pub(crate) use configuration::Configuration;
pub(crate) use queues::{Queue, Queues, Untold, critical_queues, quorum_queues};
pub(crate) use view::{Member, Node, View};
