//! Whatever a password is made of, the reader of its format reads what was written: for JSON and XML the parsers that others
//! wrote, for Redis and Kvrocks the rules of their sources.

use proptest::prelude::*;
use protocol::{Encoding, Reference, Text};
use quick_xml::Reader;
use quick_xml::events::Event;
use types::Secret;

/// What a secret may be made of, and more often what formats give a meaning to.
fn passwords() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        "\"",
        "\\",
        "]]>",
        "]",
        ">",
        "<",
        "&",
        "&amp;",
        "#",
        ";",
        "'",
        "%",
        "%41",
        "$",
        "{{",
        " ",
        "é",
        "\u{1f511}",
        "\\x41",
        "\\n",
        "<!--",
        "\u{a0}",
        "/",
    ]);
    let other = any::<char>().prop_filter("printable", |c| {
        !c.is_control() && !matches!(c, '⟪' | '⟫' | '\u{fffe}' | '\u{ffff}')
    });
    let part = prop_oneof![special.prop_map(str::to_owned), other.prop_map(String::from)];
    prop::collection::vec(part, 1..24).prop_map(|parts| parts.concat())
}

/// The text of a document's only element.
fn xml(document: &str) -> Option<String> {
    let mut reader = Reader::from_str(document);
    let mut text = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Text(part) => text.push_str(&part),
            Event::CData(part) => text.push_str(&part),
            Event::GeneralRef(name) => {
                text.push_str(&quick_xml::escape::unescape(&format!("&{};", &*name)).ok()?);
            }
            Event::Eof => return Some(text),
            _ => {}
        }
    }
}

fn number(digits: Option<[u8; 2]>) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(&digits?).ok()?, 16).ok()
}

/// An argument between double quotes as `sdssplitargs` reads it.
fn redis(quoted: &str) -> Option<Vec<u8>> {
    let mut bytes = quoted.strip_prefix('"')?.bytes();
    let mut value = Vec::new();
    loop {
        match bytes.next()? {
            b'"' => return bytes.next().is_none().then_some(value),
            b'\\' => value.push(match bytes.next()? {
                b'x' => number(Some([bytes.next()?, bytes.next()?]))?,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'a' => 7,
                other => other,
            }),
            other => value.push(other),
        }
    }
}

/// The same as Kvrocks reads it (`ParseConfigLine`), for characters that can be printed.
fn kvrocks(quoted: &str) -> Option<String> {
    let mut chars = quoted.strip_prefix('"')?.chars();
    let mut value = String::new();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(value),
            '\\' => value.push(chars.next().filter(|c| matches!(c, '"' | '\'' | '\\'))?),
            other => value.push(other),
        }
    }
}

fn url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut value = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => value.push(number(Some([bytes.next()?, bytes.next()?]))?),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => value.push(byte),
            _ => return None,
        }
    }
    Some(value)
}

proptest! {
    #[test]
    fn what_is_written_is_what_the_reader_of_the_format_reads(password in passwords()) {
        for spelling in Encoding::Json.spellings(&password) {
            let read: String = serde_json::from_str(&format!("\"{}\"", spelling.expose())).unwrap();
            prop_assert_eq!(&read, &password);
        }
        for spelling in Encoding::Xml.spellings(&password) {
            let read = xml(&format!("<p>{}</p>", spelling.expose()));
            prop_assert_eq!(read.as_ref(), Some(&password));
        }
        let cdata = format!("<p><![CDATA[{}]]></p>", Encoding::Cdata.encode(&password).expose());
        prop_assert_eq!(xml(&cdata), Some(password.clone()));
        for spelling in Encoding::Redis.spellings(&password) {
            let read = redis(&format!("\"{}\"", spelling.expose()));
            prop_assert_eq!(read.as_deref(), Some(password.as_bytes()));
        }
        let written = format!("\"{}\"", Encoding::Redis.encode(&password).expose());
        prop_assert_eq!(kvrocks(&written), Some(password.clone()));
        prop_assert_eq!(url(Encoding::Url.encode(&password).expose()), Some(password.into_bytes()));
    }

    #[test]
    fn every_spelling_is_recognised(password in passwords()) {
        let id = "file:pw".parse().unwrap();
        for encoding in Encoding::ALL {
            let known = [(Reference::written(&id, encoding), Secret::new(password.as_str()))];
            for spelling in encoding.spellings(&password) {
                let text = Text::conceal(spelling.expose().as_bytes(), &known, &[]).unwrap();
                prop_assert!(text.as_str().contains("⟪secret"), "{}", text);
            }
            let written = encoding.encode(&password);
            let text = Text::conceal(written.expose().as_bytes(), &known, &[]).unwrap();
            prop_assert_eq!(text.reveal(|_| Some(&known[0].1), b"").unwrap(), written.expose().as_bytes());
        }
    }
}
