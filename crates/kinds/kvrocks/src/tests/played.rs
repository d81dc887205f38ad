//! What the simulation plays, without its troubles: things take time, a client writes, and nothing is lost.

use plan::{Facts, HostFacts, Verdict};
use protocol::Operation;

use super::STEPS;
use crate::tests::rig::Rig;
use cases::{self, host, plan_steps_after, render};
use fakes::kvrocks::{KVROCKS, REDIS};
use fakes::{FakeCluster, Fault, Pace, Play};
use kit::Service;
use kit::{PACKAGES, action};
use kit::{StepPlan, Task};

const SECOND: i64 = 1_000_000;
const PACE: Pace = Pace {
    start_us: 3 * SECOND,
    elect_us: 40 * SECOND,
    copy_us: 8 * SECOND,
    quiesce_us: 0,
};
const HOSTS: [&str; 3] = ["db1", "db2", "db3"];

/// A fake under a client that writes each second.
struct Game {
    play: Play,
    fake: Box<dyn FakeCluster>,
    now: i64,
    next: u64,
    acknowledged: Vec<u64>,
}

impl Game {
    fn new(play: Play, hosts: &[&str]) -> Self {
        Self {
            play,
            fake: (play.world)(hosts, PACE),
            now: 1_700_000_000 * SECOND,
            next: 0,
            acknowledged: Vec::new(),
        }
    }

    fn service(&self, hosts: &[&str], all: &[&str], turn: u32) -> Box<dyn Service> {
        let lines = (1..)
            .zip(all)
            .map(|(at, name)| format!("{name} = \"10.0.0.{at}\"\n"));
        let hosts_table: String = lines.collect();
        cases::service(
            crate::tests::KINDS,
            &format!("[hosts]\n{hosts_table}\n{}", (self.play.inventory)(hosts, turn)),
        )
    }

    fn wait(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += SECOND;
            self.fake.advance(self.now);
            self.next += 1;
            if self.fake.write(self.next) {
                self.acknowledged.push(self.next);
            }
        }
    }

    fn facts(&self, service: &dyn Service) -> Facts {
        cases::answer_all(service, |host, query| {
            self.fake.answer(host, query).expect("an answer").ok()
        })
    }

    fn plan(&self, service: &dyn Service) -> StepPlan {
        let mut earlier = Vec::new();
        let vars = service.vars();
        for at in service.hosts() {
            let wanted = [&vars["package"], &vars["sentinel_package"]];
            let missing = wanted.into_iter().filter(|name| {
                let query = protocol::facts::PackageQuery {
                    name: (*name).clone(),
                };
                let fact = self.fake.answer(at, &protocol::FactQuery::Package(query));
                matches!(fact, Some(Ok(protocol::Fact::Package(fact))) if fact.version.is_none())
            });
            let names: Vec<String> = missing.cloned().collect();
            if !names.is_empty() {
                let install = Operation::InstallPackages { names };
                earlier.push(Task::new(
                    at,
                    "install",
                    "it is missing",
                    action(install, PACKAGES),
                ));
            }
        }
        plan_steps_after(service, earlier, &STEPS, &self.facts(service), &[])
    }

    fn perform(&mut self, service: &dyn Service, task: &Task) {
        if let Some(action) = &task.action {
            for condition in &action.only_if {
                let found = self.fake.answer(&task.host, &condition.query);
                assert_eq!(found, Some(Ok(condition.fact.clone())), "{}", condition.what);
            }
            let done = self.fake.operate(&task.host, &action.operation);
            assert_eq!(done, Some(Ok(())), "{}", task.title);
        }
        for gate in &task.gates {
            let until = self.now + i64::try_from(gate.limit_ms).expect("a limit") * 1_000;
            // Sentinels that start side by side are started one after another here.
            while gate.check != "sentinel-agrees" || task.action.is_none() {
                let mut facts = Facts::default();
                for (at, queries) in &gate.watch {
                    let answers = queries.iter().map(|query| {
                        let fact = self.fake.answer(at, query).expect("an answer");
                        (query.clone(), fact)
                    });
                    facts.add(at.clone(), HostFacts::Observed(answers.collect()));
                }
                let verdict = service.judge(&gate.check, gate.host.as_ref(), &facts);
                if verdict == Verdict::Pass {
                    break;
                }
                assert!(self.now < until, "{}: {verdict:?}", gate.title);
                self.wait(1);
            }
        }
    }

    /// Carries plans out until there is nothing to do, and looks whether all is well.
    fn converge(&mut self, service: &dyn Service) {
        for _ in 0..3 {
            let found = self.plan(service);
            assert!(found.refusals.is_empty(), "{}", render(&found));
            for task in &found.tasks {
                self.perform(service, task);
            }
        }
        let left = self.plan(service);
        assert!(cases::is_settled(&left), "{}", render(&left));
        assert_eq!(self.fake.violations(), [""; 0]);
        let lost = self
            .acknowledged
            .iter()
            .find(|value| !self.fake.has_value(**value));
        assert_eq!(lost, None);
    }
}

#[test]
fn a_cluster_is_built_and_changed_while_a_client_writes() {
    for play in [KVROCKS, REDIS] {
        let mut game = Game::new(play, &HOSTS);
        let first = game.service(&HOSTS, &HOSTS, 0);
        assert_eq!((game.fake.needed(), game.fake.serving().len()), (0, 0));
        game.converge(&*first);
        assert_eq!((game.fake.needed(), game.fake.serving().len()), (2, 3));
        game.wait(60);
        let before = game.acknowledged.len();
        assert!(before > 50, "{before}");
        let second = game.service(&HOSTS, &HOSTS, 1);
        assert!(!cases::is_settled(&game.plan(&*second)));
        game.converge(&*second);
        game.wait(30);
        assert!(game.acknowledged.len() > before + 50);
    }
}

#[test]
fn a_master_that_dies_is_replaced_and_comes_back_as_a_replica() {
    for play in [KVROCKS, REDIS] {
        let mut game = Game::new(play, &HOSTS);
        let service = game.service(&HOSTS, &HOSTS, 0);
        game.converge(&*service);
        game.wait(60);
        game.fake.inject(&Fault::Crash(host("db1")));
        game.wait(10);
        assert_eq!(game.fake.serving(), [host("db2"), host("db3")].into());
        assert!(!game.fake.write(10_000));
        game.wait(60);
        assert!(game.fake.write(10_001));
        game.fake.inject(&Fault::Revive(host("db1")));
        game.wait(60);
        game.converge(&*service);
        game.fake.inject(&Fault::Cut(host("db2")));
        game.wait(100);
        assert!(game.fake.write(10_002));
        game.fake.inject(&Fault::Heal(host("db2")));
        game.fake.inject(&Fault::Handover);
        game.wait(60);
        game.fake.inject(&Fault::Down(host("db1")));
        game.wait(60);
        game.fake.inject(&Fault::Up(host("db1")));
        game.wait(60);
        game.converge(&*service);
        assert!(game.fake.write(10_003));
    }
}

#[test]
fn what_a_partition_alone_loses_in_mid_failover_is_excused() {
    let mut game = Game::new(KVROCKS, &HOSTS);
    let service = game.service(&HOSTS, &HOSTS, 0);
    game.converge(&*service);
    game.wait(60);
    let failover = Operation::Resp {
        address: "127.0.0.1".to_owned(),
        port: 26379,
        password: None,
        commands: vec![protocol::facts::RespCommand::new([
            "SENTINEL", "FAILOVER", "altcraft",
        ])],
    };
    assert_eq!(game.fake.operate(&host("db2"), &failover), Some(Ok(())));
    game.fake.inject(&Fault::Cut(host("db2")));
    let before = game.acknowledged.len();
    game.wait(20);
    assert!(game.acknowledged.len() > before);
    game.fake.inject(&Fault::Heal(host("db2")));
    game.wait(60);
    game.converge(&*service);
}

#[test]
fn a_lone_master_beside_the_one_that_is_watched_does_not_serve() {
    let mut fake = super::packaged("redis", 3);
    for name in HOSTS {
        let text = "port 26379\nsentinel monitor altcraft 10.0.0.1 6379 2\n";
        Rig::write(&mut fake, name, "/etc/redis/sentinel.conf", text);
        fake.restart_sentinel(name);
    }
    assert_eq!(FakeCluster::serving(&fake), [host("db1")].into());
}

#[test]
fn what_must_never_be_done_is_noticed() {
    let mut game = Game::new(REDIS, &HOSTS);
    let service = game.service(&HOSTS, &HOSTS, 0);
    game.converge(&*service);
    game.wait(60);
    let tell = |game: &mut Game, at: &str, verb| {
        let operation = Operation::Unit {
            name: "redis-server.service".to_owned(),
            verbs: vec![verb],
            reads: Vec::new(),
        };
        game.fake.operate(&host(at), &operation)
    };
    assert_eq!(tell(&mut game, "db1", protocol::UnitVerb::Stop), Some(Ok(())));
    assert_eq!(
        game.fake.violations(),
        ["the master db1 was stopped while Sentinel watches it"]
    );
    game.wait(60);
    tell(&mut game, "db1", protocol::UnitVerb::Start);
    assert_eq!(
        game.fake.violations()[1..],
        ["db1 was started as a second master beside db2"]
    );
    let reset = Operation::Resp {
        address: "127.0.0.1".to_owned(),
        port: 26379,
        password: None,
        commands: vec![protocol::facts::RespCommand::new([
            "SENTINEL", "RESET", "altcraft",
        ])],
    };
    game.wait(60);
    for at in ["db1", "db2"] {
        assert_eq!(game.fake.operate(&host(at), &reset), Some(Ok(())));
        game.wait(10);
    }
    assert_eq!(
        game.fake.violations()[2..],
        ["the sentinel on db2 was reset before the one on db1 had found all again"]
    );
}
