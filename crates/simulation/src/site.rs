//! The site: the hosts with their services, run locks and disks, in simulated time; and the books that are kept of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::ServiceDecl;
use fakes::{Fault, Machine, Play};
use plan::StepGraph;
use protocol::facts::{
    CandidateFact, CommandFact, CommandQuery, ErlangFact, FileFact, HttpFact, LogFact, MongoFact,
    ResolveFact, RespFact, Silence, SsdbFact, TcpFact, WordsFact,
};
use protocol::{ActionError, Fact, FactError, FactQuery, LockHolder, Operation, Precondition, Record};
use tokio::sync::oneshot;
use tokio::time::Instant;
use types::{GroupId, HostName, SecretId};

use crate::chance::Chance;
use crate::doubt::{Answer, Doubts};
use crate::invariants::Watched;
use crate::scenario::Scenario;
use crate::words;

/// When the simulation begins, in microseconds since 1970.
const EPOCH_US: i64 = 1_800_000_000_000_000;

/// How much happens within the limits of the time that nobody can know of: a look and an order, each with its answer.
const WAYS: u32 = 4;

/// All hosts.
pub(crate) struct Site {
    began: Instant,
    latency_ms: u64,
    work_ms: u64,
    /// The questions that fail.
    pub(crate) doubts: Doubts,
    state: Mutex<State>,
}

struct State {
    chance: Chance,
    services: Vec<Watched>,
    addresses: BTreeMap<String, String>,
    /// How often each host went down, and whether it is.
    boots: BTreeMap<HostName, u64>,
    down: BTreeSet<HostName>,
    /// How many troubles cut the controller off from each host.
    cuts: BTreeMap<HostName, u64>,
    full: BTreeSet<HostName>,
    locks: BTreeMap<HostName, (u64, LockHolder)>,
    /// The secrets that each host was handed since the beginning.
    handed_over: BTreeMap<HostName, BTreeSet<SecretId>>,
    /// How often each host was asked for facts.
    gathers: BTreeMap<HostName, usize>,
    /// What agents left on each host of the run that had its lock last.
    records: BTreeMap<HostName, Record>,
    agents: u64,
    operations: u64,
    phase_began_at: u64,
    /// The waiters for so many operations, counted from the phase's beginning.
    awaited: Vec<(u64, oneshot::Sender<()>)>,
    violations: Vec<String>,
    log: Option<Vec<String>>,
}

/// The rest of it when all is over.
pub(crate) struct Remains {
    pub(crate) violations: Vec<String>,
    pub(crate) log: Vec<String>,
    pub(crate) operations: u64,
    pub(crate) writes: u64,
}

impl Site {
    pub(crate) fn new(scenario: &Scenario, is_logged: bool) -> Self {
        let hosts = scenario.hosts();
        let parts: Vec<(Play, &[&str])> = scenario.plays.iter().map(|play| (*play, hosts)).collect();
        Self::build(scenario, &parts, is_logged)
    }

    /// A site where the worlds of services have some of the hosts only.
    #[cfg(test)]
    pub(crate) fn placed(scenario: &Scenario, parts: &[(Play, &[&str])]) -> Self {
        Self::build(scenario, parts, false)
    }

    fn build(scenario: &Scenario, parts: &[(Play, &[&str])], is_logged: bool) -> Self {
        let hosts = scenario.hosts();
        let worlds = parts.iter().map(|(play, hosts)| {
            let world = (play.world)(hosts, scenario.pace);
            Watched::new(play.kind, hosts, world)
        });
        let addresses = hosts.iter().enumerate();
        let state = State {
            chance: Chance::new(scenario.seed, 1),
            services: worlds.collect(),
            addresses: addresses
                .map(|(at, host)| ((*host).to_owned(), format!("10.0.0.{}", at + 1)))
                .collect(),
            boots: BTreeMap::new(),
            down: BTreeSet::new(),
            cuts: BTreeMap::new(),
            full: BTreeSet::new(),
            locks: BTreeMap::new(),
            handed_over: BTreeMap::new(),
            gathers: BTreeMap::new(),
            records: BTreeMap::new(),
            agents: 0,
            operations: 0,
            phase_began_at: 0,
            awaited: Vec::new(),
            violations: Vec::new(),
            log: is_logged.then(Vec::new),
        };
        let site = Self {
            began: Instant::now(),
            latency_ms: scenario.latency_ms,
            work_ms: scenario.work_ms,
            doubts: Doubts::new(scenario.seed),
            state: Mutex::new(state),
        };
        drop(site.state());
        site
    }

    /// The time since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The books, with what time has brought.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        let now_us = EPOCH_US + i64::try_from(now.as_micros()).unwrap_or(i64::MAX - EPOCH_US);
        for service in &mut state.services {
            service.advance(now, now_us);
        }
        state
    }

    /// The books, where time does not matter.
    fn books(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line of the log.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        let now = self.now();
        self.books().note(now, text);
    }

    /// Writes down something that must not be.
    pub(crate) fn violation(&self, what: &str) {
        let now = self.now();
        let mut books = self.books();
        books.note(now, || format!("VIOLATION: {what}"));
        books
            .violations
            .push(format!("at {:.3} s: {what}", now.as_secs_f64()));
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.books().chance.between(0, self.latency_ms))
    }

    pub(crate) fn work(&self) -> Duration {
        Duration::from_millis(self.books().chance.between(0, self.work_ms))
    }

    /// An agent starts: its number, and how often its host went down before.
    pub(crate) fn agent_starts(&self, host: &HostName) -> (u64, u64) {
        let mut books = self.books();
        books.agents += 1;
        (books.agents, books.boots.get(host).copied().unwrap_or_default())
    }

    /// Secrets come to a host.
    pub(crate) fn hand_over<'a>(&self, host: &HostName, secrets: impl Iterator<Item = &'a SecretId>) {
        let mut books = self.books();
        books
            .handed_over
            .entry(host.clone())
            .or_default()
            .extend(secrets.cloned());
    }

    /// The secrets that came to a host so far.
    #[cfg(test)]
    pub(crate) fn handed_over(&self, host: &HostName) -> BTreeSet<SecretId> {
        self.books().handed_over.get(host).cloned().unwrap_or_default()
    }

    /// A host is asked for facts, once more.
    pub(crate) fn count_gather(&self, host: &HostName) {
        *self.books().gathers.entry(host.clone()).or_default() += 1;
    }

    /// How often a host was asked for facts so far.
    #[cfg(test)]
    pub(crate) fn gathers(&self, host: &HostName) -> usize {
        self.books().gathers.get(host).copied().unwrap_or_default()
    }

    /// Whether a host has been up since then.
    pub(crate) fn is_boot(&self, host: &HostName, boot: u64) -> bool {
        self.books().boots.get(host).copied().unwrap_or_default() == boot
    }

    /// Takes a host's run lock for an agent; the answer is who else has it.
    pub(crate) fn lock(
        &self,
        host: &HostName,
        agent: u64,
        holder: LockHolder,
        had_lock: bool,
    ) -> Option<LockHolder> {
        let now = self.now();
        let mut books = self.books();
        match books.locks.get(host) {
            Some((other, held)) if *other != agent => {
                let held = held.clone();
                books.note(now, || {
                    format!("{host} is locked by {}, not by {}", held.run, holder.run)
                });
                Some(held)
            }
            _ => {
                books.note(now, || format!("{host} is locked by {}", holder.run));
                let record = Record::open(books.records.remove(host), &holder.run, had_lock);
                books.records.insert(host.clone(), record);
                books.locks.insert(host.clone(), (agent, holder));
                None
            }
        }
    }

    /// The record of a host, for the agent that has its lock.
    pub(crate) fn record<T>(
        &self,
        host: &HostName,
        agent: u64,
        use_it: impl FnOnce(&mut Record) -> T,
    ) -> Option<T> {
        let mut books = self.books();
        let is_holder = books.locks.get(host).is_some_and(|(holder, _)| *holder == agent);
        books.records.get_mut(host).filter(|_| is_holder).map(use_it)
    }

    pub(crate) fn unlock(&self, host: &HostName, agent: u64) {
        let mut books = self.books();
        if books.locks.get(host).is_some_and(|(holder, _)| *holder == agent) {
            books.locks.remove(host);
        }
    }

    /// Answers queries with the truth.
    pub(crate) fn answer(&self, host: &HostName, queries: &[FactQuery]) -> Vec<Answer> {
        let state = self.state();
        queries.iter().map(|query| state.answer(host, query)).collect()
    }

    /// Until when what a host was told last goes on.
    pub(crate) fn busy(&self, host: &HostName) -> Option<Duration> {
        let state = self.state();
        let until = state
            .services
            .iter()
            .filter_map(|service| service.world.busy_until(host));
        let us = u64::try_from(until.max()? - EPOCH_US).ok()?;
        Some(Duration::from_micros(us).saturating_sub(self.now()))
    }

    /// Checks what an action relies on.
    pub(crate) fn check(&self, host: &HostName, only_if: &[Precondition]) -> Result<(), ActionError> {
        let now = self.now();
        let mut state = self.state();
        for precondition in only_if {
            let truth = state.answer(host, &precondition.query);
            let found = self.doubts.said(host, &precondition.query, truth);
            if !precondition.holds(&found) {
                state.note(now, || format!("{host}: no longer so: {}", precondition.what));
                return Err(ActionError::Changed {
                    what: precondition.what.clone(),
                });
            }
        }
        Ok(())
    }

    /// Does something that an agent was told at a moment, and sees what it breaks.
    pub(crate) fn operate(
        &self,
        host: &HostName,
        agent: u64,
        operation: &Operation,
        told: Duration,
    ) -> Result<(), ActionError> {
        let now = self.now();
        let known = told.saturating_sub(Duration::from_millis(self.latency_ms + 1) * WAYS);
        let mut state = self.state();
        state.begin_operation();
        let mut broken = Vec::new();
        if state.locks.get(host).is_none_or(|(holder, _)| *holder != agent) {
            broken.push("who acts has not got the host's lock".to_owned());
        }
        let result = if state.full.contains(host) && takes_space(operation) {
            Err(ActionError::Failed {
                message: "No space left on device".to_owned(),
            })
        } else {
            state.operate(host, operation, known, &mut broken)
        };
        state.note(now, || {
            let failed = result.as_ref().err().map(|error| format!(": FAILED: {error}"));
            format!(
                "{host} {}{}",
                words::operation(operation),
                failed.unwrap_or_default()
            )
        });
        for what in broken {
            state.note(now, || format!("VIOLATION: {what}"));
            let done = words::operation(operation);
            state
                .violations
                .push(format!("at {:.3} s: {host} {done}: {what}", now.as_secs_f64()));
        }
        result
    }

    /// Lets trouble come to one service, or to all.
    pub(crate) fn inject(&self, service: Option<usize>, trouble: &Fault, host: Option<&HostName>) {
        let now = self.now();
        let mut state = self.state();
        for (at, watched) in state.services.iter_mut().enumerate() {
            if service.is_none_or(|only| only == at) {
                watched.inject(now, trouble, host);
            }
        }
    }

    /// A host goes down with all that runs on it, its agents too, or boots.
    pub(crate) fn set_down(&self, host: &HostName, is_down: bool) {
        {
            let mut books = self.books();
            if is_down == books.down.contains(host) {
                return;
            }
            if is_down {
                *books.boots.entry(host.clone()).or_default() += 1;
                books.locks.remove(host);
                // It stands in memory.
                books.records.remove(host);
                books.down.insert(host.clone());
            } else {
                books.down.remove(host);
            }
        }
        let trouble = if is_down {
            Fault::Down(host.clone())
        } else {
            Fault::Up(host.clone())
        };
        self.inject(None, &trouble, Some(host));
    }

    /// Fills a host's disk, or makes room.
    pub(crate) fn set_full(&self, host: &HostName, is_full: bool) {
        let mut books = self.books();
        if is_full {
            books.full.insert(host.clone());
        } else {
            books.full.remove(host);
        }
    }

    /// One trouble more or less cuts the controller off from a host; whether any does.
    pub(crate) fn count_cut(&self, host: &HostName, is_cut: bool) -> bool {
        let mut books = self.books();
        let cuts = books.cuts.entry(host.clone()).or_default();
        *cuts = if is_cut { *cuts + 1 } else { cuts.saturating_sub(1) };
        *cuts > 0
    }

    pub(crate) fn is_serving(&self, service: usize, host: &HostName) -> bool {
        let state = self.state();
        state
            .services
            .get(service)
            .is_some_and(|service| service.is_serving(host))
    }

    /// A client writes a value to every service.
    pub(crate) fn write(&self, value: u64) {
        for service in &mut self.state().services {
            service.write(value);
        }
    }

    /// Another inventory is in force: these services, with their hosts.
    pub(crate) fn set_inventory(&self, services: &[ServiceDecl]) {
        for watched in &mut self.books().services {
            if let Some(decl) = services.iter().find(|decl| decl.kind == watched.kind) {
                watched.name = decl.name.to_string();
                watched.members = decl.hosts.iter().cloned().collect();
            }
        }
    }

    /// The clients of the services have learned that these are the members.
    pub(crate) fn set_clients(&self, hosts: &[HostName]) {
        for service in &mut self.state().services {
            service.world.clients(hosts);
        }
    }

    /// Another plan is in force.
    pub(crate) fn set_budgets(&self, graph: &StepGraph) {
        for service in &mut self.books().services {
            let group = service.name.parse::<GroupId>().ok();
            let budget = group.and_then(|group| graph.budgets().get(&group));
            service.allowed = budget.map_or(1, |budget| budget.max_unavailable);
        }
    }

    /// Operations are counted anew; who waited for one waits no more.
    pub(crate) fn begin_phase(&self) {
        let mut books = self.books();
        books.awaited.clear();
        books.phase_began_at = books.operations;
    }

    /// Ends once so many operations have begun in this phase; an error where they never do.
    pub(crate) fn operation(&self, count: u64) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let mut books = self.books();
        let at = books.phase_began_at + count;
        books.awaited.push((at, tell));
        told
    }

    /// The violations once nothing is left to do.
    pub(crate) fn check_end(&self) {
        let broken: Vec<String> = self
            .state()
            .services
            .iter()
            .flat_map(Watched::at_the_end)
            .collect();
        for what in broken {
            self.violation(&what);
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.books().violations.is_empty()
    }

    pub(crate) fn remains(&self) -> Remains {
        let mut books = self.books();
        Remains {
            violations: std::mem::take(&mut books.violations),
            log: books.log.take().unwrap_or_default(),
            operations: books.operations,
            writes: books
                .services
                .iter()
                .map(|service| service.acknowledged.len())
                .sum::<usize>() as u64,
        }
    }
}

/// Whether it needs room on the disk.
fn takes_space(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::WriteFile { .. }
            | Operation::RestoreFile { .. }
            | Operation::MakeDirectory { .. }
            | Operation::SetDirectives { .. }
            | Operation::InstallPackages { .. }
    )
}

impl State {
    fn note(&mut self, now: Duration, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(format!("{:>10.3} s  {}", now.as_secs_f64(), text()));
        }
    }

    fn begin_operation(&mut self) {
        self.operations += 1;
        let (due, waiting) = std::mem::take(&mut self.awaited)
            .into_iter()
            .partition(|(count, _)| *count <= self.operations);
        self.awaited = waiting;
        let due: Vec<(u64, oneshot::Sender<()>)> = due;
        for (_, tell) in due {
            // The waiter may have gone with its phase.
            let _gone = tell.send(());
        }
    }

    fn answer(&self, host: &HostName, query: &FactQuery) -> Answer {
        // The journal says nothing that matters here.
        if let FactQuery::Command(CommandQuery { argv, .. }) = query
            && argv[0] == "journalctl"
        {
            let (stdout, stderr) = Default::default();
            let status = 0;
            return Ok(Fact::Command(CommandFact {
                status,
                stdout,
                stderr,
            }));
        }
        let there = self.services.iter().filter(|service| service.site.contains(host));
        let answers = there.filter_map(|service| service.world.answer(host, query));
        if let Some(answer) = answers.into_iter().next() {
            return answer;
        }
        if let FactQuery::Resolve(query) = query {
            let addresses = self.addresses.get(&query.name).cloned().into_iter().collect();
            return Ok(Fact::Resolve(ResolveFact { addresses }));
        }
        if self.services.iter().any(|service| !service.site.contains(host)) {
            return nothing(query);
        }
        unknown(&format!("nobody answers {query:?}"))
    }

    fn operate(
        &mut self,
        host: &HostName,
        operation: &Operation,
        known: Duration,
        broken: &mut Vec<String>,
    ) -> Result<(), ActionError> {
        for service in self
            .services
            .iter_mut()
            .filter(|service| service.site.contains(host))
        {
            let before = service.before();
            if let Some(result) = service.world.operate(host, operation) {
                broken.extend(service.after(host, &before, known));
                if result.is_ok() {
                    broken.extend(service.written(host, &before, operation));
                }
                return result;
            }
        }
        unknown(&format!("nobody does {operation:?}"))
    }
}

/// What a host answers that has nothing of what is asked about.
fn nothing(query: &FactQuery) -> Answer {
    match query {
        FactQuery::File(_) => Ok(Fact::File(FileFact::Absent)),
        FactQuery::Unit(query) => Ok(Fact::Unit(Machine::default().unit_fact(&query.name))),
        FactQuery::Package(query) => Ok(Fact::Package(Machine::default().package_fact(&query.name))),
        FactQuery::Tcp(_) => Ok(Fact::Tcp(TcpFact::Closed(Silence::refused()))),
        FactQuery::Resp(_) => Ok(Fact::Resp(RespFact::Down(Silence::refused()))),
        FactQuery::Ssdb(_) => Ok(Fact::Ssdb(SsdbFact::Down(Silence::refused()))),
        FactQuery::Mongo(_) => Ok(Fact::Mongo(MongoFact::Down(Silence::refused()))),
        FactQuery::Http(_) => Ok(Fact::Http(HttpFact::Down(Silence::refused()))),
        FactQuery::Erlang(_) => Ok(Fact::Erlang(ErlangFact::Down(Silence::refused()))),
        FactQuery::Words(_) => Ok(Fact::Words(WordsFact::Down(Silence::refused()))),
        FactQuery::Log(_) => Ok(Fact::Log(LogFact::Absent)),
        FactQuery::Candidate(_) => Ok(Fact::Candidate(CandidateFact { version: None })),
        FactQuery::Os(_) | FactQuery::Command(_) | FactQuery::Resolve(_) => Err(FactError {
            message: "no such file or directory".to_owned(),
        }),
    }
}

/// A question or an operation that no world knows: a defect of a world, and so a panic, which is a failure of the seed.
#[expect(clippy::panic, reason = "it is how a world tells of its defects")]
fn unknown(what: &str) -> ! {
    panic!("{what}")
}
