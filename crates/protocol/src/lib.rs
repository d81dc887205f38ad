//! What the controller and the agent say to each other, and nothing of how it travels.
//!
//! The controller asks with a [`Request`]; the agent answers with a [`Response`]. Both are plain data, encoded by
//! [`frame`] into length-prefixed frames, so that the same bytes go through SSH, a pipe or a test's memory. A fact
//! is the answer to a [`FactQuery`] and never changes anything; an [`Action`] is one typed change and carries the
//! preconditions that it was planned on. A secret is in none of them: a [`Text`] names it, and the agent alone
//! puts the value in.

pub mod action;
pub mod bounds;
pub mod encoding;
pub mod facts;
pub mod frame;
pub mod message;
pub mod record;
mod references;
pub mod text;

pub use action::{
    Action, ActionError, CANDIDATE, Change, Command, Directive, FileChange, Operation, Precondition, Trial,
    UnitVerb,
};
pub use encoding::{Encoding, Reference};
pub use facts::{DirectoryState, Fact, FactError, FactQuery, FileState, Query};
pub use message::{
    HEARTBEAT, Hello, LockHolder, Request, RequestId, Response, SILENCE, Sealed, SealingKey, SecretValue,
    ToAgent, ToController,
};
pub use record::{ActionId, ActionRequest, Record};
pub use text::{Piece, Text, TextError};

/// The version of the contract. Controller and agent are built together and the agent is found by the hash of its
/// content, so two versions meet only by mistake; [`Hello`] carries it so that the mistake is named.
pub const VERSION: u32 = 4;
