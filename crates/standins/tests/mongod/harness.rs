//! Servers on free ports, and a client to ask them.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use standins::mongod::config::Options;
use standins::mongod::node::Node;
use standins::mongod::peer::binary;
use standins::mongod::scram::{ClientExchange, salted};
use standins::mongod::server::Server;
use standins::mongod::wire;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// How long anything may take, on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Cluster {
    // First, so that they end before their directories do.
    servers: Vec<Option<Server>>,
    dir: TempDir,
    key: bool,
    ports: Vec<u16>,
}

impl Cluster {
    /// This many servers that know of no set yet.
    pub(crate) async fn start(count: usize, key: bool) -> Self {
        let mut cluster = Self::prepare(count, key);
        for at in 0..count {
            cluster.control(at, "");
            cluster.boot(at).await;
        }
        cluster
    }

    /// Ports and directories of this many servers.
    pub(crate) fn prepare(count: usize, key: bool) -> Self {
        let held: Vec<_> = (0..count)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports = held
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        drop(held);
        let dir = tempfile::tempdir().unwrap();
        let cluster = Self {
            servers: (0..count).map(|_| None).collect(),
            dir,
            key,
            ports,
        };
        cluster.write_key(0, "Y2x1c3RlcmN0bA==");
        for at in 0..count {
            std::fs::create_dir(cluster.db_path(at)).unwrap();
        }
        cluster
    }

    /// Where everything stands.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What a running server knows.
    pub(crate) fn node(&self, at: usize) -> &Node {
        self.servers[at].as_ref().unwrap().node()
    }

    pub(crate) fn is_running(&self, at: usize) -> bool {
        self.servers[at].is_some()
    }

    /// Takes a server out of the cluster, to stop it while it is asked.
    pub(crate) fn take(&mut self, at: usize) -> Server {
        self.servers[at].take().unwrap()
    }

    /// A set of this many, with a primary.
    pub(crate) async fn initiated(count: usize) -> Self {
        let cluster = Self::start(count, false).await;
        let config = cluster.config(1, &(0..count).collect::<Vec<_>>());
        cluster.ask(0, doc! {"replSetInitiate": config}).await.unwrap();
        cluster.primary().await;
        cluster.await_states(count, "SECONDARY", count - 1).await;
        cluster
    }

    pub(crate) fn db_path(&self, at: usize) -> PathBuf {
        self.dir.path().join(format!("db{at}"))
    }

    pub(crate) fn write_key(&self, at: usize, key: &str) -> PathBuf {
        let path = self.dir.path().join(format!("key{at}"));
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, key).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        path
    }

    pub(crate) fn options(&self, at: usize) -> Options {
        Options {
            db_path: self.db_path(at),
            port: self.ports[at],
            bind: vec!["127.0.0.1".into()],
            log_path: Some(self.dir.path().join(format!("log{at}"))),
            log_append: true,
            repl_set: Some("rs0".into()),
            key_file: self.key.then(|| self.dir.path().join("key0")),
            auth: self.key,
            version: "7.0.14".into(),
            ..Options::default()
        }
    }

    /// Times that suit a test, and what else this server is to do.
    pub(crate) fn control(&self, at: usize, more: &str) {
        let text = format!("heartbeat_ms = 60\nelection_ms = 700\n{more}\n");
        std::fs::write(self.db_path(at).join("standin.toml"), text).unwrap();
    }

    pub(crate) async fn boot(&mut self, at: usize) {
        self.boot_with(at, self.options(at)).await;
    }

    pub(crate) async fn boot_with(&mut self, at: usize, options: Options) {
        self.servers[at] = Some(Server::start(options).await.unwrap());
    }

    pub(crate) async fn kill(&mut self, at: usize) {
        self.servers[at].take().unwrap().kill().await;
    }

    pub(crate) async fn stop(&mut self, at: usize) {
        self.servers[at].take().unwrap().stop().await;
    }

    pub(crate) fn host(&self, at: usize) -> String {
        format!("127.0.0.1:{}", self.ports[at])
    }

    pub(crate) fn log(&self, at: usize) -> String {
        std::fs::read_to_string(self.dir.path().join(format!("log{at}"))).unwrap()
    }

    /// A configuration of these servers, each with its number for an id.
    pub(crate) fn config(&self, version: i32, members: &[usize]) -> Document {
        let member = |at: &usize| doc! {"_id": i32::try_from(*at).unwrap(), "host": self.host(*at)};
        doc! {"_id": "rs0", "version": version, "members": members.iter().map(member).collect::<Vec<_>>()}
    }

    pub(crate) async fn client(&self, at: usize) -> Client {
        Client::connect(&self.host(at)).await.unwrap()
    }

    /// Asks one server on a connection of its own, on `admin`.
    pub(crate) async fn ask(&self, at: usize, command: Document) -> Result<Document, i32> {
        self.client(at).await.ask("admin", command).await
    }

    /// The server that is primary, as soon as one is and a majority of the others knows.
    pub(crate) async fn primary(&self) -> usize {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for at in (0..self.servers.len()).filter(|at| self.servers[*at].is_some()) {
                if self
                    .ask(at, doc! {"hello": 1})
                    .await
                    .is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap())
                {
                    return at;
                }
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("no primary");
    }

    /// Waits until the primary sees so many members in this state.
    pub(crate) async fn await_states(&self, _all: usize, state: &str, count: usize) {
        let begun = Instant::now();
        let mut seen = Vec::new();
        while begun.elapsed() < PATIENCE {
            let primary = self.primary().await;
            if let Ok(status) = self.ask(primary, doc! {"replSetGetStatus": 1}).await {
                seen = states(&status);
                if seen.iter().filter(|(_, seen)| seen == state).count() == count {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("never {count} times {state}: {seen:?}");
    }

    /// Waits until a server says something about itself.
    pub(crate) async fn until(&self, at: usize, command: Document, holds: impl Fn(&Document) -> bool) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self
                .ask(at, command.clone())
                .await
                .is_ok_and(|reply| holds(&reply))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("{command} never came true");
    }

    /// The present configuration, with the next version.
    pub(crate) async fn next_config(&self, primary: usize) -> Document {
        let mut config = self.ask(primary, doc! {"replSetGetConfig": 1}).await.unwrap();
        let mut config = std::mem::take(config.get_document_mut("config").unwrap());
        config.insert("version", config.get_i32("version").unwrap() + 1);
        config
    }

    pub(crate) async fn reconfig(&self, primary: usize, config: Document) -> Result<Document, i32> {
        self.ask(primary, doc! {"replSetReconfig": config, "maxTimeMS": 5000})
            .await
    }
}

/// The members' ids and states in a status.
pub(crate) fn states(status: &Document) -> Vec<(i32, String)> {
    let members = status
        .get_array("members")
        .unwrap()
        .iter()
        .filter_map(Bson::as_document);
    members
        .map(|m| {
            (
                m.get_i32("_id").unwrap(),
                m.get_str("stateStr").unwrap().to_owned(),
            )
        })
        .collect()
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) async fn connect(host: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(host).await?;
        Ok(Self { stream })
    }

    /// The reply, whatever it says; nothing where the server closed the connection.
    pub(crate) async fn reply(&mut self, database: &str, mut command: Document) -> Option<Document> {
        command.insert("$db", database);
        wire::write_request(&mut self.stream, 1, &command).await.unwrap();
        Some(wire::read(&mut self.stream).await.unwrap()?.body)
    }

    /// The reply, or the error's number.
    pub(crate) async fn ask(&mut self, database: &str, command: Document) -> Result<Document, i32> {
        let reply = self.reply(database, command).await.ok_or(-1)?;
        if reply.get_f64("ok").is_ok_and(|ok| ok > 0.0) {
            Ok(reply)
        } else {
            Err(reply.get_i32("code").unwrap())
        }
    }

    /// Sends a name and the proof of a password; the last reply.
    pub(crate) async fn prove(
        &mut self,
        database: &str,
        user: &str,
        password: &str,
        skip_empty: bool,
    ) -> Document {
        let (client, first) = ClientExchange::start(user);
        let start = doc! {
            "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": binary(&first),
            "options": {"skipEmptyExchange": skip_empty},
        };
        let reply = self.reply(database, start).await.unwrap();
        let Ok(challenge) = reply.get_binary_generic("payload") else {
            return reply;
        };
        let challenge = String::from_utf8(challenge.clone()).unwrap();
        let proof = client
            .prove(&challenge, |salt, rounds| salted(password, salt, rounds))
            .unwrap();
        let proof = doc! {"saslContinue": 1, "conversationId": 1, "payload": binary(&proof)};
        self.reply(database, proof).await.unwrap()
    }

    pub(crate) async fn log_in(&mut self, user: &str, password: &str) -> Result<(), i32> {
        let reply = self.prove("admin", user, password, false).await;
        if let Ok(code) = reply.get_i32("code") {
            return Err(code);
        }
        // Without `skipEmptyExchange` an empty exchange follows.
        assert!(!reply.get_bool("done").unwrap());
        let last = doc! {"saslContinue": 1, "conversationId": 1, "payload": binary("")};
        assert!(self.ask("admin", last).await?.get_bool("done").unwrap());
        Ok(())
    }

    /// Writes a document that a majority is to have within a second; the write concern's error, if any.
    pub(crate) async fn insert(&mut self, id: i32) -> Result<Option<i32>, i32> {
        let command = doc! {
            "insert": "c", "documents": [{"_id": id}], "writeConcern": {"w": "majority", "wtimeout": 1000},
        };
        let reply = self.ask("app", command).await?;
        Ok(reply
            .get_document("writeConcernError")
            .ok()
            .map(|error| error.get_i32("code").unwrap()))
    }

    /// The ids that are there, from whichever member.
    pub(crate) async fn ids(&mut self) -> Vec<i32> {
        let find = doc! {"find": "c", "sort": {"_id": 1}, "$readPreference": {"mode": "primaryPreferred"}};
        let reply = self.ask("app", find).await.unwrap();
        let batch = reply
            .get_document("cursor")
            .unwrap()
            .get_array("firstBatch")
            .unwrap();
        batch
            .iter()
            .map(|document| document.as_document().unwrap().get_i32("_id").unwrap())
            .collect()
    }
}
