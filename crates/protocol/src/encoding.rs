//! How the value of a secret is written in a file's format.
//!
//! A password may hold a quote, a backslash or `]]>`, and a file's format gives them a meaning of its own. The controller
//! knows the format and never the value; the agent knows the value and not the format. So a reference carries an
//! [`Encoding`]: the agent writes the value in it, and recognises the value that is written in it.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::{NameError, Secret, SecretId};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Encoding {
    /// As it is.
    #[default]
    Plain,
    /// Between the quotes of a JSON string, or of a double-quoted YAML one.
    Json,
    /// As text or attribute of an XML element.
    Xml,
    /// Within `<![CDATA[` and `]]>`.
    Cdata,
    /// Between the double quotes of a directive of Redis, Valkey or Kvrocks.
    Redis,
    /// As a part of a URL: everything but letters, digits, `-`, `.`, `_` and `~` is a percent code.
    Url,
}

impl Encoding {
    /// All of them, [`Encoding::Plain`] first.
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::Json,
        Self::Xml,
        Self::Cdata,
        Self::Redis,
        Self::Url,
    ];

    /// Its name in a reference.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Cdata => "cdata",
            Self::Redis => "redis",
            Self::Url => "url",
        }
    }

    /// The encoding of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// A value as it is written. A secret, for it tells as much as the value.
    pub fn encode(self, value: &str) -> Secret {
        match self {
            Self::Plain => Secret::new(value),
            Self::Cdata => Secret::new(value.replace("]]>", "]]]]><![CDATA[>")),
            Self::Json => each_char(value, json),
            Self::Xml => each_char(value, xml),
            Self::Redis => each_char(value, |c, out| redis(c, false, out)),
            Self::Url => each_char(value, url),
        }
    }

    /// All ways in which programs write the value, the one of [`Encoding::encode`] first.
    pub fn spellings(self, value: &str) -> Vec<Secret> {
        let mut all = vec![self.encode(value)];
        match self {
            Self::Plain | Self::Cdata | Self::Url => {}
            // Go hides HTML in JSON, Python everything that is not ASCII.
            Self::Json => {
                all.push(each_char(value, |c, out| json_but(c, "<>&\u{2028}\u{2029}", out)));
                all.push(each_char(value, json_ascii));
            }
            Self::Xml => all.push(each_char(value, |c, out| match c {
                '"' | '\'' => out.push(c),
                c => xml(c, out),
            })),
            // CONFIG REWRITE: what is not printable ASCII becomes bytes in hexadecimal (`sdscatrepr`).
            Self::Redis => all.push(each_char(value, |c, out| redis(c, true, out))),
        }
        let mut kept: Vec<Secret> = Vec::new();
        for spelling in all {
            if !kept.contains(&spelling) {
                kept.push(spelling);
            }
        }
        kept
    }
}

/// Encodes character by character, into a buffer that never moves: a moved one would leave a copy in memory.
fn each_char(value: &str, encode: impl Fn(char, &mut String)) -> Secret {
    // No encoding makes more than twelve bytes of a character: a surrogate pair in JSON.
    let mut out = String::with_capacity(value.len().saturating_mul(12));
    for c in value.chars() {
        encode(c, &mut out);
    }
    Secret::new(out)
}

fn json(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0'..='\u{1f}' => json_units(c, out),
        c => out.push(c),
    }
}

fn json_but(c: char, hidden: &str, out: &mut String) {
    if hidden.contains(c) {
        json_units(c, out);
    } else {
        json(c, out);
    }
}

fn json_ascii(c: char, out: &mut String) {
    if c.is_ascii() {
        json(c, out);
    } else {
        json_units(c, out);
    }
}

fn json_units(c: char, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.push_str("\\u");
        for shift in [12, 8, 4, 0] {
            digit(u32::from(*unit) >> shift, b"0123456789abcdef", out);
        }
    }
}

fn xml(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&apos;"),
        c => out.push(c),
    }
}

/// `only_ascii`: bytes of other characters are written as `\xHH`, which Kvrocks does not read.
fn redis(c: char, only_ascii: bool, out: &mut String) {
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        c if c.is_control() || (only_ascii && !c.is_ascii()) => {
            bytes(c, "\\x", b"0123456789abcdef", out);
        }
        c => out.push(c),
    }
}

fn url(c: char, out: &mut String) {
    if c.is_ascii_alphanumeric() || "-._~".contains(c) {
        out.push(c);
    } else {
        bytes(c, "%", b"0123456789ABCDEF", out);
    }
}

fn bytes(c: char, prefix: &str, digits: &[u8; 16], out: &mut String) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        out.push_str(prefix);
        digit(u32::from(byte) >> 4, digits, out);
        digit(u32::from(byte), digits, out);
    }
}

fn digit(number: u32, digits: &[u8; 16], out: &mut String) {
    let at = usize::try_from(number & 0xf).unwrap_or(0);
    out.push(char::from(digits[at]));
}

/// A secret, and how its value is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The secret.
    pub id: SecretId,
    /// How its value is written.
    pub encoding: Encoding,
}

impl Reference {
    /// The value as it is.
    pub fn plain(id: &SecretId) -> Self {
        Self::written(id, Encoding::Plain)
    }

    /// The value in an encoding.
    pub fn written(id: &SecretId, encoding: Encoding) -> Self {
        Self {
            id: id.clone(),
            encoding,
        }
    }
}

/// `ID`, or `/ENCODING:ID`. No source of secrets has a name that begins with a slash.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.encoding {
            Encoding::Plain => write!(f, "{}", self.id),
            encoding => write!(f, "/{}:{}", encoding.name(), self.id),
        }
    }
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let encoded = text
            .strip_prefix('/')
            .and_then(|rest| rest.split_once(':'))
            .and_then(|(name, id)| Some((Encoding::named(name)?, id)));
        let (encoding, id) = encoded.unwrap_or((Encoding::Plain, text));
        Ok(Self {
            id: id.parse()?,
            encoding,
        })
    }
}

// As one string, which for a plain one is the secret's name: that is how queries without encodings were written.
impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "a\"b\\c]]>d<&'e#f %g\u{e9}\u{1f511}\t";

    #[test]
    fn each_encoding_writes_what_its_format_reads() {
        let written = Encoding::ALL.map(|encoding| encoding.encode(VALUE).expose().to_owned());
        assert_eq!(
            written,
            [
                VALUE,
                "a\\\"b\\\\c]]>d<&'e#f %g\u{e9}\u{1f511}\\t",
                "a&quot;b\\c]]&gt;d&lt;&amp;&apos;e#f %g\u{e9}\u{1f511}\t",
                "a\"b\\c]]]]><![CDATA[>d<&'e#f %g\u{e9}\u{1f511}\t",
                "a\\\"b\\\\c]]>d<&'e#f %g\u{e9}\u{1f511}\\t",
                "a%22b%5Cc%5D%5D%3Ed%3C%26%27e%23f%20%25g%C3%A9%F0%9F%94%91%09",
            ]
        );
    }

    #[test]
    fn other_programs_spellings_are_known_too() {
        let spelled = |encoding: Encoding| -> Vec<String> {
            let all = encoding.spellings("<\u{e9}\u{1f511}\"");
            all.iter().map(|secret| secret.expose().to_owned()).collect()
        };
        assert_eq!(spelled(Encoding::Plain), ["<\u{e9}\u{1f511}\""]);
        assert_eq!(
            spelled(Encoding::Json),
            [
                "<\u{e9}\u{1f511}\\\"",
                "\\u003c\u{e9}\u{1f511}\\\"",
                "<\\u00e9\\ud83d\\udd11\\\""
            ]
        );
        assert_eq!(
            spelled(Encoding::Redis),
            ["<\u{e9}\u{1f511}\\\"", "<\\xc3\\xa9\\xf0\\x9f\\x94\\x91\\\""]
        );
        for encoding in Encoding::ALL {
            assert_eq!(encoding.spellings("plain0word").len(), 1, "{encoding:?}");
        }
    }

    #[test]
    fn a_reference_without_an_encoding_is_spelled_as_the_secret_alone() {
        let id: SecretId = "file:a/b".parse().unwrap();
        for (encoding, text) in [(Encoding::Plain, "file:a/b"), (Encoding::Json, "/json:file:a/b")] {
            let reference = Reference::written(&id, encoding);
            assert_eq!(reference.to_string(), text);
            assert_eq!(text.parse::<Reference>().unwrap(), reference);
        }
    }
}
