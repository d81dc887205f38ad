//! The mirrors in memory against the recording of a real SSDB 1.9.8, which stands beside the stand-in.
//!
//! The story of the recording is played in its order, as with the stand-in: in each situation a server answers as the real one
//! did, at once or when what happens by itself has happened. Of `info` the fake has what somebody reads. What it lacks is a table.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use fakes::ssdb::{CONFIG, Cluster, DIR, OURS};
use fakes::{FakeCluster as _, Pace};
use protocol::facts::{SsdbCommand, SsdbFact, SsdbQuery, THIS_HOST};
use protocol::{Fact, FactQuery};
use serde_json::Value;

/// Situations that it does not have, with one `*` for any text, and why.
const LACKING: &[(&str, &str)] = &[
    ("about", "it tells of the recording"),
    ("versions", "it tells of the recording"),
    ("conf:*", "what the servers of the recording were started with"),
    ("before auth:*", "the agent logs in"),
    ("auth:*", "the agent logs in"),
    ("info:*", "the agent asks for `info` alone"),
    ("dbsize:fresh", "nobody asks it"),
    ("ping", "nobody asks it"),
    ("unknown command*", "nobody asks it"),
    ("upper case:*", "nobody asks it"),
    ("cmd:*", "nobody asks it, or it is no list, key or queue"),
    ("raw:*", "the agent speaks the protocol"),
    ("ip filter:*", "every client is let in"),
    ("stop:*", "how a process ends is the machine's"),
    ("log after SIGTERM", "it has no log"),
    ("pid file after SIGTERM", "files of processes are the machine's"),
    (
        "binlog:after clear_binlog*",
        "a server is not emptied over the network",
    ),
    ("binlog:after flushdb", "a server is not emptied over the network"),
    (
        "binlog:after SIGKILL and restart",
        "a server is not emptied over the network",
    ),
    ("repl:flushdb*", "a server is not emptied over the network"),
    ("*seconds", "how long it takes is the machine's"),
    ("*after s", "how long it takes is the machine's"),
    ("*: SYNC after s", "how long it takes is the machine's"),
    ("repl:client row gone after", "how long it takes is the machine's"),
    (
        "repl:client row right after the follower ended",
        "a row of a mirror that ended goes at once",
    ),
    (
        "mirror:right after the stop*",
        "a row of a mirror that ended goes at once",
    ),
    ("mirror:third down*", "a row of a mirror that ended goes at once"),
    ("mirror:third has", "nobody asks it"),
    ("repl:*: log", "it has no log"),
    ("repl:log of the follower", "it has no log"),
    ("repl:*stop*", "how a process ends is the machine's"),
    ("mirror:stop third", "how a process ends is the machine's"),
    ("oos:*log*", "it has no log"),
    ("repl:COPY*", "a copy comes over whole"),
    ("repl:link cut*", "a copy comes over whole"),
    ("oos:follower wiped*", "a copy comes over whole"),
    ("oos:master wiped: follower info", "its copy had stalled before"),
    ("repl:silent peer*", "every peer is a server of the fake"),
    ("repl:peer that closes*", "every peer is a server of the fake"),
    (
        "repl:no password given*",
        "every peer of a service has the password",
    ),
    ("repl:follower takes writes too", "a command has no reply"),
    (
        "repl:wrong password at the peer: statuses seen",
        "it is INIT at once",
    ),
    ("slaveof:*", "masters come from the file only"),
    ("*slaveof", "masters come from the file only"),
    (
        "start:*",
        "the program, its options and its files are the stand-in's",
    ),
];

/// Of `info`: names of its pairs, and fields of the rows, that the fake does not have.
const UNTOLD: &[(&str, &str)] = &[
    ("links", "counts are of no meaning"),
    ("total_calls", "counts are of no meaning"),
    ("dbsize", "sizes are of no meaning"),
    ("serv_key_range", "it serves all keys"),
    ("data_key_range", "it serves all keys"),
    ("leveldb.stats", "it has no LevelDB"),
    ("type", "all links are mirrors"),
    ("copy_count", "counts are of no meaning"),
    ("sync_count", "counts are of no meaning"),
];

/// Files that the real server was started with, or not, and the fake is, too.
const STARTS: &[&str] = &[
    "start:good",
    "start:space indentation",
    "start:space indentation of one line",
    "start:short password",
    "start:31 characters",
    "start:32 characters",
    "start:no password",
    "start:missing work_dir",
    "start:existing pid file",
    "start:unknown key",
    "start:capacity as child of binlog",
    "start:capacity as sibling of binlog",
];

const PASSWORD: &str = "ppppppppppppppppppppppppppppppppp";
const SECOND: i64 = 1_000_000;

struct Play {
    recording: Value,
    cluster: Cluster,
    now_us: i64,
    /// The recorded ports of the servers of this part, and where theirs listen here.
    places: Vec<(&'static str, &'static str)>,
    played: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Play {
    fn new() -> Self {
        Self {
            recording: serde_json::from_str(include_str!("../../standins/recorded/ssdb-1.9.8.json")).unwrap(),
            cluster: bare(),
            now_us: SECOND,
            places: Vec::new(),
            played: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// Other servers, whose recorded ports these are.
    fn begin(&mut self, ports: &[&'static str]) {
        self.cluster = bare();
        let here = ["10.0.0.1|4420", "10.0.0.2|4420", "10.0.0.3|4420"];
        self.places = ports.iter().copied().zip(here).collect();
        self.places.push(("27399", "10.0.0.3|4499"));
    }

    fn pass(&mut self, us: i64) {
        self.now_us += us;
        self.cluster.advance(self.now_us);
    }

    /// Starts a server with these links: id, host, port, password.
    fn start_as(&mut self, at: usize, capacity: &str, links: &[(&str, &str, u16, &str)]) {
        let links = links.iter().map(|(id, host, port, auth)| {
            let id = if id.is_empty() {
                String::new()
            } else {
                format!("\t\tid: {id}\n")
            };
            format!(
                "\tslaveof:\n{id}\t\ttype: mirror\n\t\thost: {host}\n\t\tport: {port}\n\t\tauth: {auth}\n"
            )
        });
        let links = links.collect::<String>();
        let text = format!(
            "work_dir = {DIR}\nserver:\n\tip: 0.0.0.0\n\tport: 4420\n\tauth: {OURS}\nreplication:\n\tbinlog: \
             yes\n{capacity}{links}"
        );
        let node = &mut self.cluster.nodes[at];
        node.machine.write(CONFIG, &text, 0o640, "ssdb", self.now_us);
        node.make_dir(self.now_us);
        self.start(at);
    }

    fn start(&mut self, at: usize) {
        self.cluster.launch(at);
        self.pass(SECOND / 10);
    }

    fn set(&mut self, at: usize, key: &str, times: usize) {
        for _ in 0..times {
            self.cluster.client_sets(at, key, Some("1"));
        }
        self.cluster.settle();
    }

    fn ask(&self, at: usize, command: &[&str]) -> Vec<String> {
        let query = FactQuery::Ssdb(SsdbQuery {
            address: THIS_HOST.to_owned(),
            port: 4420,
            password: None,
            commands: vec![SsdbCommand::new(command.iter().copied())],
        });
        let host = self.cluster.nodes[at].name.clone();
        match self.cluster.answer(&host, &query) {
            Some(Ok(Fact::Ssdb(SsdbFact::Replies { replies, .. }))) => {
                let reply = replies.first().unwrap();
                let items = reply.items.iter().map(ToString::to_string);
                std::iter::once(reply.status.clone()).chain(items).collect()
            }
            other => panic!("{command:?}: {other:?}"),
        }
    }

    /// The recorded reply, at once or within 8 s.
    fn same(&mut self, name: &str, at: usize) {
        let entry = &self.recording[name];
        let words = |key: &str| {
            let words = entry[key].as_array().unwrap_or_else(|| panic!("{name}")).iter();
            words
                .map(|word| word.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let command = words("cmd");
        let command: Vec<&str> = match command.first().map(String::as_str) {
            Some("info") => vec!["info"],
            _ => command.iter().map(String::as_str).collect(),
        };
        let was = self.meaning(&words("reply"));
        let mut is = Vec::new();
        for _ in 0..80 {
            is = self.meaning(&self.ask(at, &command));
            if is == was {
                break;
            }
            self.pass(SECOND / 10);
        }
        if is != was {
            self.wrong
                .push(format!("{name}:\n    is  {is:?}\n    was {was:?}"));
        }
        self.played.insert(name.to_owned());
    }

    /// A reply without what the fake does not tell: the pairs and rows of `info` one by one, with the places of this run.
    fn meaning(&self, reply: &[String]) -> Vec<String> {
        if reply.get(1).is_none_or(|item| item != "ssdb-server") {
            return reply.to_vec();
        }
        let is_told = |name: &str| !UNTOLD.iter().any(|(untold, _)| *untold == name);
        let pairs = reply[2..].chunks(2).filter(|pair| is_told(&pair[0]));
        let mut pairs: Vec<String> = pairs
            .map(|pair| {
                let lines = pair[1].lines().map(|line| self.placed(line));
                let lines = lines.filter(|line| is_told(line.split(" :").next().unwrap_or_default()));
                format!("{}: {}", pair[0], lines.collect::<Vec<_>>().join(", "))
            })
            .collect();
        // Connected mirrors are told in any order.
        pairs.sort_unstable();
        pairs
    }

    fn placed(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        // The port of a connected mirror is of no meaning.
        if words.first() == Some(&"client") {
            return "client".to_owned();
        }
        let line = words.join(" ");
        self.places.iter().fold(line, |line, (was, is)| {
            let line = line.replace(&format!("127.0.0.1:{was}"), &is.replace('|', ":"));
            line.replace(&format!("127.0.0.1|{was}"), is)
        })
    }

    fn alone(&mut self) {
        self.begin(&["27301"]);
        self.start_as(0, "", &[]);
        self.same("info:fresh", 0);
        self.set(0, "a", 1);
        for name in ["cmd:get a", "cmd:get none"] {
            self.same(name, 0);
        }
        for key in ["bin", "empty", "m2", "n", "t"] {
            self.set(0, key, 1);
        }
        self.same("cmd:keys '' '' 10", 0);
        self.cluster.client_pushes(0, "q", "a");
        self.same("cmd:qlist '' '' 10", 0);
        self.set(0, "a", 16);
        self.same("binlog:before restart", 0);
        self.start(0);
        self.same("binlog:after restart", 0);
        self.set(0, "a", 1);
        self.same("binlog:after restart and one write", 0);
    }

    fn one_way(&mut self) {
        self.begin(&["27302", "27303", "27304"]);
        let (master, follower, other) = (0, 1, 2);
        self.start_as(master, "", &[]);
        self.start_as(follower, "", &[("", "10.0.0.1", 4420, OURS)]);
        self.same("repl:SYNC from an empty master: follower info", follower);
        self.same("repl:SYNC from an empty master: master info", master);
        self.set(master, "a", 5);
        self.same("repl:SYNC after 5 writes: follower info", follower);
        self.same("repl:SYNC after 5 writes: master info", master);
        self.set(follower, "own", 1);
        self.same("repl:SYNC idle 4 s later: follower", follower);
        self.same("repl:SYNC idle 4 s later: master", master);
        self.cluster.halt(follower);
        self.set(master, "b", 1);
        self.start(follower);
        self.same("repl:follower restarted: follower info", follower);
        self.same("repl:follower restarted: master info", master);
        self.cluster.halt(master);
        self.same("repl:master down: follower info", follower);
        self.start(master);
        self.same("repl:master back: follower info", follower);
        self.same("repl:master back, restarted: master info", master);
        self.cluster
            .inject(&fakes::Fault::Crash(self.cluster.nodes[master].name.clone()));
        self.same("repl:master killed: follower info", follower);
        self.start(master);
        self.start_as(other, "", &[("", "10.0.0.1", 4420, PASSWORD)]);
        self.same("repl:wrong password at the peer: follower info", other);
        self.same("repl:wrong password at the peer: master info", master);
        self.start_as(other, "", &[("svc_1", "10.0.0.3", 4499, OURS)]);
        self.same("repl:nobody listens: follower info", other);
    }

    fn mirrors(&mut self) {
        self.begin(&["27305", "27306", "27307"]);
        let link = |at: usize| {
            (
                ["db1", "db2", "db3"][at],
                ["10.0.0.1", "10.0.0.2", "10.0.0.3"][at],
                4420,
                OURS,
            )
        };
        for at in 0..3 {
            let links: Vec<_> = (0..3).filter(|other| *other != at).map(link).collect();
            self.start_as(at, "", &links);
        }
        self.same("mirror:fresh: info of the first", 0);
        self.pass(5 * SECOND);
        self.set(0, "x1", 1);
        for key in ["x2", "x3"] {
            self.set(1, key, 1);
        }
        for part in ["", ", idle 4 s"] {
            for (at, name) in ["first", "second", "third"].iter().enumerate() {
                self.same(
                    &format!("mirror:after 1+2+0 writes{part}: info of the {name}"),
                    at,
                );
            }
        }
        self.cluster.halt(2);
        self.set(0, "x4", 1);
        self.pass(SECOND);
        self.start(2);
        self.same("mirror:third back after 1 s: info of the first", 0);
        self.same("mirror:third back after 1 s: info of the third", 2);
        self.same("mirror:third back: info of the first", 0);
    }

    fn out_of_sync(&mut self) {
        self.begin(&["27308", "27309"]);
        let (master, follower) = (0, 1);
        self.start_as(master, "\t\tcapacity: 10\n", &[]);
        self.same("oos:fresh, capacity 10: info", master);
        self.start_as(follower, "", &[("db1", "10.0.0.1", 4420, OURS)]);
        self.pass(SECOND);
        self.set(master, "k", 4);
        self.same("oos:before: follower info", follower);
        self.same("oos:before: master info", master);
        self.cluster.halt(follower);
        self.set(master, "p", 9_000);
        self.same(
            "oos:after 9000 writes over capacity 10 (less than capacity + 10000 kept): master info",
            master,
        );
        self.set(master, "p", 1_100);
        self.same("oos:after 10100 writes over capacity 10: master info", master);
        self.start(follower);
        for part in ["", " 7 s later"] {
            self.same(&format!("oos:OUT_OF_SYNC{part}: follower info"), follower);
            self.same(&format!("oos:OUT_OF_SYNC{part}: master info"), master);
            self.pass(7 * SECOND);
        }
        self.set(master, "later", 1);
        self.same("oos:get of a later write on the follower", follower);
        self.cluster.halt(follower);
        self.start(follower);
        self.same("oos:follower restarted: follower info", follower);
        self.cluster.halt(master);
        self.cluster.halt(follower);
        self.start(master);
        self.same("oos:master restarted: master info", master);
        self.start(follower);
        self.same("oos:both restarted: follower info", follower);
        // The follower is filled again, then the master is wiped.
        self.cluster.halt(follower);
        self.cluster.nodes[follower].disk = None;
        self.start(follower);
        self.pass(8 * SECOND);
        self.cluster.halt(master);
        self.cluster.nodes[master].disk = None;
        self.start(master);
        self.set(master, "a", 1);
        self.pass(8 * SECOND);
        self.same("oos:master wiped: master info", master);
    }

    fn starts(&mut self) {
        for name in STARTS {
            self.begin(&[]);
            let entry = &self.recording[*name];
            let short = "x".repeat(32);
            let password = if *name == "start:32 characters" {
                &short
            } else {
                PASSWORD
            };
            let text = entry["conf"].as_str().unwrap().replace("PASSWORD", password);
            let text = text.replace("/srv/ssdb/bad/var", DIR);
            let started = entry["started"].as_bool().unwrap();
            let node = &mut self.cluster.nodes[0];
            node.machine.write(CONFIG, &text, 0o640, "ssdb", self.now_us);
            node.make_dir(self.now_us);
            if *name == "start:existing pid file" {
                node.machine
                    .write(&format!("{DIR}/ssdb.pid"), "999999", 0o644, "ssdb", self.now_us);
            }
            self.start(0);
            if self.cluster.nodes[0].process.is_some() != started {
                self.wrong.push(format!("{name}: started: {}", !started));
            }
            self.played.insert((*name).to_owned());
        }
    }
}

fn bare() -> Cluster {
    let pace = Pace {
        start_us: 10_000,
        elect_us: 0,
        copy_us: 10_000,
        quiesce_us: 0,
    };
    Cluster::new(&["db1", "db2", "db3"], pace)
}

/// Whether a pattern with at most two `*` fits a name.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn it_answers_as_the_recorded_server_did() {
    let mut play = Play::new();
    play.alone();
    play.one_way();
    play.mirrors();
    play.out_of_sync();
    play.starts();
    let names: Vec<String> = play.recording.as_object().unwrap().keys().cloned().collect();
    let lacks = |name: &str| LACKING.iter().any(|(pattern, _)| fits(pattern, name));
    let forgotten = names
        .iter()
        .filter(|name| !play.played.contains(*name) && !lacks(name));
    let mut wrong: Vec<String> = forgotten.map(|name| format!("{name}: is not played")).collect();
    for (pattern, _) in LACKING {
        let is_lacking = |name: &&String| fits(pattern, name) && !play.played.contains(*name);
        if names.iter().find(is_lacking).is_none() {
            wrong.push(format!("{pattern}: nothing of it is lacking"));
        }
    }
    play.wrong.extend(wrong);
    assert!(play.wrong.is_empty(), "{}", play.wrong.join("\n"));
}
