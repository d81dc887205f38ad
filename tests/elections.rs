//! MongoDB at the pace of a real server, where an election takes 10 to 17 s and a stop 15 s: after a kill of the controller
//! anywhere, and after the removal of the primary, ONE apply ends converged.
//!
//! It takes some ten minutes, so the usual tests do not run it: `cargo xtask chaos --real-times` runs it and shows the table.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use e2e::{Applying, Bed, DB, MongoClient, Ran, Turn, kill_points};

/// The hosts of a set out of which the primary is taken.
const FOUR: [&str; 4] = ["db1", "db2", "db3", "db4"];

/// Agents of a run that was killed finish what is under way: the one apply waits for them.
const ONE: [&str; 3] = ["--yes", "--lock-timeout", "5min"];

/// What is done to a set.
#[derive(Debug, Clone, Copy)]
enum Round {
    /// The controller is killed after this event of an apply on bare hosts.
    Fresh(usize),
    /// The same, of an apply that restarts all members one after another.
    Rolling(usize),
    /// The primary is removed.
    Removal(usize),
}

/// How it went.
struct Outcome {
    at: String,
    ran: Ran,
    took: Duration,
    /// What must not be.
    wrong: Option<String>,
}

/// A bed, and whether a set of three stands on it; each document that a majority took is to stay.
struct Play {
    bed: Bed,
    seed: u64,
    /// The hosts of the set that stands.
    members: Vec<&'static str>,
    /// The option that differs from one rolling change to the next.
    turn: u32,
    written: i64,
}

impl Play {
    fn new(number: usize) -> Self {
        Self {
            bed: Bed::beside(number, &FOUR),
            seed: 0,
            members: Vec::new(),
            turn: 0,
            written: 0,
        }
    }

    fn describe(&self, hosts: &[&str]) {
        let services = format!(
            "[services.mongodb]\nhosts = {hosts:?}\nconfig.net.maxIncomingConnections = {}\n",
            1000 + self.turn
        );
        self.bed
            .write("inventory.toml", &format!("{}\n{services}", self.bed.hosts()));
    }

    /// Hosts on which nothing is, whose server will elect as the seed draws it.
    fn bare(&mut self, hosts: &[&str]) {
        for host in hosts {
            self.bed.lab.reset(host).unwrap();
            let times = format!(
                "echo STANDIN_MONGOD_TIMES=real:{} > /etc/default/mongod",
                self.seed
            );
            self.bed.on(host, &times);
        }
    }

    /// A set that is as described.
    fn stand(&mut self, hosts: &[&'static str]) {
        if self.members != hosts {
            self.bare(&FOUR);
            self.describe(hosts);
            let _ = self.bed.clusterctl("apply", &ONE).expect(0);
            self.members = hosts.to_vec();
            self.written = 0;
        }
        self.write();
    }

    fn write(&mut self) {
        let client = MongoClient::new(&self.bed, None);
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let primary = client.primary(&FOUR);
            let told = primary.map(|primary| client.insert(primary, self.written));
            if told == Some(Ok(())) {
                self.written += 1;
                return;
            }
            assert!(Instant::now() < until, "no majority takes a write: {told:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The apply after which no changes remain and no write is lost.
    fn one_apply(&mut self, at: String, hosts: &[&'static str]) -> Outcome {
        let began = Instant::now();
        let ran = self.bed.clusterctl("apply", &ONE);
        let took = began.elapsed();
        let plan = self.bed.clusterctl("plan", &["--detailed-exitcode"]);
        let wrong = match (ran.code, plan.code) {
            (0, 0) => self.lost(hosts),
            (0, _) => Some(format!("changes remain:\n{}{}", plan.stdout, plan.stderr)),
            _ => Some(format!("{}{}", ran.stdout, ran.stderr)),
        };
        if wrong.is_some() {
            // The next round begins with fresh hosts.
            self.members.clear();
        }
        Outcome { at, ran, took, wrong }
    }

    fn lost(&self, hosts: &[&'static str]) -> Option<String> {
        let client = MongoClient::new(&self.bed, None);
        hosts.iter().find_map(|host| {
            let there = client.ids(host);
            let lost: Vec<i64> = (0..self.written).filter(|id| !there.contains(id)).collect();
            (!lost.is_empty()).then(|| format!("{host} lost the documents {lost:?}"))
        })
    }

    fn play(&mut self, round: Round) -> Outcome {
        match round {
            Round::Fresh(events) => {
                self.bare(&DB);
                (self.members, self.written) = (Vec::new(), 0);
                self.describe(&DB);
                let at = self.kill_after(events);
                let outcome = self.one_apply(format!("fresh {events} | {at}"), &DB);
                if outcome.wrong.is_none() {
                    self.members = DB.to_vec();
                }
                outcome
            }
            Round::Rolling(events) => {
                self.stand(&DB);
                self.turn += 1;
                self.describe(&DB);
                let at = self.kill_after(events);
                self.one_apply(format!("rolling {events} | {at}"), &DB)
            }
            Round::Removal(number) => {
                self.stand(&FOUR);
                let primary = MongoClient::new(&self.bed, None).primary(&FOUR).unwrap();
                let rest: Vec<&str> = FOUR.into_iter().filter(|host| *host != primary).collect();
                self.describe(&rest);
                let outcome = self.one_apply(format!("removal {number} | of the primary {primary}"), &rest);
                // It comes back as a new member, for the next round.
                self.bare(&[primary]);
                self.describe(&FOUR);
                if outcome.wrong.is_none() && self.bed.clusterctl("apply", &ONE).code != 0 {
                    self.members.clear();
                }
                outcome
            }
        }
    }

    fn kill_after(&self, events: usize) -> String {
        let told = Applying::killed_after(&self.bed, &[], events);
        let last = told.last().unwrap();
        format!(
            "{} {}",
            last["event"].as_str().unwrap(),
            last["node"].as_str().unwrap_or_default()
        )
    }

    /// How many events an apply tells that nobody kills.
    fn events(&mut self) -> usize {
        Applying::killed_after(&self.bed, &[], usize::MAX).len()
    }
}

fn asked(what: &str) -> usize {
    let variable = format!("CLUSTERCTL_ELECTIONS_{what}");
    std::env::var(variable).map_or(1, |number| number.parse().unwrap())
}

/// The rounds that are asked for. What an apply tells without a kill is found out on the first bed, which then has a set.
fn rounds(play: &mut Play) -> VecDeque<Round> {
    play.bare(&DB);
    play.describe(&DB);
    let fresh = play.events();
    play.turn += 1;
    play.describe(&DB);
    let rolling = play.events();
    play.members = DB.to_vec();
    let told = format!("\nA fresh apply tells {fresh} events, a rolling change {rolling}.\n");
    play.bed.tell(&told);
    let fresh = kill_points(fresh, asked("POINTS")).into_iter().map(Round::Fresh);
    let rolling = kill_points(rolling, asked("ROLLING"))
        .into_iter()
        .map(Round::Rolling);
    let removals = (1..=asked("REMOVALS")).map(Round::Removal);
    rolling.chain(fresh).chain(removals).collect()
}

#[test]
#[ignore = "it takes ten minutes: cargo xtask chaos --real-times"]
fn one_apply_after_a_kill_or_for_a_removal_ends_converged_at_the_pace_of_a_real_server() {
    let _turn = Turn::take();
    let mut first = Play::new(1);
    let rounds = Mutex::new(
        rounds(&mut first)
            .into_iter()
            .enumerate()
            .collect::<VecDeque<_>>(),
    );
    let next = || rounds.lock().unwrap().pop_front();
    let unfinished = Mutex::new(Vec::new());
    println!("| round | killed after | exit code | it took | then |");
    println!("|---|---|---|---|---|");
    let work = |mut play: Play| {
        while let Some((number, round)) = next() {
            play.seed = number as u64;
            let Outcome { at, ran, took, wrong } = play.play(round);
            let verdict = if wrong.is_none() {
                "converged"
            } else {
                "NOT converged"
            };
            println!(
                "| {at} | {} | {:.0} s | {verdict} |",
                ran.code,
                took.as_secs_f64()
            );
            let wrong = wrong.map(|wrong| format!("{at}: {wrong}"));
            unfinished.lock().unwrap().extend(wrong);
        }
        play.bed.lab.down(true).unwrap();
    };
    let work_on = &work;
    std::thread::scope(|scope| {
        scope.spawn(|| work(first));
        for number in 2..=asked("BEDS") {
            scope.spawn(move || work_on(Play::new(number)));
        }
    });
    let unfinished = unfinished.into_inner().unwrap();
    assert!(unfinished.is_empty(), "{}", unfinished.join("\n\n"));
}
