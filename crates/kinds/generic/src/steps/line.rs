//! `line`: one line of a text file; all others stay.

use protocol::facts::FileQuery;
use protocol::{FactQuery, Query, Text};
use regex_lite::Regex;
use types::{Diagnostic, HostName};

use crate::arguments::Args;
use crate::arguments::masks;
use crate::files::{CannotEdit, Edited, edit};
use crate::on_host::{NotPlanned, OnHost};
use kit::{Cx, Task};

pub(crate) struct Line {
    query: FileQuery,
    wanted: String,
    replaces: Option<Regex>,
}

impl OnHost for Line {
    const ARGUMENT: &'static str = "an argument of line";

    fn read(args: &Args<'_>) -> Option<Self> {
        let path = args.path("path", "say where: path = \"/etc/ssh/sshd_config\"");
        let secrets = args.secrets();
        let line = args
            .reader()
            .required("line", args.text("line", &secrets), "the line as it should be");
        let pattern = args
            .word("match")
            .and_then(|pattern| match Regex::new(&pattern.text) {
                Ok(regex) => Some(regex),
                Err(error) => {
                    let message = format!("{:?} is not a pattern", pattern.text);
                    args.report(Diagnostic::error(message).at(pattern.span, error.to_string()));
                    None
                }
            });
        let line = line?;
        if line.text.trim().is_empty() || line.text.contains(['\n', '\r']) {
            args.report(
                Diagnostic::error("line is not one line")
                    .at(line.span, "expected one line that is not empty"),
            );
            return None;
        }
        let masks = masks::masks_except(&line.text);
        let masks: Vec<&str> = masks.iter().map(String::as_str).collect();
        Some(Self {
            query: FileQuery::text(path?)
                .knowing_those_of(&Text::new(&*line.text))
                .masking(&masks),
            wanted: line.text,
            replaces: pattern,
        })
    }

    fn queries(&self) -> Vec<FactQuery> {
        vec![self.query.wrap()]
    }

    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned> {
        edit(host, &self.query, cx, |text| self.edit(text))
    }
}

impl Line {
    fn edit(&self, text: &str) -> Edited {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let bare = |line: &str| line.trim_end_matches(['\n', '\r']).len();
        let is_there = lines.iter().any(|line| line[..bare(line)] == self.wanted);
        let Some(pattern) = &self.replaces else {
            return Ok((!is_there).then(|| (self.append(text), "the line is missing".to_owned())));
        };
        // A pattern for what the line replaces, such as the line commented out, says nothing once the line is there.
        if is_there && !pattern.is_match(&self.wanted) {
            return Ok(None);
        }
        let matches: Vec<usize> = (0..lines.len())
            .filter(|&at| pattern.is_match(&lines[at][..bare(lines[at])]))
            .collect();
        if matches
            .iter()
            .all(|&at| lines[at][..bare(lines[at])] == self.wanted)
            && is_there
        {
            return Ok(None);
        }
        match matches[..] {
            [] => Ok(Some((self.append(text), "the line is missing".to_owned()))),
            [at] => {
                let ending = &lines[at][bare(lines[at])..];
                let before: String = lines[..at].concat();
                let after: String = lines[at + 1..].concat();
                let reason = format!("line {} differs", at + 1);
                Ok(Some((format!("{before}{}{ending}{after}", self.wanted), reason)))
            }
            _ => {
                let numbers: Vec<String> = matches.iter().map(|at| (at + 1).to_string()).collect();
                let why = format!("the lines {} match {:?}", numbers.join(", "), pattern.as_str());
                Err(CannotEdit::new(
                    why,
                    "leave one of them, or write a narrower pattern, and plan again",
                ))
            }
        }
    }

    fn append(&self, text: &str) -> String {
        let ended = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        format!("{text}{ended}{}\n", self.wanted)
    }
}
