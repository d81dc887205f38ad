//! MongoDB servers, asked in their own protocol.
//!
//! Protocol: `OP_MSG` (<https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>), authentication with
//! SCRAM-SHA-256 (RFC 5802 and 7677). Commands and replies are documents; [`Bson`] is as much of them as facts and
//! changes need, and can be compared, stored and shown.

use serde::{Deserialize, Serialize};
use types::SecretId;

use super::Silence;
use crate::Text;

/// Connects, authenticates where a user is named, and sends commands that change nothing, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MongoQuery {
    /// Where the server listens, as seen from the host; a numeric address or a name.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The user that asks; `None` without a login.
    pub user: Option<MongoUser>,
    /// Whether to go on as nobody where the server refuses the user with [`MongoError::is_refused_login`]: a server
    /// without users answers what its localhost exception allows, one without access control answers everything.
    pub or_as_nobody: bool,
    /// The commands.
    pub commands: Vec<MongoCommand>,
}

/// A user of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MongoUser {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: SecretId,
    /// The database that it was made in, e.g. `admin`.
    pub auth_db: String,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MongoCommand {
    /// The database that it is for.
    pub db: String,
    /// Its fields; the first names the command.
    pub fields: Fields,
    /// The fields of the reply that are wanted, as dotted paths; every element of an array on the way is looked into.
    /// Empty for the whole reply. What is not wanted is neither sent over nor compared.
    pub only: Vec<String>,
}

/// The fields of a document, in order.
pub type Fields = Vec<(String, Bson)>;

impl MongoCommand {
    /// A command for the database `admin`, with a value for its name, and no more fields.
    pub fn new(name: &str, value: impl Into<Bson>) -> Self {
        Self {
            db: "admin".to_owned(),
            fields: vec![(name.to_owned(), value.into())],
            only: Vec::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Bson>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    /// Wants only these fields of the reply.
    #[must_use]
    pub fn only(mut self, paths: &[&str]) -> Self {
        self.only.extend(paths.iter().map(|&path| path.to_owned()));
        self
    }

    /// The command's name.
    pub fn name(&self) -> &str {
        self.fields.first().map_or("", |(name, _)| name)
    }
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MongoFact {
    /// No answer, and why.
    Down(Silence),
    /// The server refused the user, and nobody was to go on in their place.
    Denied(MongoError),
    /// A reply for each command.
    Replies {
        /// How the server took the user.
        login: Login,
        /// The replies, in the order of the commands: a document, or the server's error.
        replies: Vec<Result<Bson, MongoError>>,
    },
}

/// How a server took the user of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Login {
    /// No user was named.
    Nobody,
    /// The server accepted the user.
    Accepted,
    /// The server refused the user, and the commands were sent without a login.
    Refused(MongoError),
}

/// An error in the server's words (<https://www.mongodb.com/docs/manual/reference/error-codes/>).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MongoError {
    /// Its number, e.g. 94.
    pub code: i32,
    /// Its name, e.g. `NotYetInitialized`; empty where the server gave none.
    pub name: String,
    /// The message.
    pub message: String,
}

impl MongoError {
    /// Whether it says that there is no such user or that the password is wrong: `UserNotFound` or
    /// `AuthenticationFailed`. Servers say the latter for both, so that nobody learns who exists.
    pub fn is_refused_login(&self) -> bool {
        matches!(self.code, 11 | 18)
    }
}

impl std::fmt::Display for MongoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "{} (code {})", self.message, self.code),
            name => write!(f, "{} ({name}, code {})", self.message, self.code),
        }
    }
}

/// A value of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Bson {
    /// `null`, and `undefined` of old.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of 32 or 64 bits: servers take either, and are not consistent in which they give.
    Int(i64),
    /// A floating-point number, as text that reads back as the same number: facts can be compared.
    Double(String),
    /// A string; in a command it may name secrets.
    Str(Text),
    /// An array.
    Array(Vec<Bson>),
    /// A document.
    Doc(Fields),
    /// Milliseconds since 1970.
    Date(i64),
    /// A time of the oplog: seconds since 1970, and a number within the second.
    Timestamp(u32, u32),
    /// An object id, in hexadecimal.
    ObjectId(String),
    /// Binary data: its subtype, and the bytes in hexadecimal.
    Binary(u8, String),
    /// Anything else, as it prints; it cannot be sent back.
    Other(String),
}

impl Bson {
    /// A document of these fields.
    pub fn doc<'n>(fields: impl IntoIterator<Item = (&'n str, Bson)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self::Doc(fields.collect())
    }

    /// A floating-point number.
    pub fn double(number: f64) -> Self {
        Self::Double(format!("{number:?}"))
    }

    /// The fields where it is a document, and none where it is not.
    pub fn fields(&self) -> &[(String, Bson)] {
        match self {
            Self::Doc(fields) => fields,
            _ => &[],
        }
    }

    /// The elements where it is an array, and none where it is not.
    pub fn items(&self) -> &[Bson] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }

    /// The value at a dotted path of a document.
    pub fn get(&self, path: &str) -> Option<&Bson> {
        path.split('.').try_fold(self, |at, key| {
            at.fields()
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value)
        })
    }

    /// The string where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The number where it is one without a fraction, a floating-point one included.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Double(text) => text.strip_suffix(".0")?.parse().ok(),
            _ => None,
        }
    }

    /// The number where it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Double(text) => text.parse().ok(),
            // The nearest one, as text is read.
            Self::Int(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }

    /// Whether it is true, as servers take it: a boolean, or a number other than 0.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Bool(flag) => *flag,
            other => other.as_f64().is_some_and(|number| number != 0.0),
        }
    }
}

impl From<bool> for Bson {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i32> for Bson {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<i64> for Bson {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Bson {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Bson {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<Text> for Bson {
    fn from(text: Text) -> Self {
        Self::Str(text)
    }
}

/// As a shell would print it, in one line.
impl std::fmt::Display for Bson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Double(text) => f.write_str(text.strip_suffix(".0").unwrap_or(text)),
            Self::Str(text) => write!(f, "{:?}", text.as_str()),
            Self::Date(ms) => write!(f, "Date({ms})"),
            Self::Timestamp(time, increment) => write!(f, "Timestamp({time}, {increment})"),
            Self::ObjectId(hex) => write!(f, "ObjectId(\"{hex}\")"),
            Self::Binary(subtype, hex) => write!(f, "Binary({subtype}, \"{hex}\")"),
            Self::Other(text) => f.write_str(text),
            Self::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Self::Doc(fields) => write_fields(f, fields),
        }
    }
}

fn write_fields(f: &mut std::fmt::Formatter<'_>, fields: &[(String, Bson)]) -> std::fmt::Result {
    f.write_str("{")?;
    for (at, (name, value)) in fields.iter().enumerate() {
        let comma = if at == 0 { " " } else { ", " };
        // Dots and the like need quotes in a shell.
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            write!(f, "{comma}{name}: {value}")?;
        } else {
            write!(f, "{comma}{name:?}: {value}")?;
        }
    }
    f.write_str(if fields.is_empty() { "}" } else { " }" })
}

/// As a shell would print the document.
impl std::fmt::Display for MongoCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_fields(f, &self.fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_type_are_numbers() {
        assert_eq!(Bson::double(1.0).as_int(), Some(1));
        assert_eq!(Bson::double(0.5).as_int(), None);
        assert_eq!(Bson::Int(5).as_f64(), Some(5.0));
        assert!(Bson::double(1.0).is_true() && !Bson::Int(0).is_true());
    }

    #[test]
    fn a_path_leads_into_documents() {
        let doc = Bson::doc([("config", Bson::doc([("version", Bson::Int(3))]))]);
        assert_eq!(doc.get("config.version").and_then(Bson::as_int), Some(3));
        assert_eq!(doc.get("config.term"), None);
    }

    #[test]
    fn a_command_prints_as_in_a_shell() {
        let members = Bson::Array(vec![Bson::doc([("_id", 0.into()), ("host", "db1:27017".into())])]);
        let command =
            MongoCommand::new("replSetInitiate", Bson::doc([("members", members)])).with("x.y", true);
        assert_eq!(
            command.to_string(),
            "{ replSetInitiate: { members: [{ _id: 0, host: \"db1:27017\" }] }, \"x.y\": true }"
        );
    }
}
