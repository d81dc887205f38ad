//! A value that cannot be printed.
//!
//! Passwords travel through the controller from where the operator keeps them to the agent that writes them. On
//! the way they pass code that logs, formats and serialises; [`Secret`] answers all of it with asterisks. The
//! one way to the value is [`Secret::expose`], which is easy to search for.

use std::fmt;

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// A secret value. It redacts itself in `Debug`, `Display` and serde, and wipes its memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the value in.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself. Only what writes it to its place on a host, or proves it to a server, may ask for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("abcdefghijklmnopqrstuvwxyzABCDEF");
        assert_eq!(format!("{secret} {secret:?}"), "*** Secret(***)");
    }
}
