//! What is not known is never taken for nothing: an answer that is an error takes steps out of a plan and never puts one in
//! that ends a process, takes a member in or out, or destroys what it holds; within the budget of a disruption neither.
//!
//! Each kind is asked all its questions at several moments of its life. Then each answer is replaced by each error that it
//! can be, one at a time; all of a host; and all. A dangerous step of the plan that comes of it must be a step of the plan
//! of the complete answers.

mod errors;

use std::collections::BTreeMap;

use fakes::{PLAYS, Play};
use plan::StepGraph;
use planner::{Options, Project, Scope};
use protocol::Fact;
use types::HostName;

use super::facts::{Answer, Situation, facts, situations};
use crate::harm;
use errors::{Whole, in_part};

type Hosts = Vec<(HostName, Vec<Answer>)>;

/// The harm that plans would do, and what was not known: each is told once, with the moments.
type Found = BTreeMap<(String, String), Vec<String>>;

fn plan_of(project: &Project, hosts: &Hosts) -> StepGraph {
    let graph = project.plan(&facts(hosts), &Scope::default(), &Options::default());
    graph.expect("a plan, whatever is answered")
}

/// The answers of a moment, and what may be done on their account.
struct Moment<'a> {
    project: &'a Project,
    hosts: &'a Hosts,
    truth: StepGraph,
    /// Its place among the moments of the kind.
    name: String,
}

impl Moment<'_> {
    /// Notes the dangers of a plan of other answers.
    fn compare(&self, hosts: &Hosts, error: Option<Whole>, unknown: &str, found: &mut Found) {
        // A server that refuses our login may lack what its newer file has: it may be restarted in its turn.
        let is_denied = error == Some(Whole::Denied);
        let told = plan_of(self.project, hosts);
        for what in harm::beyond(&told, &self.truth, |node| !is_denied || harm::is_free(node)) {
            let key = (what, unknown.to_owned());
            found.entry(key).or_default().push(self.name.clone());
        }
    }

    fn one_at_a_time(&self, found: &mut Found) {
        let mut hosts = self.hosts.clone();
        for (at, (host, answers)) in self.hosts.iter().enumerate() {
            for (nth, (query, answer)) in answers.iter().enumerate() {
                let Ok(fact) = answer else { continue };
                let whole = Whole::ALL.into_iter().filter_map(|error| {
                    let instead = error.instead_of(fact)?;
                    Some((Some(error), format!("{error:?}"), instead))
                });
                let parts = in_part(fact).into_iter();
                let parts =
                    parts.map(|(place, what, fact)| (None, format!("reply {place}: {what}"), Ok(fact)));
                for (error, what, instead) in whole.chain(parts) {
                    hosts[at].1[nth].1 = instead;
                    self.compare(&hosts, error, &format!("{what} of {query:?} on {host}"), found);
                }
                hosts[at].1[nth].1.clone_from(answer);
            }
        }
    }

    /// Every server on these hosts gives the same error.
    fn at_once(&self, error: Whole, which: &[&HostName], found: &mut Found) {
        let mut hosts = self.hosts.clone();
        for (host, answers) in &mut hosts {
            for (_, answer) in answers.iter_mut().filter(|_| which.contains(&&*host)) {
                // Units, files and the like are known: that servers are silent while their processes run is the point.
                let asked_a_server = |fact: &&Fact| Whole::Refused.instead_of(fact).is_some();
                let instead = answer.as_ref().ok().filter(asked_a_server);
                if let Some(instead) = instead.and_then(|fact| error.instead_of(fact)) {
                    *answer = instead;
                }
            }
        }
        let names: Vec<&str> = which.iter().map(|host| host.as_str()).collect();
        self.compare(
            &hosts,
            Some(error),
            &format!("{error:?} of all servers on {}", names.join(", ")),
            found,
        );
    }
}

/// The first moment, one on the way, and the last of each turn; where members were lost, the first lost one, and the end.
fn chosen(seen: &[Situation]) -> impl Iterator<Item = (usize, &Situation)> {
    let last = seen.len() - 1;
    // In the last five moments members are lost ([`situations`]); of a host that is down, nothing answers anyway.
    let is_chosen = move |at: usize| [0, 2, last.saturating_sub(4), last].contains(&at);
    seen.iter().enumerate().filter(move |(at, _)| is_chosen(*at))
}

fn found_by(play: &Play) -> Found {
    let mut found = Found::new();
    for (turn, (project, seen)) in situations(play).iter().enumerate() {
        for (at, situation) in chosen(seen) {
            let moment = Moment {
                project,
                hosts: &situation.hosts,
                truth: plan_of(project, &situation.hosts),
                name: format!("turn {turn}, moment {at}"),
            };
            moment.one_at_a_time(&mut found);
            let all: Vec<&HostName> = moment.hosts.iter().map(|(host, _)| host).collect();
            for error in Whole::ALL {
                moment.at_once(error, &all, &mut found);
                for host in &all {
                    moment.at_once(error, &[host], &mut found);
                }
            }
        }
    }
    found
}

fn assert_nothing_dangerous(name: &str, place: usize) {
    let plays: Vec<&Play> = PLAYS.iter().filter(|play| play.kind == name).collect();
    let mut lines = Vec::new();
    for ((danger, unknown), moments) in found_by(plays[place]) {
        lines.push(format!(
            "{danger}\n    by {unknown}\n    at {}",
            moments.join("; ")
        ));
    }
    assert!(lines.is_empty(), "{} dangers:\n{}", lines.len(), lines.join("\n"));
}

/// A test for each of the plays, so that they run side by side.
macro_rules! each_play {
    ($($test:ident: $kind:literal, $place:literal;)+) => {
        $(
            #[test]
            fn $test() {
                assert_nothing_dangerous($kind, $place);
            }
        )+

        #[test]
        fn every_play_has_its_test() {
            let tested = [$(($kind, $place)),+];
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            let plays: Vec<(&str, usize)> = PLAYS
                .iter()
                .map(|play| {
                    let place = counts.entry(play.kind).or_default();
                    *place += 1;
                    (play.kind, *place - 1)
                })
                .collect();
            assert_eq!(plays, tested);
        }
    };
}

each_play! {
    nothing_dangerous_by_what_is_not_known_of_altcraft: "altcraft", 0;
    nothing_dangerous_by_what_is_not_known_of_keeper: "clickhouse", 0;
    nothing_dangerous_by_what_is_not_known_of_zookeeper: "clickhouse", 1;
    nothing_dangerous_by_what_is_not_known_of_kvrocks: "kvrocks", 0;
    nothing_dangerous_by_what_is_not_known_of_redis: "kvrocks", 1;
    nothing_dangerous_by_what_is_not_known_of_mongodb: "mongodb", 0;
    nothing_dangerous_by_what_is_not_known_of_rabbitmq: "rabbitmq", 0;
    nothing_dangerous_by_what_is_not_known_of_ssdb: "ssdb", 0;
}
