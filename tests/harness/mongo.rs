//! A client of MongoDB servers, as an application would be one: the agent's own, started on this machine.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use protocol::facts::{Bson, Login, MongoCommand, MongoFact, MongoQuery, MongoUser, Query as _};
use protocol::{Action, ActionId, ActionRequest, Fact, LockHolder, Operation};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use transport::local::Local;
use transport::{SecretStore, Session, Transport as _};
use types::{Secret, SecretId};

use crate::{Bed, program};

/// A client that knows one user.
pub struct MongoClient {
    runtime: Runtime,
    session: Session,
    user: Option<MongoUser>,
    addresses: Vec<(String, String)>,
    limit: Duration,
    /// How many changes it made.
    actions: AtomicU32,
    /// Where its agent keeps the lock under which it makes them: each client has its own.
    _lock: TempDir,
}

/// The collection that tests write to.
const COLLECTION: &str = "canary";

impl MongoClient {
    /// A client that logs in as a user with a password; `None` for nobody.
    pub fn new(bed: &Bed, login: Option<(&str, &str)>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let id: SecretId = "test:password".parse().expect("an id");
        let agent = program().with_file_name("clusterctl-agent");
        let lock = tempfile::tempdir().expect("a directory");
        let session = runtime.block_on(async {
            let here = "localhost".parse().expect("a name");
            let args = vec!["--lock".into(), lock.path().join("lock").into()];
            let local = Local { agent, args };
            let stream = local.open(&here).await.expect("the agent starts");
            let secret = login.map(|(_, password)| (id.clone(), Secret::new(password)));
            let secrets: SecretStore = secret.into_iter().collect();
            let session = Session::start_with(stream, secrets.for_host()).await;
            let session = session.expect("the agent answers");
            let holder = LockHolder {
                who: "a test's client".to_owned(),
                since: "its start".to_owned(),
                run: "client".parse().expect("a name"),
            };
            let locked = session.take_lock(holder, false).await;
            assert_eq!(locked, Ok(None), "nobody else has its lock");
            session
        });
        let addresses = bed.lab.hosts().iter().map(|host| {
            let address = bed.lab.address(&host.name).expect("an address");
            (host.name.clone(), address.to_string())
        });
        Self {
            runtime,
            session,
            user: login.map(|(name, _)| MongoUser {
                name: name.to_owned(),
                password: id,
                auth_db: "admin".to_owned(),
            }),
            addresses: addresses.collect(),
            limit: Duration::from_secs(5),
            actions: AtomicU32::new(0),
            _lock: lock,
        }
    }

    /// The same client with another limit for each question and command.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    fn address(&self, host: &str) -> String {
        let found = self.addresses.iter().find(|(name, _)| name == host);
        found.expect("a host of the lab").1.clone()
    }

    /// Asks a host's server; `None` where it does not answer, or not with a document.
    pub fn ask(&self, host: &str, command: MongoCommand) -> Option<Bson> {
        let query = MongoQuery {
            address: self.address(host),
            port: 27017,
            user: self.user.clone(),
            or_as_nobody: false,
            commands: vec![command],
        };
        let facts = self.runtime.block_on(async {
            let gathered = self.session.gather(vec![query.wrap()]);
            tokio::time::timeout(self.limit, gathered).await
        });
        match facts.ok()?.expect("the agent lives").pop()? {
            Ok(Fact::Mongo(MongoFact::Replies { login, mut replies })) => {
                assert_eq!(login == Login::Accepted, self.user.is_some());
                replies.pop()?.ok()
            }
            _ => None,
        }
    }

    /// Sends a command that changes something; the error says why it did not.
    pub fn send(&self, host: &str, command: MongoCommand) -> Result<(), String> {
        let action = Action {
            only_if: Vec::new(),
            operation: Operation::Mongo {
                address: self.address(host),
                port: 27017,
                user: self.user.clone(),
                commands: vec![command],
                again_on: Vec::new(),
            },
            limit_ms: u64::try_from(self.limit.as_millis()).expect("a short time"),
        };
        let request = ActionRequest {
            id: ActionId {
                node: "client".parse().expect("a name"),
                number: self.actions.fetch_add(1, Ordering::Relaxed),
            },
            is_repeated: false,
            action,
        };
        let done = self.runtime.block_on(self.session.act(request));
        done.expect("the agent lives")
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Writes a document and waits until a majority has it.
    pub fn insert(&self, host: &str, id: i64) -> Result<(), String> {
        let document = Bson::doc([("_id", id.into())]);
        let mut command = MongoCommand::new("insert", COLLECTION)
            .with("documents", Bson::Array(vec![document]))
            .with(
                "writeConcern",
                Bson::doc([("w", "majority".into()), ("wtimeout", 3_000.into())]),
            );
        "control".clone_into(&mut command.db);
        self.send(host, command)
    }

    /// The ids of all documents that a host's server has.
    pub fn ids(&self, host: &str) -> BTreeSet<i64> {
        let mut command = MongoCommand::new("find", COLLECTION).with("batchSize", 100_000);
        "control".clone_into(&mut command.db);
        let reply = self.ask(host, command).expect("the server answers");
        let documents = reply.get("cursor.firstBatch").expect("a batch").items();
        documents
            .iter()
            .filter_map(|document| document.get("_id")?.as_int())
            .collect()
    }

    /// The host of the primary, as some server takes itself for it.
    pub fn primary(&self, hosts: &[&'static str]) -> Option<&'static str> {
        hosts.iter().copied().find(|host| {
            let hello = self.ask(host, MongoCommand::new("hello", 1));
            hello.is_some_and(|hello| hello.get("isWritablePrimary").is_some_and(Bson::is_true))
        })
    }
}
