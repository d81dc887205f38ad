//! mongod.conf, edited in place.
//!
//! The file is the operator's: only what we set is set, and every other byte stays. The editor keeps comments and
//! order; whether it did right is not taken on trust: the result is parsed again, by another parser, and must say what
//! the file said before, with our changes and no other.

use std::collections::BTreeMap;

use protocol::text::{CLOSE, OPEN};
use serde_json::{Map, Value};
use yaml_edit::{Document, Mapping, YamlFile};

/// Why a file cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadConf {
    /// What is wrong, with line and column where they are known.
    pub why: String,
}

/// A file that was read.
#[derive(Debug, Clone)]
pub struct Conf {
    text: String,
    /// Its values by their dotted paths, in mongod's own way: `net.port`.
    values: BTreeMap<String, Value>,
    /// Keys that have neither a value nor keys below them.
    empty: Vec<String>,
}

/// Options that are on or off (<https://www.mongodb.com/docs/manual/reference/configuration-options/>).
const SWITCHES: [&str; 17] = [
    "net.bindIpAll",
    "net.ipv6",
    "net.tls.allowConnectionsWithoutCertificates",
    "net.tls.allowInvalidCertificates",
    "net.tls.allowInvalidHostnames",
    "net.unixDomainSocket.enabled",
    "net.wireObjectCheck",
    "processManagement.fork",
    "replication.enableMajorityReadConcern",
    "security.javascriptEnabled",
    "security.redactClientLogData",
    "security.transitionToAuth",
    "storage.directoryPerDB",
    "storage.journal.enabled",
    "storage.wiredTiger.engineConfig.directoryForIndexes",
    "systemLog.logAppend",
    "systemLog.quiet",
];

/// Whether a value is none of its option's: mongod takes `true` and `false` for one that is on or off, and no `yes`.
pub fn is_no_switch(path: &str, value: &Value) -> bool {
    let is_flag = value.is_boolean() || matches!(value.as_str(), Some("true" | "false"));
    SWITCHES.contains(&path) && !is_flag
}

/// A change of one key; `None` removes it.
pub type Change = (String, Option<Value>);

impl Conf {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, BadConf> {
        no_tabs(text)?;
        // A `yes` is a text to mongod.
        let options = serde_saphyr::options! { strict_booleans: true };
        let tree: Option<Value> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let at = error.location().map_or(String::new(), |at| {
                format!("line {}, column {}: ", at.line(), at.column())
            });
            BadConf {
                why: format!("{at}{}", one_line(&error.to_string())),
            }
        })?;
        let (mut values, mut empty) = (BTreeMap::new(), Vec::new());
        match tree {
            None => {}
            Some(Value::Object(map)) => flatten("", &map, &mut values, &mut empty),
            Some(_) => {
                return Err(BadConf {
                    why: "line 1, column 1: the file is no mapping of keys to values".to_owned(),
                });
            }
        }
        Ok(Self {
            text: text.to_owned(),
            values,
            empty,
        })
    }

    /// Why mongod does not start with the file although it can be read; `None` where nothing is known against it.
    pub fn refused(&self) -> Option<String> {
        if let Some(key) = self.empty.first() {
            return Some(format!("{key} is empty: remove it, or put # before it"));
        }
        let mut values = self.values.iter();
        let (path, value) = values.find(|(path, value)| is_no_switch(path, value))?;
        Some(format!("{path} is {value}, and can be true or false only"))
    }

    /// The dotted paths of its values, with those.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(path, value)| (path.as_str(), value))
    }

    /// The value of a dotted path.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.values.get(path)
    }

    /// The text with changes; what is so already is left alone.
    pub fn edit(&self, changes: &[Change]) -> Result<String, BadConf> {
        let mut wanted = self.values.clone();
        let mut text = self.text.clone();
        let was_refused = self.refused().is_some();
        for (path, value) in changes {
            if wanted.get(path) == value.as_ref() {
                continue;
            }
            text = match value {
                Some(value) => set(&text, path, value)?,
                None => remove(&text, path)?,
            };
            match value {
                Some(value) => wanted.insert(path.clone(), value.clone()),
                None => wanted.remove(path),
            };
            let found = Self::parse(&text).map_err(|bad| unsafe_to_edit(path, &bad.why))?;
            if found.values != wanted || !keeps_comments(&self.text, &text) {
                return Err(unsafe_to_edit(path, "another key or a comment would change too"));
            }
            if let Some(why) = found.refused().filter(|_| !was_refused) {
                return Err(unsafe_to_edit(path, &why));
            }
        }
        Ok(text)
    }
}

fn unsafe_to_edit(path: &str, why: &str) -> BadConf {
    BadConf {
        why: format!("{path} cannot be changed safely in it: {why}"),
    }
}

/// mongod's parser (yaml-cpp) takes no tab for indentation, nor before a comment (seen on 4.9), where others are lenient.
fn no_tabs(text: &str) -> Result<(), BadConf> {
    let tabs = text.lines().enumerate();
    let mut tabs = tabs.filter_map(|(at, line)| Some((at, misplaced_tab(line)?)));
    match tabs.next() {
        None => Ok(()),
        Some((line, (column, what))) => Err(BadConf {
            why: format!(
                "line {}, column {}: a tab, and {what} with spaces only",
                line + 1,
                column + 1
            ),
        }),
    }
}

/// The column of a tab that indents a line or stands before a comment, and what takes spaces there.
fn misplaced_tab(line: &str) -> Option<(usize, &'static str)> {
    let content = line.trim_start();
    let indent = &line[..line.len() - content.len()];
    if let Some(tab) = indent.find('\t').filter(|_| !content.is_empty()) {
        return Some((tab, "YAML is indented"));
    }
    Some((line.find("\t#")?, "comments are set off"))
}

/// The first line of an error, without the place that the parser puts before it.
fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest.to_owned(),
        _ => line.to_owned(),
    }
}

/// The values by dotted paths, and the paths without one.
fn flatten(
    prefix: &str,
    map: &Map<String, Value>,
    values: &mut BTreeMap<String, Value>,
    empty: &mut Vec<String>,
) {
    for (key, value) in map {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Object(map) => flatten(&path, map, values, empty),
            Value::Null => empty.push(path),
            leaf => {
                values.insert(path, leaf.clone());
            }
        }
    }
}

/// Every comment of the one text is in the other.
fn keeps_comments(before: &str, after: &str) -> bool {
    let comments = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| {
            let at = line.find('#')?;
            (at == 0 || line[..at].ends_with([' ', '\t'])).then(|| line[at..].trim_end().to_owned())
        });
        lines.collect()
    };
    comments(before) == comments(after)
}

/// The text as the editor holds it, comments above and below the mapping included.
fn editable(text: &str) -> Result<YamlFile, BadConf> {
    text.parse().map_err(|error: yaml_edit::YamlError| BadConf {
        why: one_line(&error.to_string()),
    })
}

fn root(file: &YamlFile) -> Option<Mapping> {
    file.document()?.as_mapping()
}

/// A value as the editor takes it, quotes and inner keys included.
fn piece(text: &str) -> Result<Document, BadConf> {
    text.parse().map_err(|error: yaml_edit::YamlError| BadConf {
        why: one_line(&error.to_string()),
    })
}

/// The mapping that holds the last key of a path, as far as it is there, and what is left of the path.
fn descend<'p>(root: &Mapping, path: &'p str) -> (Mapping, &'p str) {
    // `net.port: 1` at the top means the same to mongod.
    if root.get(path).is_some() {
        return (root.clone(), path);
    }
    match path.split_once('.') {
        Some((section, rest)) => match root.get_mapping(section) {
            Some(inner) => descend(&inner, rest),
            None => (root.clone(), path),
        },
        None => (root.clone(), path),
    }
}

fn set(text: &str, path: &str, value: &Value) -> Result<String, BadConf> {
    let file = editable(text)?;
    let written = written(value);
    let Some((mapping, rest)) = root(&file).map(|root| descend(&root, path)) else {
        return Ok(append(text, path, &written));
    };
    if mapping.get(rest).is_some() {
        mapping.set(rest, piece(&written)?);
        return Ok(file.to_string());
    }
    let is_at_top = rest == path;
    let section = rest.split_once('.');
    match section {
        // A new section goes to the end of the file, with a blank line before it.
        _ if is_at_top && !has_empty(&mapping, section) => return Ok(append(text, path, &written)),
        None => mapping.set(rest, piece(&written)?),
        // Sections below one that is there.
        Some((section, below)) => mapping.set(section, piece(&nested(below, &written))?),
    }
    Ok(file.to_string())
}

/// Whether the section is there, and is empty.
fn has_empty(mapping: &Mapping, section: Option<(&str, &str)>) -> bool {
    section.is_some_and(|(section, _)| mapping.get(section).is_some())
}

fn remove(text: &str, path: &str) -> Result<String, BadConf> {
    let file = editable(text)?;
    if let Some((mapping, rest)) = root(&file).map(|root| descend(&root, path)) {
        mapping.remove(rest);
    }
    Ok(file.to_string())
}

fn append(text: &str, path: &str, written: &str) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if !text.is_empty() && !text.ends_with("\n\n") {
        text.push('\n');
    }
    text + &nested(path, written)
}

/// A path with its value, a line for each section.
fn nested(path: &str, written: &str) -> String {
    let keys: Vec<&str> = path.split('.').collect();
    let lines = keys.iter().enumerate().map(|(at, key)| {
        let indent = " ".repeat(at * 2);
        if at + 1 == keys.len() {
            format!("{indent}{key}: {written}\n")
        } else {
            format!("{indent}{key}:\n")
        }
    });
    lines.collect()
}

/// A scalar as YAML. Strings are quoted unless nobody could take them for something else.
fn written(value: &Value) -> String {
    let Value::String(text) = value else {
        return value.to_string();
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "_/.-".contains(c) || c == OPEN || c == CLOSE;
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && text.chars().all(plain);
    let is_other = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .contains(&text.to_ascii_lowercase().as_str());
    if is_word && !is_other {
        return text.clone();
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The package's file, shortened, and with what operators add.
    const PACKAGED: &str = "\
# mongod.conf

# for documentation of all options, see:
#   http://docs.mongodb.org/manual/reference/configuration-options/

# Where and how to store data.
storage:
  dbPath: /var/lib/mongodb
#  engine:
#  wiredTiger:

# network interfaces
net:
  port: 27017   # the default
  bindIp: 127.0.0.1


#security:

#replication:
setParameter:
  ttlMonitorSleepSecs: 30
";

    fn set_all(text: &str, changes: &[(&str, Value)]) -> Result<String, BadConf> {
        let changes: Vec<Change> = changes
            .iter()
            .map(|(path, value)| ((*path).to_owned(), Some(value.clone())))
            .collect();
        Conf::parse(text)?.edit(&changes)
    }

    #[test]
    fn values_are_changed_and_all_else_stays() {
        let changes = [
            ("replication.replSetName", Value::from("rs0")),
            ("net.bindIp", "127.0.0.1,db1".into()),
            ("security.keyFile", "/etc/mongod.key".into()),
            ("security.authorization", "enabled".into()),
            ("storage.wiredTiger.engineConfig.cacheSizeGB", 2.into()),
            ("net.maxIncomingConnections", 100.into()),
        ];
        insta::assert_snapshot!(set_all(PACKAGED, &changes).unwrap());
    }

    /// The runbook's example, indented as its author meant it.
    const RUNBOOK: &str = "\
storage:
  dbPath: /var/lib/mongodb
  wiredTiger:
    engineConfig:
      directoryForIndexes: true

replication:
  replSetName: rs0

net:
  port: 27017
  bindIp: \"127.0.0.1,db1\"
";

    #[test]
    fn what_is_so_already_is_left_alone() {
        let same = [
            ("replication.replSetName", "rs0".into()),
            ("net.bindIp", "127.0.0.1,db1".into()),
            ("net.port", 27017.into()),
        ];
        assert_eq!(set_all(RUNBOOK, &same).unwrap(), RUNBOOK);
        assert_eq!(Conf::parse(RUNBOOK).unwrap().get("net.port"), Some(&27017.into()));
    }

    #[test]
    fn keys_are_removed_and_their_neighbours_stay() {
        let conf = Conf::parse("net:\n  bindIpAll: true # all\n  port: 1\n").unwrap();
        let removed = conf.edit(&[("net.bindIpAll".to_owned(), None)]);
        // Its comment would go with it.
        assert!(removed.is_err(), "{removed:?}");
        let conf = Conf::parse("# mine\nnet:\n  bindIpAll: true\n  port: 1\n").unwrap();
        let removed = conf.edit(&[("net.bindIpAll".to_owned(), None)]).unwrap();
        assert_eq!(removed, "# mine\nnet:\n  port: 1\n");
    }

    #[test]
    fn other_ways_to_write_the_same() {
        for (before, after) in [
            ("net: {port: 1, bindIp: a}\n", "net: {port: 2, bindIp: a}\n"),
            ("net.port: 1\n", "net.port: 2\n"),
            ("net:\n    port: 1", "net:\n    port: 2"),
            ("\"net\":\n  'port': 1 # one\n", "\"net\":\n  'port': 2 # one\n"),
            ("", "net:\n  port: 2\n"),
            ("# nothing\n", "# nothing\n\nnet:\n  port: 2\n"),
            ("net:\n", "net:\n  port: 2\n"),
            ("net:\n  bindIp: a\n", "net:\n  bindIp: a\n  port: 2\n"),
            ("---\nnet:\n  port: 1\n...\n", "---\nnet:\n  port: 2\n...\n"),
        ] {
            let found = set_all(before, &[("net.port", 2.into())]);
            match found {
                Ok(text) => assert_eq!(text, after),
                Err(bad) => panic!("{before:?}: {bad:?}"),
            }
        }
    }

    #[test]
    fn a_file_that_is_no_yaml_is_refused_with_its_place() {
        let whys = [
            "net:\n\tport: 1\n",
            "net:\n  port: 1\n\t# one\n",
            "net:\n  port: 1\t# one\n",
            "a: 1\nnet: [\n",
            "- a\n",
            "net:\n  port: 1\n bindIp: x\n",
            "a: b: c\n",
        ];
        let whys = whys.map(|text| Conf::parse(text).unwrap_err().why);
        insta::assert_snapshot!(whys.join("\n"));
        // A tab elsewhere harms nobody.
        Conf::parse("#\tcomment\nnet:\n  port: 1 #\tone\n").unwrap();
    }

    /// 4.9: exit 2 and "Unrecognized option: replication" for a section without keys ("start:top-level replSetName" of the
    /// recorded replies), "Expected boolean switch" for `yes`.
    #[test]
    fn what_mongod_does_not_start_with_is_told_and_never_written() {
        let refused = |text: &str| Conf::parse(text).unwrap().refused();
        let whys = [
            "security:\n#  keyFile: /etc/key\nnet:\n  port: 1\n",
            "net:\n  tls:\n",
            "security:\n  javascriptEnabled: yes\n",
            "systemLog:\n  quiet: off\n",
        ];
        let whys = whys.map(|text| refused(text).unwrap());
        insta::assert_snapshot!(whys.join("\n"));
        for fine in [
            "security: {}\n",
            "net:\n  ipv6: \"true\"\n",
            "replication:\n  replSetName: yes\n",
            "# none\n",
        ] {
            assert_eq!(refused(fine), None, "{fine}");
        }
        // What is written into an empty section mends it; one that is emptied is left as a mapping without keys.
        let mended = set_all("security:\n", &[("security.keyFile", "/etc/key".into())]).unwrap();
        assert_eq!(refused(&mended), None);
        let emptied = Conf::parse("net:\n  bindIpAll: true\n").unwrap();
        let emptied = emptied.edit(&[("net.bindIpAll".to_owned(), None)]).unwrap();
        assert_eq!(refused(&emptied), None, "{emptied}");
        let written = set_all("net:\n  port: 1\n", &[("net.ipv6", "yes".into())]);
        assert!(written.unwrap_err().why.contains("true or false only"));
    }

    #[test]
    fn references_to_secrets_pass_through() {
        let text = "net:\n  tls:\n    certificateKeyFilePassword: ⟪kept:45+8⟫\n  port: 1\n";
        let after = set_all(text, &[("net.port", 2.into())]).unwrap();
        assert_eq!(after, text.replace("port: 1", "port: 2"));
    }

    #[test]
    fn strings_that_look_like_something_else_are_quoted() {
        for (value, text) in [
            ("rs0", "rs0"),
            ("true", "\"true\""),
            ("10", "\"10\""),
            ("a: b", "\"a: b\""),
            ("/var/lib/x.key", "/var/lib/x.key"),
            ("127.0.0.1,db1", "\"127.0.0.1,db1\""),
            ("", "\"\""),
        ] {
            assert_eq!(written(&value.into()), text);
        }
    }

    #[test]
    fn a_file_that_nests_without_a_bound_is_an_error() {
        let block: Vec<String> = (0..1500)
            .map(|level| format!("{}a:\n", " ".repeat(level)))
            .collect();
        for text in [
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "- ".repeat(100_000),
            block.concat(),
        ] {
            assert!(Conf::parse(&format!("a: {text}")).is_err());
            assert!(Conf::parse(&text).is_err());
        }
    }
}
