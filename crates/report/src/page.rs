//! A text as it goes out: nothing in it can steer a terminal but the colours that this crate put there.
//!
//! What is shown comes from hosts, files and other people: the holder of a lock, a path, a title in the journal.
//! Every text becomes a [`Page`] before it is written. A text from elsewhere becomes one with all of its control
//! characters visible; a text that was drawn here keeps the styles of [`crate::Screen`], and its parts were cleaned when
//! they were painted.

use std::fmt;
use std::ops::Deref;

use crate::Screen;
use crate::text::{escape_controls, one_line};

/// A text that may be written to a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page(String);

impl Page {
    /// A text that was drawn for a screen; where that has no colour, no style is left.
    pub(crate) fn drawn(text: &str, screen: &Screen) -> Self {
        if screen.colour {
            Self::styled(text)
        } else {
            Self(escape_controls(text))
        }
    }

    /// A text whose colours are its own, such as the help of the command line: they stay, and nothing else does.
    pub fn styled(text: &str) -> Self {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('\u{1b}') {
            out.push_str(&escape_controls(&rest[..at]));
            rest = &rest[at..];
            let len = style(rest).unwrap_or(0);
            out.push_str(&rest[..len]);
            if len == 0 {
                out.push_str(&escape_controls("\u{1b}"));
            }
            rest = &rest[len.max(1)..];
        }
        out.push_str(&escape_controls(rest));
        Self(out)
    }

    /// A sentence from elsewhere, such as an error, on one line: a line of its own could pass for one of ours.
    pub fn sentence(text: &str) -> Self {
        Self(one_line(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The length of the style that a text begins with, where it is one that is used here: weight, slant and colour of
/// letters. What hides text, inverts it or makes it blink is none.
fn style(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("\u{1b}[")?;
    let end = inner.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    let codes = &inner[..end];
    let is_known = match codes.strip_prefix("38;5;") {
        Some(colour) => colour
            .parse::<u8>()
            .is_ok_and(|colour| colour != 0 && colour < 16),
        None => matches!(codes.parse(), Ok(0..=4_u8 | 22..=24 | 31..=37 | 39 | 90..=97)),
    };
    (is_known && inner[end..].starts_with('m')).then_some("\u{1b}[m".len() + end)
}

impl From<&str> for Page {
    fn from(text: &str) -> Self {
        Self(escape_controls(text))
    }
}

impl From<String> for Page {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for Page {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl Deref for Page {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for Page {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Page {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_styles_of_ours_pass_through() {
        let text = "\u{1b}[1m\u{1b}[31mred\u{1b}[0m \u{1b}[38;5;1mdown\u{1b}[39m";
        assert_eq!(Page::styled(text), text);
        for hostile in [
            "\u{1b}[2J",
            "\u{1b}[8mhidden",
            "\u{1b}[7m",
            "\u{1b}[31;8m",
            "\u{1b}[38;5;0m",
            "\u{1b}]0;title\u{7}",
            "\u{1b}[",
            "\u{1b}",
            "\u{9b}2J",
            "\r",
        ] {
            let page = Page::styled(hostile);
            assert!(!page.contains(char::is_control), "{page:?}");
        }
    }

    #[test]
    fn a_text_from_elsewhere_keeps_no_style_at_all() {
        assert_eq!(Page::from("a\u{1b}[31mb\n"), "a␛[31mb\n");
        assert_eq!(
            Page::sentence("locked by x\nVerified: all well"),
            "locked by x · Verified: all well"
        );
    }
}
