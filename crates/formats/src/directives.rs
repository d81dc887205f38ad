//! Editing configuration in the form that Redis, Valkey, Kvrocks and Sentinel share: a directive a line, its name,
//! then its arguments.
//!
//! Names are not case-sensitive, `#` begins a comment line, arguments may be quoted
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/config/>). Of a directive that stands twice the last
//! line holds, except for those that add up (`save`, `rename-command`, `client-output-buffer-limit`). Everything that is
//! not named keeps its place and its bytes, references to secrets included: they are ordinary characters here.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::lines;

/// A configuration's text, to be looked at and edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    lines: Vec<String>,
    ends_with_newline: bool,
    /// Whose names they are: see [`Engine::is_same_directive`].
    engine: Engine,
}

impl Directives {
    /// Takes a text of an engine apart; sentinels of Redis and Valkey read the same.
    pub fn parse(text: &str, engine: Engine) -> Self {
        Self {
            lines: lines(text).map(str::to_owned).collect(),
            ends_with_newline: text.ends_with('\n') || text.is_empty(),
            engine,
        }
    }

    /// The arguments of each line of a directive, in order, as they are written.
    pub fn all(&self, key: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter_map(|line| parts(line));
        lines
            .filter(|(name, _)| self.same(name, key))
            .map(|(_, value)| value)
            .collect()
    }

    /// The arguments of the line that holds: the last one.
    pub fn last(&self, key: &str) -> Option<&str> {
        self.all(key).pop()
    }

    /// The lines that begin with these words, without them: `["sentinel", "monitor"]`.
    pub fn after(&self, words: &[&str]) -> Vec<&str> {
        let lines = self.lines.iter();
        lines.filter_map(|line| rest(line, words)).collect()
    }

    /// Gives the lines that begin with these words other arguments, where they stand.
    pub fn set_after(&mut self, words: &[&str], value: &str) {
        for line in &mut self.lines {
            if rest(line, words).is_some() {
                *line = format!("{} {value}", words.join(" "));
            }
        }
    }

    /// Gives a directive this one value. Its last line is replaced where it stands; one that is missing is added at the
    /// end. What means the same is left as it is written.
    pub fn set(&mut self, key: &str, value: &str) {
        match self.position_of_last(key) {
            Some(at) if parts(&self.lines[at]).is_some_and(|(_, old)| same_setting(key, old, value)) => {}
            Some(at) => {
                // The name stays as it is written: it may be an alias.
                let name = parts(&self.lines[at]).map_or(key, |(name, _)| name).to_owned();
                self.lines[at] = format!("{name} {value}");
            }
            None => self.lines.push(format!("{key} {value}")),
        }
    }

    /// Gives a directive these lines, where its lines add up. They take the place of the first one. Where the words are
    /// the same, it is left as it is: Redis splits `save 3600 1 300 100` into two lines when it rewrites its file.
    pub fn set_all(&mut self, key: &str, values: &[String]) {
        let old = self.all(key);
        if !old.is_empty() && same_value(&old.join(" "), &values.join(" ")) {
            return;
        }
        let first = self
            .lines
            .iter()
            .position(|line| parts(line).is_some_and(|(name, _)| self.same(name, key)));
        let first = first.unwrap_or(self.lines.len());
        self.remove(key);
        for (at, value) in (first..).zip(values) {
            self.lines.insert(at, format!("{key} {value}"));
        }
    }

    /// Takes the lines of a directive out.
    pub fn remove(&mut self, key: &str) {
        let engine = self.engine;
        self.lines
            .retain(|line| !parts(line).is_some_and(|(name, _)| engine.is_same_directive(name, key)));
    }

    /// Gives each class that these values name its line of `client-output-buffer-limit`. Other classes keep theirs: CONFIG
    /// REWRITE writes a line for each (ran), and the last one of a class holds.
    pub fn set_classes(&mut self, key: &str, values: &[String]) {
        let class = |value: &str| value.split_whitespace().next().map(normal_word);
        for value in values {
            let of_class = |line: &&mut String| {
                parts(line).is_some_and(|(name, old)| {
                    self.engine.is_same_directive(name, key) && class(old) == class(value)
                })
            };
            match self.lines.iter_mut().rfind(of_class) {
                Some(line) if parts(line).is_some_and(|(_, old)| same_value(old, value)) => {}
                Some(line) => *line = format!("{key} {value}"),
                None => self.lines.push(format!("{key} {value}")),
            }
        }
    }

    /// Drops the lines that begin with these words.
    pub fn drop(&mut self, words: &[&str]) {
        self.lines.retain(|line| {
            let mut found = line.split_whitespace();
            !words
                .iter()
                .all(|word| found.next().is_some_and(|found| found.eq_ignore_ascii_case(word)))
        });
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        if !text.is_empty() && self.ends_with_newline {
            text.push('\n');
        }
        text
    }

    fn position_of_last(&self, key: &str) -> Option<usize> {
        self.lines
            .iter()
            .rposition(|line| parts(line).is_some_and(|(name, _)| self.same(name, key)))
    }

    fn same(&self, name: &str, key: &str) -> bool {
        self.engine.is_same_directive(name, key)
    }
}

/// What stands on a line after these words; `None` where it begins with others.
fn rest<'l>(line: &'l str, words: &[&str]) -> Option<&'l str> {
    words.iter().try_fold(line.trim(), |rest, word| {
        let (first, others) = rest.split_once(char::is_whitespace)?;
        first.eq_ignore_ascii_case(word).then(|| others.trim_start())
    })
}

/// Name and arguments of a line; `None` for comments and blank lines.
fn parts(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (name, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    Some((name, value.trim()))
}

/// Whether two values mean the same: quotes, letter case of words like `yes`, spaces between arguments and units of
/// memory are ways of writing.
pub fn same_value(a: &str, b: &str) -> bool {
    normal(a) == normal(b)
}

/// Whether two values of a directive mean the same. The classes of events are a set of letters, which engines write in an
/// order of their own (ran: `AKE` for `KEA`).
pub fn same_setting(key: &str, a: &str, b: &str) -> bool {
    let letters = |value: &str| -> BTreeSet<char> { unquoted(value).chars().collect() };
    same_value(a, b) || (key.eq_ignore_ascii_case("notify-keyspace-events") && letters(a) == letters(b))
}

/// A value in one way of writing, as `CONFIG GET` would show it.
pub fn normal(value: &str) -> String {
    let words: Vec<String> = value
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| !word.is_empty())
        .map(normal_word)
        .collect();
    words.join(" ")
}

/// Units as Redis reads them: `1k` is 1000 bytes and `1kb` is 1024 (`memtoull` in its util.c).
fn normal_word(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &lower[digits.len()..] {
        "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        "yes" | "no" | "replica" if digits.is_empty() => {
            return if lower == "replica" {
                "slave".to_owned()
            } else {
                lower
            };
        }
        _ => return word.to_owned(),
    };
    match digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
    {
        Some(bytes) => bytes.to_string(),
        None => word.to_owned(),
    }
}

/// The value without the quotes around it.
pub fn unquoted(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}
