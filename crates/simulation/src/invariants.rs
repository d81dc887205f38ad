//! What must hold at every instant, service by service.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use fakes::{FakeCluster, Fault};
use protocol::facts::FileQuery;
use protocol::{Fact, Operation, Query as _};
use types::HostName;

use crate::project::NO_NUMBER;

/// How long a partition may go unseen by the service itself: nobody is told of silence, and each waits for an answer for as
/// long as it does. SSDB waits longest of all, 30 s (`recv_timeout`), and says SYNC meanwhile.
const SILENCE: Duration = Duration::from_secs(35);

/// A service under watch.
pub(crate) struct Watched {
    pub(crate) kind: &'static str,
    /// The service's name, by the inventory in force.
    pub(crate) name: String,
    pub(crate) world: Box<dyn FakeCluster>,
    /// The hosts of its world.
    pub(crate) site: BTreeSet<HostName>,
    /// Its hosts, by the inventory in force.
    pub(crate) members: BTreeSet<HostName>,
    /// How many members may be down by our doing.
    pub(crate) allowed: usize,
    /// Values that a client was told are safe.
    pub(crate) acknowledged: Vec<u64>,
    /// The members that were available at the last observation.
    serving: BTreeSet<HostName>,
    /// The members that an operation took down and that have not been back since.
    ours: BTreeSet<HostName>,
    /// When the service last lost a member otherwise, and the last trouble of each host.
    shrank: Option<Duration>,
    /// Until when a partition is not seen.
    silent: Duration,
    injected: BTreeMap<HostName, (Duration, String)>,
    seen_violations: usize,
    /// The members that serve and were given a file with which no process starts.
    given: BTreeSet<HostName>,
}

/// A service as it is before an operation.
pub(crate) struct Before {
    serving: BTreeSet<HostName>,
    needed: usize,
}

impl Watched {
    pub(crate) fn new(kind: &'static str, hosts: &[&str], world: Box<dyn FakeCluster>) -> Self {
        Self {
            kind,
            name: kind.to_owned(),
            serving: world.serving(),
            world,
            site: hosts.iter().filter_map(|host| host.parse().ok()).collect(),
            members: BTreeSet::new(),
            allowed: 1,
            acknowledged: Vec::new(),
            ours: BTreeSet::new(),
            shrank: None,
            silent: Duration::ZERO,
            injected: BTreeMap::new(),
            seen_violations: 0,
            given: BTreeSet::new(),
        }
    }

    /// Lets time go on.
    pub(crate) fn advance(&mut self, now: Duration, now_us: i64) {
        self.world.advance(now_us);
        self.look(now);
    }

    /// Lets trouble come to a host, or to the service as a whole.
    pub(crate) fn inject(&mut self, now: Duration, trouble: &Fault, host: Option<&HostName>) {
        self.world.inject(trouble);
        if matches!(trouble, Fault::Cut(_)) {
            self.silent = now + SILENCE;
        }
        if let Some(host) = host {
            self.ours.remove(host);
            self.injected.insert(host.clone(), (now, format!("{trouble:?}")));
        }
        self.look(now);
    }

    /// The members that are available now; changes since the last observation were no operation's.
    fn look(&mut self, now: Duration) {
        let serving = self.world.serving();
        if self.serving.difference(&serving).next().is_some() {
            self.shrank = Some(now);
        }
        self.ours.retain(|host| !serving.contains(host));
        self.serving = serving;
    }

    pub(crate) fn is_serving(&self, host: &HostName) -> bool {
        self.serving.contains(host)
    }

    /// How the service stands right before an operation.
    pub(crate) fn before(&self) -> Before {
        Before {
            serving: self.serving.clone(),
            needed: self.world.needed(),
        }
    }

    /// What an operation broke. A member that was lost after `known` cannot have been known to whoever ordered it.
    pub(crate) fn after(&mut self, host: &HostName, before: &Before, known: Duration) -> Vec<String> {
        let serving = self.world.serving();
        let needed = self.world.needed();
        let mut broken: Vec<String> = self.world.violations()[self.seen_violations..].to_vec();
        self.seen_violations += broken.len();
        let is_excused = self.silent > known || self.shrank.is_some_and(|at| at > known);
        // Where the loss of another could not be known, what the rest came to by both is not ours.
        let is_ours = |gone: &HostName| self.members.contains(gone) && (gone == host || !is_excused);
        let gone: Vec<HostName> = before
            .serving
            .difference(&serving)
            .filter(|gone| is_ours(gone))
            .cloned()
            .collect();
        self.ours.extend(gone);
        self.ours
            .retain(|host| !serving.contains(host) && self.members.contains(host));
        let was_kept = before.needed > 0 && before.serving.len() >= before.needed;
        if was_kept && serving.len() < needed && !is_excused {
            broken.push(format!(
                "{} lost its quorum: {:?} served, {:?} do, and {needed} must{}",
                self.name,
                before.serving,
                serving,
                self.causes()
            ));
        }
        if self.ours.len() > self.allowed {
            broken.push(format!(
                "{}: down by our doing are {:?}{}",
                self.name,
                self.ours,
                self.causes()
            ));
        }
        self.serving = serving;
        broken
    }

    /// What an operation that writes a file did: no second member may get one that no member has proven.
    pub(crate) fn written(
        &mut self,
        host: &HostName,
        before: &Before,
        operation: &Operation,
    ) -> Option<String> {
        let Operation::WriteFile { path, text, .. } = operation else {
            return None;
        };
        let is_given = text.as_str().contains(NO_NUMBER) && before.serving.contains(host);
        if is_given && self.members.contains(host) {
            self.given.insert(host.clone());
        }
        // It may have been put back, or written again by the service itself.
        let query = FileQuery::text(path).wrap();
        let has_it = |host: &HostName| match self.world.answer(host, &query) {
            Some(Ok(Fact::File(file))) => file.text().is_some_and(|text| text.as_str().contains(NO_NUMBER)),
            _ => false,
        };
        let given: BTreeSet<HostName> = self.given.iter().filter(|host| has_it(host)).cloned().collect();
        self.given = given;
        (is_given && self.given.len() > 1).then(|| {
            format!(
                "{}: none has proven the file that {:?} have",
                self.name, self.given
            )
        })
    }

    fn causes(&self) -> String {
        let mut text = String::new();
        for (host, (at, what)) in &self.injected {
            if !self.serving.contains(host) {
                let _ = write!(text, "; {what} at {:.3} s", at.as_secs_f64());
            }
        }
        text
    }

    /// A client writes.
    pub(crate) fn write(&mut self, value: u64) {
        if self.world.write(value) {
            self.acknowledged.push(value);
        }
    }

    /// The violations once all is over and nothing is left to do.
    pub(crate) fn at_the_end(&self) -> Vec<String> {
        let lost: Vec<u64> = self
            .acknowledged
            .iter()
            .copied()
            .filter(|value| !self.world.has_value(*value))
            .collect();
        let mut broken = Vec::new();
        if !lost.is_empty() {
            broken.push(format!("{}: acknowledged and lost: {lost:?}", self.name));
        }
        let missing: Vec<&HostName> = self.members.difference(&self.serving).collect();
        if !missing.is_empty() {
            broken.push(format!(
                "{}: nothing is left to do, and {missing:?} do not serve",
                self.name
            ));
        }
        broken
    }
}
