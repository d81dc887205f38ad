//! What an action changes, line by line: a unified diff of a file, or commands as an operator would type them.
//!
//! The diff is made of what is shown, not of what is stored: secrets are words before they are compared.

use plan::Preview;
use protocol::Text;
use similar::{ChangeTag, TextDiff};

use crate::text::{count, redact};
use crate::{Paint, Screen};

/// Unchanged lines around each change.
const CONTEXT: usize = 3;

/// One line of a preview, and how it is painted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What sort of line it is.
    pub paint: Option<Paint>,
    /// The text, without its end of line.
    pub text: String,
}

/// A file that is replaced by an unlike one is shown as what it becomes, if it had more lines than this: the removed
/// default of a package is hundreds of lines of comments that hide the dozen that matter.
const LONG: usize = 40;
/// The likeness below which two texts are unlike; 1 is equal.
const UNLIKE: f32 = 0.3;

/// The lines of a preview, all of them.
pub fn lines(preview: &Preview) -> Vec<Line> {
    lines_of(preview, false)
}

/// The lines of a preview; with `brief`, a replaced file is shown as what it becomes.
fn lines_of(preview: &Preview, brief: bool) -> Vec<Line> {
    match preview {
        Preview::Commands(commands) => commands
            .iter()
            .flat_map(|command| command_lines(&redact(&Text::new(command.as_str()))))
            .collect(),
        Preview::File { before, after, .. } => {
            let (old, new) = (before.as_ref().map(redact), redact(after));
            let hidden = before.as_ref().is_some_and(|before| before != after);
            match old {
                Some(old) if old == new && hidden => {
                    vec![line(Paint::Faint, "(only hidden values differ)".to_owned())]
                }
                Some(old) if brief && is_replaced(&old, &new) => replacement(&old, &new),
                old => diff(old.as_deref(), &new),
            }
        }
    }
}

/// The same as plain text, for machines.
pub fn plain(preview: &Preview) -> String {
    let lines: Vec<String> = lines(preview).into_iter().map(|line| line.text).collect();
    lines.join("\n")
}

/// The lines painted and moved to the right.
pub fn drawn(preview: &Preview, indent: usize, screen: &Screen) -> String {
    let mut out = String::new();
    for line in lines_of(preview, true) {
        let text = match line.paint {
            Some(paint) => screen.paint(paint, line.text),
            None => line.text,
        };
        out.push_str(&" ".repeat(indent));
        out.push_str(&text);
        out.push('\n');
    }
    out
}

fn line(paint: Paint, text: String) -> Line {
    Line {
        paint: Some(paint),
        text,
    }
}

fn command_lines(command: &str) -> Vec<Line> {
    let prompts = std::iter::once("$ ").chain(std::iter::repeat("  "));
    prompts
        .zip(command.lines())
        .map(|(prompt, text)| Line {
            paint: None,
            text: format!("{prompt}{text}"),
        })
        .collect()
}

fn is_replaced(old: &str, new: &str) -> bool {
    old.lines().count() > LONG && TextDiff::from_lines(old, new).ratio() < UNLIKE
}

fn replacement(old: &str, new: &str) -> Vec<Line> {
    let gone = format!(
        "(replaces {}, which are kept in the backup)",
        count(old.lines().count(), "line")
    );
    let mut lines = vec![line(Paint::Faint, gone)];
    lines.extend(diff(None, new));
    lines
}

fn diff(old: Option<&str>, new: &str) -> Vec<Line> {
    let diff = TextDiff::from_lines(old.unwrap_or_default(), new);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        // A new file is one hunk; that it begins at line 1 is no news.
        if old.is_some() {
            lines.push(line(Paint::Info, hunk.header().to_string()));
        }
        for change in hunk.iter_changes() {
            let (sign, paint) = match change.tag() {
                ChangeTag::Delete => ('-', Some(Paint::Bad)),
                ChangeTag::Insert => ('+', Some(Paint::Good)),
                ChangeTag::Equal => (' ', None),
            };
            let text = change.value().trim_end_matches('\n');
            lines.push(Line {
                paint,
                text: format!("{sign}{text}"),
            });
            if change.missing_newline() {
                lines.push(line(
                    Paint::Faint,
                    "\\ no end of line at the end of the file".to_owned(),
                ));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(before: Option<&str>, after: &str) -> Preview {
        Preview::File {
            path: "/etc/x".to_owned(),
            before: before.map(Text::new),
            after: Text::new(after),
        }
    }

    #[test]
    fn a_long_file_that_is_replaced_is_shown_as_what_it_becomes() {
        let old: Vec<String> = (0..100).map(|at| format!("# default {at}\n")).collect();
        let old = old.concat();
        let drawn = drawn(&file(Some(&old), "port 26379\n"), 0, &Screen::plain());
        assert_eq!(
            drawn,
            "(replaces 100 lines, which are kept in the backup)\n+port 26379\n"
        );
        assert!(plain(&file(Some(&old), "port 26379\n")).contains("-# default 99"));
    }

    #[test]
    fn a_changed_file_is_a_unified_diff_without_secrets() {
        let before = "a\nb\nc\nd\npass ⟪kept:13+8⟫\ne\n";
        let after = "a\nb\nc\nd\npass ⟪secret:env:PW⟫\ne\nf";
        insta::assert_snapshot!(plain(&file(Some(before), after)), @r"
        @@ -2,5 +2,6 @@
         b
         c
         d
        -pass (hidden)
        +pass (secret env:PW)
         e
        +f
        \ no end of line at the end of the file
        ");
    }

    #[test]
    fn a_new_file_is_shown_whole_and_an_equal_one_not_at_all() {
        assert_eq!(plain(&file(None, "a\nb\n")), "+a\n+b");
        assert_eq!(plain(&file(Some("a\n"), "a\n")), "");
        let hidden = file(Some("⟪kept:0+3⟫\n"), "⟪kept:4+3⟫\n");
        assert_eq!(plain(&hidden), "(only hidden values differ)");
    }

    #[test]
    fn commands_are_shown_as_they_would_be_typed() {
        let commands = Preview::Commands(vec![
            "systemctl stop x".to_owned(),
            "a ⟪secret:env:PW⟫ \\\nb".to_owned(),
        ]);
        assert_eq!(
            plain(&commands),
            "$ systemctl stop x\n$ a (secret env:PW) \\\n  b"
        );
    }
}
