//! What a plan rests on, in the words of each service: who is the master, in which term, with which members.
//!
//! The actions of a plan carry their own preconditions. The basis is for a plan that is run later than it was made: it
//! tells an operator why the plan no longer holds, even where the same steps would come out again by chance.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// One thing that a service's part of a plan rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// In words: `the term of the replica set`.
    pub what: String,
    /// What it was.
    pub value: String,
    /// Whether it moves while nothing changes, such as a number of the last write. It does not count then, and where
    /// its value stands in a node, the node counts as the same with the new one; `moving` says in which places. Its value
    /// is of ASCII letters, digits and hyphens.
    #[serde(default)]
    pub moves: bool,
}

impl Basis {
    /// Something that must still be so.
    pub fn new(what: impl Into<String>, value: &(impl Display + ?Sized)) -> Self {
        Self {
            what: what.into(),
            value: value.to_string(),
            moves: false,
        }
    }

    /// Something that moves by itself, and whose value stands in nodes.
    pub fn moving(what: impl Into<String>, value: &(impl Display + ?Sized)) -> Self {
        Self {
            moves: true,
            ..Self::new(what, value)
        }
    }
}
