//! Words on their way to a screen: references to secrets become words, control characters become visible, long
//! lines are broken.

use console::measure_text_width;
use protocol::{Piece, Text};

/// A text as it may be shown: `(secret NAME)` for a secret, `(hidden)` for a value that stays on its host.
pub fn redact(text: &Text) -> String {
    let Ok(pieces) = text.pieces() else {
        return escape_controls(text.as_str());
    };
    let mut out = String::with_capacity(text.as_str().len());
    for piece in pieces {
        match piece {
            Piece::Plain(plain) => out.push_str(&escape_controls(plain)),
            Piece::Secret(reference) => {
                out.push_str("(secret ");
                out.push_str(reference.id.as_str());
                out.push(')');
            }
            Piece::Kept(_) => out.push_str("(hidden)"),
        }
    }
    out
}

/// A text whose control characters are visible, so that what a host says cannot steer the operator's terminal. Tabs
/// and ends of line stay.
pub fn escape_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\u{00}'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('\u{2421}'),
            c if is_control(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Whether a character steers a terminal: control characters, and those that change the order in which others are shown,
/// which can make a diff lie.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A sentence as it may be shown, on one line.
pub fn one_line(text: &str) -> String {
    let shown = redact(&Text::new(text.trim()));
    let lines: Vec<&str> = shown
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" · ").replace('\t', " ")
}

/// Breaks a paragraph at spaces: every line begins with `indent` spaces, and `first` stands in the first one's
/// indent. Words longer than a line, such as paths, are left whole so that they can be copied.
pub fn wrapped(first: &str, indent: usize, text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = format!(
        "{first}{}",
        " ".repeat(indent.saturating_sub(measure_text_width(first)))
    );
    let mut empty = true;
    for word in text.split_whitespace() {
        let needed = measure_text_width(&line) + usize::from(!empty) + measure_text_width(word);
        if !empty && needed > width {
            out.push_str(&line);
            out.push('\n');
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

/// `1 host`, `2 hosts`.
pub fn count(number: usize, noun: &str) -> String {
    let plural = match noun.strip_suffix("ch") {
        Some(stem) => format!("{stem}ches"),
        None => format!("{noun}s"),
    };
    let noun = if number == 1 { noun } else { &plural };
    format!("{number} {noun}")
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [others @ .., last] => {
            let others: Vec<&str> = others.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", others.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_and_never_shown() {
        let text = Text::new("requirepass ⟪secret:file:pw⟫\nmasterauth ⟪kept:38+11⟫\n");
        assert_eq!(
            redact(&text),
            "requirepass (secret file:pw)\nmasterauth (hidden)\n"
        );
    }

    #[test]
    fn a_host_cannot_steer_the_terminal() {
        assert_eq!(
            escape_controls("a\u{1b}[2J\r\u{7f}\u{9b}b\tc\n"),
            "a␛[2J␍␡\u{fffd}b\tc\n"
        );
        assert_eq!(escape_controls("user\u{202e}nimda"), "user\u{fffd}nimda");
        assert_eq!(one_line("  first\n\n  second\t3\n"), "first · second 3");
        assert_eq!(one_line("⟪secret:env:PW⟫\u{1b}"), "(secret env:PW)␛");
    }

    #[test]
    fn paragraphs_are_broken_at_spaces() {
        assert_eq!(
            wrapped("  why:", 7, "one two three /a/very/long/path x", 16),
            "  why: one two\n       three\n       /a/very/long/path\n       x\n"
        );
    }

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(count(1, "host"), "1 host");
        assert_eq!(count(0, "host"), "0 hosts");
        assert_eq!(count(2, "batch"), "2 batches");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
        assert_eq!(listed(&["a", "b"]), "a and b");
    }
}
