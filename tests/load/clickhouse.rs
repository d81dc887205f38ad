//! A client of ClickHouse over HTTP: any server takes rows of a replicated table, and the others fetch them.
//!
//! A row is acknowledged by the server that wrote it and the quorum that knows of it. The same row sent twice to a
//! replicated table is there once.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use e2e::{Bed, DB};
use ureq::Agent;

use crate::addresses;
use crate::members::{Group, Rule};
use crate::net::{Turn, Wire, said};
use crate::run::{Client, LIMIT, Service, missing};

/// The cluster.
pub(crate) struct ClickHouse {
    pub(crate) members: Vec<IpAddr>,
    pub(crate) password: String,
}

/// A table without a session takes no rows until it has looked for one again, which it does once a minute by default.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS default.load ON CLUSTER altcraft (day Date, number UInt64) \
                     ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/load', '{replica}') \
                     PARTITION BY toYYYYMM(day) ORDER BY number \
                     SETTINGS zookeeper_session_expiration_check_period = 2";

/// A connection for each request: a server that stops waits for those that are in use (18.16: 15 to 25 s, seen), and only
/// the figures' time would be another one.
fn agent(limit: Duration) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(limit))
        .max_idle_connections(0)
        .http_status_as_error(false);
    config.build().into()
}

fn ask(agent: &Agent, address: IpAddr, password: &str, query: &str) -> Result<String, String> {
    let sent = agent
        .post(format!("http://{address}:8123/"))
        .header("X-ClickHouse-User", "altcraft")
        .header("X-ClickHouse-Key", password)
        .send(query);
    let mut answer = sent.map_err(said)?;
    let text = answer.body_mut().read_to_string().map_err(said)?;
    if answer.status().is_success() {
        Ok(text)
    } else {
        // The code is the same whatever the host, the code of another row is not.
        Err(text.chars().take(60).collect())
    }
}

impl ClickHouse {
    /// The cluster with the table that clients write to.
    pub(crate) fn prepare(bed: &Bed) -> Self {
        let cluster = Self {
            members: addresses(bed, &DB),
            password: bed.secret("clickhouse.password"),
        };
        ask(&agent(10 * LIMIT), cluster.members[0], &cluster.password, TABLE).expect("the table is made");
        cluster
    }
}

struct Any {
    members: Vec<IpAddr>,
    password: String,
    agent: Agent,
    server: Turn<IpAddr>,
}

impl Any {
    fn ask(&mut self, query: &str) -> Result<(), String> {
        let Self {
            members,
            password,
            agent,
            server,
        } = self;
        let open = |at: usize| Ok(members[at % members.len()]);
        server.with(open, |&mut address| {
            ask(agent, address, password, query).map(drop)
        })
    }
}

impl Client for Any {
    fn write(&mut self, number: u64) -> Result<(), String> {
        self.ask(&format!(
            "INSERT INTO default.load VALUES ('2026-01-01', {number})"
        ))
    }

    fn read(&mut self, number: u64) -> Result<(), String> {
        self.ask(&format!(
            "SELECT count() FROM default.load WHERE number = {number}"
        ))
    }
}

impl Service for ClickHouse {
    fn groups(&self) -> Vec<Group> {
        let servers = self.members.iter().map(|&address| {
            // Each time over a connection of its own: a server that stops waits for those that are in use.
            let ping = move || Wire::open(address, 8123)?.line(b"GET /ping HTTP/1.0\r\n\r\n");
            Box::new(move || ping().is_ok_and(|status| status.ends_with("200 OK"))) as _
        });
        // Whether the process answers: while a leader is elected no member serves, and each closes its connections once as
        // the election begins. A process that is there answers the next one.
        let quorum = self.members.iter().map(|&address| {
            let answers = move || Wire::open(address, 2181)?.line(b"srvr");
            Box::new(move || answers().or_else(|_| answers()).is_ok()) as _
        });
        vec![
            Group {
                what: "servers",
                rule: Rule::AtLeast(2),
                probes: servers.collect(),
            },
            Group {
                what: "ZooKeeper",
                rule: Rule::AtLeast(2),
                probes: quorum.collect(),
            },
        ]
    }

    fn client(&self, first: usize) -> Box<dyn Client> {
        Box::new(Any {
            members: self.members.clone(),
            password: self.password.clone(),
            agent: agent(LIMIT),
            server: Turn::new(first),
        })
    }

    /// Rows one by one are not what ClickHouse is for: each is a part that has to be merged.
    fn pace(&self) -> Duration {
        Duration::from_millis(200)
    }

    fn lost(&self, acknowledged: &BTreeSet<u64>) -> Option<BTreeSet<u64>> {
        let agent = agent(10 * LIMIT);
        Some(missing(&self.members, acknowledged, |&address| {
            let numbers = ask(&agent, address, &self.password, "SELECT number FROM default.load")?;
            Ok(numbers.lines().filter_map(|line| line.parse().ok()).collect())
        }))
    }
}
