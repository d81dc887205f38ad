//! Answering questions: one module a subject.
//!
//! The queries of a request are answered at the same time as far as that saves time, and in as few processes as
//! possible: all units by one `systemctl`, all packages by one `dpkg-query`, all names by one `getent`.

mod answer;
mod command;
mod erlang;
mod file;
pub mod fuzzing;
mod http;
mod log;
mod mongo;
mod names;
mod os;
mod package;
mod resp;
mod ssdb;
mod tcp;
mod unit;
mod words;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use protocol::bounds::{Limits, measure};
use protocol::{Fact, FactQuery};

use crate::bounds::Share;
use crate::host::Host;
use crate::mutex::locked;

use self::answer::{Answer, unknown};

pub(crate) use package::installed;
pub(crate) use unit::invocation;

/// How many queries of one request are answered at once.
const THREADS: usize = 16;

/// Answers all queries, in their order; the answers are held until the share is given back. One that is too large, or
/// for which there is no memory left, is an error of its own.
pub(crate) fn gather<'h>(host: &'h Host, queries: &[FactQuery]) -> (Vec<Answer>, Share<'h>) {
    let jobs = Job::sort(queries);
    let held = Mutex::new(host.memory.whole());
    let answers = Mutex::new(vec![None; queries.len()]);
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What is abandoned is not begun either.
            if host.is_closing() {
                return;
            }
            let answered = job.answer(host);
            let mut answers = locked(&answers);
            for (place, answer) in answered {
                let measured = measure(&answer, Limits::ANSWER).map_err(|exceeded| exceeded.to_string());
                let taken = measured.and_then(|bytes| locked(&held).grow(bytes));
                let kept = taken.map_or_else(
                    |why| Err(unknown(format!("the answer is skipped: {why}"))),
                    |()| answer,
                );
                answers[place] = Some(kept);
            }
        }
    };
    let slow = jobs.iter().filter(|job| job.is_slow()).count();
    std::thread::scope(|scope| {
        // This thread works too; what is quick is not worth another one.
        for _ in 0..slow.min(THREADS - 1) {
            // Where the host has no thread left, the others do the work.
            let _started = std::thread::Builder::new().spawn_scoped(scope, work).is_ok();
        }
        work();
    });
    let answers = answers.into_inner().unwrap_or_default().into_iter();
    let answers = answers.map(|answer| answer.unwrap_or_else(|| Err(unknown("the connection ended"))));
    let held = held.into_inner().unwrap_or_else(PoisonError::into_inner);
    (answers.collect(), held)
}

/// One part of the work; places are those of the queries in the request.
enum Job<'q> {
    /// Names that one process is asked about.
    Together(Observe, Vec<(usize, &'q str)>),
    One(usize, &'q FactQuery),
}

/// Answers for all names, in their order.
type Observe = fn(&Host, &[&str]) -> Vec<Answer>;

impl<'q> Job<'q> {
    /// Puts together what is asked together; the slow ones come first.
    fn sort(queries: &'q [FactQuery]) -> Vec<Self> {
        let (mut units, mut packages, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let mut jobs = Vec::new();
        for (place, query) in queries.iter().enumerate() {
            match query {
                FactQuery::Unit(query) => units.push((place, query.name.as_str())),
                FactQuery::Package(query) => packages.push((place, query.name.as_str())),
                FactQuery::Resolve(query) => names.push((place, query.name.as_str())),
                query => jobs.push(Job::One(place, query)),
            }
        }
        let together: [(Observe, _); 3] = [
            (unit::observe, units),
            (package::observe, packages),
            (names::observe, names),
        ];
        let together = together.into_iter().filter(|(_, names)| !names.is_empty());
        jobs.extend(together.map(|(observe, names)| Job::Together(observe, names)));
        jobs.sort_by_key(|job| !job.is_slow());
        jobs
    }

    /// Whether it waits for something else than the disk.
    fn is_slow(&self) -> bool {
        !matches!(self, Job::One(_, FactQuery::Os(_) | FactQuery::File(_)))
    }

    fn answer(&self, host: &Host) -> Vec<(usize, Answer)> {
        match self {
            Job::Together(observe, asked) => {
                let (places, names): (Vec<usize>, Vec<&str>) = asked.iter().copied().unzip();
                places.into_iter().zip(observe(host, &names)).collect()
            }
            Job::One(place, query) => vec![(*place, one(host, query))],
        }
    }
}

fn one(host: &Host, query: &FactQuery) -> Answer {
    let share = &mut host.memory.share();
    match query {
        FactQuery::Os(_) => os::observe().map(Fact::Os),
        FactQuery::File(query) => file::observe(host, query).map(Fact::File),
        FactQuery::Tcp(query) => Ok(Fact::Tcp(tcp::observe(query))),
        FactQuery::Command(query) => command::observe(host, query).map(Fact::Command),
        FactQuery::Resp(query) => resp::observe(&host.secrets(), query, share).map(Fact::Resp),
        FactQuery::Ssdb(query) => ssdb::observe(&host.secrets(), query, share).map(Fact::Ssdb),
        FactQuery::Erlang(query) => erlang::observe(&host.secrets(), query, share).map(Fact::Erlang),
        FactQuery::Mongo(query) => mongo::observe(&host.secrets(), query, share).map(Fact::Mongo),
        FactQuery::Http(query) => http::observe(&host.secrets(), query, share).map(Fact::Http),
        FactQuery::Log(query) => log::observe(&host.secrets(), query, share).map(Fact::Log),
        FactQuery::Candidate(query) => package::candidate(host, query).map(Fact::Candidate),
        FactQuery::Words(query) => words::observe(&host.secrets(), query, share).map(Fact::Words),
        // These are answered together.
        FactQuery::Unit(_) | FactQuery::Package(_) | FactQuery::Resolve(_) => Err(unknown("not asked alone")),
    }
}
