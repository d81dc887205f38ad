//! The server's configuration file, read as the server reads it and edited without touching what is not ours.
//!
//! The format is the server's own (`util/config.cpp`): a line is `key: value` or `key = value`, indented with one TAB a
//! level; a line's children are indented one level deeper; of lines with the same key under one parent the last one
//! holds. A line that begins with a space makes the server exit with status 1 (seen). The server drops the last
//! character of every line, taking it for the newline: a last line without one loses a character (seen).

use std::fmt::Write as _;

use thiserror::Error;

/// Why the server would not take the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} {what}")]
pub struct ConfError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conf {
    lines: Vec<Line>,
    /// Whether the last line is whole.
    pub ends_with_newline: bool,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    raw: String,
    /// `None` for comments and blank lines.
    entry: Option<Entry>,
}

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    indent: usize,
    key: String,
    value: String,
    separator: char,
}

/// A line's place; any edit moves the places behind it.
pub type Place = usize;

impl Conf {
    /// Reads a file; an error where the server would exit.
    pub fn parse(text: &str) -> Result<Self, ConfError> {
        let mut lines = Vec::new();
        let mut deepest = 0;
        for (at, raw) in crate::lines(text).enumerate() {
            let error = |what| ConfError { line: at + 1, what };
            let entry = read_line(raw).map_err(error)?;
            if let Some(entry) = &entry {
                if entry.indent > deepest {
                    return Err(error(
                        "is indented deeper than one level below the line before it",
                    ));
                }
                deepest = entry.indent + 1;
            }
            lines.push(Line {
                raw: raw.to_owned(),
                entry,
            });
        }
        let ends_with_newline = text.is_empty() || text.ends_with('\n');
        Ok(Self {
            lines,
            ends_with_newline,
        })
    }

    /// The text, whose last line is whole.
    pub fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{}", line.raw);
            text
        })
    }

    /// The line of a path such as `["replication", "binlog"]`, as the server finds it.
    pub fn find(&self, path: &[&str]) -> Option<Place> {
        let (last, parents) = path.split_last()?;
        let parent = if parents.is_empty() {
            None
        } else {
            Some(self.find(parents)?)
        };
        self.children(parent)
            .into_iter()
            .rfind(|&at| self.key(at) == *last)
    }

    /// The value at a path.
    pub fn get(&self, path: &[&str]) -> Option<&str> {
        self.find(path).map(|at| self.value(at))
    }

    /// The lines right below a line, or at the top.
    pub fn children(&self, parent: Option<Place>) -> Vec<Place> {
        let (range, indent) = match parent {
            Some(at) => (at + 1..self.end(at), self.indent(at) + 1),
            None => (0..self.lines.len(), 0),
        };
        range
            .filter(|&at| {
                self.lines[at]
                    .entry
                    .as_ref()
                    .is_some_and(|entry| entry.indent == indent)
            })
            .collect()
    }

    /// The value of a child of a line.
    pub fn child(&self, parent: Place, key: &str) -> Option<&str> {
        let found = self
            .children(Some(parent))
            .into_iter()
            .rfind(|&at| self.key(at) == key);
        found.map(|at| self.value(at))
    }

    /// A line's key.
    pub fn key(&self, at: Place) -> &str {
        self.lines[at]
            .entry
            .as_ref()
            .map_or("", |entry| entry.key.as_str())
    }

    /// A line's value.
    pub fn value(&self, at: Place) -> &str {
        self.lines[at]
            .entry
            .as_ref()
            .map_or("", |entry| entry.value.as_str())
    }

    /// Gives a path this value, and makes the lines that lead to it where they are missing.
    pub fn set(&mut self, path: &[&str], value: &str) -> Place {
        if let Some(at) = self.find(path) {
            self.set_value(at, value);
            return at;
        }
        let Some((last, parents)) = path.split_last() else {
            return 0;
        };
        let parent =
            (!parents.is_empty()).then(|| self.find(parents).unwrap_or_else(|| self.set(parents, "")));
        self.add(parent, last, value)
    }

    /// Gives a line another value; one that is right is left as it is written.
    pub fn set_value(&mut self, at: Place, value: &str) {
        if let Some(entry) = self.lines[at].entry.as_mut()
            && entry.value != value
        {
            value.clone_into(&mut entry.value);
            self.lines[at].raw = entry.line();
        }
    }

    /// Adds a line below a parent, after all that stands there.
    pub fn add(&mut self, parent: Option<Place>, key: &str, value: &str) -> Place {
        let (at, indent) = match parent {
            Some(parent) => (self.end(parent), self.indent(parent) + 1),
            None => (self.lines.len(), 0),
        };
        let entry = Entry {
            indent,
            key: key.to_owned(),
            value: value.to_owned(),
            separator: ':',
        };
        self.lines.insert(
            at,
            Line {
                raw: entry.line(),
                entry: Some(entry),
            },
        );
        at
    }

    /// Takes a line and all below it away.
    pub fn remove(&mut self, at: Place) {
        let end = self.end(at);
        self.lines.drain(at..end);
    }

    fn indent(&self, at: Place) -> usize {
        self.lines[at].entry.as_ref().map_or(0, |entry| entry.indent)
    }

    /// The place after the last line that says something below a line. Comments and blank lines after it belong to
    /// whatever comes next.
    fn end(&self, at: Place) -> Place {
        let indent = self.indent(at);
        let mut end = at + 1;
        for (place, line) in self.lines.iter().enumerate().skip(at + 1) {
            match &line.entry {
                Some(entry) if entry.indent > indent => end = place + 1,
                Some(_) => break,
                None => {}
            }
        }
        end
    }
}

impl Entry {
    fn line(&self) -> String {
        let tabs = "\t".repeat(self.indent);
        let Self { key, value, .. } = self;
        match (self.separator, value.as_str()) {
            (':', "") => format!("{tabs}{key}:"),
            (':', value) => format!("{tabs}{key}: {value}"),
            (separator, value) => format!("{tabs}{key} {separator} {value}"),
        }
    }
}

fn read_line(raw: &str) -> Result<Option<Entry>, &'static str> {
    if raw.trim().is_empty() {
        return Ok(None);
    }
    let rest = raw.trim_start_matches('\t');
    let indent = raw.len() - rest.len();
    if rest.starts_with('#') {
        return Ok(None);
    }
    if rest.starts_with(char::is_whitespace) {
        return Err("is indented with a space, and the server takes only TABs");
    }
    let (key, value) = rest.split_once([':', '=']).ok_or("has neither ':' nor '='")?;
    let separator = if rest[key.len()..].starts_with(':') {
        ':'
    } else {
        '='
    };
    Ok(Some(Entry {
        indent,
        key: key.trim().to_owned(),
        value: value.trim().to_owned(),
        separator,
    }))
}

/// The masters that a file names. One without a place or a port is none to the server either (`serv.cpp`).
pub fn slaveofs(conf: &Conf) -> Vec<Place> {
    let Some(parent) = conf.find(&["replication"]) else {
        return Vec::new();
    };
    let mut found = conf.children(Some(parent));
    found.retain(|&at| {
        let has = |key| conf.child(at, key).is_some_and(|value| !value.is_empty());
        conf.key(at) == "slaveof" && (has("host") || has("ip")) && has("port")
    });
    found
}

/// The host of a line `slaveof`.
pub fn place(conf: &Conf, at: Place) -> &str {
    let place = conf.child(at, "host").or_else(|| conf.child(at, "ip"));
    place.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# top\nwork_dir = ./var\n\nserver:\n\tip: 127.0.0.1\n\n# two\nreplication:\n\tbinlog: yes\n\tslaveof:\n\t\tid: a\n\t#comment\n\tslaveof:\n\t\tid: b\n";

    #[test]
    fn what_is_not_named_keeps_its_bytes() {
        let mut conf = Conf::parse(FILE).unwrap();
        conf.set(&["server", "ip"], "127.0.0.1");
        conf.set(&["work_dir"], "./var");
        assert_eq!(conf.text(), FILE);
    }

    #[test]
    fn lines_are_found_and_changed_and_added_where_the_server_looks_for_them() {
        let mut conf = Conf::parse(FILE).unwrap();
        assert_eq!(conf.get(&["work_dir"]), Some("./var"));
        assert_eq!(conf.get(&["replication", "slaveof", "id"]), Some("b"));
        conf.set(&["work_dir"], "/data");
        conf.set(&["replication", "binlog", "capacity"], "5");
        conf.set(&["server", "port"], "4420");
        conf.set(&["logger", "level"], "info");
        let expected = FILE
            .replace("./var", "/data")
            .replace("binlog: yes\n", "binlog: yes\n\t\tcapacity: 5\n")
            .replace("127.0.0.1\n", "127.0.0.1\n\tport: 4420\n");
        assert_eq!(conf.text(), format!("{expected}logger:\n\tlevel: info\n"));
    }

    #[test]
    fn a_line_goes_with_all_below_it() {
        let mut conf = Conf::parse(FILE).unwrap();
        let parent = conf.find(&["replication"]);
        let slaveofs: Vec<Place> = conf
            .children(parent)
            .into_iter()
            .filter(|&at| conf.key(at) == "slaveof")
            .collect();
        conf.remove(slaveofs[0]);
        assert_eq!(conf.text(), FILE.replace("\tslaveof:\n\t\tid: a\n", ""));
    }

    #[test]
    fn what_the_server_would_not_take_is_told_with_its_line() {
        let says = |text: &str| Conf::parse(text).unwrap_err().to_string();
        assert_eq!(
            says("server:\n    ip: x\n"),
            "line 2 is indented with a space, and the server takes only TABs"
        );
        assert!(says("server:\n\t\tip: x\n").starts_with("line 2 is indented deeper"));
        assert_eq!(says("a: b\nnonsense\n"), "line 2 has neither ':' nor '='");
        assert!(!Conf::parse("a: b").unwrap().ends_with_newline);
    }
}
