//! The configuration that a server puts together of its files, and writes where an operator can read it.
//!
//! Files are merged in alphabetical order, an element into the first that is left with its name and attributes; `replace`
//! takes its place, `remove` takes it away, and what has no counterpart is added (`ConfigProcessor::mergeRecursive`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use formats::xml::{self, Element};

use super::paths::{CONFIG, CONFIG_D};

/// Where it writes it.
pub(super) const MERGED: &str = "/var/lib/clickhouse/preprocessed_configs/config.xml";

/// The merged configuration of these files; `None` where one of them is no XML.
pub(super) fn merged(files: &BTreeMap<String, String>) -> Option<Element> {
    let mut root = xml::parse(files.get(CONFIG)?).ok()?;
    let is_part = |path: &str| path.starts_with(CONFIG_D) && path.rsplit('.').next() == Some("xml");
    for (_, text) in files.iter().filter(|(path, _)| is_part(path)) {
        merge(&mut root, &xml::parse(text).ok()?);
    }
    Some(root)
}

fn merge(into: &mut Element, with: &Element) {
    into.text.clone_from(&with.text);
    let orders = ["replace", "remove"];
    let identity = |element: &Element| {
        let kept = element
            .attributes
            .iter()
            .filter(|(name, _)| !orders.contains(&name.as_str()));
        (element.name.clone(), kept.cloned().collect::<Vec<_>>())
    };
    let mut left: Vec<Option<Element>> = into.children.drain(..).map(Some).collect();
    let mut done: Vec<(usize, Element)> = Vec::new();
    let mut added = Vec::new();
    for child in &with.children {
        let has = |order: &str| child.attributes.iter().any(|(name, _)| name == order);
        let same = |one: &Option<Element>| one.as_ref().is_some_and(|one| identity(one) == identity(child));
        let mut fresh = child.clone();
        fresh.attributes = identity(child).1;
        match left.iter().position(same) {
            Some(at) => {
                let found = left[at].take();
                if has("replace") {
                    done.push((at, fresh));
                } else if let Some(mut found) = found.filter(|_| !has("remove")) {
                    merge(&mut found, child);
                    done.push((at, found));
                }
            }
            None if has("remove") => {}
            None => added.push(fresh),
        }
    }
    done.extend(
        left.into_iter()
            .enumerate()
            .filter_map(|(at, one)| Some((at, one?))),
    );
    done.sort_by_key(|(at, _)| *at);
    into.children = done.into_iter().map(|(_, one)| one).chain(added).collect();
}

/// An element as text.
pub(super) fn text(element: &Element) -> String {
    let mut out = format!("<{}", element.name);
    for (name, value) in &element.attributes {
        let _ = write!(out, " {name}=\"{value}\"");
    }
    out.push('>');
    out.push_str(&element.text.replace('&', "&amp;").replace('<', "&lt;"));
    for child in &element.children {
        out.push_str(&text(child));
    }
    let _ = write!(out, "</{}>", element.name);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_merged_in_their_order_by_name() {
        let files = [
            (
                CONFIG.to_owned(),
                "<c><listen_host>::1</listen_host><listen_host>127.0.0.1</listen_host><m><a>1</a></m></c>",
            ),
            (
                format!("{CONFIG_D}/a.xml"),
                "<c><listen_host>10.0.0.1</listen_host><m><a>2</a><b>3</b></m></c>",
            ),
            (
                format!("{CONFIG_D}/b.xml"),
                "<c><m replace=\"1\"><b>4</b></m></c>",
            ),
        ];
        let files = files.map(|(path, text)| (path, text.to_owned())).into();
        assert_eq!(
            text(&merged(&files).unwrap()),
            "<c><listen_host>10.0.0.1</listen_host><listen_host>127.0.0.1</listen_host><m><b>4</b></m></c>"
        );
    }
}
