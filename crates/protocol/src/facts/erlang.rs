//! Erlang nodes, asked over the Erlang distribution protocol.
//!
//! `rabbitmqctl` starts a virtual machine for each question, which takes a second; a connection of a few
//! milliseconds asks the node itself. Protocol: <https://www.erlang.org/doc/apps/erts/erl_dist_protocol.html>.

use serde::{Deserialize, Serialize};
use types::SecretId;

use super::Silence;

/// Calls functions that change nothing on a node that runs on this host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ErlangQuery {
    /// The node's name, e.g. `rabbit@db1`.
    pub node: String,
    /// The file that holds the cookie; it is read on the host and goes nowhere else.
    pub cookie_file: String,
    /// The call that is made first, and what it must return before those calls are made that need it. Where the node has no such
    /// function, they are made anyway.
    #[serde(default)]
    pub ready: Option<(Call, Term)>,
    /// The calls, in order.
    pub calls: Vec<Call>,
}

/// One function call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Module.
    pub module: String,
    /// Function.
    pub function: String,
    /// Arguments; a [`Term::Str`] among them is sent as a binary.
    pub args: Vec<Term>,
    /// Whether it is made only once the node is ready; before, its result is an error.
    #[serde(default)]
    pub when_ready: bool,
}

impl Call {
    /// A call of `module:function(args...)`.
    pub fn new(module: &str, function: &str, args: impl Into<Vec<Term>>) -> Self {
        Self {
            module: module.to_owned(),
            function: function.to_owned(),
            args: args.into(),
            when_ready: false,
        }
    }

    /// The same call, made only once the node is ready.
    #[must_use]
    pub fn when_ready(self) -> Self {
        Self {
            when_ready: true,
            ..self
        }
    }
}

/// What the node answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErlangFact {
    /// No answer, and why. It is refused as well where epmd does not run or knows no such node.
    Down(Silence),
    /// The node runs, and does not accept the cookie of the file: it was started with another one.
    Denied(String),
    /// A result for each call, in order; the error is what `rpc:call` said, e.g. `{badrpc,...}`.
    Results(Vec<Result<Term, String>>),
}

/// An Erlang term, as far as facts need it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Term {
    /// An atom.
    Atom(String),
    /// An integer; one that does not fit is `Other`.
    Int(i64),
    /// A floating-point number, as text.
    Float(String),
    /// A binary, or a list of characters: Erlang's two ways to write a string. Not UTF-8 is replaced.
    Str(String),
    /// A list. The empty list is also the empty string.
    List(Vec<Term>),
    /// A tuple.
    Tuple(Vec<Term>),
    /// A map's pairs.
    Map(Vec<(Term, Term)>),
    /// A pid, port, reference, function or bit string, as Erlang prints it.
    Other(String),
    /// The value of a secret, sent as a binary: as an argument only, no answer holds one.
    Secret(SecretId),
}

impl Term {
    /// An atom.
    pub fn atom(name: impl Into<String>) -> Self {
        Self::Atom(name.into())
    }

    /// The characters of an atom or a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Atom(text) | Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list or a tuple.
    pub fn items(&self) -> &[Term] {
        match self {
            Self::List(items) | Self::Tuple(items) => items,
            _ => &[],
        }
    }

    /// The value of a key in a property list or a map.
    pub fn get(&self, key: &str) -> Option<&Term> {
        if let Self::Map(pairs) = self {
            return pairs
                .iter()
                .find(|(name, _)| name.as_str() == Some(key))
                .map(|(_, value)| value);
        }
        self.items().iter().find_map(|item| match item {
            Self::Tuple(pair) if pair.len() == 2 && pair[0].as_str() == Some(key) => Some(&pair[1]),
            _ => None,
        })
    }
}
