//! Pieces that several kinds are made of: desired files, units that must run, and the notes that go with them.

use plan::{Facts, Preview, Unknown};
use protocol::facts::{FileQuery, TcpFact, TcpQuery, UnitFact, UnitQuery};
use protocol::{Action, Operation, Piece, Text, UnitVerb};
use sha2::{Digest, Sha256};
use types::HostName;

use crate::step::{Cx, StepPlan, Task};

/// Time limit of an action that is quick on an idle host, and may not be on a busy one, in milliseconds.
pub(crate) const QUICK: u64 = 60_000;
/// Time limit for a unit to start or stop, in milliseconds: systemd's own default is 90 s for each of the two.
pub(crate) const UNIT: u64 = 300_000;
/// Time limit for packages to be fetched and installed, in milliseconds.
pub(crate) const PACKAGES: u64 = 1_800_000;

/// The lines of a file that is edited. Unlike [`str::lines`] it leaves a carriage return where it stands: it is the
/// operator's, and an edit that took one away would take the next one away the next time.
pub(crate) fn lines(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split_terminator('\n')
}

/// What must be told to systemd so that a unit neither runs nor starts at boot; empty where it does neither.
pub(crate) fn verbs_to_retire(unit: &UnitFact) -> Vec<UnitVerb> {
    let mut verbs = Vec::new();
    if unit.is_enabled() {
        verbs.push(UnitVerb::Disable);
    }
    if unit.is_active() {
        verbs.push(UnitVerb::Stop);
    }
    verbs
}

/// Whether some of the others were asked whether they reach a port of a host, and none does.
pub(crate) fn is_reached_by_none<'h>(
    facts: &Facts,
    port: &TcpQuery,
    others: impl Iterator<Item = &'h HostName>,
) -> bool {
    let mut seen = others.filter_map(|other| facts.get(other, port).ok()).peekable();
    seen.peek().is_some() && seen.all(|fact| *fact != TcpFact::Open)
}

/// A file as it should be.
pub(crate) struct DesiredFile<'a> {
    /// The query that asked for it, text included.
    pub(crate) query: &'a FileQuery,
    /// Its text.
    pub(crate) text: Text,
    /// Its permission bits.
    pub(crate) mode: u32,
    /// Its owner.
    pub(crate) owner: &'a str,
    /// Its group.
    pub(crate) group: &'a str,
}

impl DesiredFile<'_> {
    /// The task that makes it so; `None` where it is.
    pub(crate) fn plan(self, host: &HostName, facts: &Facts) -> Result<Option<Task>, Unknown> {
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
        };
        Ok(Some(
            Task::new(host, format!("{verb} {path}"), reason, action(operation, QUICK)).preview(preview),
        ))
    }
}

/// An action without preconditions.
pub(crate) fn action(operation: Operation, limit_ms: u64) -> Action {
    Action {
        only_if: Vec::new(),
        operation,
        limit_ms,
    }
}

/// What must be told to systemd so that a unit runs and starts at boot; empty where it does.
///
/// A unit that is not known yet, because its package is to be installed by this plan, is enabled and started.
pub(crate) fn verbs_to_run(host: &HostName, unit: &str, facts: &Facts) -> Result<Vec<UnitVerb>, Unknown> {
    let fact = facts.get(host, &UnitQuery::new(unit))?;
    let mut verbs = Vec::new();
    if fact.stale {
        verbs.push(UnitVerb::DaemonReload);
    }
    if !fact.is_enabled() {
        verbs.push(UnitVerb::Enable);
    }
    if !fact.is_active() {
        verbs.push(UnitVerb::Start);
    }
    Ok(verbs)
}

/// Plans each of the step's hosts by itself; a host of which too little is known is reported as not planned.
pub(crate) fn each_host(
    cx: &Cx<'_>,
    mut plan: impl FnMut(&HostName) -> Result<Vec<Task>, Unknown>,
) -> StepPlan {
    let mut all = StepPlan::nothing();
    for host in cx.hosts {
        match plan(host) {
            Ok(tasks) => all.tasks.extend(tasks),
            Err(unknown) => all.unplanned.push((host.clone(), unknown.to_string())),
        }
    }
    all
}

/// The SHA-256 of what a text stands for, as the agent tells it of a file; `None` where references in it make its bytes
/// unknown here.
pub(crate) fn hash(text: &Text) -> Option<String> {
    let pieces = text.pieces().ok()?;
    let is_plain = pieces.iter().all(|piece| matches!(piece, Piece::Plain(_)));
    is_plain.then(|| base16ct::lower::encode_string(&Sha256::digest(text.as_str())))
}
