//! Files as they should be.

use plan::{Facts, Preview, Unknown};
use protocol::facts::FileQuery;
use protocol::{Operation, Piece, Text};
use sha2::{Digest, Sha256};
use types::HostName;

use crate::limits::QUICK;
use crate::step::{Task, action};

/// A file as it should be.
pub struct DesiredFile<'a> {
    /// The query that asked for it, text included.
    pub query: &'a FileQuery,
    /// Its text.
    pub text: Text,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub owner: &'a str,
    /// Its group.
    pub group: &'a str,
}

impl DesiredFile<'_> {
    /// The task that makes it so; `None` where it is.
    ///
    /// It relies on what stands there now. Where a package of this plan brings the file, that is nothing and does not hold
    /// any more: the kind puts [`protocol::FileState::Any`] in its place. A file of which only the access is wrong is written
    /// again as well, and is newer than its process then; where that would be a restart for nothing, the kind plans an
    /// [`Operation::SetAccess`] itself.
    pub fn plan(self, host: &HostName, facts: &Facts) -> Result<Option<Task>, Unknown> {
        let fact = facts.get(host, self.query)?;
        let path = &self.query.path;
        let same_text = fact.text() == Some(&self.text);
        let same_access = fact.meta().is_some_and(|meta| {
            meta.mode == self.mode && meta.owner == self.owner && meta.group == self.group
        });
        let reason = match (fact.meta(), same_text, same_access) {
            (Some(_), true, true) => return Ok(None),
            (None, ..) => "it is missing".to_owned(),
            (Some(_), false, _) => "its content differs".to_owned(),
            (Some(meta), true, false) => format!(
                "it is {:04o} {}:{} instead of {:04o} {}:{}",
                meta.mode, meta.owner, meta.group, self.mode, self.owner, self.group
            ),
        };
        let verb = if fact.meta().is_some() { "change" } else { "create" };
        let preview = Preview::File {
            path: path.clone(),
            before: fact.text().cloned(),
            after: self.text.clone(),
        };
        let operation = Operation::WriteFile {
            path: path.clone(),
            text: self.text,
            mode: self.mode,
            owner: self.owner.to_owned(),
            group: self.group.to_owned(),
            was: fact.state(),
            trial: None,
        };
        Ok(Some(
            Task::new(host, format!("{verb} {path}"), reason, action(operation, QUICK)).preview(preview),
        ))
    }
}

/// The SHA-256 of what a text stands for, as the agent tells it of a file; `None` where references in it make its bytes
/// unknown here.
pub fn hash(text: &Text) -> Option<String> {
    let pieces = text.pieces().ok()?;
    let is_plain = pieces.iter().all(|piece| matches!(piece, Piece::Plain(_)));
    is_plain.then(|| base16ct::lower::encode_string(&Sha256::digest(text.as_str())))
}
