//! What is seen of the platform from outside: whether its processes accept connections, and which of them is master.
//!
//! The platform stores nothing itself, so nothing is written; a request is the search for the master among all hosts.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::members::{Group, Rule};
use crate::net::Wire;
use crate::run::{Client, Service};

const TASK: u16 = 8962;
const WORKFLOW: u16 = 7962;

/// The platform's hosts.
pub(crate) struct Altcraft {
    pub(crate) members: Vec<IpAddr>,
}

/// The stand-in says who it is to everybody who connects.
fn role(address: IpAddr, port: u16) -> Result<String, String> {
    Wire::open(address, port)?.line(b"")
}

fn is_master(address: IpAddr, port: u16) -> bool {
    role(address, port).is_ok_and(|role| role.ends_with("is master true"))
}

struct Hosts {
    members: Vec<IpAddr>,
}

impl Hosts {
    fn find(&self, port: u16) -> Result<(), String> {
        let found = self.members.iter().any(|&address| is_master(address, port));
        found
            .then_some(())
            .ok_or_else(|| format!("no master on port {port}"))
    }
}

impl Client for Hosts {
    fn write(&mut self, _number: u64) -> Result<(), String> {
        self.find(TASK)
    }

    fn read(&mut self, _number: u64) -> Result<(), String> {
        self.find(WORKFLOW)
    }
}

impl Service for Altcraft {
    fn groups(&self) -> Vec<Group> {
        let group = |what, rule, port, is: fn(IpAddr, u16) -> bool| Group {
            what,
            rule,
            probes: self
                .members
                .iter()
                .map(|&address| Box::new(move || is(address, port)) as _)
                .collect(),
        };
        let is_up = |address, port| role(address, port).is_ok();
        vec![
            group("proctask", Rule::AtLeast(1), TASK, is_up),
            group("procworkflow", Rule::AtLeast(1), WORKFLOW, is_up),
            group("proctask master", Rule::AtMost(1), TASK, is_master),
            group("procworkflow master", Rule::AtMost(1), WORKFLOW, is_master),
        ]
    }

    fn client(&self, _first: usize) -> Box<dyn Client> {
        Box::new(Hosts {
            members: self.members.clone(),
        })
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn lost(&self, _acknowledged: &BTreeSet<u64>) -> Option<BTreeSet<u64>> {
        None
    }
}
