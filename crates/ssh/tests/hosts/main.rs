//! The whole way to a host: against servers in this process, and against OpenSSH's own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod certificates;
mod common;
mod in_process;
mod server;
mod sshd;
