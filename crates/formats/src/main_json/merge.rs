//! Merging: main.json with our keys as they should be, and every other byte as it was.
//!
//! The file is the platform's and its operators': it has hundreds of keys that we know nothing of, and formatting that
//! people made. So it is edited as text, at the places that must change, by an editor that keeps the rest; what came out
//! is read again by another parser, and used only if it says exactly what it should.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstNode, CstObject, CstObjectProp, CstRootNode};
use protocol::Piece;
use protocol::Text;
use protocol::text::{CLOSE, OPEN};
use serde_json::Value;
use thiserror::Error;

use super::want::{self, Want, Wants};

/// Why a text cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MergeError {
    /// It is not JSON.
    #[error("line {line}, column {column}: {what}{}", if *.is_about { " (the column is counted with the names of secrets in their places)" } else { "" })]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What was expected.
        what: String,
        /// Whether a secret stands before it on its line, whose length is nobody's business.
        is_about: bool,
    },
    /// It is JSON of another sort.
    #[error("it is not an object")]
    NotAnObject,
    /// A key that we would change stands there more than once.
    #[error(
        "the key {0} stands there more than once in the same object, and which one counts is not defined"
    )]
    Twice(String),
    /// What came out is not what was wanted.
    #[error("it cannot be edited: {0} would not come out as it should")]
    Failed(String),
}

/// The text with what is wanted.
pub fn merge(text: &str, wants: &Wants) -> Result<String, MergeError> {
    let before = parse(text)?;
    if !before.is_object() {
        return Err(MergeError::NotAnObject);
    }
    let failed = || MergeError::Failed("the whole".to_owned());
    let root = CstRootNode::parse(text, &ParseOptions::default()).map_err(|_| failed())?;
    let object = root.object_value().ok_or(MergeError::NotAnObject)?;
    merge_object(&object, wants)?;
    let merged = root.to_string();
    let after = parse(&merged).map_err(|_| failed())?;
    check(&before, &after, wants)?;
    Ok(merged)
}

/// What a text says.
pub fn parse(text: &str) -> Result<Value, MergeError> {
    serde_json::from_str(text).map_err(|error| not_json(text, &error))
}

/// The place of an error as it is in the file: masked values have their own length there.
fn not_json(text: &str, error: &serde_json::Error) -> MergeError {
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default().to_owned();
    let line = text
        .lines()
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let end = line.floor_char_boundary(error.column().min(line.len()));
    let mut before = &line[..end];
    // An error within the brackets of a reference would be one of ours.
    if let Some(open) = before.rfind(OPEN)
        && !before[open..].contains(CLOSE)
    {
        before = &before[..open];
    }
    let before = Text::new(before);
    let pieces = before.pieces().unwrap_or_default();
    let lengths = pieces.iter().map(|piece| match piece {
        Piece::Plain(text) => text.chars().count(),
        Piece::Kept(range) => range.len(),
        Piece::Secret(reference) => reference.id.as_str().chars().count(),
    });
    MergeError::NotJson {
        line: error.line(),
        column: lengths.sum::<usize>().max(1),
        what,
        is_about: pieces.iter().any(|piece| matches!(piece, Piece::Secret(_))),
    }
}

fn check(before: &Value, after: &Value, wants: &Wants) -> Result<(), MergeError> {
    if let Some((key, _)) = wants.iter().find(|(key, want)| !want.holds(after.get(key))) {
        return Err(MergeError::Failed(key.clone()));
    }
    let is_ours = |key: &String| wants.iter().any(|(wanted, _)| wanted == key);
    let foreign = |value: &Value| {
        let map = value.as_object().cloned().unwrap_or_default();
        map.into_iter()
            .filter(|(key, _)| !is_ours(key))
            .collect::<Vec<_>>()
    };
    if foreign(before) != foreign(after) {
        return Err(MergeError::Failed("a key that is not ours".to_owned()));
    }
    Ok(())
}

fn merge_object(object: &CstObject, wants: &Wants) -> Result<(), MergeError> {
    for (key, want) in wants {
        let mut named = properties(object, key);
        let property = named.pop();
        if !named.is_empty() {
            return Err(MergeError::Twice(key.clone()));
        }
        match (property, want.fresh()) {
            (Some(property), None) => property.remove(),
            (Some(property), Some(_)) => merge_property(&property, want)?,
            (None, Some(value)) => {
                object.append(key, value);
            }
            (None, None) => {}
        }
    }
    Ok(())
}

fn properties(object: &CstObject, key: &str) -> Vec<CstObjectProp> {
    let all = object.properties().into_iter();
    all.filter(|property| property.decoded_name().as_deref() == Some(key))
        .collect()
}

fn merge_property(property: &CstObjectProp, want: &Want) -> Result<(), MergeError> {
    if want.holds(property.value().as_ref().and_then(value_of).as_ref()) {
        return Ok(());
    }
    match (want, property.object_value(), property.array_value()) {
        (Want::Has(wants), Some(object), _) => return merge_object(&object, wants),
        (Want::Only(wants), Some(object), _) => {
            for other in object.properties() {
                let name = other.decoded_name().unwrap_or_default();
                if !wants.iter().any(|(key, _)| *key == name) {
                    other.remove();
                }
            }
            return merge_object(&object, wants);
        }
        (Want::List(by, items), _, Some(array)) if keeps_any(&array, by, items) => {
            return merge_list(&array, by, items);
        }
        _ => {}
    }
    if let Some(value) = want.fresh() {
        property.set_value(value);
    }
    Ok(())
}

/// Whether any element stays; else the array is written anew, and looks like it.
fn keeps_any(array: &CstArray, by: &str, items: &[Wants]) -> bool {
    let identities = || items.iter().flatten().filter(|(key, _)| key == by);
    let known = |value: Value| identities().any(|(_, want)| want.holds(value.get(by)));
    array.elements().iter().filter_map(value_of).any(known)
}

/// Brings the elements into order; one that is known goes to its place with all it has.
fn merge_list(array: &CstArray, by: &str, items: &[Wants]) -> Result<(), MergeError> {
    for (at, wants) in items.iter().enumerate() {
        let identity = wants.iter().find(|(key, _)| key == by).map(|(_, want)| want);
        let is_it = |node: &CstNode| {
            value_of(node).is_some_and(|value| identity.is_some_and(|want| want.holds(value.get(by))))
        };
        let elements = array.elements();
        let found = elements.iter().skip(at).position(is_it).map(|found| at + found);
        let element = match found {
            Some(found) if found == at => elements.into_iter().nth(at),
            Some(found) => {
                let moved = elements.into_iter().nth(found);
                let value = moved.as_ref().and_then(value_of).unwrap_or_default();
                if let Some(moved) = moved {
                    moved.remove();
                }
                Some(array.insert(at, want::input(&value)))
            }
            None => {
                array.insert(at, want::fresh_object(wants));
                continue;
            }
        };
        if let Some(object) = element.and_then(|element| element.as_object()) {
            merge_object(&object, wants)?;
        }
    }
    for other in array.elements().into_iter().skip(items.len()) {
        other.remove();
    }
    Ok(())
}

fn value_of(node: &CstNode) -> Option<Value> {
    serde_json::from_str(&node.to_string()).ok()
}
