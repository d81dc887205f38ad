//! Attempts to start the program with files that the real one refuses.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use bson::{Bson, Document, doc};
use serde_json::Value;
use standins::mongod::config::{CommandLine, Options};
use standins::mongod::server::Server;

use super::Play;

/// Key files that are refused: the situation, the content and the mode.
const KEYS: &[(&str, &str, u32)] = &[
    ("start:keyfile 0644", "abcdefgh", 0o644),
    ("start:keyfile 0440 root", "abcdefgh", 0o440),
    ("start:keyfile 0420 root", "abcdefgh", 0o420),
    ("start:keyfile 0460 root", "abcdefgh", 0o460),
    ("start:keyfile short", "abc", 0o400),
    ("start:keyfile bad char", "abcdef!", 0o400),
];

impl Play {
    pub(super) async fn refused_starts(&mut self) {
        std::fs::create_dir(self.cluster.path().join("bad")).unwrap();
        for (situation, key, mode) in KEYS {
            self.write_key(key, *mode);
            self.start(situation);
        }
        self.write_key("- abcdefgh\n- ijklmnop\n", 0o400);
        let text = self.conf("start:keyfile 0644");
        let options = Options::read(&CommandLine::default(), Some(&text), Vec::new(), "4.9.0").unwrap();
        let started = Server::start(options).await.unwrap();
        self.compare_reply(
            "start:keyfile yaml-like",
            &doc! {"started": true, "rc": 0, "out": ""},
        );
        started.stop().await;
        for name in [
            "tab",
            "unknown key",
            "top-level replSetName",
            "auth without keyfile",
            "file without path",
            "journal.enabled false",
            "no dbpath",
            "secondaryDelay none",
            "port text",
        ] {
            self.start(&format!("start:{name}"));
        }
        for at in 0..4 {
            self.tell(at, "").await;
            self.boot(at).await;
        }
        self.start("start:port in use");
        self.start("start:dbpath in use");
    }

    fn write_key(&self, key: &str, mode: u32) {
        let path = self.cluster.path().join("key2");
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, key).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The file of a situation, on a free port.
    fn conf(&self, situation: &str) -> String {
        let entry = self.recording.get_document(situation).unwrap();
        // Of one attempt the file was not kept: it is that of the others.
        let text = entry.get_str("conf").or_else(|_| {
            self.recording
                .get_document("start:keyfile 0644")
                .unwrap()
                .get_str("conf")
        });
        let mut text = self.current(&text.unwrap().into()).as_str().unwrap().to_owned();
        let port = |host: &str| host.replace("127.0.0.1:", "");
        text = text.replace("27111", &port(&self.cluster.host(0)));
        text.replace("27150", &port(&self.nobody))
    }

    fn start(&mut self, situation: &str) {
        let path = self.cluster.path().join("bad.conf");
        std::fs::write(&path, self.conf(situation)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mongod"));
        command
            .env("STANDIN_MONGOD_VERSION", "4.9.0")
            .stdin(Stdio::null());
        let output = command.arg("--config").arg(&path).output().unwrap();
        let text = |bytes| self.normal(&String::from_utf8(bytes).unwrap());
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));

        let mut was = self.entry(situation).as_document().unwrap().clone();
        was.remove("conf");
        let key = if was.contains_key("out") { "out" } else { "stdout" };
        let lines = match was.get(key).unwrap() {
            Bson::Array(lines) => lines
                .iter()
                .map(|line| said(line, &stdout))
                .collect::<Vec<_>>()
                .into(),
            _ => Bson::String(stdout),
        };
        let mut is = doc! {"rc": output.status.code().unwrap(), key: lines};
        if key == "out" {
            is.insert("started", false);
        } else {
            is.insert("stderr", stderr);
        }
        self.compare(situation, &was, &is);
    }
}

/// The line of the log that is to be like a recorded one; of a cut line the part that is there.
fn said(recorded: &Bson, log: &str) -> Bson {
    let Some(line) = recorded.as_document() else {
        let cut = recorded.as_str().unwrap();
        return if log.contains(cut) {
            recorded.clone()
        } else {
            "".into()
        };
    };
    let id = line.get_i32("id").unwrap();
    let mut lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = lines.rfind(|line| line["id"].as_i64() == Some(i64::from(id)));
    let Some(found) = found else { return Bson::Null };
    let kept = |key: &String| (key.clone(), super::recording::bson(found[key.as_str()].clone()));
    Bson::Document(line.keys().map(kept).collect::<Document>())
}
