//! Attempts to start with files that are right or wrong.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::super::tables::{LACKING, glob};
use super::compare::last_lines;
use super::{PASSWORD, Play};

impl Play {
    /// Attempts to start with files that are right or wrong.
    pub(super) fn starts(&mut self) {
        let bad = 27310;
        let names: Vec<String> = self.recording.keys().cloned().collect();
        std::fs::create_dir_all(self.home.path().join("bad")).unwrap();
        for name in names.iter().filter(|name| name.starts_with("start:")) {
            if self.played.contains(name) || LACKING.iter().any(|(pattern, _)| glob(pattern, name)) {
                continue;
            }
            let dir = self.home.path().join("bad");
            std::fs::remove_dir_all(&dir).unwrap();
            std::fs::create_dir_all(dir.join("var")).unwrap();
            let entry = self.recording[name].clone();
            let text = entry["conf"].as_str().map_or_else(
                || {
                    self.conf("conf:one")
                        .replace("/one/", "/bad/")
                        .replace(&self.ports[&27301].to_string(), &self.ports[&bad].to_string())
                },
                |text| self.current(text),
            );
            // The shortest password, which may lose its last character.
            let is_shortest = matches!(
                name.as_str(),
                "start:32 characters" | "start:no trailing newline, password last"
            );
            let text = if is_shortest {
                text.replace(PASSWORD, &PASSWORD[..32])
            } else {
                text
            };
            std::fs::write(dir.join("ssdb.conf"), text).unwrap();
            let pid_file = dir.join("ssdb.pid");
            let mut held = None;
            match name.as_str() {
                "start:work_dir held by another server" => {
                    self.start_as(27311, "", "");
                    std::os::unix::fs::symlink(self.dir(27311), self.home.path().join("hold")).unwrap();
                }
                "start:port in use" => {
                    held = Some(TcpListener::bind(("127.0.0.1", self.ports[&bad])).unwrap());
                }
                "start:existing pid file"
                | "start:-s stop with a stale pid file"
                | "start:-s restart with a stale pid file" => {
                    std::fs::write(&pid_file, "999999").unwrap();
                }
                _ => {}
            }
            // Those with `-d` were not written down.
            let argv: Vec<String> = match entry["argv"].as_array() {
                Some(words) => {
                    let words = words.iter().skip(1);
                    words.map(|word| self.current(word.as_str().unwrap())).collect()
                }
                None => vec!["-d".to_owned(), dir.join("ssdb.conf").display().to_string()],
            };
            self.attempt(name, &argv, &entry, bad);
            drop(held);
        }
    }

    fn attempt(&mut self, name: &str, argv: &[String], entry: &Value, port: u16) {
        let dir = self.home.path().join("bad");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssdb-server"));
        let out = |name| std::fs::File::create(self.home.path().join(name)).unwrap();
        command.args(argv).stdout(out("stdout")).stderr(out("stderr"));
        let mut child = command.spawn().unwrap();
        let was_started = entry["started"] == true;
        if was_started {
            let ok = self.wait_for(|play| TcpStream::connect(("127.0.0.1", play.ports[&port])).is_ok());
            if !ok {
                self.wrong(format!("{name}: does not start"));
            }
            for (key, value) in entry.as_object().unwrap() {
                if value.get("cmd").is_some() {
                    self.compare_one(name, key, value, port);
                }
            }
            Self::signal_pid(child.id(), "TERM");
        }
        let is_lasting = entry
            .get("note")
            .is_some_and(|note| note.as_str().unwrap().starts_with("neither"));
        if is_lasting {
            std::thread::sleep(Duration::from_millis(300));
            if child.try_wait().unwrap().is_some() {
                self.wrong(format!("{name}: it ended"));
            }
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        let text = |name| self.normal(&std::fs::read_to_string(self.home.path().join(name)).unwrap());
        let (stdout, stderr) = (text("stdout"), text("stderr"));
        let mut differs = Vec::new();
        if !was_started && !is_lasting {
            let rc = entry["rc"].as_i64();
            if status.code().map(i64::from) != rc {
                differs.push(format!("ends with {status}, was {rc:?}"));
            }
            let pid_file = dir.join("ssdb.pid");
            if let Some(was_left) = entry["pid file left"].as_bool()
                && !self.wait_for(|_| pid_file.exists() == was_left)
            {
                differs.push(format!("pid file left: {}, was {was_left}", !was_left));
            }
        }
        // Of the real one the log's head stands on standard output, too.
        let was = last_lines(entry["stderr"].as_str().unwrap_or_default());
        if last_lines(&stderr) != was {
            differs.push(format!("says {stderr:?}, was {was:?}"));
        }
        for line in entry["stdout"]
            .as_str()
            .unwrap_or_default()
            .lines()
            .filter(|line| line.contains("ERROR"))
        {
            let told = line.split_once("): ").unwrap().1;
            if !stdout.contains(told) {
                differs.push(format!("prints {stdout:?}, was {told:?}"));
            }
        }
        self.wrong
            .extend(differs.into_iter().map(|how| format!("{name}: {how}")));
        self.played.insert(name.to_owned());
        if name == "start:-d" {
            // It goes to the background before it writes its number.
            let daemon = || {
                let pid = std::fs::read_to_string(dir.join("ssdb.pid")).ok()?;
                pid.parse().ok()
            };
            self.until(|_| daemon().is_some());
            Self::signal_pid(daemon().unwrap(), "TERM");
            self.until(|_| !dir.join("ssdb.pid").exists());
        }
    }
}
