//! Plans are carried out in time, as the simulation does: what starts takes seconds, and never is the quorum below what
//! it needs by our doing.

use protocol::{Operation, UnitVerb};
use types::HostName;

use super::*;
use fakes::clickhouse::{KEEPER, ZOOKEEPER};
use fakes::{Fault, Pace, Play};

const PACE: Pace = Pace {
    start_us: 5_000_000,
    elect_us: 2_000_000,
    copy_us: 3_000_000,
    quiesce_us: 0,
};
const SECOND: i64 = 1_000_000;

/// A cluster in time.
struct Stage {
    play: Play,
    cluster: Box<dyn fakes::FakeCluster>,
    now: i64,
    written: u64,
    /// Whether a lost quorum is a fault: not where a trouble takes it.
    is_watched: bool,
    /// What was done, and when.
    done: Vec<String>,
}

impl Stage {
    fn new(play: Play) -> Self {
        Self {
            play,
            cluster: (play.world)(&["db1", "db2", "db3", "db4"], PACE),
            now: 1_000 * SECOND,
            written: 0,
            is_watched: true,
            done: Vec::new(),
        }
    }

    fn service(&self, hosts: &[&str], turn: u32) -> Box<dyn Service> {
        let addresses: Vec<String> = ["db1", "db2", "db3", "db4"]
            .iter()
            .map(|host| format!("{host} = \"10.0.0.{}\"", &host[2..]))
            .collect();
        crate::tests::service_with_warnings(&format!(
            "[hosts]\n{}\n{}",
            addresses.join("\n"),
            (self.play.inventory)(hosts, turn)
        ))
    }

    fn wait(&mut self) {
        self.now += SECOND;
        self.cluster.advance(self.now);
        assert!(
            self.cluster.violations().is_empty(),
            "{:?}",
            self.cluster.violations()
        );
        let (serving, needed) = (self.cluster.serving(), self.cluster.needed());
        assert!(
            !self.is_watched || serving.len() >= needed,
            "{serving:?} of {needed} at {}, after {:#?}",
            self.now,
            self.done
        );
    }

    /// Plans and carries the plan out once, under the eyes of its gates; how much there was to do.
    fn apply(&mut self, service: &dyn Service) -> usize {
        let facts = facts_of(&*self.cluster, service);
        let mut done = 0;
        for many in 1..=STEPS.len() {
            let found = cases::plan_steps_allowing(service, &STEPS[..many], &facts, &[]);
            assert!(found.refusals.is_empty(), "{}", render(&found));
            let tasks = &found.tasks[done..];
            done = found.tasks.len();
            let is_serial = STEPS[many - 1].contains("restart") || STEPS[many - 1] == "leave";
            let rounds = if is_serial {
                tasks.chunks(1)
            } else {
                tasks.chunks(tasks.len().max(1))
            };
            for round in rounds {
                for task in round {
                    self.watch(service, task, &task.before);
                    let operation = &task.action.as_ref().expect("an action").operation;
                    let title = format!("{}: {} on {}", self.now / SECOND, task.title, task.host);
                    self.done.push(title);
                    let done = self.cluster.operate(&task.host, operation);
                    assert_eq!(done, Some(Ok(())), "{} on {}", task.title, task.host);
                    self.wait();
                }
                for task in round {
                    self.watch(service, task, &task.gates);
                }
            }
        }
        done
    }

    /// Waits until a task's gates have passed.
    fn watch(&mut self, service: &dyn Service, task: &Task, gates: &[::plan::Gate]) {
        for gate in gates {
            let mut left = gate.limit_ms / 1000;
            loop {
                let facts = facts_of(&*self.cluster, service);
                match service.judge(&gate.check, gate.host.as_ref(), &facts) {
                    Verdict::Pass => break,
                    verdict => assert!(
                        left > 0,
                        "{} on {}: {}: {verdict:?}",
                        task.title,
                        task.host,
                        gate.title
                    ),
                }
                left -= 1;
                self.wait();
            }
        }
    }

    /// Applies until nothing is left.
    fn converge(&mut self, service: &dyn Service) {
        self.apply(service);
        assert_eq!(self.apply(service), 0);
    }

    /// A client writes, and tries again for a minute.
    fn write(&mut self) {
        self.written += 1;
        for _ in 0..60 {
            if self.cluster.write(self.written) {
                return;
            }
            self.wait();
        }
        panic!("{} is not acknowledged", self.written);
    }

    fn assert_whole(&self) {
        assert!((1..=self.written).all(|value| self.cluster.has_value(value)));
    }

    fn inject(&mut self, trouble: &Fault) {
        self.cluster.inject(trouble);
    }

    fn built(play: Play, hosts: &[&str]) -> Self {
        let mut stage = Self::new(play);
        let names = vec!["clickhouse-server".to_owned(), "zookeeperd".to_owned()];
        for host in ["db1", "db2", "db3", "db4"] {
            stage.cluster.operate(
                &cases::host(host),
                &Operation::InstallPackages { names: names.clone() },
            );
        }
        let service = stage.service(hosts, 0);
        stage.converge(&*service);
        stage.write();
        stage
    }
}

fn facts_of(cluster: &dyn fakes::FakeCluster, service: &dyn Service) -> ::plan::Facts {
    let mut facts = ::plan::Facts::default();
    for host in service.hosts().iter().chain(&service.others()) {
        let answers = service.queries(host).into_iter().map(|query| {
            let fact = cluster.answer(host, &query).expect("a question for this cluster");
            (query, fact)
        });
        facts.add(host.clone(), ::plan::HostFacts::Observed(answers.collect()));
    }
    facts
}

#[test]
fn a_cluster_comes_up_and_rolls_in_time() {
    for play in [KEEPER, ZOOKEEPER] {
        let mut stage = Stage::built(play, &DB);
        for turn in 1..3 {
            let service = stage.service(&DB, turn);
            stage.converge(&*service);
            stage.write();
            stage.inject(&Fault::Handover);
        }
        stage.assert_whole();
    }
}

#[test]
fn dead_processes_start_and_members_that_were_down_catch_up() {
    for play in [KEEPER, ZOOKEEPER] {
        let mut stage = Stage::built(play, &DB);
        let service = stage.service(&DB, 0);
        let db2: HostName = cases::host("db2");
        stage.inject(&Fault::Crash(db2.clone()));
        for _ in 0..10 {
            stage.wait();
        }
        stage.write();
        stage.converge(&*service);
        stage.inject(&Fault::Cut(db2.clone()));
        for _ in 0..10 {
            stage.wait();
        }
        stage.write();
        stage.inject(&Fault::Heal(db2.clone()));
        for _ in 0..10 {
            stage.wait();
        }
        stage.inject(&Fault::Down(db2.clone()));
        stage.inject(&Fault::Up(db2.clone()));
        for _ in 0..20 {
            stage.wait();
        }
        stage.converge(&*service);
        assert_eq!(stage.cluster.serving().len(), 3);
        stage.assert_whole();
    }
}

#[test]
fn without_a_majority_nothing_is_acknowledged() {
    for play in [KEEPER, ZOOKEEPER] {
        let mut stage = Stage::built(play, &DB);
        stage.is_watched = false;
        for host in ["db1", "db3"] {
            stage.inject(&Fault::Crash(cases::host(host)));
        }
        assert!(stage.cluster.serving().len() < stage.cluster.needed());
        stage.wait();
        assert!(!stage.cluster.write(99));
        for host in ["db1", "db3"] {
            stage.inject(&Fault::Revive(cases::host(host)));
        }
        for _ in 0..20 {
            stage.wait();
        }
        // Old servers that found no quorum at their start died again: a plan starts them.
        let service = stage.service(&DB, 0);
        stage.converge(&*service);
        stage.write();
        stage.assert_whole();
    }
}

#[test]
fn a_number_that_is_given_twice_is_a_violation() {
    let mut stage = Stage::built(ZOOKEEPER, &DB);
    let write = |path: &str, text: &str| Operation::WriteFile {
        path: path.to_owned(),
        text: text.into(),
        mode: 0o644,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        was: protocol::FileState::Any,
        trial: None,
    };
    let text =
        "dataDir=/var/lib/zookeeper\nclientPort=2181\nserver.1=db1:1:1\nserver.2=db3:1:1\nserver.3=db2:1:1\n";
    let db2 = cases::host("db2");
    stage
        .cluster
        .operate(&db2, &write(fakes::clickhouse::ZOO_CFG, text));
    stage
        .cluster
        .operate(&db2, &write(fakes::clickhouse::MYID, "3\n"));
    let operation = Operation::Unit {
        name: "zookeeper.service".to_owned(),
        verbs: vec![UnitVerb::Restart],
        reads: Vec::new(),
    };
    stage.cluster.operate(&db2, &operation);
    stage.cluster.advance(stage.now + 10 * SECOND);
    assert!(
        stage
            .cluster
            .violations()
            .iter()
            .any(|wrong| wrong.contains("was given to"))
    );
}

#[test]
fn hosts_join_and_leave_in_time_and_nothing_is_lost() {
    for play in [KEEPER, ZOOKEEPER] {
        let mut stage = Stage::built(play, &DB);
        for hosts in [
            &["db1", "db2", "db3", "db4"][..],
            &["db1", "db3", "db4"],
            &["db2", "db3", "db4"],
            &["db1", "db2", "db3", "db4"],
        ] {
            let service = stage.service(hosts, 0);
            stage.converge(&*service);
            let told: Vec<HostName> = hosts.iter().map(|host| cases::host(host)).collect();
            stage.cluster.clients(&told);
            stage.write();
            stage.inject(&Fault::Handover);
            assert_eq!(stage.cluster.serving().len(), hosts.len(), "{hosts:?}");
        }
        stage.assert_whole();
    }
}
