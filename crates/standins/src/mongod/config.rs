//! mongod's command line and its configuration file, with the real one's refusals.
//!
//! clusterctl edits this file, so a stand-in that took more than the real server takes would hide its mistakes:
//! tabs, unknown keys and keys that a version no longer knows end the start, as they do in production.

use std::path::PathBuf;

use bson::{Bson, Document, doc};
use clap::Parser;
use serde_json::Value;

/// The version that is told when nothing else is asked for.
pub const DEFAULT_VERSION: &str = "7.0.14";

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

/// Why mongod does not start: what it says to its standard error, with the exit code that goes with it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// mongod's exit code of it.
    pub exit: u8,
    /// What it says.
    pub message: String,
}

/// Exit code of a wrong option or configuration file.
pub const EXIT_BAD_OPTIONS: u8 = 2;
/// Exit code of an address that cannot be listened on.
pub const EXIT_NET_ERROR: u8 = 48;
/// Exit code of an uncaught error, such as a data directory in use.
pub const EXIT_UNCAUGHT: u8 = 100;

impl StartError {
    /// The end of a start with this exit code.
    pub fn new(exit: u8, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

/// The command line, under mongod's own names.
#[derive(Debug, Default, Parser)]
#[command(
    name = "mongod",
    disable_version_flag = true,
    about = "A stand-in for mongod, for clusterctl's lab"
)]
#[expect(missing_docs, reason = "mongod's own options")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a command line has as many switches as it has"
)]
pub struct CommandLine {
    #[arg(short = 'f', long)]
    pub config: Option<PathBuf>,
    #[arg(long = "dbpath")]
    pub db_path: Option<PathBuf>,
    #[arg(long)]
    pub port: Option<u16>,
    #[arg(long = "bind_ip")]
    pub bind_ip: Option<String>,
    #[arg(long = "bind_ip_all")]
    pub bind_ip_all: bool,
    #[arg(long = "logpath")]
    pub log_path: Option<PathBuf>,
    #[arg(long = "logappend")]
    pub log_append: bool,
    #[arg(long = "replSet")]
    pub repl_set: Option<String>,
    #[arg(long = "keyFile")]
    pub key_file: Option<PathBuf>,
    #[arg(long)]
    pub auth: bool,
    #[arg(long)]
    pub version: bool,
}

/// What mongod runs with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `storage.dbPath`.
    pub db_path: PathBuf,
    /// `net.port`.
    pub port: u16,
    /// `net.bindIp`, names and addresses.
    pub bind: Vec<String>,
    /// `systemLog.path`, where its destination is a file.
    pub log_path: Option<PathBuf>,
    /// `systemLog.logAppend`.
    pub log_append: bool,
    /// `replication.replSetName`.
    pub repl_set: Option<String>,
    /// `security.keyFile`.
    pub key_file: Option<PathBuf>,
    /// Whether clients must log in: `security.authorization`, or implied by the key file.
    pub auth: bool,
    /// `security.transitionToAuth`: clients and members are let in with and without a login.
    pub transition_to_auth: bool,
    /// For `getCmdLineOpts`.
    pub argv: Vec<String>,
    /// For `getCmdLineOpts`: what the file and the command line say, nested.
    pub parsed: Document,
    /// The version that it pretends to have.
    pub version: String,
}

impl Options {
    /// Reads the options of a command line and of its configuration file's text.
    pub fn read(
        line: &CommandLine,
        file: Option<&str>,
        argv: Vec<String>,
        version: &str,
    ) -> Result<Self, StartError> {
        let mut parsed = Document::new();
        if let Some(path) = &line.config {
            parsed.insert("config", path.display().to_string());
        }
        let mut flat = Vec::new();
        if let Some(text) = file {
            let tree = parse_yaml(text)?;
            flatten("", &tree, &mut flat);
            check(&flat, version)?;
            if let Bson::Document(nested) = to_bson(tree) {
                parsed.extend(nested);
            }
        }
        flat.extend(line.as_keys());
        for (key, value) in line.as_keys() {
            insert(&mut parsed, &key, value);
        }
        Self::from_keys(&flat, argv, parsed, version)
    }

    fn from_keys(
        flat: &[(String, Value)],
        argv: Vec<String>,
        parsed: Document,
        version: &str,
    ) -> Result<Self, StartError> {
        let get = |key: &str| flat.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value);
        let text =
            |key: &str| get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let is_set = |key: &str| get(key).and_then(Value::as_bool).unwrap_or(false);
        let port = text("net.port").map_or(Ok(27017), |port| port.parse());
        let key_file = text("security.keyFile").map(PathBuf::from);
        let log_path = text("systemLog.path").map(PathBuf::from);
        match text("systemLog.destination").as_deref() {
            None | Some("syslog") => {}
            Some("file") if log_path.is_some() => {}
            Some("file") => return bad("systemLog.path is required when destination is \"file\""),
            _ => return bad("systemLog.destination expects one of \"syslog\" or \"file\""),
        }
        let authorization = text("security.authorization");
        let repl_set = text("replication.replSetName").filter(|name| !name.is_empty());
        if repl_set.is_some() && key_file.is_none() && authorization.as_deref() == Some("enabled") {
            return bad(
                "BadValue: security.keyFile is required when authorization is enabled with replica sets\ntry 'mongod \
                 --help' for more information",
            );
        }
        if !matches!(authorization.as_deref(), None | Some("enabled" | "disabled")) {
            return bad("security.authorization expects one of \"enabled\" or \"disabled\"");
        }
        if text("systemLog.logRotate").as_deref() == Some("reopen") && !is_set("systemLog.logAppend") {
            return bad("logRotate=\"reopen\" requires logAppend=true");
        }
        let bind = if is_set("net.bindIpAll") {
            "0.0.0.0".into()
        } else {
            text("net.bindIp").unwrap_or("localhost".into())
        };
        Ok(Self {
            db_path: text("storage.dbPath").unwrap_or("/data/db".into()).into(),
            port: port
                .map_err(|_| StartError::new(EXIT_BAD_OPTIONS, "Error parsing option \"net.port\" as int"))?,
            bind: bind
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            log_path,
            log_append: is_set("systemLog.logAppend"),
            repl_set,
            auth: key_file.is_some() || authorization.as_deref() == Some("enabled"),
            key_file,
            transition_to_auth: is_set("security.transitionToAuth"),
            argv,
            parsed,
            version: version.to_owned(),
        })
    }

    /// The version's first two numbers.
    pub fn release(&self) -> (u32, u32) {
        release(&self.version)
    }
}

impl CommandLine {
    /// The options as keys of the configuration file.
    fn as_keys(&self) -> Vec<(String, Value)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let texts = [
            ("storage.dbPath", path(&self.db_path)),
            ("net.bindIp", self.bind_ip.clone()),
            ("systemLog.path", path(&self.log_path)),
            (
                "systemLog.destination",
                self.log_path.as_ref().map(|_| "file".to_owned()),
            ),
            ("replication.replSetName", self.repl_set.clone()),
            ("security.keyFile", path(&self.key_file)),
            ("security.authorization", self.auth.then(|| "enabled".to_owned())),
        ];
        let mut keys: Vec<_> = texts
            .into_iter()
            .filter_map(|(k, v)| Some((k.to_owned(), v?.into())))
            .collect();
        keys.extend(self.port.map(|port| ("net.port".to_owned(), port.into())));
        keys.extend(
            self.log_append
                .then(|| ("systemLog.logAppend".to_owned(), true.into())),
        );
        keys.extend(
            self.bind_ip_all
                .then(|| ("net.bindIpAll".to_owned(), true.into())),
        );
        keys
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T, StartError> {
    Err(StartError::new(EXIT_BAD_OPTIONS, message))
}

fn parse_yaml(text: &str) -> Result<Value, StartError> {
    for (at, line) in text.lines().enumerate() {
        let content = line.trim_start();
        let indent = &line[..line.len() - content.len()];
        if indent.contains('\t') && !content.is_empty() && !content.starts_with('#') {
            let column = indent.find('\t').unwrap_or(0) + 1;
            return bad(format!(
                "Error parsing YAML config file: yaml-cpp: error at line {}, column {column}: illegal tab when \
                 looking for indentation",
                at + 1
            ));
        }
    }
    match serde_saphyr::from_str::<Option<Value>>(text) {
        Ok(None) => Ok(Value::Object(serde_json::Map::new())),
        Ok(Some(tree @ Value::Object(_))) => Ok(tree),
        Ok(Some(_)) => bad("Error parsing YAML config file: the root must be a map"),
        Err(error) => bad(format!("Error parsing YAML config file: yaml-cpp: {error}")),
    }
}

fn flatten(prefix: &str, value: &Value, into: &mut Vec<(String, Value)>) {
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
        // A section without keys says nothing.
        Value::Null => {}
        leaf => into.push((prefix.to_owned(), leaf.clone())),
    }
}

fn check(flat: &[(String, Value)], version: &str) -> Result<(), StartError> {
    for (key, _) in flat {
        let gone = key == "storage.journal.enabled" && release(version) >= (6, 1);
        let known = KNOWN.contains(&key.as_str()) || key.starts_with("setParameter.");
        if gone || !known {
            return bad(format!(
                "Unrecognized option: {key}\ntry 'mongod --help' for more information"
            ));
        }
    }
    Ok(())
}

fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn to_bson(value: Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => flag.into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            None => Bson::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => text.into(),
        Value::Array(items) => Bson::Array(items.into_iter().map(to_bson).collect()),
        Value::Object(map) => Bson::Document(
            map.into_iter()
                .map(|(key, value)| (key, to_bson(value)))
                .collect(),
        ),
    }
}

fn insert(tree: &mut Document, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            tree.insert(path, to_bson(value));
        }
        Some((section, rest)) => {
            if let Bson::Document(inner) = tree.entry(section).or_insert(Bson::Document(doc! {})) {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, version: &str) -> Result<Options, StartError> {
        Options::read(&CommandLine::default(), Some(text), Vec::new(), version)
    }

    #[test]
    fn the_runbooks_file_is_read_before_6_1_only() {
        let text = "storage:\n  dbPath: /var/lib/mongodb\n  journal:\n    enabled: true\n  wiredTiger:\n    \
                    engineConfig:\n      directoryForIndexes: true\nreplication:\n  replSetName: rs0\nnet:\n  \
                    port: 27017\n  bindIp: \"127.0.0.1,db1\"\n";
        let options = read(text, "4.4.29").unwrap();
        assert_eq!(options.bind, ["127.0.0.1", "db1"]);
        assert_eq!(options.repl_set.as_deref(), Some("rs0"));
        assert!(!options.auth);
        let error = read(text, "7.0.14").unwrap_err();
        assert!(
            error
                .message
                .starts_with("Unrecognized option: storage.journal.enabled"),
            "{error}"
        );
        assert_eq!(error.exit, EXIT_BAD_OPTIONS);
    }

    #[test]
    fn tabs_unknown_keys_and_half_logs_end_the_start() {
        for (text, says) in [
            ("net:\n\tport: 1\n", "error at line 2, column 1: illegal tab"),
            ("net:\n  prot: 1\n", "Unrecognized option: net.prot"),
            (
                "replication:\nreplSetName: rs0\n",
                "Unrecognized option: replSetName",
            ),
            ("systemLog:\n  destination: file\n", "systemLog.path is required"),
            ("net: [\n", "Error parsing YAML"),
            (
                "replication:\n  replSetName: rs0\nsecurity:\n  authorization: enabled\n",
                "keyFile is required when authorization is enabled with replica sets",
            ),
        ] {
            let error = read(text, DEFAULT_VERSION).unwrap_err();
            assert!(error.message.contains(says), "{error}");
        }
    }

    #[test]
    fn a_key_file_implies_authorization_and_the_command_line_wins() {
        assert!(read("security:\n  keyFile: /k\n", DEFAULT_VERSION).unwrap().auth);
        let line = CommandLine {
            port: Some(4),
            repl_set: Some("rs1".into()),
            ..CommandLine::default()
        };
        let options = Options::read(&line, Some("net:\n  port: 3\n"), Vec::new(), DEFAULT_VERSION).unwrap();
        assert_eq!((options.port, options.repl_set.as_deref()), (4, Some("rs1")));
        assert_eq!(
            options.parsed.get_document("net").unwrap().get("port"),
            Some(&Bson::Int32(4))
        );
    }
}
