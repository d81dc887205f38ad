//! All hosts of one service in memory, and what can happen to them.

use std::collections::BTreeSet;

use protocol::{ActionError, Fact, FactError, FactQuery, Operation};
use types::HostName;

/// How long things take in a world, in microseconds. In most tests of kinds, no time at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// From the start of a process until it answers.
    pub start_us: i64,
    /// From the loss of a leader until there is another.
    pub elect_us: i64,
    /// From a member's coming back until it has caught up.
    pub copy_us: i64,
    /// How long a server that is told to stop goes on before it ends, where it takes leave of its clients.
    pub quiesce_us: i64,
}

/// Something that nobody planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The service's process on a host dies, and stays away until somebody starts it.
    Crash(HostName),
    /// systemd starts the process again that died; nothing where it runs or was stopped on purpose.
    Revive(HostName),
    /// The host goes down with all that runs on it.
    Down(HostName),
    /// The host boots: what is enabled starts.
    Up(HostName),
    /// The other hosts cannot be reached from a host, nor it from them.
    Cut(HostName),
    /// They can again.
    Heal(HostName),
    /// The service makes another member the leader, where it has leaders and another could be.
    Handover,
}

impl Fault {
    /// The host that it comes to; `None` where it comes to the service as a whole.
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::Crash(host)
            | Self::Revive(host)
            | Self::Down(host)
            | Self::Up(host)
            | Self::Cut(host)
            | Self::Heal(host) => Some(host),
            Self::Handover => None,
        }
    }
}

/// All hosts of a service, in memory.
pub trait FakeCluster: Send {
    /// Lets time go on to a moment, in microseconds since 1970: what is under way and due by then happens. A moment that
    /// is not later than the last one changes nothing.
    fn advance(&mut self, now_us: i64);

    /// What the agent on a host answers now; `None` where the question is about no file, unit or server of this service.
    fn answer(&self, host: &HostName, query: &FactQuery) -> Option<Result<Fact, FactError>>;

    /// What the agent on a host does now; `None` where the operation is about nothing of this service. Commands of a
    /// [`Operation::Run`] come one at a time. A [`protocol::FileState`] that does not hold is [`ActionError::Changed`].
    fn operate(&mut self, host: &HostName, operation: &Operation) -> Option<Result<(), ActionError>>;

    /// Until when the operation that a host was told last goes on, in microseconds since 1970; `None` where it is done. The
    /// agent that was told it waits as long.
    fn busy_until(&self, _host: &HostName) -> Option<i64> {
        None
    }

    /// Fault comes.
    fn inject(&mut self, trouble: &Fault);

    /// The members that serve now and count for the quorum. While the others of them choose a leader, members that could
    /// be the leader or follow it count too: an election is short, and takes no member away.
    fn serving(&self) -> BTreeSet<HostName>;

    /// How many of them must serve so that the service does; 0 while it is not formed, for then nothing can be lost. Where
    /// the kind's own budget takes one of two members, the one that is left.
    fn needed(&self) -> usize;

    /// The applications have learned that these are the members, and use no others from now on; before they are told,
    /// all. Where the service's own protocol tells clients who the members are, nothing.
    fn clients(&mut self, _hosts: &[HostName]) {}

    /// A client writes a value, through whoever takes writes now; whether it was acknowledged in the way that the service
    /// promises to keep (a majority, a publisher confirm).
    fn write(&mut self, value: u64) -> bool;

    /// Whether a value can be read. The simulation asks once every trouble is over and the plan is empty.
    fn has_value(&self, value: u64) -> bool;

    /// What an operation did that must never happen, in words, since the beginning: two masters by our doing, a master
    /// that was stopped under the feet of those who watch it, data of a member that was destroyed without consent.
    fn violations(&self) -> &[String];
}
