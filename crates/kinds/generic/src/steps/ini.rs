//! `ini`: one key of a file of `key = value` lines, with or without `[sections]`; all other lines stay.

use protocol::facts::FileQuery;
use protocol::{FactQuery, Query, Text};
use types::{Diagnostic, HostName};

use crate::arguments::Args;
use crate::arguments::masks;
use crate::files::{CannotEdit, Edited, edit};
use crate::on_host::{NotPlanned, OnHost};
use kit::{Cx, Task};

pub(crate) struct Ini {
    query: FileQuery,
    setting: Setting,
}

/// A key of a section, and the value that it should have.
pub struct Setting {
    /// The section, without brackets; `None` for the lines before the first one.
    section: Option<String>,
    key: String,
    value: String,
    /// The text between key and value, as it is written; blanks around it do not count when it is read.
    separator: String,
}

impl OnHost for Ini {
    const ARGUMENT: &'static str = "an argument of ini";

    fn read(args: &Args<'_>) -> Option<Self> {
        let path = args.path("path", "say where: path = \"/etc/app.conf\"");
        let secrets = args.secrets();
        let section = args.word("section");
        let key = args.required("key", "the key to set");
        let value =
            args.reader()
                .required("value", args.text("value", &secrets), "the value as it should be");
        let separator = args.word("separator");
        let parts = [section.as_ref(), key.as_ref(), value.as_ref(), separator.as_ref()];
        if let Some(part) = parts
            .into_iter()
            .flatten()
            .find(|part| part.text.contains(['\n', '\r']))
        {
            args.report(Diagnostic::error("there is a line break in it").at(part.span, "expected one line"));
            return None;
        }
        if let Some(key) = key
            .as_ref()
            .filter(|key| key.text.trim() != key.text || key.text.is_empty())
        {
            args.report(
                Diagnostic::error(format!("{:?} is not a key", key.text))
                    .at(key.span, "a word without blanks around it"),
            );
            return None;
        }
        let setting = Setting {
            section: section.map(|section| section.text),
            key: key?.text,
            value: value?.text.trim().to_owned(),
            separator: separator.map_or_else(|| "=".to_owned(), |separator| separator.text),
        };
        let masks = masks::masks_except(&setting.line());
        let masks: Vec<&str> = masks.iter().map(String::as_str).collect();
        let known = Text::new(&*setting.value);
        Some(Self {
            query: FileQuery::text(path?).knowing_those_of(&known).masking(&masks),
            setting,
        })
    }

    fn queries(&self) -> Vec<FactQuery> {
        vec![self.query.wrap()]
    }

    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned> {
        edit(host, &self.query, cx, |text| self.setting.edit(text))
    }
}

impl Setting {
    /// A setting as the fuzz targets have it.
    pub fn new(section: Option<&str>, key: &str, value: &str, separator: &str) -> Self {
        Self {
            section: section.map(str::to_owned),
            key: key.to_owned(),
            value: value.to_owned(),
            separator: separator.to_owned(),
        }
    }

    fn line(&self) -> String {
        format!("{}{}{}", self.key, self.separator, self.value)
    }

    /// The text with the setting, and what changed; `None` where it is so already.
    pub fn edit(&self, text: &str) -> Edited {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (mut section, mut end, mut found) = (None, None, Vec::new());
        if self.section.is_none() {
            end = Some(0);
        }
        for (at, line) in lines.iter().enumerate() {
            if let Some(name) = section_name(line) {
                section = Some(name.to_owned());
            }
            if section == self.section {
                if !line.trim().is_empty() {
                    end = Some(at + 1);
                }
                found.extend(self.value_at(line).map(|value| (at, value)));
            }
        }
        match found[..] {
            [] => Ok(Some((
                self.insert(text, &lines, end),
                format!("{} is not set", self.key),
            ))),
            [(_, ref value)] if lines_value(&lines, found[0].0, value) == self.value => Ok(None),
            [(at, ref value)] => {
                let line = lines[at];
                let changed = format!("{}{}{}", &line[..value.start], self.value, &line[value.end..]);
                let text = [&lines[..at].concat(), &changed, &lines[at + 1..].concat()]
                    .map(String::as_str)
                    .concat();
                Ok(Some((text, format!("{} differs", self.key))))
            }
            _ => {
                let numbers: Vec<String> = found.iter().map(|(at, _)| (at + 1).to_string()).collect();
                let why = format!("the lines {} set {}", numbers.join(", "), self.key);
                Err(CannotEdit::new(why, "leave one of them, and plan again"))
            }
        }
    }

    /// Where the value stands in a line that sets the key.
    fn value_at(&self, line: &str) -> Option<std::ops::Range<usize>> {
        let rest = line.trim_start().strip_prefix(&*self.key)?;
        let separator = self.separator.trim();
        let value = if separator.is_empty() {
            // A key without a value sets the empty one; a longer word is another key.
            (rest.trim().is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)?
        } else {
            rest.trim_start().strip_prefix(separator)?
        };
        let value = value.trim_start_matches([' ', '\t']);
        let start = line.len() - value.len();
        Some(start..start + value.trim_end().len())
    }

    /// The text with the line added: after the last line of its section, which is made at the end where missing.
    fn insert(&self, text: &str, lines: &[&str], end: Option<usize>) -> String {
        let ended = |text: &str| {
            if text.is_empty() || text.ends_with('\n') {
                ""
            } else {
                "\n"
            }
        };
        let line = self.line();
        match (end, &self.section) {
            (Some(end), _) => {
                let (before, after) = (lines[..end].concat(), lines[end..].concat());
                format!("{before}{}{line}\n{after}", ended(&before))
            }
            (None, section) => {
                let gap = if text.is_empty() { "" } else { "\n" };
                let name = section.as_deref().unwrap_or_default();
                format!("{text}{}{gap}[{name}]\n{line}\n", ended(text))
            }
        }
    }
}

fn lines_value<'a>(lines: &[&'a str], at: usize, value: &std::ops::Range<usize>) -> &'a str {
    &lines[at][value.clone()]
}

fn section_name(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']').map(str::trim)
}
