//! The stand-in against the recording of a real mongod 4.9: one story, played in its order.
//!
//! Each recorded command is sent to stand-ins in the recorded situation, and the replies are compared ([`compare`]):
//! which fields there are, their types, and each value that has a meaning. What the stand-in lacks stands in
//! [`tables`]; an entry that is not needed fails the test like a difference that has none.
//!
//! The members of the play elect nobody by themselves and may be made deaf, so that moments that pass quickly on a
//! real set can be looked at for as long as it takes.

mod compare;
mod recording;
mod set;
mod start;
mod story;
mod tables;

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};

use super::harness::{Client, Cluster};
use compare::Comparison;
use tables::{DIFFERENCES, LACKING, glob};

/// The commands that were sent with a read preference.
const WITH_PREFERENCE: &[&str] = &[
    "hello",
    "buildInfo",
    "replSetGetStatus",
    "replSetGetConfig",
    "getCmdLineOpts",
    "usersInfo",
    "listDatabases",
    "serverStatus",
    "getDefaultRWConcern",
];

/// The play.
struct Play {
    recording: Document,
    cluster: Cluster,
    /// A port that nobody listens on, for the recorded 27119.
    nobody: String,
    /// The set's id, as it was recorded and as it is.
    set_id: Option<(String, String)>,
    /// Where in the recording the play is.
    at: usize,
    played: BTreeSet<String>,
    excused: BTreeSet<usize>,
    comparison: Comparison,
    wrong: Vec<String>,
}

impl Play {
    fn new() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            recording: recording::read(),
            cluster: Cluster::prepare(4, true),
            nobody: free.local_addr().unwrap().to_string(),
            set_id: None,
            at: 0,
            played: BTreeSet::new(),
            excused: BTreeSet::new(),
            comparison: Comparison::default(),
            wrong: Vec::new(),
        }
    }

    /// Recorded names of hosts and files, and those of this run.
    fn names(&self) -> Vec<(String, String)> {
        let dir = self.cluster.path().display();
        let mut names = vec![("127.0.0.1:27119".to_owned(), self.nobody.clone())];
        for at in 0..4 {
            let number = at + 1;
            names.extend([
                (format!("127.0.0.1:2711{number}"), self.cluster.host(at)),
                (format!("/srv/mongo/d{number}"), format!("{dir}/db{at}")),
                (format!("/srv/mongo/{number}.log"), format!("{dir}/log{at}")),
            ]);
        }
        names.push(("/srv/mongo/key2".to_owned(), format!("{dir}/key2")));
        names.push(("/srv/mongo/key".to_owned(), format!("{dir}/key0")));
        names.push((
            "/srv/mongo/mongod".to_owned(),
            env!("CARGO_BIN_EXE_mongod").to_owned(),
        ));
        names.push(("/srv/mongo".to_owned(), dir.to_string()));
        names.extend(self.set_id.clone());
        names
    }

    /// A text of this run with the recorded names.
    fn normal(&self, text: &str) -> String {
        let names = self.names();
        names
            .iter()
            .fold(text.to_owned(), |text, (was, is)| text.replace(is, was))
    }

    /// A recorded value with the names of this run.
    fn current(&self, value: &Bson) -> Bson {
        match value {
            Bson::String(text) => {
                let names = self.names();
                Bson::String(
                    names
                        .iter()
                        .fold(text.clone(), |text, (was, is)| text.replace(was, is)),
                )
            }
            Bson::ObjectId(id) => match &self.set_id {
                Some((was, is)) if *was == id.to_hex() => Bson::ObjectId(is.parse().unwrap()),
                _ => value.clone(),
            },
            Bson::Array(items) => items
                .iter()
                .map(|item| self.current(item))
                .collect::<Vec<_>>()
                .into(),
            Bson::Document(document) => {
                let fields = document.iter();
                Bson::Document(
                    fields
                        .map(|(key, value)| (key.clone(), self.current(value)))
                        .collect(),
                )
            }
            other => other.clone(),
        }
    }

    /// The entry of a situation, which is thereby played.
    fn entry(&mut self, situation: &str) -> Bson {
        let at = self.recording.keys().position(|name| name == situation);
        let at = at.unwrap_or_else(|| panic!("{situation} was not recorded"));
        assert!(at >= self.at, "{situation} is played out of order");
        assert!(
            self.played.insert(situation.to_owned()),
            "{situation} is played twice"
        );
        self.at = at;
        self.recording[situation].clone()
    }

    /// Sends the command of a situation, and compares the reply with the recorded one.
    async fn ask(&mut self, client: &mut Client, situation: &str) -> Document {
        let entry = self.entry(situation);
        let entry = entry.as_document().unwrap();
        let command = Bson::Document(entry.get_document("cmd").unwrap().clone());
        let mut command = self.current(&command).as_document().unwrap().clone();
        if WITH_PREFERENCE.contains(&command.keys().next().unwrap().as_str()) {
            command.insert("$readPreference", doc! {"mode": "primaryPreferred"});
        }
        let reply = client.reply(entry.get_str("db").unwrap(), command).await.unwrap();
        self.compare(situation, entry.get_document("reply").unwrap(), &reply);
        reply
    }

    /// Plays all commands from one situation to another on one connection, but those that the stand-in lacks.
    async fn ask_all(&mut self, client: &mut Client, first: &str, last: &str) {
        let names: Vec<String> = self.recording.keys().cloned().collect();
        let at = |name: &str| names.iter().position(|known| known == name).unwrap();
        for situation in &names[at(first)..=at(last)] {
            let entry = self.recording.get_document(situation);
            let is_command = entry.is_ok_and(|entry| entry.contains_key("cmd"));
            if is_command && !LACKING.iter().any(|(lacking, _)| lacking == situation) {
                self.ask(client, situation).await;
            }
        }
    }

    /// Compares what came in a situation with what was recorded there.
    fn compare(&mut self, situation: &str, was: &Document, is: &Document) {
        let mut comparison = Comparison::default();
        comparison.documents("", was, is, &|text| self.normal(text));
        self.comparison.values += comparison.values;
        self.comparison.types += comparison.types;
        for (path, how) in comparison.differences {
            let excuses = DIFFERENCES.iter().enumerate().filter(|(_, difference)| {
                glob(difference.situation, situation) && glob(difference.path, &path)
            });
            let excuses: Vec<usize> = excuses.map(|(at, _)| at).collect();
            if excuses.is_empty() {
                self.wrong.push(format!("{situation}: {path} {how}"));
            }
            self.excused.extend(excuses);
        }
    }

    /// Compares the reply that is all that was recorded of a situation.
    fn compare_reply(&mut self, situation: &str, is: &Document) {
        let was = self.entry(situation);
        self.compare(situation, was.as_document().unwrap(), is);
    }

    /// Compares rows that were seen one after the other; a recorded row begins with its time.
    fn compare_rows(&mut self, situation: &str, is: Vec<Vec<Bson>>) {
        let was = self.entry(situation).as_array().unwrap().clone();
        let was = was
            .into_iter()
            .map(|row| row.as_array().unwrap()[1..].to_vec().into());
        self.compare(
            situation,
            &doc! {"": was.collect::<Vec<Bson>>()},
            &doc! {"": is.into_iter().map(Bson::Array).collect::<Vec<_>>()},
        );
    }

    /// Nothing recorded is forgotten, and nothing is excused that needs no excuse.
    fn finish(mut self) {
        for (situation, _) in LACKING {
            if !self.recording.contains_key(situation) || self.played.contains(*situation) {
                self.wrong
                    .push(format!("{situation} is played, or was never recorded"));
            }
            self.played.insert((*situation).to_owned());
        }
        let forgotten = self.recording.keys().filter(|name| !self.played.contains(*name));
        self.wrong
            .extend(forgotten.map(|name| format!("{name} is not played")));
        for (at, difference) in DIFFERENCES.iter().enumerate() {
            if !self.excused.contains(&at) {
                let (situation, path) = (difference.situation, difference.path);
                self.wrong
                    .push(format!("{situation}: {path} needs no excuse any more"));
            }
        }
        let Comparison { values, types, .. } = self.comparison;
        let played = self.played.len() - LACKING.len();
        let sum = format!("{played} situations, {values} values and {types} types are the real server's");
        assert!(played == 284 && values > 2900, "fewer than there were: {sum}");
        assert!(
            self.wrong.is_empty(),
            "{}\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_answers_as_the_real_server_did() {
    let mut play = Play::new();
    play.refused_starts().await;
    play.blank_server().await;
    play.refused_initiates().await;
    play.first_primary().await;
    play.logins().await;
    play.secondary().await;
    play.users().await;
    play.refused_reconfigs().await;
    play.votes().await;
    play.unreachable_member().await;
    play.lost_majority().await;
    play.step_down().await;
    play.restarts().await;
    play.removed_member().await;
    play.arbiter().await;
    play.fresh_voter().await;
    play.default_concern().await;
    play.finish();
}

/// Who reads the docs knows what the stand-in lacks, and why.
#[test]
fn the_docs_tell_what_the_stand_in_lacks() {
    let docs = include_str!("../../../../../docs/reference/stand-in.md");
    let differences = DIFFERENCES.iter();
    let mut rows: Vec<String> = differences
        .map(|difference| {
            format!(
                "| `{}` | `{}` | {} |",
                difference.situation, difference.path, difference.why
            )
        })
        .collect();
    rows.extend(
        LACKING
            .iter()
            .map(|(situation, why)| format!("| `{situation}` | {why} |")),
    );
    let (_, tables) = docs.split_once("## What it lacks").unwrap();
    let told: Vec<&str> = tables.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(told, rows);
}
