//! The story of the recording, played on the store in memory.

use std::collections::BTreeSet;

use fakes::kvrocks::{Cluster, Tempo};
use formats::engine::Engine;
use protocol::facts::{RespCommand, RespFact, RespQuery, RespValue};
use protocol::{ActionError, Fact, FactQuery, Operation};
use serde_json::{Map, Value};
use types::{HostName, SecretId};

use super::recording::{self, password, recorded, shown};
use super::tables::MEANINGLESS;

const SECOND: i64 = 1_000_000;

pub(crate) struct Play {
    pub(crate) recording: Map<String, Value>,
    fake: Cluster,
    pub(crate) played: BTreeSet<String>,
    pub(crate) values: usize,
    pub(crate) wrong: Vec<String>,
}

impl Play {
    pub(crate) fn new() -> Self {
        let tempo = Tempo {
            start: 1,
            copy: 1,
            hello: SECOND,
            info: SECOND,
            down: 3 * SECOND,
            elect: i64::MAX / 4,
        };
        let names = ["db1", "db2", "db3", "db4"];
        let mut fake = Cluster::new(Engine::Kvrocks, &names, tempo);
        for name in names {
            fake.install_engine(name, false);
            fake.install_sentinel(name);
        }
        for at in 0..names.len() {
            fake.stop_sentinel(at);
        }
        Self {
            recording: recording::read(),
            fake,
            played: BTreeSet::new(),
            values: 0,
            wrong: Vec::new(),
        }
    }

    /// A situation, which counts as played.
    fn entry(&mut self, situation: &str) -> Value {
        self.played.insert(situation.to_owned());
        let entry = self.recording.get(situation);
        entry
            .unwrap_or_else(|| panic!("{situation} is no situation"))
            .clone()
    }

    fn pass(&mut self, us: i64) {
        self.fake.pass_until(self.fake.now + us);
    }

    fn compare(&mut self, what: &str, was: &Value, is: &Value) {
        self.values += 1;
        if was != is {
            self.wrong.push(format!("{what}: is {is}, was {was}"));
        }
    }

    /// Starts the engine of a host with a file; whether it runs then.
    fn start(&mut self, at: usize, text: &str) -> bool {
        let path = self.fake.config();
        self.fake.write_file(at, path, text);
        self.start_again(at)
    }

    fn start_again(&mut self, at: usize) -> bool {
        let started = self.fake.start_engine(at).is_ok();
        self.pass(SECOND);
        started
    }

    /// The minimal file, with more directives, for a host.
    fn conf(&self, at: usize, more: &str) -> String {
        let text = self.recording["conf:minimal"]["file"]["text"].as_str().unwrap();
        let own = text.replace("bind 10.0.0.1\n", &format!("bind 10.0.0.{}\n", at + 1));
        format!("{}{more}", own.replace("/k1/", &format!("/k{}/", at + 1)))
    }

    fn query(&self, at: usize, port: u16, password: Option<SecretId>, words: &[String]) -> RespFact {
        let query = RespQuery {
            address: self.fake.nodes[at].address.clone(),
            port,
            password,
            commands: vec![RespCommand::new(words.to_vec())],
        };
        let host: HostName = self.fake.nodes[at].name.parse().unwrap();
        match self.fake.tell_fact(&host, &FactQuery::Resp(query)) {
            Some(Ok(Fact::Resp(fact))) => fact,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    fn reply(&self, at: usize, words: &[&str]) -> RespValue {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (port, password) = if words[0] == "SENTINEL" {
            (26379, None)
        } else {
            (6666, Some(password()))
        };
        match self.query(at, port, password, &words) {
            RespFact::Replies { replies, .. } => replies.into_iter().next().unwrap(),
            other => panic!("{words:?}: {other:?}"),
        }
    }

    /// Asks what was asked in a situation.
    fn ask(&mut self, at: usize, situation: &str) {
        let entry = self.entry(situation);
        let words = words(&entry);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let is = shown(&self.reply(at, &words));
        match words.as_slice() {
            ["INFO", ..] => self.fields(situation, &entry["reply"], &is),
            // Names of keys, and tokens, stay on the host.
            ["SCAN", ..] => {
                let some = |reply: &Value| reply[1].as_array().is_some_and(|keys| !keys.is_empty());
                self.compare(situation, &some(&entry["reply"]).into(), &some(&is).into());
            }
            ["NAMESPACE", ..] => self.lengths(situation, &entry["reply"], &is),
            _ => self.compare(situation, &recorded(&entry["reply"]), &is),
        }
    }

    fn lengths(&mut self, situation: &str, was: &Value, is: &Value) {
        let length = |reply: &Value| reply.as_array().map(Vec::len);
        self.compare(situation, &length(was).into(), &length(is).into());
    }

    /// Sends what changed something in a situation.
    fn tell(&mut self, at: usize, situation: &str) {
        let entry = self.entry(situation);
        let words = words(&entry);
        let done = self.send(at, &words);
        let was = entry["reply"].as_str().unwrap();
        let is = match &done {
            Ok(()) => "+OK".to_owned(),
            // The agent's words, and the server's.
            Err(why) => match was.strip_prefix('-').filter(|words| why.ends_with(words)) {
                Some(words) => format!("-{words}"),
                None => why.clone(),
            },
        };
        self.compare(situation, &was.into(), &is.into());
    }

    fn send(&mut self, at: usize, words: &[String]) -> Result<(), String> {
        let (port, password) = if words[0] == "SENTINEL" {
            (26379, None)
        } else {
            (6666, Some(password()))
        };
        let operation = Operation::Resp {
            address: self.fake.nodes[at].address.clone(),
            port,
            password,
            commands: vec![RespCommand::new(words.to_vec())],
        };
        let host: HostName = self.fake.nodes[at].name.parse().unwrap();
        match self.fake.obey(&host, &operation).unwrap() {
            Ok(()) => Ok(()),
            Err(ActionError::Failed { message }) => Err(message),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    /// Compares INFO, line by line.
    fn fields(&mut self, situation: &str, was: &Value, is: &Value) {
        let all = |text: &Value| -> Map<String, Value> {
            let lines = text.as_str().unwrap_or_default().lines();
            let fields = lines.filter_map(|line| line.split_once(':'));
            fields
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect()
        };
        self.rows(situation, &all(was), &all(is));
    }

    fn rows(&mut self, situation: &str, was: &Map<String, Value>, is: &Map<String, Value>) {
        for (name, is) in is {
            match was.get(name) {
                Some(_) if MEANINGLESS.contains(&name.as_str()) => {}
                Some(was) => self.compare(&format!("{situation}: {name}"), was, is),
                None => self
                    .wrong
                    .push(format!("{situation}: {name} is not the real server's")),
            }
        }
    }

    /// Compares what INFO replication says in a situation.
    fn info(&mut self, at: usize, situation: &str) {
        let entry = self.entry(situation);
        let is = shown(&self.reply(at, &["INFO", "replication"]));
        let was = entry.get("INFO replication").unwrap_or(&entry);
        self.fields(situation, was, &is);
    }

    /// The lines of a file, each of which the real server wrote, in the same order.
    fn file(&mut self, at: usize, situation: &str, was: &str, mode: &Value) {
        let path = self.fake.config();
        let file = self.fake.nodes[at].machine.files[path].clone();
        let mut rest = was.lines();
        for line in file.text.lines() {
            if !rest.any(|was| was == line) {
                self.wrong
                    .push(format!("{situation}: {line:?} was not written, or earlier"));
                rest = was.lines();
            }
        }
        self.compare(situation, mode, &format!("0o{:o}", file.mode).into());
    }

    /// One server by itself.
    pub(crate) fn alone(&mut self) {
        let entry = self.entry("conf:minimal");
        let text = entry["file"]["text"].as_str().unwrap().to_owned();
        assert!(self.start(0, &text));
        self.ask(0, "cmd:INFO replication");
        self.ask(0, "cmd:INFO keyspace");
        self.ask(0, "cmd:INFO persistence");
        self.ask(0, "cmd:INFO server");
        let wrong = Some("test:wrong".parse().unwrap());
        let denied = match self.query(0, 6666, wrong, &["PING".to_owned()]) {
            RespFact::Denied(words) => format!("-{words}"),
            other => panic!("{other:?}"),
        };
        let was = self.entry("before auth:AUTH WRONG")["reply"].clone();
        self.compare("before auth:AUTH WRONG", &was, &denied.into());
        for key in [
            "masterauth",
            "requirepass",
            "port",
            "bind",
            "maxclients",
            "use-rsid-psync",
            "nosuchkey",
            "save",
            "appendonly",
        ] {
            self.ask(0, &format!("config get:{key}"));
        }
        self.fake.nodes[0].data = (0..6).collect();
        self.ask(0, "cmd:SCAN 0");
        self.ask(0, "dbsize:6 keys of 2 types, never scanned");
        self.fake.nodes[0].data.clear();
        self.ask(0, "FLUSHALL: DBSIZE after");
        for what in [
            "maxclients 5000",
            "nosuchkey 1",
            "port 1",
            "bind 127.0.0.2",
            "use-rsid-psync no",
            "workers 4",
            "save ",
            "masterauth other",
            "masterauth ",
            "masterauth PASSWORD",
            "MAXCLIENTS 6000",
            "log-level warning",
            "log-level info",
            "requirepass (same)",
        ] {
            self.tell(0, &format!("config set:{what}"));
        }
        let entry = self.entry("config rewrite:minimal file");
        self.send(0, &["CONFIG".to_owned(), "REWRITE".to_owned()])
            .unwrap();
        let was = entry["after"]["text"].as_str().unwrap();
        self.file(0, "config rewrite:minimal file", was, &entry["after"]["mode"]);
        self.entry("config rewrite:again leaves the file as it is");
        let path = self.fake.config();
        let before = self.fake.nodes[0].machine.text(path).to_owned();
        self.send(0, &["CONFIG".to_owned(), "REWRITE".to_owned()])
            .unwrap();
        let after = self.fake.nodes[0].machine.text(path).to_owned();
        self.compare("config rewrite:again", &before.into(), &after.into());
        self.entry("start:on the rewritten file");
        assert!(self.start_again(0));
    }

    /// Files with which it starts, or does not.
    pub(crate) fn starts(&mut self) {
        for (situation, more) in [
            ("start:unknown directive", "nosuchkey 1\nappendonly yes\n"),
            ("start:slaveof no one in the file", "slaveof no one\n"),
            ("start:replicaof in the file", "replicaof 127.0.0.1 27399\n"),
            ("start:slaveof port text", "slaveof 127.0.0.1 abc\n"),
        ] {
            let entry = self.entry(situation);
            let conf = entry["conf"].as_str().unwrap();
            assert!(conf.contains(more), "{situation}: {conf}");
            let is = self.start(0, &self.conf(0, more));
            self.compare(situation, &entry["started"], &is.into());
            if entry.get("INFO replication").is_some() {
                self.info(0, situation);
            }
        }
        let entry = self.entry("start:no conf file");
        let path = self.fake.config();
        self.fake.nodes[0].machine.files.remove(path);
        let is = self.start_again(0);
        self.compare("start:no conf file", &entry["started"], &is.into());
        let entry = self.entry("start:namespace in the file");
        assert!(self.start(0, &self.conf(0, "namespace.ns1 TOKEN1\n")));
        let is = shown(&self.reply(0, &["NAMESPACE", "GET", "*"]));
        self.lengths("start:namespace in the file", &entry["NAMESPACE GET *"], &is);
        let entry = self.entry("start:no requirepass");
        let open: String = self
            .conf(0, "")
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("requirepass"))
            .collect();
        let is = self.start(0, &open);
        self.compare("start:no requirepass", &entry["started"], &is.into());
        let asked = self.query(0, 6666, Some(password()), &words_of(&["DBSIZE"]));
        let is_open = matches!(
            asked,
            RespFact::Replies {
                authenticated: false,
                ..
            }
        );
        assert!(is_open, "{asked:?}");
    }

    /// A master and replicas of it.
    pub(crate) fn replicas(&mut self) {
        assert!(self.start(0, &self.conf(0, "")));
        self.info(0, "repl:master without replicas");
        for at in [1, 2] {
            assert!(self.start(at, &self.conf(at, "slaveof 10.0.0.1 6666\n")));
        }
        self.info(0, "repl:master with 2 replicas");
        self.info(1, "repl:replica with link up");
        self.ask(1, "on a replica:DBSIZE");
        self.ask(1, "on a replica:CONFIG GET masterauth");
        self.tell(1, "on a replica:CONFIG SET masterauth PASSWORD");
        let situation = "config rewrite:replica, minimal file of mode 0600";
        let entry = self.entry(situation);
        self.send(1, &words_of(&["CONFIG", "REWRITE"])).unwrap();
        let first = entry["after"]["first 8 lines"].as_array().unwrap().iter();
        let first: Vec<&str> = first.map(|line| line.as_str().unwrap()).collect();
        let path = self.fake.config();
        let text = self.fake.nodes[1].machine.text(path).to_owned();
        let is: Vec<&str> = text.lines().take(7).collect();
        // The first two are address and port.
        self.compare(situation, &first[2..7].to_vec().into(), &is[2..].to_vec().into());

        // A fourth one has trouble with its password.
        assert!(self.start(3, &self.conf(3, "slaveof 127.0.0.1 27399\n")));
        self.info(3, "repl:replica connecting (nobody listens)");
        let wrong = self.conf(3, "slaveof 10.0.0.1 6666\n");
        let ours = format!("masterauth {}", protocol::Text::secret(&password()));
        let wrong = wrong.replace(&ours, "masterauth WRONG");
        assert!(self.start(3, &wrong));
        self.info(3, "repl:replica with wrong masterauth");
        self.info(0, "repl:replica with wrong masterauth: the master then");
        self.tell(
            3,
            "repl:replica with wrong masterauth: CONFIG SET masterauth right",
        );
        self.pass(SECOND);
        self.info(3, "repl:replica with masterauth set right");
        let without: String = wrong
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("masterauth"))
            .collect();
        assert!(self.start(3, &without));
        self.info(3, "repl:replica without masterauth");
        self.fake.stop_engine(3);
        self.info(0, "repl:master after three replicas left");

        self.fake.stop_engine(0);
        self.info(1, "repl:master is down");
        self.pass(SECOND);
        self.info(1, "repl:master is down, a second later");
        assert!(self.start_again(0));
    }

    /// Roles that are changed while the servers run.
    pub(crate) fn roles(&mut self) {
        for port in 27340..=27342 {
            self.tell(0, &format!("slaveof on a master:SLAVEOF 127.0.0.1 {port}"));
        }
        self.tell(1, "slaveof on a replica:same master again");
        self.info(1, "slaveof on a replica:same master again: at once");
        self.tell(1, "slaveof on a replica:other master (nobody there)");
        self.pass(SECOND);
        self.info(1, "slaveof on a replica:other master (nobody there): 1 s later");
        self.tell(1, "slaveof on a replica:to a replica");
        self.pass(SECOND);
        self.info(1, "slaveof on a replica:to a replica: it");
        self.info(2, "slaveof on a replica:to a replica: its master");

        // Sentinel's command, with CONFIG REWRITE.
        self.fake.give_role(1, None);
        self.info(1, "slaveof on a replica:NO ONE: then");
        let situation = "slaveof on a replica:NO ONE: CONFIG REWRITE";
        let was = self.entry(situation)["slaveof lines after"].clone();
        self.compare(situation, &was, &self.role_lines(1));
        let situation = "start:on a file rewritten after SLAVEOF NO ONE";
        assert!(self.start_again(1));
        self.info(1, situation);
        let lines = format!("{situation}: slaveof lines and CONFIG GET");
        let was = self.entry(&lines)["lines"].clone();
        self.compare(&lines, &was, &self.role_lines(1));
        self.tell(1, "slaveof on a former replica:host port");
        self.pass(SECOND);
    }

    fn role_lines(&self, at: usize) -> Value {
        let text = self.fake.nodes[at].machine.text(self.fake.config());
        text.lines().filter(|line| line.starts_with("slaveof")).collect()
    }

    /// Three sentinels, a failover, and the loss of two.
    pub(crate) fn sentinels(&mut self) {
        let text = self.entry("kvrocks sentinel:file at first");
        let path = self.fake.sentinel_config();
        for at in 0..3 {
            self.fake.write_file(at, path, text.as_str().unwrap());
            self.fake.start_sentinel(at).unwrap();
        }
        self.pass(10 * SECOND);
        self.watch("kvrocks sentinel:before the failover", true);
        for what in ["CKQUORUM", "GET-MASTER-ADDR-BY-NAME", "REPLICAS"] {
            self.ask(0, &format!("sentinel cmd:SENTINEL {what} none"));
        }
        self.tell(0, "sentinel cmd:SENTINEL FAILOVER none");
        self.tell(0, "sentinel cmd:SENTINEL SET altcraft quorum 2");
        self.tell(0, "sentinel cmd:SENTINEL SET altcraft nosuch 2");
        self.tell(0, "kvrocks sentinel:SENTINEL FAILOVER");
        self.tell(0, "kvrocks sentinel:SENTINEL FAILOVER at once again");
        self.pass(10 * SECOND);
        self.watch("kvrocks sentinel:after the failover", true);
        self.info(0, "kvrocks sentinel:after the failover: old master");
        self.info(1, "kvrocks sentinel:after the failover: new master");
        self.info(2, "kvrocks sentinel:after the failover: other replica");
        let situation = "kvrocks sentinel:engine files after the failover";
        let files = self.entry(situation);
        let new = &files["new master"];
        self.file(1, situation, new["text"].as_str().unwrap(), &new["mode"]);
        let path = self.fake.config();
        let mode = self.fake.nodes[0].machine.files[path].mode;
        self.compare(
            situation,
            &files["old master"]["mode"],
            &format!("0o{mode:o}").into(),
        );
        for at in [1, 2] {
            self.fake.stop_sentinel(at);
        }
        self.pass(10 * SECOND);
        self.watch("kvrocks sentinel:two of three sentinels down", false);
    }

    /// What the first sentinel tells; the rows of the others too, where they were recorded.
    fn watch(&mut self, situation: &str, has_rows: bool) {
        let entry = self.entry(situation);
        let masters = self.reply(0, &["SENTINEL", "MASTERS"]);
        let master = row(&masters.as_list().unwrap()[0]);
        let was = entry["SENTINEL MASTER altcraft"].as_object().unwrap();
        self.rows(situation, was, &master);
        for (name, words) in [
            (
                "SENTINEL GET-MASTER-ADDR-BY-NAME",
                ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "altcraft"],
            ),
            ("SENTINEL CKQUORUM", ["SENTINEL", "CKQUORUM", "altcraft"]),
        ] {
            let is = shown(&self.reply(0, &words));
            self.compare(situation, &recorded(&entry[name]), &is);
        }
        for what in ["REPLICAS", "SENTINELS"].into_iter().filter(|_| has_rows) {
            let reply = self.reply(0, &["SENTINEL", what, "altcraft"]);
            let is: Vec<Map<String, Value>> = reply.as_list().unwrap().iter().map(row).collect();
            let was = entry[&format!("SENTINEL {what}")].as_array().unwrap().clone();
            self.compare(situation, &was.len().into(), &is.len().into());
            for is in &is {
                let same = was.iter().find(|was| was["ip"] == is["ip"]);
                let was = same.unwrap_or_else(|| panic!("{situation}: {is:?} is nobody"));
                self.rows(&format!("{situation}: {what}"), was.as_object().unwrap(), is);
            }
        }
    }
}

fn row(value: &RespValue) -> Map<String, Value> {
    let pairs = value.pairs().into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

fn words(entry: &Value) -> Vec<String> {
    let words = entry["cmd"].as_array().unwrap().iter();
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn words_of(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
