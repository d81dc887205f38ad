//! The services whose real servers Debian has, from bare hosts through every change of members, settings and users, on each
//! release that a lab runs. Every change is cut off by a kill at another point, and one apply after it ends converged.

mod broker;
mod plain;
mod store;

use std::net::IpAddr;
use std::time::Instant;

use e2e::{Applying, Bed, Suite};

use crate::{figures, run};

/// The hosts at first, and after one joined and another left.
const FIRST: [&str; 3] = ["db1", "db2", "db3"];
const THEN: [&str; 3] = ["db2", "db3", "db4"];
const ALL: [&str; 4] = ["db1", "db2", "db3", "db4"];

#[test]
fn rabbitmq_on_bookworm() {
    broker::lives_through_every_change(Suite::Bookworm);
}

#[test]
fn rabbitmq_on_trixie() {
    broker::lives_through_every_change(Suite::Trixie);
}

#[test]
fn redis_on_bookworm() {
    let _ = store::keeps_its_data(Suite::Bookworm, "redis");
}

#[test]
fn redis_on_trixie() {
    let _ = store::keeps_its_data(Suite::Trixie, "redis");
}

#[test]
fn valkey_on_trixie() {
    let story = store::keeps_its_data(Suite::Trixie, "valkey");
    store::changes_members(story);
}

/// The changes of one cluster, one after another.
struct Story {
    bed: Bed,
    kills: usize,
}

impl Story {
    fn begin(suite: Suite, services: &str) -> Self {
        let bed = Bed::of(suite, &ALL, services);
        let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
        Self { bed, kills: 0 }
    }

    /// The inventory from now on.
    fn describe(&self, services: &str) {
        let bed = &self.bed;
        bed.write("inventory.toml", &format!("{}\n{services}", bed.hosts()));
    }

    /// Applies what was described. The program is killed when this part of the plan's nodes, in percent, has begun; one
    /// apply after it ends converged.
    fn killed(&mut self, what: &str, percent: u64) {
        let mut applying = Applying::start(&self.bed, &[]);
        let nodes = applying.find_map(|event| event["nodes"].as_u64());
        let last = (nodes.expect("the run has begun") * percent).div_ceil(100).max(1);
        let mut started = applying.by_ref().filter(|event| event["event"] == "node-started");
        let at = started.nth(usize::try_from(last).unwrap() - 1);
        let at = at.expect("so many nodes begin");
        applying.kill();
        self.kills += 1;
        self.bed.tell(&format!("{what}: killed at {}", at["node"]));
        let began = Instant::now();
        self.applies(&["--lock-timeout", "5min"]);
        self.bed.tell(&format!(
            "{what}: converged {:.0} s later",
            began.elapsed().as_secs_f64()
        ));
    }

    /// Applies; nothing is left, and all is healthy.
    fn applies(&self, words: &[&str]) {
        let bed = &self.bed;
        let _ = bed.clusterctl("apply", &[&["--yes"], words].concat()).expect(0);
        self.has_nothing_to_do();
        let _ = bed.clusterctl("status", &[]).expect(0);
    }

    fn has_nothing_to_do(&self) {
        let _ = self.bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    }

    /// Makes the described change while clients work, and loses nothing that was acknowledged.
    fn under_load(&self, what: &str, service: &dyn run::Service) {
        let figures = run::under_load(what, service, || self.applies(&[]));
        self.bed.tell(&format!(
            "{}{}",
            figures::table(std::slice::from_ref(&figures)),
            figures.told()
        ));
        figures.check();
    }

    fn addresses(&self, hosts: &[&str]) -> Vec<IpAddr> {
        let address = |host: &&str| self.bed.lab.address(host).unwrap().into();
        hosts.iter().map(address).collect()
    }
}
