//! `file`: a whole file, its content written in the playbook or in a template beside it.

use plan::Preview;
use protocol::facts::FileQuery;
use protocol::{CANDIDATE, FactQuery, FileState, Query, Text};
use std::collections::BTreeMap;
use types::{Diagnostic, HostName, SecretId};

use crate::arguments::Args;
use crate::arguments::Place;
use crate::arguments::masks;
use crate::files::Write;
use crate::files::{Access, PlannedFile};
use crate::on_host::{NotPlanned, OnHost};
use kit::{Cx, Task};

pub(crate) struct File {
    query: FileQuery,
    text: Text,
    access: Access,
    /// Whether the text on the host may be shown: not where the line of a secret cannot be told from others.
    shown: bool,
    /// The program that tries a new text before it takes the file's place; empty where none does.
    validate: Vec<String>,
}

impl OnHost for File {
    const ARGUMENT: &'static str = "an argument of file";

    fn read(args: &Args<'_>) -> Option<Self> {
        let path = args.path("path", "say where: path = \"/etc/motd\"");
        let secrets = args.secrets();
        let text = content(args, &secrets);
        let mode = match args.reader().value("mode") {
            Some(_) => args.mode("mode"),
            None if secrets.is_empty() => Some(0o644),
            None => Some(0o600),
        };
        let (owner, group) = (args.account("owner"), args.account("group"));
        let validate = validation(args);
        let (text, mode) = (text?, mode?);
        if let Some(value) = args
            .reader()
            .value("mode")
            .filter(|_| mode & 0o004 != 0 && !text.secrets().is_empty())
        {
            let warning = Diagnostic::warning("everybody on the host may read a secret");
            args.report(
                warning
                    .at(value.span, "this mode lets them")
                    .hint("mode = \"0640\" with the group that needs it"),
            );
        }
        let masks = masks::masks_for(&text);
        let shown = masks.is_some();
        let mut query = FileQuery::text(path?).knowing_those_of(&text);
        query.masks = masks.unwrap_or_default();
        query.masks.extend(masks::masks_except(text.as_str()));
        Some(Self {
            query,
            text,
            access: Access {
                mode,
                owner: owner?,
                group: group?,
            },
            shown,
            validate: validate?,
        })
    }

    fn queries(&self) -> Vec<FactQuery> {
        vec![self.query.wrap()]
    }

    fn plan(&self, host: &HostName, cx: &Cx<'_>) -> Result<Option<Task>, NotPlanned> {
        let (before, was, reason) = match PlannedFile::find(host, &self.query, cx)? {
            PlannedFile::Missing => (None, FileState::Absent, "it is missing".to_owned()),
            PlannedFile::Coming => (None, FileState::Any, "it does not exist yet".to_owned()),
            PlannedFile::Exists { text, access, was } => {
                let same = text.as_ref() == Some(&self.text);
                match (same, access == self.access) {
                    (true, true) => return Ok(None),
                    (true, false) => (text, was, format!("it is {access} instead of {}", self.access)),
                    (false, _) => (text, was, "its content differs".to_owned()),
                }
            }
        };
        let write = Write {
            path: &self.query.path,
            before,
            after: self.text.clone(),
            access: &self.access,
            was,
            reason,
        };
        let mut task = write.task(host);
        if !self.shown && matches!(task.preview, Some(Preview::File { before: Some(_), .. })) {
            task.preview = None;
        }
        if !self.validate.is_empty() {
            task = task.tried_by(self.validate.iter().cloned());
        }
        Ok(Some(task))
    }
}

/// The program of `validate`, with the place of the file that is tried among its arguments; empty where none is given.
fn validation(args: &Args<'_>) -> Option<Vec<String>> {
    let Some(value) = args.reader().value("validate") else {
        return Some(Vec::new());
    };
    let words: Vec<String> = args
        .words("validate")?
        .into_iter()
        .map(|word| word.text)
        .collect();
    if words.iter().skip(1).any(|word| word.contains(CANDIDATE)) {
        return Some(words);
    }
    let error = Diagnostic::error(format!("no argument of validate has {CANDIDATE}"));
    let hint =
        "validate = [\"visudo\", \"--check\", \"--file\", \"%s\"]; %s is the path of the file that is tried";
    args.report(error.at(value.span, "it would not try the file").hint(hint));
    None
}

/// The text, from `content` or `template`; exactly one of them is given.
fn content(args: &Args<'_>, secrets: &BTreeMap<String, SecretId>) -> Option<Text> {
    let reader = args.reader();
    let (content, template) = (reader.value("content"), reader.value("template"));
    match (content, template) {
        (Some(_), None) => args
            .text("content", secrets)
            .map(|content| Text::new(content.text)),
        (None, Some(_)) => from_template(args, secrets),
        (Some(_), Some(value)) => {
            let error = Diagnostic::error("content and template are both given").at(value.span, "choose one");
            args.report(error);
            None
        }
        (None, None) => {
            let error =
                Diagnostic::error("content is missing").at(reader.span(), "needs content, or template");
            args.report(
                error.hint("content = \"...\", or template = \"NAME\" for a file beside the playbook"),
            );
            None
        }
    }
}

fn from_template(args: &Args<'_>, secrets: &BTreeMap<String, SecretId>) -> Option<Text> {
    let name = args.reader().string("template")?;
    let span = args.reader().value("template")?.span;
    let source = args
        .cx
        .templates
        .get(name)
        .and_then(|&id| Some((id, args.cx.sources.get(id)?)));
    let Some((id, source)) = source else {
        let error = Diagnostic::error(format!("there is no template {name:?}"));
        args.report(error.at(span, "no such file beside the playbook"));
        return None;
    };
    if let Some((at, found)) = source
        .text
        .match_indices([protocol::text::OPEN, protocol::text::CLOSE])
        .next()
    {
        let error = Diagnostic::error(format!("the character {found} is reserved"));
        let span = types::Span::new(id, at..at + found.len());
        args.report(
            error
                .at(span, "marks references to secrets in plans")
                .hint("write the text without it"),
        );
        return None;
    }
    args.render(&source.text, Place::File(id), Some(secrets))
        .map(Text::new)
}
