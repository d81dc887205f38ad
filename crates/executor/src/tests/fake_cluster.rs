//! A fake cluster: members that an action takes down and that come back after a while, some with trouble on the way.
//!
//! A node's action names the node; its script says what the host does with it. The cluster records what the executor must
//! not get wrong: which members the run took down, and whether these were ever more than a budget allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use plan::{Budget, StepGraph};
use protocol::facts::{CommandFact, FileFact, UnitFact};
use protocol::{
    ActionError, ActionId, ActionRequest, Change, Fact, FactQuery, FileState, LockHolder, Operation, Record,
    Request, Response, UnitVerb,
};
use tokio::time::{Instant, sleep};
use transport::BoxFuture;
use transport::fake::FakeHost;
use types::{GroupId, HostName, Secret, SecretId};

use super::graphs::host;

/// What a host does with a node's action.
#[derive(Debug, Clone)]
pub(super) struct Script {
    /// How long the action takes, in milliseconds.
    pub(super) takes: u64,
    /// How long after the action its member is available again, in milliseconds; `None` for never.
    pub(super) back_after: Option<u64>,
    /// What goes wrong.
    pub(super) trouble: Trouble,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// The action fails half way: the member stays down.
    Fails,
    /// A precondition does not hold: nothing is done.
    Changed,
    /// The connection is cut before anything is done, this often.
    CutBefore(u32),
    /// The action is done and the connection cut before it is told, once.
    CutAfter,
    /// The action is done, its agent dies before it has recorded that, and the connection with it.
    AgentDies,
    /// The host goes down and up while the action is under way: it is done, and nothing is left of the agent's record.
    HostRestarts,
    /// No answer ever comes.
    Silent,
    /// The gate can never pass.
    GateFails,
    /// The unit fails after the action.
    UnitFails,
    /// The unit fails after the action, and the gate's judge sees that it can never pass.
    UnitFailsForGood,
    /// The unit ends after the action, and nothing starts it.
    UnitEnds,
    /// What the unit's init script started ends after the action; systemd goes on taking the unit for active (seen with
    /// Debian 12's ZooKeeper).
    ProcessesEnd,
    /// systemd starts the unit again every ten seconds after the action.
    UnitLoops,
    /// systemd starts the unit once more after the action.
    UnitStartsAgain,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            takes: 1000,
            back_after: Some(1000),
            trouble: Trouble::None,
        }
    }
}

/// Something that a host did, and when, in milliseconds since the cluster began.
pub(super) type Happening = (u64, String);

struct State {
    scripts: BTreeMap<String, Script>,
    /// The groups that a node's action takes its member from.
    disrupts: BTreeMap<String, BTreeSet<GroupId>>,
    /// The member that a node's gates prove to be available.
    proves: BTreeMap<String, (GroupId, HostName)>,
    budgets: BTreeMap<GroupId, Budget>,
    log: Vec<Happening>,
    calls: BTreeMap<String, u32>,
    /// Nodes whose action was made, and when their member serves again.
    done: BTreeMap<String, Option<Instant>>,
    /// When members that were down before are back by themselves.
    heals: BTreeMap<HostName, Instant>,
    /// Which members are down, by which node, until when.
    down: BTreeMap<GroupId, BTreeMap<(HostName, String), Option<Instant>>>,
    locked: BTreeMap<HostName, LockHolder>,
    /// What each host's agents know of the run's actions.
    records: BTreeMap<HostName, Option<Record>>,
    /// The actions that agents are at, in whatever connection they were sent.
    under_way: BTreeSet<(HostName, ActionId)>,
    silent: BTreeSet<HostName>,
    violations: Vec<String>,
    /// The files that a service writes by itself after the run has.
    rewritten: BTreeSet<String>,
}

/// The cluster, as a fake host.
#[derive(Clone)]
pub(super) struct FakeCluster {
    state: Arc<Mutex<State>>,
    began: Instant,
}

impl FakeCluster {
    /// A cluster for a graph, without trouble.
    pub(super) fn new(graph: &StepGraph) -> Self {
        let disrupts = graph
            .nodes()
            .iter()
            .map(|node| (node.id.to_string(), node.disrupts.clone()));
        let gated = graph.nodes().iter().filter(|node| !node.gates.is_empty());
        let proves = gated.filter_map(|node| {
            let group = GroupId::from(node.service.as_ref()?);
            Some((node.id.to_string(), (group, node.host.clone())))
        });
        let state = State {
            scripts: BTreeMap::new(),
            disrupts: disrupts.collect(),
            proves: proves.collect(),
            budgets: graph.budgets().clone(),
            log: Vec::new(),
            calls: BTreeMap::new(),
            done: BTreeMap::new(),
            heals: BTreeMap::new(),
            down: BTreeMap::new(),
            locked: BTreeMap::new(),
            records: BTreeMap::new(),
            under_way: BTreeSet::new(),
            silent: BTreeSet::new(),
            violations: Vec::new(),
            rewritten: BTreeSet::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            began: Instant::now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn script(&self, node: &str, script: Script) {
        self.state().scripts.insert(node.into(), script);
    }

    pub(super) fn trouble(&self, node: &str, trouble: Trouble) {
        self.script(
            node,
            Script {
                trouble,
                ..Script::default()
            },
        );
    }

    /// The node's action takes so many milliseconds.
    pub(super) fn takes(&self, node: &str, takes: u64) {
        self.script(
            node,
            Script {
                takes,
                ..Script::default()
            },
        );
    }

    /// The node's member is available so many milliseconds after the action, or never.
    pub(super) fn back_after(&self, node: &str, back_after: Option<u64>) {
        self.script(
            node,
            Script {
                back_after,
                ..Script::default()
            },
        );
    }

    /// A member that was down before is back by itself after so many milliseconds.
    pub(super) fn heals(&self, name: &str, after: u64) {
        let at = self.began + Duration::from_millis(after);
        self.state().heals.insert(host(name), at);
    }

    /// From now on the host's agent answers nothing, or does again.
    pub(super) fn set_silent(&self, name: &str, is_silent: bool) {
        if is_silent {
            self.state().silent.insert(host(name));
        } else {
            self.state().silent.remove(&host(name));
        }
    }

    /// Somebody holds a host's run lock, or nobody does.
    pub(super) fn set_locked(&self, name: &str, by: Option<LockHolder>) {
        match by {
            Some(by) => self.state().locked.insert(host(name), by),
            None => self.state().locked.remove(&host(name)),
        };
    }

    pub(super) fn log(&self) -> Vec<Happening> {
        self.state().log.clone()
    }

    /// What hosts did, without times.
    pub(super) fn happenings(&self) -> Vec<String> {
        self.log().into_iter().map(|(_, what)| what).collect()
    }

    pub(super) fn calls(&self, node: &str) -> u32 {
        self.state().calls.get(node).copied().unwrap_or_default()
    }

    pub(super) fn is_done(&self, node: &str) -> bool {
        self.state().done.contains_key(node)
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    pub(super) fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    fn note(&self, what: String) {
        let at = self.elapsed();
        self.state().log.push((at, what));
    }

    /// Takes a node's member down, and checks that no group has more members down than it may.
    fn take_down(&self, on: &HostName, node: &str) {
        let now = Instant::now();
        let mut state = self.state();
        for group in state.disrupts.get(node).cloned().unwrap_or_default() {
            let down = state.down.entry(group.clone()).or_default();
            down.insert((on.clone(), node.to_owned()), None);
            let mut hosts: BTreeSet<HostName> = down
                .iter()
                .filter(|(_, until)| until.is_none_or(|until| until > now))
                .map(|((host, _), _)| host.clone())
                .collect();
            let served: BTreeSet<HostName> = down
                .iter()
                .filter(|(_, until)| until.is_some_and(|until| until <= now))
                .map(|((host, _), _)| host.clone())
                .collect();
            let proved = state.done.iter().filter(|(_, at)| at.is_some_and(|at| at <= now));
            let proved = proved.filter_map(|(node, _)| state.proves.get(node));
            let proved = proved
                .filter(|(of, _)| *of == group)
                .map(|(_, host)| host.clone());
            let healed = state.heals.iter().filter(|(_, at)| **at <= now);
            let healed = healed.map(|(host, _)| host.clone());
            let back: BTreeSet<HostName> = proved.chain(served).chain(healed).collect();
            let budget = state.budgets[&group].clone();
            hosts.extend(budget.unavailable.difference(&back).cloned());
            if hosts.len() > budget.max_unavailable.max(1) || (hosts.len() > budget.max_unavailable) {
                state
                    .violations
                    .push(format!("{node} takes {on} from {group} while down: {hosts:?}"));
            }
        }
    }

    fn come_back(&self, on: &HostName, node: &str, at: Option<Instant>) {
        let mut state = self.state();
        state.done.insert(node.to_owned(), at);
        for down in state.down.values_mut() {
            if let Some(until) = down.get_mut(&(on.clone(), node.to_owned())) {
                *until = at;
            }
        }
    }

    /// What the agents of a host know. Where no lock was taken, it is the record of a run of no name.
    fn record<T>(&self, on: &HostName, use_it: impl FnOnce(&mut Record) -> T) -> T {
        let mut state = self.state();
        let new = || Record::open(None, &"r0".parse().unwrap(), false);
        use_it(
            state
                .records
                .entry(on.clone())
                .or_default()
                .get_or_insert_with(new),
        )
    }

    /// Does an action once, as the real agent does.
    async fn act_once(self, on: HostName, request: ActionRequest) -> Option<Response> {
        // An agent that was cut off has the host's lock as long as it is at work.
        let mark = (on.clone(), request.id.clone());
        while self.state().under_way.contains(&mark) {
            sleep(Duration::from_millis(100)).await;
        }
        if let Some(known) = self.record(&on, |record| record.answer(&request)) {
            return Some(Response::Acted(known));
        }
        if let Some(result) = self.put_back(&request.action.operation) {
            return Some(Response::Acted(result));
        }
        let node = match &request.action.operation {
            Operation::Run { commands } => commands[0].argv[0].clone(),
            Operation::Unit { name, verbs, .. } if *verbs == [UnitVerb::Restart] => name.clone(),
            Operation::Unit { name, verbs, .. } if *verbs == [UnitVerb::Start] => {
                self.note(format!("{name} is started"));
                return Some(Response::Acted(Ok(Change {
                    summary: String::new(),
                    backup: None,
                    wrote: None,
                })));
            }
            other => panic!("nobody does {other:?}"),
        };
        let trouble = self.state().scripts.get(&node).map(|script| script.trouble);
        self.record(&on, |record| record.begin(request.id.clone()));
        self.state().under_way.insert(mark.clone());
        let response = self.clone().act(on.clone(), node).await;
        self.state().under_way.remove(&mark);
        match (&response, trouble) {
            (_, Some(Trouble::AgentDies)) => return None,
            (_, Some(Trouble::HostRestarts)) => {
                let new = Record::open(None, &"r0".parse().unwrap(), true);
                self.record(&on, |record| *record = new);
                return None;
            }
            // It did not get as far as the host.
            (None, Some(Trouble::CutBefore(_)))
            | (Some(Response::Acted(Err(ActionError::Changed { .. }))), _) => {
                self.record(&on, |record| record.forget(&request.id));
            }
            (Some(Response::Acted(result)), _) => {
                self.record(&on, |record| record.end(request.id.clone(), result.clone()));
                if trouble == Some(Trouble::CutAfter) {
                    return None;
                }
            }
            _ => {}
        }
        response
    }

    /// Writes a file, puts one back, or restarts a unit with what was put back, if that is what the operation does.
    fn put_back(&self, operation: &Operation) -> Option<Result<Change, ActionError>> {
        let (happened, wrote) = match operation {
            Operation::WriteFile { path, .. } => (format!("{path} is written"), Some("new".to_owned())),
            Operation::RestoreFile { path, backup, was } => {
                assert_eq!(*was, FileState::Hash("new".to_owned()));
                assert_eq!(backup.as_deref(), Some("/kept"));
                if self.state().rewritten.contains(path) {
                    let what = format!("{path} is not what it was");
                    return Some(Err(ActionError::Changed { what }));
                }
                (format!("{path} is put back"), None)
            }
            Operation::Unit { name, verbs, .. } if verbs.contains(&UnitVerb::ResetFailed) => {
                let mut state = self.state();
                // One that ends whatever its files say goes on to.
                let ends = |script: &Script| script.trouble == Trouble::UnitEnds;
                if !state.scripts.get(name).is_some_and(ends) {
                    state.scripts.remove(name);
                    state.done.insert(name.clone(), Some(Instant::now()));
                }
                (format!("{name} is restarted as it was"), None)
            }
            _ => return None,
        };
        self.note(happened.clone());
        Some(Ok(Change {
            summary: happened,
            backup: wrote.as_ref().map(|_| "/kept".to_owned()),
            wrote,
        }))
    }

    /// A service writes a file by itself after the run has.
    pub(super) fn rewrites(&self, path: &str) {
        self.state().rewritten.insert(path.to_owned());
    }

    async fn act(self, on: HostName, node: String) -> Option<Response> {
        let (script, call) = {
            let mut state = self.state();
            let script = state.scripts.get(&node).cloned().unwrap_or_default();
            let call = state.calls.entry(node.clone()).or_default();
            *call += 1;
            (script, *call)
        };
        let changed = || {
            Some(Response::Acted(Err(ActionError::Changed {
                what: format!("{node} is done already"),
            })))
        };
        if self.is_done(&node) || script.trouble == Trouble::Changed {
            return changed();
        }
        match script.trouble {
            Trouble::CutBefore(times) if call <= times => return None,
            Trouble::Silent => std::future::pending::<()>().await,
            _ => {}
        }
        self.note(format!("{node} begins"));
        self.take_down(&on, &node);
        sleep(Duration::from_millis(script.takes)).await;
        if script.trouble == Trouble::Fails {
            self.note(format!("{node} fails"));
            return Some(Response::Acted(Err(ActionError::Failed {
                message: format!("{node} is broken"),
            })));
        }
        let back_after = script.back_after.filter(|_| script.trouble != Trouble::GateFails);
        let back = back_after.map(|after| Instant::now() + Duration::from_millis(after));
        self.come_back(&on, &node, back);
        self.note(format!("{node} ends"));
        Some(Response::Acted(Ok(Change {
            summary: format!("{node} done"),
            backup: None,
            wrote: None,
        })))
    }

    /// The unit that a node restarts.
    fn unit(&self, node: &str) -> UnitFact {
        let trouble = self.state().scripts.get(node).map(|script| script.trouble);
        let trouble = trouble.filter(|_| self.is_done(node));
        let starts = match trouble {
            Some(Trouble::UnitLoops) => self.elapsed() / 10_000,
            Some(Trouble::UnitStartsAgain) => (self.elapsed() / 10_000).min(1),
            _ => 0,
        };
        UnitFact {
            load: "loaded".into(),
            active: match trouble {
                Some(Trouble::UnitFails | Trouble::UnitFailsForGood) => "failed",
                Some(Trouble::UnitEnds) => "inactive",
                _ => "active",
            }
            .into(),
            sub: match trouble {
                Some(Trouble::ProcessesEnd) => "exited",
                _ => "running",
            }
            .into(),
            enabled: "enabled".into(),
            main_pid: 1,
            started_us: 1,
            invocation: if self.is_done(node) {
                format!("second{starts}")
            } else {
                "first".into()
            },
            stale: false,
            started_with: Vec::new(),
        }
    }

    fn member(&self, host: &HostName) -> &'static str {
        match self.state().heals.get(host) {
            Some(at) if *at <= Instant::now() => "serves",
            _ => "down",
        }
    }

    fn health(&self, node: &str) -> &'static str {
        let state = self.state();
        let script = state.scripts.get(node);
        if script
            .is_some_and(|script| matches!(script.trouble, Trouble::GateFails | Trouble::UnitFailsForGood))
        {
            return "broken";
        }
        match state.done.get(node) {
            Some(Some(at)) if *at <= Instant::now() => "serves",
            _ => "down",
        }
    }
}

impl FakeHost for FakeCluster {
    fn learn(
        &self,
        host: HostName,
        secrets: Vec<(SecretId, Secret)>,
    ) -> BoxFuture<'static, Option<Response>> {
        for (id, _) in secrets {
            self.note(format!("{host} learns {id}"));
        }
        Box::pin(async { Some(Response::Ready) })
    }

    fn answer(&self, host: HostName, request: Request) -> BoxFuture<'static, Option<Response>> {
        let cluster = self.clone();
        Box::pin(async move {
            if cluster.state().silent.contains(&host) {
                std::future::pending::<()>().await;
            }
            match request {
                Request::Secrets(_) | Request::Heartbeat => panic!("a fake host takes them"),
                Request::Lock { holder, had_lock } => {
                    let other = cluster.state().locked.get(&host).cloned();
                    cluster.note(format!("{host} is asked for its lock"));
                    if let Some(other) =
                        other.filter(|other| *other != holder || other.who.starts_with("stale"))
                    {
                        return Some(Response::LockedBy(other));
                    }
                    let mut state = cluster.state();
                    Some(lock(state.records.entry(host).or_default(), &holder, had_lock))
                }
                Request::Gather(queries) => {
                    let answers = queries.iter().map(|query| match query {
                        FactQuery::Command(query) => Ok(Fact::Command(CommandFact {
                            status: 0,
                            stdout: match query.argv[0].as_str() {
                                "member" => cluster.member(&host).into(),
                                "journalctl" => "one\n\ntwo\nthree\nfour\nfive\nout of memory\n".into(),
                                _ => cluster.health(&query.argv[1]).into(),
                            },
                            stderr: String::new(),
                        })),
                        FactQuery::Unit(query) => Ok(Fact::Unit(cluster.unit(&query.name))),
                        FactQuery::File(_) => Ok(Fact::File(FileFact::Absent)),
                        other => panic!("nobody asks {other:?}"),
                    });
                    Some(Response::Facts(answers.collect()))
                }
                Request::Act(request) => cluster.act_once(host, *request).await,
            }
        })
    }
}

/// Gives an agent's run lock to a run, which goes on with the record of its actions.
pub(super) fn lock(record: &mut Option<Record>, holder: &LockHolder, had_lock: bool) -> Response {
    *record = Some(Record::open(record.take(), &holder.run, had_lock));
    Response::Locked
}
