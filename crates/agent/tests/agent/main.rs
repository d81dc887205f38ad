//! The real binary, over its pipes: what a controller sees.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod client;
mod commands;
mod conformance;
mod conversation;
mod erlang;
mod files;
mod hostile;
mod http;
mod passwords;
mod peers;
mod rabbitmq_trial;
mod races;
mod redis;
mod repeated_actions;
mod sealed;
mod silence;
mod ssdb;
mod systemd;
mod trials;

use client::Client;
