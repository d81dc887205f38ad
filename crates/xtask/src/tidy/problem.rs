//! What a rule says: where, what, why, and how to resolve it.

use std::fmt;

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// The file, relative to the workspace's root.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is there.
    pub(crate) what: String,
    /// Which rule it breaks, and what the rule is for.
    pub(crate) why: &'static str,
    /// What to do instead.
    pub(crate) resolve: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}: {}", self.file, self.line, self.what)?;
        writeln!(f, "    why:        {}", self.why)?;
        write!(f, "    to resolve: {}", self.resolve)
    }
}
