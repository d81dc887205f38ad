//! Clients that go on working while a service changes, and what they saw of it.
//!
//! A client does what a good one of its service does: it knows all members, has a time limit for each request, asks
//! again who leads after an error, and repeats a request until it is answered. Nothing here judges how long that took.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::Figures;
use crate::members::{Group, Watch};

/// How many clients a service has. Each begins at another member.
const CLIENTS: usize = 3;

/// How long a request may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);

/// The pause before a request is repeated.
const AGAIN: Duration = Duration::from_millis(50);

/// How long a request is repeated.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many requests each client must have had answered before the change begins.
const WARM: u64 = 20;

/// One client of a service. Every request is tried once; the caller repeats it.
pub(crate) trait Client {
    /// Writes a number; done when the service has acknowledged it. A number that is written twice is there once.
    fn write(&mut self, number: u64) -> Result<(), String>;
    /// Reads something; that a member does not have it yet is an answer.
    fn read(&mut self, number: u64) -> Result<(), String>;
}

/// A service, as those see it who use it.
pub(crate) trait Service: Sync {
    /// The members that must not be away at once.
    fn groups(&self) -> Vec<Group>;
    /// A client that begins at the nth member.
    fn client(&self, first: usize) -> Box<dyn Client>;
    /// The pause of a client after each write and read.
    fn pace(&self) -> Duration {
        Duration::from_millis(20)
    }
    /// Which of these acknowledged writes some member does not have, after a time in which all may get them; `None`
    /// where nothing is stored.
    fn lost(&self, acknowledged: &BTreeSet<u64>) -> Option<BTreeSet<u64>>;
}

/// What all clients have in common.
#[derive(Default)]
struct Common {
    next: AtomicU64,
    answered: AtomicU64,
    is_done: AtomicBool,
}

/// Ends the clients also where the change panics.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes the change while clients work.
pub(crate) fn under_load(what: &str, service: &dyn Service, change: impl FnOnce()) -> Figures {
    let common = &Common::default();
    let is_watched = AtomicBool::new(false);
    let (took, loads, seen) = thread::scope(|scope| {
        let over = Done(&is_watched);
        let watches: Vec<_> = service
            .groups()
            .into_iter()
            .map(|group| Watch::start(scope, group, &is_watched))
            .collect();
        let done = Done(&common.is_done);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|first| scope.spawn(move || drive(service.client(first), service.pace(), common)))
            .collect();
        warm_up(what, common);
        let began = Instant::now();
        change();
        let took = began.elapsed();
        drop(done);
        let loads: Vec<Load> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        drop(over);
        let seen: Vec<_> = watches.into_iter().map(Watch::end).collect();
        (took, loads, seen)
    });
    let load = loads.into_iter().fold(Load::default(), Load::and);
    let lost = service.lost(&load.acknowledged);
    Figures {
        what: what.to_owned(),
        took,
        requests: load.requests,
        failed: load.failed,
        pause: load.pause,
        given_up: load.given_up,
        writes: lost.map(|lost| (load.acknowledged.len(), lost.into_iter().collect())),
        seen,
        errors: load.errors,
    }
}

fn warm_up(what: &str, common: &Common) {
    let until = Instant::now() + PATIENCE;
    while common.answered.load(Ordering::Relaxed) < WARM * CLIENTS as u64 {
        assert!(Instant::now() < until, "{what}: the clients get no answers");
        thread::sleep(AGAIN);
    }
}

/// What one client, or all, saw.
#[derive(Default)]
struct Load {
    requests: u64,
    failed: u64,
    given_up: u64,
    pause: Duration,
    acknowledged: BTreeSet<u64>,
    errors: BTreeMap<String, u64>,
}

impl Load {
    fn and(mut self, other: Self) -> Self {
        self.requests += other.requests;
        self.failed += other.failed;
        self.given_up += other.given_up;
        self.pause = self.pause.max(other.pause);
        self.acknowledged.extend(other.acknowledged);
        for (error, times) in other.errors {
            *self.errors.entry(error).or_default() += times;
        }
        self
    }

    /// Repeats a request until it is answered.
    fn insist(&mut self, mut request: impl FnMut() -> Result<(), String>) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            self.requests += 1;
            let Err(error) = request() else { return true };
            self.failed += 1;
            *self.errors.entry(error).or_default() += 1;
            if Instant::now() > until {
                self.given_up += 1;
                return false;
            }
            thread::sleep(AGAIN);
        }
    }
}

/// Works until the change is done, and has one more write answered after it.
fn drive(mut client: Box<dyn Client>, pace: Duration, common: &Common) -> Load {
    let mut load = Load::default();
    let mut last = Instant::now();
    let mut answered = |load: &mut Load| {
        load.pause = load.pause.max(last.elapsed());
        last = Instant::now();
        common.answered.fetch_add(1, Ordering::Relaxed);
    };
    loop {
        let is_last = common.is_done.load(Ordering::Relaxed);
        let number = common.next.fetch_add(1, Ordering::Relaxed);
        if load.insist(|| client.write(number)) {
            load.acknowledged.insert(number);
            answered(&mut load);
        }
        if load.insist(|| client.read(number)) {
            answered(&mut load);
        }
        if is_last {
            return load;
        }
        thread::sleep(pace);
    }
}

/// Asks each member for all that it has, until nothing is missing or the time is over.
pub(crate) fn missing<M>(
    members: &[M],
    acknowledged: &BTreeSet<u64>,
    numbers: impl Fn(&M) -> Result<BTreeSet<u64>, String>,
) -> BTreeSet<u64> {
    let until = Instant::now() + PATIENCE;
    loop {
        let of = |member| numbers(member).unwrap_or_default();
        let missing: BTreeSet<u64> = members
            .iter()
            .flat_map(|member| acknowledged - &of(member))
            .collect();
        if missing.is_empty() || Instant::now() > until {
            return missing;
        }
        thread::sleep(10 * AGAIN);
    }
}
