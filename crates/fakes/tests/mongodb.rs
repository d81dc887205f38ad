//! The replica set in memory against the recording of a real mongod 4.9, which stands beside the stand-in.
//!
//! In each situation that the set can be brought into, what it answers is what the real server answered: the same error
//! by number and name, or a reply of which every field has the recorded type and value. It has fewer fields than the
//! real server: those that somebody reads.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use fakes::mongodb::{CONF, Set};
use fakes::{FakeCluster as _, Pace};
use protocol::facts::{Bson, MongoCommand, MongoFact, MongoQuery, MongoUser};
use protocol::{Fact, FactQuery};
use serde_json::Value;

/// Where it deliberately differs: the situation, the field or the reply as a whole, and why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("*", ".priority", "a configuration is kept as it was sent"),
    (
        "arbiter nobody:replSetGetStatus",
        "",
        "nobody hears anything of an arbiter, so that nothing relies on it",
    ),
];

/// Fields whose values are another run's.
const MEANINGLESS: &[&str] = &[
    "version",
    "term",
    "port",
    "configVersion",
    "replicaSetId",
    "optimeDate",
];

/// The commands that every group of situations begins with, as the fake knows them.
const QUESTIONS: &[&str] = &[
    "hello",
    "buildInfo",
    "replSetGetStatus",
    "replSetGetConfig",
    "commitmentStatus",
    "getCmdLineOpts",
    "usersInfo",
    "listDatabases",
    "serverStatus",
    "getDefaultRWConcern",
];

struct Play {
    recording: Value,
    set: Set,
    played: usize,
    values: usize,
    excused: BTreeSet<usize>,
    wrong: Vec<String>,
}

impl Play {
    fn new() -> Self {
        let mut text = include_str!("../../standins/recorded/mongod-4.9.json").to_owned();
        for number in 1..=4 {
            text = text.replace(&format!("127.0.0.1:2711{number}"), &format!("db{number}:27017"));
            // Each has a host of its own, and paths mean nothing.
            text = text.replace(&format!("/srv/mongo/{number}.conf"), CONF);
        }
        // The id that the fake gives to the set of its first host.
        text = text.replace("6b0cfae54e580d648abcc822", "000000000000000000000001");
        let pace = Pace {
            start_us: 1,
            elect_us: 10,
            copy_us: 10,
            quiesce_us: 0,
        };
        let mut set = Set::packaged(&["db1", "db2", "db3", "db4"], pace, 0);
        set.version = "4.9.0";
        for at in 0..4 {
            let number = at + 1;
            let conf = format!(
                "storage:\n  dbPath: /srv/mongo/d{number}\n  wiredTiger:\n    engineConfig:\n      cacheSizeGB: 0.25\n\
                 net:\n  port: 27017\n  bindIp: 127.0.0.1\nreplication:\n  replSetName: rs0\n  oplogSizeMB: 64\n\
                 security:\n  keyFile: /srv/mongo/key\nsystemLog:\n  destination: file\n  path: \
                 /srv/mongo/{number}.log\n  logAppend: true\n"
            );
            let machine = &mut set.nodes[at].machine;
            machine.write(CONF, &conf, 0o644, "root", 0);
            machine.write("/srv/mongo/key", "abcdefgh", 0o400, "mongodb", 0);
            set.start(at);
        }
        let mut play = Self {
            recording: serde_json::from_str(&text).unwrap(),
            set,
            played: 0,
            values: 0,
            excused: BTreeSet::new(),
            wrong: Vec::new(),
        };
        play.pass();
        play
    }

    /// Time passes, until nothing is due any more.
    fn pass(&mut self) {
        for _ in 0..2 {
            self.set.settle();
            self.set.advance(self.set.now_us + 1_000_000);
        }
    }

    /// Sends the command of a situation, which changes something.
    fn change(&mut self, at: usize, situation: &str) {
        let command = self.command(situation);
        let done = self.set.change(at, &command);
        assert_eq!(
            done,
            Ok(()),
            "{situation}: the primary is {:?}",
            self.set.leader()
        );
        self.pass();
    }

    fn command(&self, situation: &str) -> MongoCommand {
        let entry = &self.recording[situation];
        MongoCommand {
            db: entry["db"].as_str().unwrap().to_owned(),
            fields: bson(&entry["cmd"]).fields().to_vec(),
            only: Vec::new(),
        }
    }

    fn ask_all(&mut self, at: usize, is_admin: bool, group: &str) {
        for question in QUESTIONS {
            self.ask(at, is_admin, &format!("{group}:{question}"));
        }
    }

    fn ask(&mut self, at: usize, is_admin: bool, situation: &str) {
        let user = is_admin.then(|| MongoUser {
            name: "admin".to_owned(),
            password: "test:admin".parse().unwrap(),
            auth_db: "admin".to_owned(),
        });
        let query = MongoQuery {
            address: "127.0.0.1".to_owned(),
            port: 27017,
            user,
            or_as_nobody: false,
            commands: vec![self.command(situation)],
        };
        let host = format!("db{}", at + 1).parse().unwrap();
        let answer = self.set.answer(&host, &FactQuery::Mongo(query)).unwrap().unwrap();
        let Fact::Mongo(MongoFact::Replies { replies, .. }) = answer else {
            panic!("{situation}: {answer:?}");
        };
        let was = bson(&self.recording[situation]["reply"]);
        self.played += 1;
        match (replies.into_iter().next().unwrap(), was.get("code")) {
            (Ok(is), None) => self.compare(situation, "", &was, &is),
            (Err(is), Some(code)) => {
                let name = was.get("codeName").and_then(Bson::as_str);
                let is_same = code.as_int() == Some(is.code.into()) && name == Some(&is.name);
                self.judge(situation, "", is_same, &format!("is {is}, was {name:?}"));
            }
            (is, _) => self.judge(situation, "", false, &format!("is {is:?}")),
        }
    }

    fn compare(&mut self, situation: &str, path: &str, was: &Bson, is: &Bson) {
        match (was, is) {
            (Bson::Doc(_), Bson::Doc(fields)) => {
                for (name, is) in fields {
                    let path = format!("{path}.{name}");
                    match was.get(name) {
                        Some(was) => self.compare(situation, &path, was, is),
                        None => self.judge(situation, &path, false, "is not the real server's"),
                    }
                }
            }
            (Bson::Array(all), Bson::Array(items)) if all.len() == items.len() => {
                for (at, (was, is)) in all.iter().zip(items).enumerate() {
                    self.compare(situation, &format!("{path}.{at}"), was, is);
                }
            }
            _ => {
                let name = path.rsplit('.').next().unwrap();
                let is_same = match (was, is) {
                    (Bson::Timestamp(..), Bson::Timestamp(..)) => true,
                    (Bson::Int(_), Bson::Int(_))
                    | (Bson::ObjectId(_), Bson::ObjectId(_))
                    | (Bson::Date(_), Bson::Date(_))
                        if MEANINGLESS.contains(&name) =>
                    {
                        true
                    }
                    _ => was == is,
                };
                self.judge(situation, path, is_same, &format!("is {is:?}, was {was:?}"));
            }
        }
    }

    fn judge(&mut self, situation: &str, path: &str, is_same: bool, how: &str) {
        if is_same {
            self.values += 1;
            return;
        }
        let excuse = DIFFERENCES
            .iter()
            .position(|(of, at, _)| (*of == "*" || *of == situation) && path.ends_with(at));
        match excuse {
            Some(excuse) => drop(self.excused.insert(excuse)),
            None => self.wrong.push(format!("{situation}: {path} {how}")),
        }
    }

    fn finish(mut self) {
        for (at, (situation, path, _)) in DIFFERENCES.iter().enumerate() {
            if !self.excused.contains(&at) {
                self.wrong
                    .push(format!("{situation}: {path} needs no excuse any more"));
            }
        }
        let sum = format!("{} situations, {} values", self.played, self.values);
        assert!(self.wrong.is_empty(), "{sum}\n{}", self.wrong.join("\n"));
        assert!(
            self.played == 79 && self.values > 400,
            "fewer than there were: {sum}"
        );
    }
}

/// Extended JSON as the agent reads it from a server.
fn bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Bool(*flag),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Bson::Double(number.to_string()), Bson::Int),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Bson::Array(items.iter().map(bson).collect()),
        Value::Object(map) => {
            let only = map.iter().next().map(|(key, value)| (key.as_str(), value));
            match only {
                Some(("$oid", id)) => Bson::ObjectId(id.as_str().unwrap().to_owned()),
                Some(("$date", date)) => Bson::Date(i64::from(!date.as_str().unwrap().starts_with("1970"))),
                Some(("$timestamp", _)) => Bson::Timestamp(1, 1),
                _ => Bson::Doc(
                    map.iter()
                        .map(|(name, value)| (name.clone(), bson(value)))
                        .collect(),
                ),
            }
        }
    }
}

#[test]
fn the_set_in_memory_answers_as_the_real_server_did() {
    let mut play = Play::new();
    play.ask_all(0, false, "blank");
    play.change(0, "initiate:good");
    play.ask_all(0, false, "fresh primary nobody");
    let password = "⟪secret:test:admin⟫".to_owned();
    let roles = vec![("root".to_owned(), "admin".to_owned())];
    let users = &mut play.set.nodes[0].disk.data.users;
    users.insert("admin.admin".to_owned(), (password, roles));
    assert!(play.set.write(1));
    play.pass();
    play.ask_all(0, false, "nobody with users");
    play.ask_all(0, true, "admin on primary");
    play.set.nodes[0].disk.data.databases.push("app");
    assert!(play.set.write(2));
    play.pass();
    play.ask_all(1, true, "admin on secondary");
    play.change(0, "createUser app");
    play.ask(0, true, "usersInfo app");
    play.ask(0, true, "usersInfo all");

    for situation in [
        "reconfig:vote for 2nd",
        "reconfig:vote for 3rd",
        "reconfig:priorities",
    ] {
        play.change(0, situation);
    }
    play.ask(0, true, "status of three");
    play.ask(0, true, "config of three");
    for at in [1, 2] {
        play.set.nodes[at].stop();
    }
    play.pass();
    for question in ["status", "commitment", "serverStatus"] {
        play.ask(0, true, &format!("no primary:{question}"));
    }

    for at in [1, 2] {
        play.set.start(at);
    }
    play.pass();
    // The third server is the next primary: nobody else keeps up.
    for lags in [true, false] {
        for at in [0, 1] {
            play.set.nodes[at].lag_s = i64::from(lags);
        }
        if play.set.leader() != Some(2) {
            play.set.fail_over();
        }
        play.pass();
    }
    play.change(2, "reconfig:remove member");
    play.ask_all(0, true, "removed");
    for situation in [
        "reconfig:add back",
        "reconfig:add voter at once",
        "reconfig:add arbiter",
    ] {
        play.change(2, situation);
    }
    play.ask(2, true, "config with arbiter");
    play.ask_all(3, false, "arbiter nobody");
    play.ask(2, true, "status with arbiter");
    play.finish();
}
