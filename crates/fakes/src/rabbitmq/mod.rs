//! A cluster in memory, as RabbitMQ 3.10 on Debian behaves.
//!
//! Nodes have Mnesia's idea of who has the newest state, queues have copies that may be behind, and a broker in a
//! minority stops where its configuration says so. A partition that brokers outlive (`ignore`) is told by both sides
//! until they are restarted; that their contents go separate ways is not played.

mod answers;
mod clients;
mod cluster;
mod commands;
mod fake;
mod hosts;
mod lifecycle;
mod node;
mod operations;

pub use fake::PLAY;
pub use hosts::Hosts;
