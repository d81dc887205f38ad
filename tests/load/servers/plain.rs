//! A client of Redis as applications have it: the usual library, which asks Sentinel for the master, with its defaults. A
//! write is acknowledged when the master says OK, and no request has a time limit of the client's.

use std::collections::BTreeSet;
use std::net::IpAddr;

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{Connection, ConnectionAddr, RedisResult};

use crate::kvrocks::Redis;
use crate::members::Group;
use crate::net::said;
use crate::run::{Client, Service};

const SENTINEL: u16 = 26379;

/// A store, used by such clients.
pub(super) struct Plain(pub(super) Redis);

struct Master {
    sentinels: SentinelClient,
    connection: Option<Connection>,
}

impl Master {
    fn ask(&mut self, command: &redis::Cmd) -> Result<(), String> {
        let mut ask = || -> RedisResult<()> {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.sentinels.get_connection()?,
            };
            command.exec(&mut connection)?;
            self.connection = Some(connection);
            Ok(())
        };
        ask().map_err(said)
    }
}

impl Client for Master {
    fn write(&mut self, number: u64) -> Result<(), String> {
        self.ask(redis::cmd("SET").arg(format!("load:{number}")).arg("x"))
    }

    fn read(&mut self, number: u64) -> Result<(), String> {
        self.ask(redis::cmd("GET").arg(format!("load:{number}")))
    }
}

impl Service for Plain {
    fn groups(&self) -> Vec<Group> {
        self.0.groups()
    }

    fn client(&self, first: usize) -> Box<dyn Client> {
        let Redis { members, password } = &self.0;
        let mut sentinels: Vec<&IpAddr> = members.iter().collect();
        sentinels.rotate_left(first % members.len());
        let sentinels = sentinels
            .into_iter()
            .map(|address| ConnectionAddr::Tcp(address.to_string(), SENTINEL));
        let client = SentinelClientBuilder::new(sentinels, "altcraft", SentinelServerType::Master);
        let client = client.map(|client| client.set_client_to_redis_password(password));
        Box::new(Master {
            sentinels: client.and_then(SentinelClientBuilder::build).unwrap(),
            connection: None,
        })
    }

    fn lost(&self, acknowledged: &BTreeSet<u64>) -> Option<BTreeSet<u64>> {
        self.0.lost(acknowledged)
    }
}
