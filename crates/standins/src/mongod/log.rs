//! mongod's structured log: a line of JSON for each thing that happens.
//!
//! After <https://www.mongodb.com/docs/manual/reference/log-messages/>; the few messages that people and gates look
//! for carry the real server's text and number.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// Where the lines go.
#[derive(Debug)]
pub struct Log {
    path: Option<PathBuf>,
    file: Mutex<Option<File>>,
}

impl Log {
    /// Opens the log file, or the standard output where there is none.
    pub fn open(path: Option<PathBuf>, append: bool) -> std::io::Result<Self> {
        let file = match &path {
            Some(path) if append => Some(OpenOptions::new().create(true).append(true).open(path)?),
            Some(path) => Some(File::create(path)?),
            None => None,
        };
        Ok(Self {
            path,
            file: Mutex::new(file),
        })
    }

    /// Opens the file anew, after somebody moved it away (`SIGUSR1`).
    pub fn reopen(&self) {
        if let Some(path) = &self.path
            && let Ok(new) = OpenOptions::new().create(true).append(true).open(path)
        {
            *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
        }
    }

    /// Writes one line of severity I, W, E or F.
    pub fn write(&self, severity: &str, component: &str, id: u32, message: &str, attributes: &Value) {
        let mut line = json!({
            "t": {"$date": now()}, "s": severity, "c": component, "id": id, "ctx": "standin", "msg": message,
        });
        if !attributes.is_null() {
            line["attr"] = attributes.clone();
        }
        let line = format!("{line}\n");
        // A log that cannot be written is no reason to stop a database.
        let _ = match &mut *self.file.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(file) => file.write_all(line.as_bytes()),
            None => std::io::stdout().write_all(line.as_bytes()),
        };
    }

    /// Writes a line that is made already.
    pub fn line(&self, line: &Line) {
        self.write(
            line.severity,
            line.component,
            line.id,
            line.message,
            &line.attributes,
        );
    }

    /// Writes one line of the replication component.
    pub fn repl(&self, id: u32, message: &str, attributes: &Value) {
        self.write("I", "REPL", id, message, attributes);
    }
}

/// One line before it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    severity: &'static str,
    component: &'static str,
    id: u32,
    message: &'static str,
    attributes: Value,
}

impl Line {
    /// The line of this severity, component and number.
    pub fn new(
        severity: &'static str,
        component: &'static str,
        id: u32,
        message: &'static str,
        attributes: Value,
    ) -> Self {
        Self {
            severity,
            component,
            id,
            message,
            attributes,
        }
    }

    /// A wrong value that is found out while starting.
    pub fn init(code: i32, name: &str, why: &str) -> Self {
        let error = json!({"error": {"code": code, "codeName": name, "errmsg": why}});
        Self::new("F", "CONTROL", 20574, "Error during global initialization", error)
    }

    /// A data directory that cannot be used.
    pub fn storage(why: &str) -> Self {
        Self::new(
            "E",
            "STORAGE",
            20557,
            "DBException in initAndListen, terminating",
            json!({"error": why}),
        )
    }
}

/// The time as mongod writes it: with all three places of the milliseconds, and the offset in digits.
fn now() -> String {
    let now = bson::DateTime::now().try_to_rfc3339_string().unwrap_or_default();
    let (seconds, millis) = now
        .trim_end_matches('Z')
        .split_once('.')
        .unwrap_or((now.trim_end_matches('Z'), "0"));
    format!("{seconds}.{millis:0<3}+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_with_a_time_of_one_width() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = Log::open(Some(path.clone()), false).unwrap();
        log.repl(1, "said", &Value::Null);
        let line: Value = serde_json::from_str(std::fs::read_to_string(path).unwrap().trim()).unwrap();
        assert_eq!(line["msg"], "said");
        assert_eq!(
            line["t"]["$date"].as_str().unwrap().len(),
            "2026-11-24T10:27:41.720+00:00".len()
        );
    }
}
