//! An apply in the background: tests look on, and kill, interrupt or disturb it at a moment of their choice.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::Bed;

/// A running apply. It is the iterator of the events that it tells.
pub struct Applying {
    child: Child,
    events: Box<dyn Iterator<Item = Value>>,
}

impl Applying {
    /// `clusterctl apply inventory.toml --ssh-config none --yes --json WORDS`.
    pub fn start(bed: &Bed, words: &[&str]) -> Self {
        let apply = [
            "apply",
            "inventory.toml",
            "--ssh-config",
            "none",
            "--yes",
            "--json",
        ];
        let mut child = bed
            .command(&[&apply, words].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let output = child.stdout.take().expect("its output is ours");
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let events = lines.map(|line| serde_json::from_str(&line).expect("an event is JSON"));
        Self {
            child,
            events: Box::new(events),
        }
    }

    /// An apply whose program is killed (SIGKILL) when it has told so many events; those events, and none killed where there
    /// were fewer.
    pub fn killed_after(bed: &Bed, words: &[&str], events: usize) -> Vec<Value> {
        let mut applying = Self::start(bed, words);
        let told = applying.by_ref().take(events).collect();
        applying.kill();
        told
    }

    /// Kills it (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Interrupts it, as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "it cannot be interrupted"
        );
    }

    /// The rest of its events, and its exit code.
    pub fn end(mut self) -> (Vec<Value>, Option<i32>) {
        let rest = self.by_ref().collect();
        (rest, self.child.wait().expect("it ends").code())
    }
}

impl Iterator for Applying {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        self.events.next()
    }
}

/// After which of an apply's events its program is killed: so many points, evenly from the first event to the last but one.
pub fn kill_points(events: usize, points: usize) -> Vec<usize> {
    let point = |at| 1 + at * (events - 2) / points.saturating_sub(1).max(1);
    (0..points).map(point).collect()
}

/// Whether an event tells this of a node with these words in its name.
pub fn tells(event: &Value, what: &str, node: &str) -> bool {
    event["event"] == what && event["node"].as_str().is_some_and(|name| name.contains(node))
}
