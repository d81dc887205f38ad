//! mongod.conf: what the real server reads from it, and where it refuses it.

use serde_json::Value;

use super::refusal::{StartError, bad};

/// The keys that mongod knows, beside those below `setParameter`. After
/// <https://www.mongodb.com/docs/manual/reference/configuration-options/>.
const KNOWN: &[&str] = &[
    "cloud.monitoring.free.state",
    "net.bindIp",
    "net.bindIpAll",
    "net.compression.compressors",
    "net.ipv6",
    "net.listenBacklog",
    "net.maxIncomingConnections",
    "net.port",
    "net.serviceExecutor",
    "net.tls.CAFile",
    "net.tls.certificateKeyFile",
    "net.tls.certificateKeyFilePassword",
    "net.tls.clusterFile",
    "net.tls.mode",
    "net.tls.allowConnectionsWithoutCertificates",
    "net.tls.allowInvalidHostnames",
    "net.unixDomainSocket.enabled",
    "net.unixDomainSocket.filePermissions",
    "net.unixDomainSocket.pathPrefix",
    "net.wireObjectCheck",
    "operationProfiling.mode",
    "operationProfiling.slowOpSampleRate",
    "operationProfiling.slowOpThresholdMs",
    "processManagement.fork",
    "processManagement.pidFilePath",
    "processManagement.timeZoneInfo",
    "replication.enableMajorityReadConcern",
    "replication.oplogMinRetentionHours",
    "replication.oplogSizeMB",
    "replication.replSetName",
    "security.authorization",
    "security.clusterAuthMode",
    "security.clusterIpSourceAllowlist",
    "security.javascriptEnabled",
    "security.keyFile",
    "security.redactClientLogData",
    "security.transitionToAuth",
    "sharding.clusterRole",
    "storage.dbPath",
    "storage.directoryPerDB",
    "storage.engine",
    "storage.journal.commitIntervalMs",
    "storage.journal.enabled",
    "storage.oplogMinRetentionHours",
    "storage.syncPeriodSecs",
    "storage.wiredTiger.collectionConfig.blockCompressor",
    "storage.wiredTiger.engineConfig.cacheSizeGB",
    "storage.wiredTiger.engineConfig.directoryForIndexes",
    "storage.wiredTiger.engineConfig.journalCompressor",
    "storage.wiredTiger.indexConfig.prefixCompression",
    "systemLog.component.replication.verbosity",
    "systemLog.component.verbosity",
    "systemLog.destination",
    "systemLog.logAppend",
    "systemLog.logRotate",
    "systemLog.path",
    "systemLog.quiet",
    "systemLog.syslogFacility",
    "systemLog.timeStampFormat",
    "systemLog.traceAllExceptions",
    "systemLog.verbosity",
];

/// Those of them that are switches, and take no `yes`.
const SWITCHES: &[&str] = &[
    "net.bindIpAll",
    "net.ipv6",
    "net.unixDomainSocket.enabled",
    "net.wireObjectCheck",
    "processManagement.fork",
    "security.javascriptEnabled",
    "security.redactClientLogData",
    "security.transitionToAuth",
    "storage.directoryPerDB",
    "storage.journal.enabled",
    "storage.wiredTiger.engineConfig.directoryForIndexes",
    "systemLog.logAppend",
    "systemLog.quiet",
];

/// The file as a tree.
pub(super) fn parse(text: &str) -> Result<Value, StartError> {
    for (at, line) in text.lines().enumerate() {
        if let Some((column, why)) = misplaced_tab(line) {
            let at = at + 1;
            return bad(format!(
                "Error parsing YAML config file: yaml-cpp: error at line {at}, column {column}: {why}"
            ));
        }
    }
    // A `yes` is a text to the real server.
    let options = serde_saphyr::options! { strict_booleans: true };
    match serde_saphyr::from_str_with_options::<Option<Value>>(text, options) {
        Ok(None) => Ok(Value::Object(serde_json::Map::new())),
        Ok(Some(tree @ Value::Object(_))) => Ok(tree),
        Ok(Some(_)) => bad("Error parsing YAML config file: the root must be a map"),
        Err(error) => bad(format!("Error parsing YAML config file: yaml-cpp: {error}")),
    }
}

/// A tab that indents a line or stands before a comment: the column that is complained of, and why.
fn misplaced_tab(line: &str) -> Option<(usize, &'static str)> {
    let content = line.trim_start();
    let indent = &line[..line.len() - content.len()];
    let before_comment = line.find("\t#").map(|at| at + 1);
    match (indent.find('\t'), content.find(':')) {
        _ if content.is_empty() => None,
        // A key after a tab is none that may stand there, which is said when its colon comes.
        (Some(_), Some(colon)) if !content.starts_with('#') => {
            Some((indent.len() + colon + 1, "illegal map value"))
        }
        (Some(tab), _) => Some((tab + 1, "illegal tab when looking for indentation")),
        (None, _) => before_comment.map(|at| (at, "illegal tab before a comment")),
    }
}

/// The leaves of the tree by their dotted keys, in the order of the file. A section without keys is a leaf too.
pub(super) fn flatten(prefix: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                flatten(&path, value, into);
            }
        }
        leaf => into.push((prefix.to_owned(), leaf.clone())),
    }
}

/// Refuses keys that this version does not know.
pub(super) fn check(flat: &[(String, Value)], release: (u32, u32)) -> Result<(), StartError> {
    for (key, value) in flat {
        let gone = key == "storage.journal.enabled" && release >= (6, 1);
        let known = KNOWN.contains(&key.as_str()) || key.starts_with("setParameter.");
        if gone || !known {
            return bad(format!("Unrecognized option: {key}"));
        }
        if SWITCHES.contains(&key.as_str()) && !matches!(value, Value::Bool(_) | Value::Null) {
            let found = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return bad(format!(
                "Expected boolean switch but found string: {found} for option: {key}"
            ));
        }
    }
    Ok(())
}
