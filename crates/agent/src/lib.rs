//! What runs on a host.
//!
//! The agent is a small static program that the controller starts over SSH. It reads requests from its standard
//! input, answers questions about the host ([`facts`]) and changes it ([`actions`]), and ends with the connection:
//! nothing listens, nothing stays. It makes no decision of its own: what an answer means, and what is to be done,
//! is decided elsewhere; here is only how it is found out and how it is done safely.
//!
//! It uses blocking threads instead of an async runtime: a host is asked a few dozen things at once at most, and
//! the binary is sent to every host, so small comes first.

mod accounts;
mod actions;
mod bounds;
mod client;
mod clock;
mod facts;
mod harden;
mod host;
mod http;
mod listener;
mod lock;
mod mongo;
mod mutex;
mod pool;
mod process;
mod record_file;
mod redact;
mod resolver;
mod resp;
mod serve;
mod ssdb;
mod stamps;
pub mod start;
mod stream;
mod tail;
mod wire;

#[doc(hidden)]
pub use facts::fuzzing;
pub use harden::harden;
pub use host::Options;
pub use listener::Listener;
pub use serve::{ServeError, serve};
