//! The way to real hosts: an agent at the end of an SSH connection.
//!
//! [`Ssh`] is the [`Transport`](transport::Transport) of production, and this crate is the only one that knows
//! russh. Opening a stream to a host takes these steps, a module each:
//!
//! 1. `config`: what the inventory does not say of a host is asked of OpenSSH's own configuration;
//! 2. `target`: both together become a target, with the jump hosts on the way;
//! 3. `dial`: TCP (or a channel of the jump host), key exchange, and the host's key against `known_hosts`;
//! 4. `auth`: the identities of the operator's agent and key files (`keyring`), one after the other;
//! 5. `bootstrap`: one command that starts the cached agent, or takes it in first;
//! 6. `channel`: the stream itself, and the last words of the far side when it breaks.
//!
//! Host keys are always checked strictly, whatever `StrictHostKeyChecking` says: an unknown key is an error, unless
//! the operator accepts new ones for this run; changed host keys are always rejected.

mod auth;
mod bootstrap;
mod channel;
mod config;
mod deadline;
mod dial;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod jump;
mod keyring;
mod known_hosts;
mod options;
mod policy;
mod prompt;
mod socket;
mod target;
mod transport_impl;

pub use jump::{Jump, JumpError};
pub use options::{AgentBinary, ConfigFile, Endpoint, Keepalive, Privilege, SshOptions};
pub use prompt::{NoPrompt, Prompt};
pub use transport_impl::Ssh;
