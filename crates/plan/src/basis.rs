//! What a plan rests on, in the words of each service: its master or primary, the term, the members.
//!
//! The actions of a plan carry their own preconditions. The basis is for a plan that is executed later than it was made: it
//! tells an operator why the plan is stale, even where the same steps come out again by chance.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// One thing that a service's part of a plan rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// In words: `the term of the replica set`.
    pub what: String,
    /// What it was.
    pub value: String,
    /// Whether it is volatile: it changes while nothing else does, such as the number of the last write. Then it does not
    /// count, and a node with its value counts as the same with the new one; `volatile` says in which places. The value is
    /// of ASCII letters, digits and hyphens.
    #[serde(default, rename = "moves")]
    pub is_volatile: bool,
}

impl Basis {
    /// Something that must still be so.
    pub fn new(what: impl Into<String>, value: &(impl Display + ?Sized)) -> Self {
        Self {
            what: what.into(),
            value: value.to_string(),
            is_volatile: false,
        }
    }

    /// Something volatile, whose value is part of nodes.
    pub fn volatile(what: impl Into<String>, value: &(impl Display + ?Sized)) -> Self {
        Self {
            is_volatile: true,
            ..Self::new(what, value)
        }
    }
}
