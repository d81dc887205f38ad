//! mongod's command line and its options, with the real one's refusals.
//!
//! clusterctl edits this file, so a stand-in that took more than the real server takes would hide its mistakes:
//! tabs, unknown keys and keys that a version no longer knows end the start, as they do in production.

use std::path::PathBuf;

use bson::{Bson, Document, doc};
use clap::Parser;
use serde_json::Value;

use super::config_file;
use super::control::Times;
use super::log::Line;
use super::refusal::{EXIT_BAD_INIT, EXIT_BAD_OPTIONS, StartError, bad};

/// The version that is told when nothing else is asked for.
pub const DEFAULT_VERSION: &str = "7.0.14";

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
    #[arg(long = "outputConfig")]
    pub output_config: bool,
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
    /// How long elections, heartbeats and stops take; a test may set others.
    pub times: Times,
}

impl Options {
    /// Reads the options of a command line and of its configuration file's text.
    pub fn read(
        line: &CommandLine,
        file: Option<&str>,
        argv: Vec<String>,
        version: &str,
    ) -> Result<Self, StartError> {
        let program = argv.first().cloned().unwrap_or("mongod".into());
        let options = Self::parse(line, file, argv, version);
        options.map_err(|mut error| {
            if error.logged.is_none() {
                error.message = format!("{}\ntry '{program} --help' for more information", error.message);
            }
            error
        })
    }

    fn parse(
        line: &CommandLine,
        file: Option<&str>,
        argv: Vec<String>,
        version: &str,
    ) -> Result<Self, StartError> {
        if line.output_config && release(version) < (4, 2) {
            return bad("Error parsing command line: unrecognised option '--outputConfig'");
        }
        let mut parsed = Document::new();
        if let Some(path) = &line.config {
            parsed.insert("config", path.display().to_string());
        }
        let mut flat = Vec::new();
        if let Some(text) = file {
            let tree = config_file::parse(text)?;
            config_file::flatten("", &tree, &mut flat);
            config_file::check(&flat, release(version))?;
            if let Bson::Document(nested) = to_bson(tree) {
                parsed.extend(nested);
            }
        }
        flat.extend(line.as_keys());
        for (key, value) in line.as_keys() {
            insert(&mut parsed, &key, value);
        }
        let port = validate(&flat)?;
        if line.output_config {
            parsed.insert("outputConfig", true);
            return Ok(Self {
                parsed,
                ..Self::default()
            });
        }
        Self::from_keys(&flat, port, argv, parsed, version)
    }

    fn from_keys(
        flat: &[(String, Value)],
        port: u16,
        argv: Vec<String>,
        parsed: Document,
        version: &str,
    ) -> Result<Self, StartError> {
        let get = |key: &str| last(flat, key);
        let text = |key: &str| get(key).map(text);
        let is_set = |key: &str| get(key).and_then(Value::as_bool).unwrap_or(false);
        let key_file = text("security.keyFile").map(PathBuf::from);
        let log_path = text("systemLog.path").map(PathBuf::from);
        match text("systemLog.destination").as_deref() {
            None | Some("syslog") => {}
            Some("file") if log_path.is_some() => {}
            Some("file") => {
                return bad("BadValue: systemLog.path is required if systemLog.destination is to a file");
            }
            _ => return bad("systemLog.destination expects one of \"syslog\" or \"file\""),
        }
        let authorization = text("security.authorization");
        let repl_set = text("replication.replSetName").filter(|name| !name.is_empty());
        if repl_set.is_some() && key_file.is_none() && authorization.as_deref() == Some("enabled") {
            return bad(
                "BadValue: security.keyFile is required when authorization is enabled with replica sets",
            );
        }
        let journal = get("storage.journal.enabled").and_then(Value::as_bool);
        if repl_set.is_some() && journal == Some(false) {
            let why = "Running wiredTiger without journaling in a replica set is not supported. Make sure you are not \
                       using --nojournal and that storage.journal.enabled is not set to 'false'.";
            return Err(StartError::new(EXIT_BAD_OPTIONS, why).logged(Line::storage(why)));
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
            port,
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
            times: Times::Lab,
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

/// What is validated before `--outputConfig` shows the options, as `OutputConfig` stands between the validation of options and
/// their use (`util/options_parser/options_parser_init.cpp`): the port, and the words of an option that has only two.
fn validate(flat: &[(String, Value)]) -> Result<u16, StartError> {
    let authorization = last(flat, "security.authorization").map(text);
    if !matches!(authorization.as_deref(), None | Some("enabled" | "disabled")) {
        let why = "security.authorization expects either 'enabled' or 'disabled'";
        return Err(StartError::new(EXIT_BAD_INIT, why).logged(Line::init(2, "BadValue", why)));
    }
    match last(flat, "net.port").map_or(Ok(27017), |port| text(port).parse()) {
        Ok(port) => Ok(port),
        Err(_) => bad("Error parsing option \"net.port\" as int: Did not consume whole string."),
    }
}

/// The value of a key; of one that is given twice the last.
fn last<'a>(flat: &'a [(String, Value)], key: &str) -> Option<&'a Value> {
    let found = flat.iter().rev().find(|(known, _)| known == key);
    found.map(|(_, value)| value).filter(|value| !value.is_null())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The first two numbers of a version.
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
            (
                "net:\n\tport: 1\n",
                "error at line 2, column 6: illegal map value",
            ),
            (
                "net:\n  port: 1\t# one\n",
                "error at line 2, column 10: illegal tab",
            ),
            ("security:\n  javascriptEnabled: yes\n", "Expected boolean switch"),
            ("net:\n  prot: 1\n", "Unrecognized option: net.prot"),
            (
                "replication:\nreplSetName: rs0\n",
                "Unrecognized option: replication\n",
            ),
            (
                "systemLog:\n  destination: file\n",
                "systemLog.path is required if",
            ),
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
