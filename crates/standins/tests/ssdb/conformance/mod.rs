//! The stand-in against the recording of a real SSDB 1.9.8 (`crates/standins/recorded`): its story, played in its order.
//!
//! Each recorded command is sent to stand-ins in the recorded situation until the reply is the recorded one, or it is
//! clear that it never will be. Of no meaning are ports, sizes, numbers of calls and connections, and the order in which
//! connected mirrors are told. What is not played stands in [`super::tables`].

mod compare;
mod starts;
mod story;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::harness::ask;
use super::tables::{LACKING, glob};
use compare::{last_lines, meaning, recorded};

const PASSWORD: &str = "ppppppppppppppppppppppppppppppppppp";
const WRONG: &str = "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww";

struct Play {
    recording: Map<String, Value>,
    home: tempfile::TempDir,
    /// The recorded ports, and those of this run.
    ports: BTreeMap<u16, u16>,
    running: BTreeMap<u16, Child>,
    played: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Drop for Play {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn it_answers_as_the_recorded_server_did() {
    let text = include_str!("../../../recorded/ssdb-1.9.8.json");
    let held: Vec<TcpListener> = (0..30)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let recorded = (27301..=27312).chain([27321, 27322, 27399]);
    let ports = recorded.zip(held.iter().map(|held| held.local_addr().unwrap().port()));
    let mut play = Play {
        recording: serde_json::from_str(text).unwrap(),
        home: tempfile::tempdir().unwrap(),
        ports: ports.collect(),
        running: BTreeMap::new(),
        played: BTreeSet::new(),
        wrong: Vec::new(),
    };
    drop(held);
    play.alone();
    play.one_way();
    play.mirrors();
    play.out_of_sync();
    play.starts();
    let names: Vec<String> = play.recording.keys().cloned().collect();
    let is_played = |name: &&String| play.played.contains(*name);
    let lacking = |name: &&String| LACKING.iter().any(|(pattern, _)| glob(pattern, name));
    let forgotten = names.iter().filter(|name| !is_played(name) && !lacking(name));
    let mut wrong: Vec<String> = forgotten.map(|name| format!("{name}: is not played")).collect();
    for (pattern, _) in LACKING {
        if !names.iter().any(|name| glob(pattern, name) && !is_played(&name)) {
            wrong.push(format!("{pattern}: nothing of it is lacking"));
        }
    }
    play.wrong.extend(wrong);
    let page = include_str!("../../../../../docs/reference/stand-in-ssdb.md");
    let rows = LACKING
        .iter()
        .map(|(pattern, why)| format!("| `{pattern}` | {why} |"));
    for row in rows.filter(|row| !page.contains(row.as_str())) {
        play.wrong
            .push(format!("docs/reference/stand-in-ssdb.md does not tell: {row}"));
    }
    assert!(play.wrong.is_empty(), "{}", play.wrong.join("\n"));
}

/// A connection.
struct Line(std::io::BufReader<TcpStream>);

impl Line {
    fn ask(&mut self, words: &[&str]) -> Vec<String> {
        standins::ssdb::message::write(self.0.get_mut(), words).unwrap();
        let reply = standins::ssdb::message::read(&mut self.0).unwrap().unwrap();
        reply.iter().map(|item| shown(item)).collect()
    }
}

/// Bytes as the recording writes them.
fn shown(item: &[u8]) -> String {
    String::from_utf8(item.to_vec()).unwrap_or_else(|_| {
        let letters = item.iter().map(|&byte| match byte {
            0x80.. => format!("\\x{byte:02x}"),
            _ => char::from(byte).to_string(),
        });
        letters.collect()
    })
}

impl Play {
    fn wrong(&mut self, how: String) {
        self.wrong.push(how);
    }

    fn dir(&self, port: u16) -> PathBuf {
        self.home.path().join(port.to_string())
    }

    fn names(&self) -> Vec<(String, String)> {
        let home = self.home.path().display();
        let mut names = vec![
            ("PASSWORD".to_owned(), PASSWORD.to_owned()),
            ("WRONG".to_owned(), WRONG.to_owned()),
            ("/srv/ssdb".to_owned(), home.to_string()),
        ];
        names.extend(
            self.ports
                .iter()
                .map(|(was, is)| (was.to_string(), is.to_string())),
        );
        names
    }

    /// A recorded text with the names of this run.
    fn current(&self, text: &str) -> String {
        let names = self.names();
        names
            .iter()
            .fold(text.to_owned(), |text, (was, is)| text.replace(was, is))
    }

    /// A text of this run with the recorded names.
    fn normal(&self, text: &str) -> String {
        let names = self.names();
        let text = names
            .iter()
            .fold(text.to_owned(), |text, (was, is)| text.replace(is, was));
        text.replace(env!("CARGO_BIN_EXE_ssdb-server"), "/srv/ssdb/ssdb-server")
    }

    /// A recorded file.
    fn conf(&self, name: &str) -> String {
        let text = self.recording[name]["text"].as_str().unwrap();
        self.current(text)
    }

    fn write_conf(&self, port: u16, text: &str) {
        let dir = self.dir(port);
        std::fs::create_dir_all(dir.join("var")).unwrap();
        let text = text.replace(
            &self.home.path().join("one").display().to_string(),
            &dir.display().to_string(),
        );
        std::fs::write(dir.join("ssdb.conf"), text).unwrap();
    }

    /// Starts a server with the recorded file and what is its own.
    fn start_as(&mut self, port: u16, capacity: &str, slaveofs: &str) {
        let text = self.conf("conf:one");
        let own = |port: u16| format!("\tport: {}\n", self.ports[&port]);
        let text = text.replace(&own(27301), &own(port));
        let more = format!(
            "\tbinlog: yes\n{capacity}\tsync_speed: -1\n{}",
            self.current(slaveofs)
        );
        let text = text.replace("\tbinlog: yes\n\tsync_speed: -1\n", &more);
        self.write_conf(port, &text);
        self.start(port);
    }

    fn command(&self, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssdb-server"));
        command.arg(self.dir(port).join("ssdb.conf"));
        command
    }

    #[track_caller]
    fn start(&mut self, port: u16) {
        let child = self
            .command(port)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.running.insert(port, child.unwrap());
        self.until(|play| TcpStream::connect(("127.0.0.1", play.ports[&port])).is_ok());
    }

    fn refused_start(&mut self, name: &str, port: u16) {
        let output = self.command(port).output().unwrap();
        let entry = self.recording[name].clone();
        let stderr = self.normal(&String::from_utf8(output.stderr).unwrap());
        let stderr = stderr.replace("/27301/", "/one/");
        let is_same = output.status.code().map(i64::from) == entry["rc"].as_i64()
            && last_lines(&stderr) == last_lines(entry["stderr"].as_str().unwrap());
        if !is_same {
            self.wrong(format!("{name}: {} {stderr}", output.status));
        }
        self.played.insert(name.to_owned());
    }

    fn signal_pid(pid: u32, signal: &str) {
        let _ = Command::new("kill")
            .args([&format!("-{signal}"), &pid.to_string()])
            .status();
    }

    fn signal(&self, port: u16, signal: &str) {
        Self::signal_pid(self.running[&port].id(), signal);
    }

    /// How it ended: below 0 the signal.
    fn wait(&mut self, port: u16) -> i64 {
        use std::os::unix::process::ExitStatusExt as _;
        let mut child = self.running.remove(&port).unwrap();
        let status = child.wait().unwrap();
        let signal = || -status.signal().unwrap_or_default();
        i64::from(status.code().unwrap_or_else(signal))
    }

    fn end(&mut self, port: u16) {
        self.signal(port, "TERM");
        self.wait(port);
    }

    fn stop(&mut self, port: u16, name: &str) {
        self.signal(port, "TERM");
        let rc = self.wait(port);
        self.same_rc(name, rc);
    }

    fn kill(&mut self, port: u16) -> i64 {
        self.signal(port, "KILL");
        self.wait(port)
    }

    fn wipe(&self, port: u16) {
        let var = self.dir(port).join("var");
        std::fs::remove_dir_all(&var).unwrap();
        std::fs::create_dir(&var).unwrap();
    }

    fn set(&self, port: u16, key: &str) {
        ask(self.ports[&port], Some(PASSWORD), &["set", key, "1"]);
    }

    fn write_many(&self, port: u16, count: usize) {
        let mut line = self.let_in(port);
        for at in 0..count {
            line.ask(&["set", &format!("p{}", at % 1000), "1"]);
        }
    }

    fn connect(&self, port: u16) -> Line {
        let stream = TcpStream::connect(("127.0.0.1", self.ports[&port])).unwrap();
        Line(std::io::BufReader::new(stream))
    }

    fn let_in(&self, port: u16) -> Line {
        let mut line = self.connect(port);
        line.ask(&["auth", PASSWORD]);
        line
    }

    #[track_caller]
    fn wait_for(&self, mut is_so: impl FnMut(&Self) -> bool) -> bool {
        let began = Instant::now();
        while !is_so(self) {
            if began.elapsed() > Duration::from_secs(8) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    #[track_caller]
    fn until(&self, is_so: impl FnMut(&Self) -> bool) {
        assert!(self.wait_for(is_so), "it never is");
    }

    fn same(&mut self, name: &str, is: &Value) {
        let was = &self.recording[name];
        if was != is {
            self.wrong(format!("{name}: is {is}, was {was}"));
        }
        self.played.insert(name.to_owned());
    }

    fn same_rc(&mut self, name: &str, rc: i64) {
        let was = &self.recording[name]["rc"];
        if was.as_i64() != Some(rc) {
            self.wrong(format!("{name}: ended with {rc}, was {was}"));
        }
        self.played.insert(name.to_owned());
    }

    fn words(&self, entry: &Value) -> Vec<String> {
        let words = entry["cmd"].as_array().unwrap().iter();
        words.map(|word| self.current(word.as_str().unwrap())).collect()
    }

    fn reply_on(&mut self, name: &str, line: &mut Line) {
        let entry = self.recording[name].clone();
        let words = self.words(&entry);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let is = line.ask(&words);
        // A size is of no meaning.
        if words != ["dbsize"] || is.len() != 2 {
            self.compare(name, &entry["reply"], &is);
        }
        self.played.insert(name.to_owned());
    }

    /// Asks until the reply is the recorded one.
    fn until_reply(&mut self, name: &str, port: u16) {
        let entry = self.recording[name].clone();
        let words = self.words(&entry);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let was = meaning(&recorded(&entry["reply"]));
        let reply = |play: &Self| ask(play.ports[&port], Some(PASSWORD), &words);
        self.wait_for(|play| meaning(&play.recorded_names(&reply(play))) == was);
        let is = reply(self);
        self.compare(name, &entry["reply"], &is);
        self.played.insert(name.to_owned());
    }

    fn compare_one(&mut self, name: &str, key: &str, entry: &Value, port: u16) {
        let mut line = self.connect(port);
        let words = self.words(entry);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if words[0] != "auth" && !key.contains("without auth") {
            let password = match name {
                "start:empty password" => "",
                "start:32 characters" => &PASSWORD[..32],
                _ => PASSWORD,
            };
            line.ask(&["auth", password]);
        }
        let is = line.ask(&words);
        self.compare(name, &entry["reply"], &is);
    }

    fn recorded_names(&self, is: &[String]) -> Vec<String> {
        is.iter().map(|item| self.normal(item)).collect()
    }

    fn compare(&mut self, name: &str, was: &Value, is: &[String]) {
        let (was, is) = (meaning(&recorded(was)), meaning(&self.recorded_names(is)));
        if was != is {
            self.wrong
                .push(format!("{name}:\n    is  {is:?}\n    was {was:?}"));
        }
    }

    fn raw(&mut self, name: &str) {
        let entry = self.recording[name].clone();
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[&27301])).unwrap();
        let mut line = Line(std::io::BufReader::new(stream.try_clone().unwrap()));
        line.ask(&["auth", PASSWORD]);
        stream
            .write_all(entry["sent"].as_str().unwrap().as_bytes())
            .unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut received = Vec::new();
        let is_closed = loop {
            let mut part = [0; 1000];
            match stream.read(&mut part) {
                Ok(0) => break true,
                Ok(count) => {
                    received.extend_from_slice(&part[..count]);
                }
                Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        };
        let _ = stream.shutdown(Shutdown::Both);
        // Sizes are of no meaning.
        let digits = |text: &str| {
            text.lines()
                .map(|line| line.parse::<u64>().map_or(line.to_owned(), |_| "N".to_owned()))
                .collect::<Vec<_>>()
        };
        let (is, was) = (
            String::from_utf8(received).unwrap(),
            entry["received"].as_str().unwrap(),
        );
        if digits(&is) != digits(was) || is_closed == (entry["closed"] == false) {
            self.wrong
                .push(format!("{name}: {is:?}, closed: {is_closed}; was {entry}"));
        }
        self.played.insert(name.to_owned());
    }
}
