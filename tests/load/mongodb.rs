//! A client of a MongoDB set: writes go to the primary and count when a majority has them.

use std::collections::BTreeSet;
use std::sync::Arc;

use e2e::{Bed, DB, MongoClient};
use protocol::facts::{Bson, MongoCommand};

use crate::members::{Group, Rule};
use crate::net::Turn;
use crate::run::{Client, LIMIT, Service, missing};

const COLLECTION: &str = "load";

/// The set.
pub(crate) struct Mongo<'a> {
    pub(crate) bed: &'a Bed,
}

impl Mongo<'_> {
    fn login(&self) -> MongoClient {
        let password = self.bed.secret("mongodb.altcraft");
        MongoClient::new(self.bed, Some(("altcraft", &password))).within(LIMIT)
    }
}

fn command(name: &str) -> MongoCommand {
    let mut command = MongoCommand::new(name, COLLECTION);
    "control".clone_into(&mut command.db);
    command
}

/// Writes a document, once however often it is sent.
fn write(id: i64) -> MongoCommand {
    let update = Bson::doc([
        ("q", Bson::doc([("_id", id.into())])),
        ("u", Bson::doc([("_id", id.into())])),
        ("upsert", true.into()),
    ]);
    let concern = Bson::doc([("w", "majority".into()), ("wtimeout", 1_500.into())]);
    command("update")
        .with("updates", Bson::Array(vec![update]))
        .with("writeConcern", concern)
}

struct Set {
    mongo: MongoClient,
    primary: Turn<&'static str>,
}

impl Set {
    fn with<T>(
        &mut self,
        request: impl FnOnce(&MongoClient, &'static str) -> Result<T, String>,
    ) -> Result<T, String> {
        let mongo = &self.mongo;
        let primary = |at: usize| {
            let mut hosts = DB;
            hosts.rotate_left(at % DB.len());
            mongo.primary(&hosts).ok_or_else(|| "no primary".to_owned())
        };
        self.primary.with(primary, |&mut host| request(mongo, host))
    }
}

impl Client for Set {
    fn write(&mut self, number: u64) -> Result<(), String> {
        self.with(|mongo, host| mongo.send(host, write(number.cast_signed())))
    }

    fn read(&mut self, number: u64) -> Result<(), String> {
        let filter = Bson::doc([("_id", number.cast_signed().into())]);
        self.with(|mongo, host| {
            let found = mongo.ask(host, command("find").with("filter", filter));
            found.map(drop).ok_or_else(|| "no answer to find".to_owned())
        })
    }
}

impl Service for Mongo<'_> {
    fn groups(&self) -> Vec<Group> {
        let nobody = Arc::new(MongoClient::new(self.bed, None).within(LIMIT));
        let probes = DB.iter().map(|host| {
            let nobody = Arc::clone(&nobody);
            Box::new(move || {
                let hello = nobody.ask(host, MongoCommand::new("hello", 1));
                let is = |key| {
                    hello
                        .as_ref()
                        .and_then(|hello| hello.get(key))
                        .is_some_and(Bson::is_true)
                };
                is("isWritablePrimary") || is("secondary")
            }) as _
        });
        vec![Group {
            what: "members",
            rule: Rule::AtLeast(2),
            probes: probes.collect(),
        }]
    }

    fn client(&self, first: usize) -> Box<dyn Client> {
        Box::new(Set {
            mongo: self.login(),
            primary: Turn::new(first),
        })
    }

    fn lost(&self, acknowledged: &BTreeSet<u64>) -> Option<BTreeSet<u64>> {
        let mongo = self.login().within(10 * LIMIT);
        Some(missing(&DB, acknowledged, |host| {
            let reply = mongo.ask(host, command("find").with("batchSize", 1_000_000));
            let reply = reply.ok_or("no answer")?;
            let documents = reply.get("cursor.firstBatch").ok_or("no batch")?.items();
            let ids = documents
                .iter()
                .filter_map(|document| document.get("_id")?.as_int());
            Ok(ids.map(i64::cast_unsigned).collect())
        }))
    }
}
