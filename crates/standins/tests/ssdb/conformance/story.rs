//! The story: one server, a follower, mirrors, and a follower that is out of sync.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::harness::ask;
use super::super::tables::{LACKING, glob};
use super::{PASSWORD, Play};

impl Play {
    pub(super) fn alone(&mut self) {
        self.write_conf(27301, &self.conf("conf:one"));
        self.start(27301);
        let names: Vec<String> = self.recording.keys().cloned().collect();
        let first = names.iter().position(|name| name == "before auth:info").unwrap();
        let last = names
            .iter()
            .position(|name| name == "binlog:before restart")
            .unwrap();
        let mut line = self.connect(27301);
        for name in &names[first..=last] {
            if LACKING.iter().any(|(pattern, _)| glob(pattern, name)) {
                continue;
            }
            if name.starts_with("raw:") {
                self.raw(name);
                continue;
            }
            // Those after the logins were sent over connections that were let in.
            if name == "info:fresh" || name == "binlog:before restart" {
                line = self.let_in(27301);
            }
            self.reply_on(name, &mut line);
        }
        drop(line);
        self.stop(27301, "stop:SIGTERM idle");
        let is_left = self.dir(27301).join("ssdb.pid").exists();
        self.same("pid file after SIGTERM", &is_left.into());
        self.start(27301);
        self.until_reply("binlog:after restart", 27301);
        ask(self.ports[&27301], Some(PASSWORD), &["set", "r", "1"]);
        self.until_reply("binlog:after restart and one write", 27301);
        let rc = self.kill(27301);
        self.same_rc("stop:SIGKILL", rc);
        self.refused_start("start:after SIGKILL", 27301);
        std::fs::remove_file(self.dir(27301).join("ssdb.pid")).unwrap();
        self.start(27301);
        self.signal(27301, "INT");
        let rc = self.wait(27301);
        self.same_rc("stop:SIGINT", rc);
    }

    pub(super) fn one_way(&mut self) {
        let (master, follower) = (27302, 27303);
        self.start_as(master, "", "");
        self.start_as(follower, "", &slaveof("", "", master, "PASSWORD"));
        self.until_reply("repl:SYNC from an empty master: follower info", follower);
        self.until_reply("repl:SYNC from an empty master: master info", master);
        for at in 0..5 {
            self.set(master, &format!("a{at}"));
        }
        self.until_reply("repl:SYNC after 5 writes: follower info", follower);
        self.until_reply("repl:SYNC after 5 writes: master info", master);
        let mut line = self.let_in(follower);
        self.reply_on("repl:follower takes writes too", &mut line);
        self.until_reply("repl:SYNC idle 4 s later: follower", follower);
        self.until_reply("repl:SYNC idle 4 s later: master", master);
        self.stop(follower, "repl:stop follower");
        self.until_reply("repl:client row right after the follower ended", master);
        self.set(master, "b");
        self.start(follower);
        self.until_reply("repl:follower restarted: follower info", follower);
        self.until_reply("repl:follower restarted: master info", master);
        self.stop(master, "repl:stop master with a client");
        self.until_reply("repl:master down: follower info", follower);
        self.start(master);
        self.until_reply("repl:master back: follower info", follower);
        self.until_reply("repl:master back, restarted: master info", master);
        self.kill(master);
        self.until_reply("repl:master killed: follower info", follower);
        std::fs::remove_file(self.dir(master).join("ssdb.pid")).unwrap();
        self.start(master);

        let other = 27304;
        self.start_as(other, "", &slaveof("", "", master, "WRONG"));
        self.until_reply("repl:wrong password at the peer: follower info", other);
        self.until_reply("repl:wrong password at the peer: master info", master);
        let seen = self.statuses(other, &["INIT"]);
        self.same("repl:wrong password at the peer: statuses seen", &seen.into());
        self.stop(other, "repl:wrong password at the peer: stop");
        self.start_as(other, "", &slaveof("", "", master, ""));
        self.until_reply("repl:no password given: follower info", other);
        self.until_reply("repl:no password given: master info", master);
        let name = "repl:no password given to a peer that asks one: statuses every 0.25 s";
        let seen = self.statuses(other, &["INIT", "DISCONNECTED"]);
        let was: BTreeSet<&str> = self.recording[name]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        if was != seen.iter().map(String::as_str).collect() {
            self.wrong(format!("{name}: {seen:?}"));
        }
        self.played.insert(name.to_owned());
        self.end(other);
        self.start_as(other, "", &slaveof("svc_1", "", 27399, "PASSWORD"));
        self.until_reply("repl:nobody listens: follower info", other);
        self.stop(other, "repl:nobody listens: stop");

        // A peer that accepts, and says nothing; and one that hangs up.
        let silent = TcpListener::bind(("127.0.0.1", self.ports[&27322])).unwrap();
        self.start_as(other, "", &slaveof("", "", 27322, "PASSWORD"));
        let held = silent.accept().unwrap();
        self.until_reply("repl:silent peer, with auth: follower info", other);
        self.kill(other);
        drop(held);
        let hangs_up = TcpListener::bind(("127.0.0.1", self.ports[&27321])).unwrap();
        let _ = std::fs::remove_file(self.dir(other).join("ssdb.pid"));
        self.start_as(other, "", &slaveof("", "", 27321, "PASSWORD"));
        let (mut peer, _) = hangs_up.accept().unwrap();
        let _ = peer.read(&mut [0; 10]);
        drop(peer);
        let rc = self.wait(other);
        self.same_rc("repl:peer that closes during auth: follower", rc);
        self.end(follower);
        self.end(master);
    }

    /// Of one link the statuses that it has within some seconds, at least until all of these were seen.
    fn statuses(&self, port: u16, wanted: &[&str]) -> Vec<String> {
        let mut seen = Vec::new();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3)
            || began.elapsed() < Duration::from_secs(15)
                && wanted.iter().any(|word| !seen.iter().any(|seen| seen == word))
        {
            let info = ask(self.ports[&port], Some(PASSWORD), &["info"]).concat();
            let status = info
                .split("status     : ")
                .nth(1)
                .and_then(|rest| rest.lines().next());
            let status = status.unwrap().to_owned();
            if !seen.contains(&status) {
                seen.push(status);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        seen
    }

    pub(super) fn mirrors(&mut self) {
        let [first, second, third] = [27305, 27306, 27307];
        let link = |port: u16| slaveof(&format!("db{}", port - 27304), "mirror", port, "PASSWORD");
        self.start_as(first, "", &[link(second), link(third)].concat());
        self.start_as(second, "", &[link(first), link(third)].concat());
        self.start_as(third, "", &[link(first), link(second)].concat());
        self.until_reply("mirror:fresh: info of the first", first);
        // All links must be up before something is written, or it would be copied.
        for port in [second, third] {
            self.until(|play| {
                let info = ask(play.ports[&port], Some(PASSWORD), &["info"]).concat();
                info.matches("status     : SYNC").count() == 2 && info.matches("status   : SYNC").count() == 2
            });
        }
        self.set(first, "x1");
        for key in ["x2", "x3"] {
            ask(self.ports[&second], Some(PASSWORD), &["set", key, "2"]);
        }
        for (name, port) in [("first", first), ("second", second), ("third", third)] {
            self.until_reply(&format!("mirror:after 1+2+0 writes: info of the {name}"), port);
        }
        for (name, port) in [("first", first), ("second", second), ("third", third)] {
            self.until_reply(
                &format!("mirror:after 1+2+0 writes, idle 4 s: info of the {name}"),
                port,
            );
        }
        self.until_reply("mirror:third has", third);
        self.stop(third, "mirror:stop third");
        self.until_reply("mirror:right after the stop: info of the first", first);
        self.until_reply("mirror:third down: info of the first", first);
        self.set(first, "x4");
        self.until(|play| {
            let info = ask(play.ports[&first], Some(PASSWORD), &["info"]).concat();
            info.contains("last_seq   : 4") && info.matches("client ").count() == 1
        });
        self.start(third);
        // The first tries it again every 5 s.
        self.until_reply("mirror:third back after 1 s: info of the first", first);
        self.until_reply("mirror:third back after 1 s: info of the third", third);
        self.until_reply("mirror:third back: info of the first", first);
        for port in [first, second, third] {
            self.end(port);
        }
    }

    pub(super) fn out_of_sync(&mut self) {
        let (master, follower) = (27308, 27309);
        self.start_as(master, "\t\tcapacity: 10\n", "");
        self.until_reply("oos:fresh, capacity 10: info", master);
        self.start_as(follower, "", &slaveof("db1", "", master, "PASSWORD"));
        self.until(|play| {
            ask(play.ports[&follower], Some(PASSWORD), &["info"])
                .concat()
                .contains(": SYNC")
        });
        for at in 0..4 {
            self.set(master, &format!("k{at}"));
        }
        self.until_reply("oos:before: follower info", follower);
        self.until_reply("oos:before: master info", master);
        self.end(follower);
        self.write_many(master, 9_000);
        self.until_reply(
            "oos:after 9000 writes over capacity 10 (less than capacity + 10000 kept): master info",
            master,
        );
        self.write_many(master, 1_100);
        self.until_reply("oos:after 10100 writes over capacity 10: master info", master);
        self.start(follower);
        for part in ["", " 7 s later"] {
            self.until_reply(&format!("oos:OUT_OF_SYNC{part}: follower info"), follower);
            self.until_reply(&format!("oos:OUT_OF_SYNC{part}: master info"), master);
        }
        self.set(master, "later");
        self.until_reply("oos:get of a later write on the follower", follower);
        self.end(follower);
        self.start(follower);
        self.until_reply("oos:follower restarted: follower info", follower);
        self.end(master);
        self.end(follower);
        self.start(master);
        self.until_reply("oos:master restarted: master info", master);
        self.start(follower);
        self.until_reply("oos:both restarted: follower info", follower);
        for port in [follower, master] {
            self.end(port);
        }
        self.wipe(follower);
        self.start(master);
        self.start(follower);
        self.until(|play| {
            let info = ask(play.ports[&follower], Some(PASSWORD), &["info"]).concat();
            info.contains("status     : SYNC") && info.contains("last_seq   : 10105")
        });
        self.end(follower);
        self.end(master);
        self.wipe(master);
        self.start(master);
        self.set(master, "a");
        self.start(follower);
        self.until_reply("oos:master wiped: master info", master);
        for port in [follower, master] {
            self.end(port);
        }
    }
}

fn slaveof(id: &str, kind: &str, port: u16, auth: &str) -> String {
    let line = |key: &str, value: &str| {
        if value.is_empty() {
            String::new()
        } else {
            format!("\t\t{key}: {value}\n")
        }
    };
    [
        "\tslaveof:\n".to_owned(),
        line("id", id),
        line("type", kind),
        line("host", "127.0.0.1"),
        line("port", &port.to_string()),
        line("auth", auth),
    ]
    .concat()
}
