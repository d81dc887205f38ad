//! The errors that a command answers with, under the numbers and names of the real server.
//!
//! What clusterctl does next often hangs on the number alone (23 is no failure where 93 is one), so the numbers and
//! the names come from the server's own list, `src/mongo/base/error_codes.yml`.

use bson::{Document, doc};

/// An error's number, under its `codeName`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "these are the server's own names, and each says what it is"
)]
pub enum Code {
    InternalError = 1,
    BadValue = 2,
    HostUnreachable = 6,
    FailedToParse = 9,
    UserNotFound = 11,
    Unauthorized = 13,
    TypeMismatch = 14,
    ProtocolError = 17,
    AuthenticationFailed = 18,
    AlreadyInitialized = 23,
    NamespaceNotFound = 26,
    RoleNotFound = 31,
    NamespaceExists = 48,
    MaxTimeMSExpired = 50,
    CommandNotFound = 59,
    WriteConcernTimeout = 64,
    InvalidOptions = 72,
    NodeNotFound = 74,
    NoReplicationEnabled = 76,
    UnknownReplWriteConcern = 79,
    ShutdownInProgress = 91,
    InvalidReplicaSetConfig = 93,
    NotYetInitialized = 94,
    NotSecondary = 95,
    UnsatisfiableWriteConcern = 100,
    NewReplicaSetConfigurationIncompatible = 103,
    NodeNotElectable = 104,
    InconsistentReplicaSetNames = 108,
    ConfigurationInProgress = 109,
    OplogStartMissing = 120,
    CommandFailed = 125,
    PrimarySteppedDown = 189,
    UnknownFeatureCompatibilityVersion = 258,
    ExceededTimeLimit = 262,
    CurrentConfigNotCommittedYet = 308,
    MechanismUnavailable = 334,
    InterruptedDueToReplStateChange = 11602,
    NotWritablePrimary = 10107,
    DuplicateKey = 11000,
    NotPrimaryNoSecondaryOk = 13435,
    NotPrimaryOrSecondary = 13436,
    Location17347 = 17347,
    Location40414 = 40414,
    Location51003 = 51003,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code:?}: {message}")]
pub struct CommandError {
    /// The server's number and name of the error.
    pub code: Code,
    /// What `errmsg` says.
    pub message: String,
    /// More fields for the reply, beside the usual ones.
    pub extra: Document,
}

impl CommandError {
    /// The error of this number with this text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            extra: Document::new(),
        }
    }

    /// The same error with one more field in the reply.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<bson::Bson>) -> Self {
        self.extra.insert(key, value.into());
        self
    }

    /// Whether it says that the client should look for another server.
    pub fn is_of_the_topology(&self) -> bool {
        matches!(
            self.code,
            Code::NotWritablePrimary
                | Code::NotPrimaryNoSecondaryOk
                | Code::NotPrimaryOrSecondary
                | Code::PrimarySteppedDown
                | Code::InterruptedDueToReplStateChange
                | Code::ShutdownInProgress
        )
    }

    /// The reply that tells a client of it.
    pub fn reply(&self) -> Document {
        let mut reply = self.extra.clone();
        reply.extend(doc! {
            "ok": 0.0, "errmsg": &self.message, "code": self.code as i32, "codeName": format!("{:?}", self.code),
        });
        reply
    }
}

/// A command's reply, without `ok`.
pub type Reply = Result<Document, CommandError>;

/// The error of this number with this text, as a result.
pub fn fail<T>(code: Code, message: impl Into<String>) -> Result<T, CommandError> {
    Err(CommandError::new(code, message))
}
