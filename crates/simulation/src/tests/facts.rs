//! Whatever hosts say, a plan, a status and each gate's verdict come of it, and no panic: a host is not trusted, and its
//! answer must not end the controller in the middle of a run.
//!
//! Each kind is played from bare hosts to its empty plan. What was observed on the way, and with members lost, is what
//! answers look like; then some of them are replaced ([`super::mutate`]). A seed decides everything.

use std::collections::BTreeSet;

use fakes::{FakeCluster, Fault, PLAYS, Pace, Play};
use plan::{Consent, Facts, Gate, HostFacts, Judge, RunningUnits, StepGraph};
use planner::{Options, Project, Scope};
use protocol::facts::ResolveFact;
use protocol::{Fact, FactError, FactQuery};
use types::HostName;

use super::mutate::{self, Pool};
use crate::agent::pieces;
use crate::chance::Chance;
use crate::panics::caught;
use crate::project;

pub(super) const HOSTS: [&str; 3] = ["db1", "db2", "db3"];

/// Sets of answers that are tried for each kind; the variable asks for more.
const ROUNDS: u64 = 100;
const MORE: &str = "CLUSTERCTL_FACTS_ROUNDS";

pub(super) type Answer = (FactQuery, Result<Fact, FactError>);

/// What was observed at one moment.
pub(super) struct Situation {
    pub(super) hosts: Vec<(HostName, Vec<Answer>)>,
    gates: Vec<Gate>,
    consents: BTreeSet<Consent>,
}

pub(super) fn host(name: &str) -> HostName {
    name.parse().expect("a name of a host")
}

pub(super) fn observe(world: &dyn FakeCluster, project: &Project) -> Vec<(HostName, Vec<Answer>)> {
    let answer = |host: &HostName, query: FactQuery| {
        let at = |name: &String| HOSTS.iter().position(|known| known == name);
        let answer = world.answer(host, &query).unwrap_or_else(|| match &query {
            FactQuery::Resolve(query) => Ok(Fact::Resolve(ResolveFact {
                addresses: at(&query.name)
                    .map(|at| format!("10.0.0.{}", at + 1))
                    .into_iter()
                    .collect(),
            })),
            _ => Err(FactError {
                message: "nobody answers".to_owned(),
            }),
        });
        (query, answer)
    };
    let queries = project.queries(&Scope::default()).into_iter();
    let all = queries.map(|(host, queries)| {
        let answers = queries.into_iter().map(|query| answer(&host, query)).collect();
        (host, answers)
    });
    all.collect()
}

pub(super) fn facts(hosts: &[(HostName, Vec<Answer>)]) -> Facts {
    let mut facts = Facts::default();
    for (host, answers) in hosts {
        facts.add(host.clone(), HostFacts::Observed(answers.clone()));
    }
    facts
}

fn consents(graph: &StepGraph) -> BTreeSet<Consent> {
    graph
        .refusals
        .iter()
        .filter_map(|refusal| refusal.consent.clone())
        .collect()
}

/// The moments of a kind's life from which answers are taken.
pub(super) fn situations(play: &Play) -> Vec<(Project, Vec<Situation>)> {
    let mut world = (play.world)(&HOSTS, Pace::default());
    let mut now_us = 1_800_000_000_000_000;
    let mut turns = Vec::new();
    for turn in 0..2 {
        let inventory = project::inventory(&[*play], &HOSTS, &HOSTS, turn);
        let project = project::read(&inventory).expect("a sound inventory").project;
        let mut seen = Vec::new();
        for _ in 0..8 {
            let hosts = observe(&*world, &project);
            let graph = project.plan(&facts(&hosts), &Scope::default(), &Options::default());
            let graph = graph.expect("a plan of good answers");
            let nodes = graph.nodes().iter();
            let gates = nodes
                .flat_map(|node| node.before.iter().chain(&node.gates))
                .cloned()
                .collect();
            seen.push(Situation {
                hosts,
                gates,
                consents: consents(&graph),
            });
            if graph.nodes().is_empty() {
                break;
            }
            for node in graph.nodes() {
                let Some(action) = &node.action else { continue };
                for piece in pieces(&action.operation) {
                    // What fails here is tried again with the next plan.
                    let _result = world.operate(&node.host, &piece);
                    now_us += 1_000_000;
                    world.advance(now_us);
                }
            }
            now_us += 60_000_000;
            world.advance(now_us);
        }
        turns.push((project, seen));
    }
    // A member is to be removed, where the kind can do with two.
    let fewer = project::inventory(&[*play], &HOSTS, &HOSTS[..2], 1);
    let removal = project::read(&fewer).ok().map(|read| {
        let situation = Situation {
            hosts: observe(&*world, &read.project),
            gates: Vec::new(),
            consents: BTreeSet::new(),
        };
        (read.project, vec![situation])
    });
    // Members are lost one by one, and come back.
    for trouble in [
        Fault::Crash(host("db1")),
        Fault::Down(host("db2")),
        Fault::Cut(host("db3")),
        Fault::Up(host("db2")),
        Fault::Heal(host("db3")),
    ] {
        world.inject(&trouble);
        now_us += 1_000_000;
        world.advance(now_us);
        let (project, seen) = turns.last_mut().expect("two turns");
        let hosts = observe(&*world, project);
        let gates = seen.first().map(|first| first.gates.clone()).unwrap_or_default();
        seen.push(Situation {
            hosts,
            gates,
            consents: BTreeSet::new(),
        });
    }
    turns.extend(removal);
    // Every gate is judged by every moment's answers.
    for (_, seen) in &mut turns {
        let mut all: Vec<Gate> = Vec::new();
        for gate in seen.iter().flat_map(|situation| &situation.gates) {
            if !all
                .iter()
                .any(|known| known.check == gate.check && known.host == gate.host)
            {
                all.push(gate.clone());
            }
        }
        for situation in seen {
            situation.gates.clone_from(&all);
        }
    }
    turns
}

/// One set of answers, and all that is made of it.
fn try_one(project: &Project, situation: &Situation, pool: &Pool, chance: &mut Chance) {
    let mut hosts = situation.hosts.clone();
    let total: usize = hosts.iter().map(|(_, answers)| answers.len()).sum();
    let all = chance.one_in(8);
    let mut chosen: BTreeSet<usize> = BTreeSet::new();
    for _ in 0..chance.between(1, 5) {
        chosen.insert(chance.below(total));
    }
    let answers = hosts.iter_mut().flat_map(|(_, answers)| answers);
    for (at, (_, answer)) in answers.enumerate() {
        if let (true, Ok(fact)) = (all || chosen.contains(&at), &*answer) {
            *answer = pool.mutate(fact, chance);
        }
    }
    let mut facts = facts(&hosts);
    if chance.one_in(10) {
        let lost = host(chance.pick(&HOSTS).expect("a host"));
        let mut without = Facts::default();
        for (host, answers) in &hosts {
            let observed = if *host == lost {
                HostFacts::Unreachable("connection refused".to_owned())
            } else {
                HostFacts::Observed(answers.clone())
            };
            without.add(host.clone(), observed);
        }
        facts = without;
    }
    let scope = Scope::default();
    let options = Options {
        consents: if chance.one_in(2) {
            situation.consents.clone()
        } else {
            BTreeSet::new()
        },
        restart: chance.one_in(3).then(|| RunningUnits::of(&facts)),
        max_unavailable: None,
    };
    // A graph that is not sound is told as an error.
    let graph = project.plan(&facts, &scope, &options);
    let _status = project.status(&facts, &scope);
    let planned = graph
        .iter()
        .flat_map(StepGraph::nodes)
        .flat_map(|node| node.before.iter().chain(&node.gates));
    let gates: Vec<&Gate> = situation.gates.iter().chain(planned).collect();
    for _ in 0..6 {
        let Some(gate) = chance.pick(&gates).copied() else {
            continue;
        };
        let mut gate = gate.clone();
        if chance.one_in(3) {
            gate.check = mutate::check(&gate.check, chance);
        }
        if chance.one_in(6) {
            gate.host = [None, Some(host("db9"))][chance.below(2)].clone();
        }
        let _verdict = project.judge(&gate, &facts);
    }
}

/// The panics of what is made of good answers and one whose numbers are at an end of their range.
fn at_its_end(project: &Project, seen: &Situation, at: usize, nth: usize, end: End) -> Vec<String> {
    let mut hosts = seen.hosts.clone();
    let answer = &mut hosts[at].1[nth].1;
    let Some(fact) = answer
        .as_ref()
        .ok()
        .and_then(|fact| mutate::extremes(fact, end.0, end.1))
    else {
        return Vec::new();
    };
    *answer = Ok(fact);
    let facts = facts(&hosts);
    let (_, panics) = caught(|| {
        let scope = Scope::default();
        let _graph = project.plan(&facts, &scope, &Options::default());
        let _status = project.status(&facts, &scope);
        for gate in seen.gates.iter().skip(nth % 5).step_by(5) {
            let _verdict = project.judge(gate, &facts);
        }
    });
    panics
}

/// What numbers become, in turns, and what numbers in texts become.
type End = ([i64; 2], &'static str);

/// Times, counts and versions at the ends of their ranges, one answer after another: what overflows, overflows there.
#[test]
fn no_number_of_a_host_overflows() {
    const ENDS: [End; 2] = [
        ([i64::MAX, i64::MIN], "18446744073709551615"),
        ([i64::MIN, i64::MAX], "9223372036854775807"),
    ];
    let mut found: BTreeSet<String> = BTreeSet::new();
    for play in PLAYS {
        for (project, seen) in situations(play) {
            // The first moments have no servers to say anything.
            let last = seen.last().expect("a situation");
            let places = last.hosts.iter().enumerate();
            let places = places.flat_map(|(at, (_, answers))| (0..answers.len()).map(move |nth| (at, nth)));
            for ((at, nth), end) in places.flat_map(|place| ENDS.map(|end| (place, end))) {
                let panics = at_its_end(&project, last, at, nth, end);
                found.extend(panics.into_iter().map(|panic| format!("{}: {panic}", play.kind)));
            }
        }
    }
    let found: Vec<String> = found.into_iter().collect();
    assert!(found.is_empty(), "{} panics:\n{}", found.len(), found.join("\n"));
}

#[test]
fn no_answer_of_a_host_makes_a_plan_a_status_or_a_verdict_panic() {
    let rounds = std::env::var(MORE)
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS);
    let mut found: BTreeSet<String> = BTreeSet::new();
    for (stream, play) in (0_u64..).zip(PLAYS) {
        let turns = situations(play);
        let all = turns.iter().flat_map(|(_, seen)| seen);
        let good = all.flat_map(|seen| &seen.hosts).flat_map(|(_, answers)| answers);
        let pool = Pool::of(good.filter_map(|(_, answer)| answer.as_ref().ok()));
        for round in 0..rounds {
            let mut chance = Chance::new(round, 1000 + stream);
            let (project, seen) = &turns[chance.below(turns.len())];
            let situation = chance.pick(seen).expect("a situation");
            let (_, panics) = caught(|| try_one(project, situation, &pool, &mut chance));
            found.extend(
                panics
                    .into_iter()
                    .map(|panic| format!("{} (round {round}): {panic}", play.kind)),
            );
        }
    }
    let found: Vec<String> = found.into_iter().collect();
    assert!(found.is_empty(), "{} panics:\n{}", found.len(), found.join("\n"));
}
