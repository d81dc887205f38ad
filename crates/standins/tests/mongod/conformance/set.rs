//! The members of the play: how they start, what a test asks of them, and waiting for what they come to.

use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use standins::mongod::config::{CommandLine, Options};
use standins::mongod::control::{Control, Times};
use standins::mongod::query::whole;

use super::Play;
use crate::harness::Client;

/// Nobody stands for election unless the play says so, and stops are as quick as before.
const PATIENT: &str = "heartbeat_ms = 50\nelection_ms = 3600000\nlone_voter_waits = true\n";
/// What the members may take, on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(30);

impl Play {
    /// Starts a member with the recorded file.
    pub(super) async fn boot(&mut self, at: usize) {
        let number = at + 1;
        let dir = self.cluster.path().display();
        let port = self.cluster.host(at).replace("127.0.0.1:", "");
        let text = format!(
            "storage:\n  dbPath: {dir}/db{at}\n  wiredTiger:\n    engineConfig:\n      cacheSizeGB: 0.25\nnet:\n  port: \
             {port}\n  bindIp: 127.0.0.1\nreplication:\n  replSetName: rs0\n  oplogSizeMB: 64\nsecurity:\n  keyFile: \
             {dir}/key0\nsystemLog:\n  destination: file\n  path: {dir}/log{at}\n  logAppend: true\n"
        );
        let config = format!("{dir}/{number}.conf");
        let line = CommandLine {
            config: Some(config.clone().into()),
            ..CommandLine::default()
        };
        let argv = vec![
            env!("CARGO_BIN_EXE_mongod").to_owned(),
            "--config".to_owned(),
            config,
        ];
        let options = Options::read(&line, Some(&text), argv, "4.9.0").unwrap();
        self.cluster.boot_with(at, options).await;
    }

    /// Asks a member for something, and waits until it does it.
    pub(super) async fn tell(&self, at: usize, more: &str) {
        let path = self.cluster.db_path(at);
        std::fs::write(path.join("standin.toml"), format!("{PATIENT}{more}\n")).unwrap();
        let asked = Control::read(&path, Times::Lab);
        if self.cluster.is_running(at) {
            wait(async || self.cluster.node(at).lock().control == asked).await;
        }
    }

    /// A connection to a member on which nobody is logged in.
    pub(super) async fn nobody(&self, at: usize) -> Client {
        self.cluster.client(at).await
    }

    /// A connection on which the administrator is logged in, and the last reply of that login.
    pub(super) async fn admin(&self, at: usize) -> (Client, Document) {
        let begun = Instant::now();
        loop {
            let mut client = self.nobody(at).await;
            let reply = client.prove("admin", "admin", "pw", true).await;
            if int(&reply, "ok") == Some(1) || begun.elapsed() > PATIENCE {
                return (client, reply);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a member says of itself: set, writable, secondary, primary, its own name.
    pub(super) async fn role(&self, at: usize) -> Vec<Bson> {
        let hello = self
            .nobody(at)
            .await
            .reply("admin", doc! {"hello": 1})
            .await
            .unwrap();
        let text = |key: &str| {
            hello
                .get_str(key)
                .map_or(Bson::Null, |text| self.normal(text).into())
        };
        let flag = |key: &str| hello.get_bool(key).unwrap_or_default();
        vec![
            text("setName"),
            flag("isWritablePrimary").into(),
            flag("secondary").into(),
            text("primary"),
            text("me"),
        ]
    }

    /// Waits until a member is a secondary.
    pub(super) async fn await_secondary(&self, at: usize) {
        wait(async || self.role(at).await[2] == Bson::Boolean(true)).await;
    }

    /// Waits until a member takes writes.
    pub(super) async fn await_primary(&self, at: usize) {
        wait(async || self.role(at).await[1] == Bson::Boolean(true)).await;
    }

    /// Makes a member stand for election.
    pub(super) fn elect(&self, at: usize) {
        self.cluster.node(at).lock().repl.election_at = Instant::now();
    }

    /// Waits until a member's status says something.
    pub(super) async fn await_status(&self, at: usize, holds: impl Fn(&Document) -> bool) {
        let mut client = self.admin(at).await.0;
        wait(async || holds(&client.reply("admin", doc! {"replSetGetStatus": 1}).await.unwrap())).await;
    }
}

/// The configuration as a primary tells it: version, term, and whether a majority has it.
pub(super) async fn version(primary: &mut Client) -> Vec<Bson> {
    let ask = doc! {"replSetGetConfig": 1, "commitmentStatus": true};
    let reply = primary.reply("admin", ask).await.unwrap();
    let config = reply.get_document("config").unwrap();
    vec![
        config.get("version").unwrap().clone(),
        config.get("term").unwrap().clone(),
        reply.get("commitmentStatus").unwrap().clone(),
    ]
}

/// Whether every member of a status is so.
pub(super) fn members(status: &Document, holds: impl Fn(&Document) -> bool) -> bool {
    let mut members = status.get_array("members").unwrap().iter();
    members.all(|member| holds(member.as_document().unwrap()))
}

/// Waits until something holds.
pub(super) async fn wait(mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "it never came to that");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A whole number of any type.
pub(super) fn int(document: &Document, key: &str) -> Option<i64> {
    document.get(key).and_then(whole)
}
