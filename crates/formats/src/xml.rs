//! The XML of ClickHouse's configuration: read into a tree, compared as the server would, and written.
//!
//! The files under config.d are ours as a whole, but a cluster that was built by hand from the runbook has them without
//! indentation, or with another one. To the server they are the same files, so they are the same to us.
//!
//! The files stand on hosts that others can write to: a tree that nests deeper than any configuration is refused, for
//! to compare it, to print it and to drop it takes a level of the stack for each of its own.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use thiserror::Error;

/// How deep elements may nest. Those of ClickHouse's own configuration nest six levels deep.
const DEPTH: usize = 64;

/// An element.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its attributes, in order.
    pub attributes: Vec<(String, String)>,
    /// Its text, without the space around it.
    pub text: String,
    /// Its child elements, in order.
    pub children: Vec<Element>,
}

/// Why a text is not XML.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct XmlError {
    line: usize,
    why: String,
}

impl Element {
    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children of that name.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text at the end of a path of names.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        let mut at = self;
        for name in path {
            at = at.child(name)?;
        }
        Some(&at.text)
    }

    /// The same with its elements in an order of their own: two that say the same are equal then. The server makes nothing
    /// of the order of replicas, nodes or addresses.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.children = self.children.into_iter().map(Self::sorted).collect();
        self.children.sort_unstable();
        self
    }
}

/// The root element of a text; comments and space between elements are nothing.
pub fn parse(text: &str) -> Result<Element, XmlError> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        let event = reader.read_event();
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let wrong = |why: String| XmlError {
            line: 1 + text
                .as_bytes()
                .iter()
                .take(at)
                .filter(|&&byte| byte == b'\n')
                .count(),
            why,
        };
        match event.map_err(|error| wrong(error.to_string()))? {
            Event::Start(_) | Event::Empty(_) if open.is_empty() && root.is_some() => {
                return Err(wrong("there is more than one root element".to_owned()));
            }
            Event::Start(_) if open.len() == DEPTH => {
                return Err(wrong(format!("elements nest deeper than {DEPTH} levels")));
            }
            Event::Start(start) => open.push(element(&start).map_err(wrong)?),
            Event::Empty(start) => close(&mut open, element(&start).map_err(wrong)?, &mut root),
            Event::End(_) => {
                if let Some(done) = open.pop() {
                    close(&mut open, done, &mut root);
                }
            }
            Event::Text(part) => match open.last_mut() {
                Some(element) => element.text.push_str(&part),
                None if part.trim().is_empty() => {}
                None => return Err(wrong("there is text outside of the root element".to_owned())),
            },
            Event::CData(part) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&part);
                }
            }
            Event::GeneralRef(name) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&entity(&name));
                }
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    let end = |why: &str| XmlError {
        line: text.lines().count(),
        why: why.to_owned(),
    };
    if let Some(element) = open.last() {
        return Err(end(&format!("<{}> is not closed", element.name)));
    }
    root.ok_or_else(|| end("there is no element"))
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        attributes.push((attribute.key.as_ref().to_owned(), attribute.value.to_string()));
    }
    attributes.sort();
    Ok(Element {
        name: start.name().as_ref().to_owned(),
        attributes,
        ..Element::default()
    })
}

fn close(open: &mut [Element], mut done: Element, root: &mut Option<Element>) {
    let trimmed = done.text.trim().to_owned();
    done.text = trimmed;
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None => *root = Some(done),
    }
}

/// What a reference stands for; one that is not known stays as it is written.
fn entity(name: &str) -> String {
    match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        other => return format!("&{other};"),
    }
    .to_owned()
}

/// Whether two texts say the same to the server.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || matches!((parse(one), parse(other)), (Ok(one), Ok(other)) if one == other)
}

/// Writes elements, indented by four spaces a level as the server's own files are.
pub struct Writer {
    out: String,
    open: Vec<String>,
}

impl Writer {
    /// Begins as the runbook's files do.
    pub fn new(root: &str) -> Self {
        let mut writer = Self {
            out: "<?xml version=\"1.0\" ?>\n".to_owned(),
            open: Vec::new(),
        };
        writer.open(root);
        writer
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(&"    ".repeat(self.open.len()));
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// Opens an element; attributes may stand behind its name.
    pub fn open(&mut self, tag: &str) {
        self.line(&format!("<{tag}>"));
        let name = tag.split(' ').next().unwrap_or(tag);
        self.open.push(name.to_owned());
    }

    /// Closes the element that was opened last.
    pub fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.line(&format!("</{name}>"));
        }
    }

    /// An element with text.
    pub fn leaf(&mut self, name: &str, value: impl std::fmt::Display) {
        let value = escape(&value.to_string());
        self.line(&format!("<{name}>{value}</{name}>"));
    }

    /// An element whose text is taken as it is; references in it are written for that place.
    pub fn cdata(&mut self, name: &str, value: &protocol::Text) {
        self.line(&format!("<{name}><![CDATA[{value}]]></{name}>"));
    }

    /// A comment.
    pub fn comment(&mut self, text: &str) {
        self.line(&format!("<!-- {text} -->"));
    }

    /// A blank line, as the runbook has it between sections.
    pub fn blank(&mut self) {
        self.out.push('\n');
    }

    /// Closes everything.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_and_comments_between_elements_mean_nothing() {
        let one = "<?xml version=\"1.0\" ?>\n<yandex>\n<macros>\n<shard>01</shard>\n</macros></yandex>";
        let other = "<yandex>  <!-- ours -->\n    <macros><shard> 01 </shard></macros>\n</yandex>\n";
        assert!(is_same(one, other));
        assert!(!is_same(one, &other.replace("01", "02")));
        assert!(!is_same(one, &other.replace("yandex", "clickhouse")));
        assert!(!is_same(
            one,
            &other.replace("<macros>", "<macros replace=\"1\">")
        ));
    }

    #[test]
    fn what_is_not_xml_says_where() {
        let wrong = |text: &str| parse(text).unwrap_err().to_string();
        assert!(
            wrong("<a>\n<b>\n</a>").starts_with("line 3: "),
            "{}",
            wrong("<a>\n<b>\n</a>")
        );
        assert!(
            wrong("<a>\n<b>").ends_with("<b> is not closed"),
            "{}",
            wrong("<a>\n<b>")
        );
        assert!(parse("").is_err() && parse("hello").is_err() && parse("<a/><b/>").is_err());
    }

    #[test]
    fn elements_that_nest_too_deep_are_refused_with_the_line() {
        let deep = |levels: usize| ["<a>\n".repeat(levels), "</a>\n".repeat(levels)].concat();
        assert!(parse(&deep(DEPTH)).is_ok());
        let error = parse(&deep(100_000)).unwrap_err();
        assert_eq!(error.to_string(), "line 65: elements nest deeper than 64 levels");
        assert!(!is_same("<a/>", &deep(100_000)));
    }

    #[test]
    fn values_are_escaped_and_read_back() {
        let mut writer = Writer::new("yandex");
        writer.leaf("path", "/a&b<c>");
        writer.cdata("password", &"x&y".into());
        let root = parse(&writer.finish()).unwrap();
        assert_eq!(root.text_at(&["path"]), Some("/a&b<c>"));
        assert_eq!(root.text_at(&["password"]), Some("x&y"));
    }
}
