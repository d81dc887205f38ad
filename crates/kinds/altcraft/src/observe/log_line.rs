//! The line that a process logs when it has started: its host, and whether it is the master.
//!
//! Source: the runbook ("Altcraft Platform Cluster Setup"), which shows one of each process. A line is an object of JSON
//! whose `pid` tells of which process it is.

use serde_json::Value;

/// The pattern of a line about a start.
pub(crate) const START: &str = r"is master (true|false)|is_primary: (true|false)";
/// The pattern of a line about a failure.
pub(crate) const COMPLAINT: &str = r#""level":\s*"(fatal|panic|error)""#;

/// A start, as the process logged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) pid: u32,
    /// `HOST_ID` as it read it.
    pub(crate) host_id: String,
    pub(crate) is_master: bool,
    /// The port of its RPC address.
    pub(crate) port: Option<u16>,
    pub(crate) version: String,
}

/// Reads a line about a start.
pub(crate) fn start(line: &str) -> Option<Start> {
    let value: Value = serde_json::from_str(line).ok()?;
    let message = value.get("message")?.as_str()?;
    let word_after = |mark: &str| {
        let rest = message.split_once(mark)?.1;
        rest.split([',', ' ']).next()
    };
    let is_master = match word_after("is master ").or_else(|| word_after("is_primary: "))? {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    let address = word_after("started on ").or_else(|| word_after("rpc addr: "));
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Start {
        pid: pid(&value)?,
        host_id: text("hid")
            .or_else(|| word_after("host_id: ").map(str::to_owned))
            .unwrap_or_default(),
        is_master,
        port: address.and_then(|address| address.rsplit_once(':')?.1.parse().ok()),
        version: text("ver").unwrap_or_default(),
    })
}

/// The message of a line about a failure.
pub(crate) fn complaint(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    Some(value.get("message")?.as_str()?.to_owned())
}

fn pid(value: &Value) -> Option<u32> {
    value.get("pid")?.as_u64().and_then(|pid| u32::try_from(pid).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runbook's own lines.
    const TASK: &str = r#"{"level":"info","proc":"proctask","pid":306390,"hid":"app1","ver":"v2023.3.65.2060","file":"server/task_server.go:314","time":"2023-10-17T07:00:00Z","message":"Altcraft Platform [proctask] v2023.3.65.2060-g8377e3e65b ((HEAD) @Now app1 started on app1:8962, is master true"}"#;
    const WORKFLOW: &str = r#"{"level":"info","proc":"procworkflow","pid":306827,"hid":"app1","ver":"v2023.3.65.2060","file":"workflow/controlworkflow.go:108","time":"2023-10-17T07:00:00Z","message":"Altcraft Platform [procworkflow] v2023.3.65.2060-g8377e3e65b ((HEAD) @Now started, workers: 6, process: 5896e0fa252eefa7_306827, host_id: app1, is_primary: true, rpc addr: app1:7962"}"#;

    fn started(pid: u32, port: u16) -> Start {
        Start {
            pid,
            host_id: "app1".to_owned(),
            is_master: true,
            port: Some(port),
            version: "v2023.3.65.2060".to_owned(),
        }
    }

    #[test]
    fn the_runbooks_lines_are_read() {
        assert_eq!(start(TASK), Some(started(306_390, 8962)));
        assert_eq!(start(WORKFLOW), Some(started(306_827, 7962)));
        assert!(start(&TASK.replace("master true", "master false")).is_some_and(|start| !start.is_master));
    }

    #[test]
    fn other_lines_are_not() {
        assert_eq!(start("is master true"), None);
        assert_eq!(start(r#"{"message":"is master true"}"#), None);
        assert_eq!(
            start(r#"{"pid":1,"message":"nobody knows whether it is master"}"#),
            None
        );
    }
}
