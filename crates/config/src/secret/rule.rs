//! What a secret must be like.

/// What a secret must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretRule {
    /// Fewest characters.
    pub min_len: usize,
    /// Most bytes.
    pub max_len: usize,
    /// The characters that it may be made of.
    pub takes: Takes,
}

/// The characters that a place for a secret takes. What a place cannot express is refused before anything is done: a
/// password that a server reads otherwise than the clients say it locks everybody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One line of characters that can be printed.
    Printable,
    /// The same without blanks at its ends, for readers that trim what they read.
    Trimmed,
    /// Printable ASCII characters without blanks at its ends, for readers that trim and decode by their locale.
    TrimmedAscii,
    /// Printable ASCII characters.
    Ascii,
    /// Printable ASCII characters but blanks, quotes and the backslash, for one word of a format without quoting.
    Word,
    /// Characters of base64.
    Base64,
    /// ASCII letters and digits.
    Alphanumeric,
}

impl Takes {
    /// Why a value is not taken, with the character that it may not have; `None` where it is taken.
    pub(super) fn refuses(self, value: &str) -> Option<String> {
        let (is_fit, what): (fn(char) -> bool, _) = match self {
            Self::Printable | Self::Trimmed => (|_| true, ""),
            Self::TrimmedAscii | Self::Ascii => {
                (|c| c.is_ascii_graphic() || c == ' ', "printable ASCII characters")
            }
            Self::Word => (
                |c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\'),
                "printable ASCII characters other than blanks, quotes and backslashes",
            ),
            Self::Base64 => (
                |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='),
                "characters of base64",
            ),
            Self::Alphanumeric => (|c| c.is_ascii_alphanumeric(), "letters and digits"),
        };
        if let Some(c) = value.chars().find(|&c| is_unprintable(c)) {
            return Some(format!(
                "it has {}, and must be one line of printable characters",
                shown(c)
            ));
        }
        if let Some(c) = value.chars().find(|&c| !is_fit(c)) {
            return Some(format!("it has {}, and may have {what} only", shown(c)));
        }
        let is_trimmed = matches!(self, Self::Trimmed | Self::TrimmedAscii);
        if is_trimmed && value.trim() != value {
            return Some("it has a blank at its beginning or end, which the server ignores".to_owned());
        }
        None
    }
}

/// Control characters, characters that Unicode or XML has none for, and the brackets of references.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}' | '⟪' | '⟫'
        )
}

/// A character as it can be told.
fn shown(c: char) -> String {
    match c {
        '\n' | '\r' => "an end of line".to_owned(),
        '\0' => "a NUL character".to_owned(),
        '\t' => "a tab".to_owned(),
        ' ' => "a blank".to_owned(),
        c if is_unprintable(c) || !c.is_ascii() => format!("the character U+{:04X}", u32::from(c)),
        c => format!("the character {c}"),
    }
}

impl SecretRule {
    /// A password that goes to its server as it is: at least 32 characters, as the runbook asks.
    pub const PASSWORD: Self = Self {
        min_len: 32,
        max_len: 1024,
        takes: Takes::Printable,
    };
    /// An Erlang cookie: an atom that goes into a file as it is, so letters and digits, and at least 32 of them.
    pub const COOKIE: Self = Self {
        max_len: 255,
        ..Self::PASSWORD.of(Takes::Alphanumeric)
    };

    /// The same for a place that takes these characters only.
    #[must_use]
    pub const fn of(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    /// The same for a place that takes no more than so many bytes.
    #[must_use]
    pub const fn at_most(self, max_len: usize) -> Self {
        Self { max_len, ..self }
    }
}
