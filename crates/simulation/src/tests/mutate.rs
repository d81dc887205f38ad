//! Answers that no host of ours would give: good ones, with something in them replaced.
//!
//! An answer is taken apart as JSON, which every fact can be written in, so no sort of fact is forgotten.

use protocol::{Fact, FactError};
use serde_json::Value;

use crate::chance::Chance;

/// Numbers at which arithmetic goes wrong.
const NUMBERS: [i64; 15] = [
    0,
    1,
    -1,
    2,
    3,
    999,
    65_535,
    65_536,
    1 << 32,
    i64::MAX,
    i64::MAX - 1,
    i64::MAX / 1000,
    i64::MIN,
    i64::MIN + 1,
    -(1 << 40),
];

/// Strings at which parsers go wrong; digits are written into others too.
const STRINGS: [&str; 22] = [
    "",
    " ",
    "-1",
    "0",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "NaN",
    "\u{0}",
    "\u{e9}",
    "\u{1f511}\u{1f511}\u{1f511}",
    ":",
    "@",
    ".",
    "/",
    "\n",
    "\"",
    "[{",
    "<a><b",
    "\u{27ea}secret:x\u{27eb}",
];

/// The parts that answers are made of, to put them where they do not belong.
pub(super) struct Pool(Vec<Value>);

impl Pool {
    pub(super) fn of<'a>(facts: impl Iterator<Item = &'a Fact>) -> Self {
        let mut parts = Vec::new();
        for fact in facts {
            if let Ok(value) = serde_json::to_value(fact) {
                collect(&value, &mut parts);
            }
        }
        Self(parts)
    }

    /// An answer of the same sort with something in it replaced, once or more often.
    pub(super) fn mutate(&self, fact: &Fact, chance: &mut Chance) -> Result<Fact, FactError> {
        if chance.one_in(12) {
            let message = (*chance.pick(&STRINGS).unwrap_or(&"")).to_owned();
            return Err(FactError { message });
        }
        let Ok(whole) = serde_json::to_value(fact) else {
            return Ok(fact.clone());
        };
        let mut found = whole.clone();
        for _ in 0..chance.between(1, 4) {
            // What no longer is an answer of this sort is tried again.
            for _ in 0..12 {
                let mut tried = found.clone();
                let mut at = chance.below(count(&tried));
                self.change(&mut tried, &mut at, chance);
                let read = serde_json::from_value::<Fact>(tried.clone());
                if read.is_ok_and(|read| std::mem::discriminant(&read) == std::mem::discriminant(fact)) {
                    found = tried;
                    break;
                }
            }
        }
        Ok(serde_json::from_value(found).unwrap_or_else(|_| fact.clone()))
    }

    /// Replaces the part that is so many parts further on.
    fn change(&self, value: &mut Value, left: &mut usize, chance: &mut Chance) -> bool {
        if *left == 0 {
            self.replace(value, chance);
            return true;
        }
        *left -= 1;
        match value {
            Value::Array(items) => items.iter_mut().any(|item| self.change(item, left, chance)),
            Value::Object(fields) => fields.values_mut().any(|item| self.change(item, left, chance)),
            _ => false,
        }
    }

    fn replace(&self, value: &mut Value, chance: &mut Chance) {
        if chance.one_in(6)
            && let Some(part) = chance.pick(&self.0)
        {
            *value = part.clone();
            return;
        }
        match value {
            Value::Null | Value::Bool(_) => *value = Value::Bool(chance.one_in(2)),
            Value::Number(number) => {
                let near = number.as_i64().and_then(|number| number.checked_add(1));
                let far = chance.pick(&NUMBERS).copied();
                *value = near
                    .filter(|_| chance.one_in(6))
                    .or(far)
                    .unwrap_or_default()
                    .into();
            }
            Value::String(text) => *text = self.other_text(text, chance),
            Value::Array(items) => match chance.between(0, 5) {
                0 => items.clear(),
                1 => items.truncate(chance.below(items.len())),
                2 => items.reverse(),
                3 => items.extend(items.clone()),
                4 => {
                    let at = chance.below(items.len());
                    if let Some(item) = items.get(at).cloned() {
                        items.insert(at, item);
                    }
                }
                _ => items.extend(chance.pick(&self.0).cloned()),
            },
            Value::Object(fields) => {
                let names: Vec<String> = fields.keys().cloned().collect();
                if let (Some(name), Some(part)) = (chance.pick(&names), chance.pick(&self.0)) {
                    fields.insert(name.clone(), part.clone());
                }
            }
        }
    }

    fn other_text(&self, text: &str, chance: &mut Chance) -> String {
        let word = *chance.pick(&STRINGS).unwrap_or(&"");
        match chance.between(0, 6) {
            0 => word.to_owned(),
            1 => word.repeat(2000),
            2 => {
                let texts = self.0.iter().filter_map(Value::as_str);
                let texts: Vec<&str> = texts.collect();
                (*chance.pick(&texts).unwrap_or(&"")).to_owned()
            }
            // A number in the text becomes another one.
            3 | 4 => with_another_number(text, word, chance),
            // A piece is lost, doubled, or becomes something else.
            _ => {
                let ends: Vec<usize> = text
                    .char_indices()
                    .map(|(at, _)| at)
                    .chain([text.len()])
                    .collect();
                let a = *chance.pick(&ends).unwrap_or(&0);
                let b = *chance.pick(&ends).unwrap_or(&0);
                let (a, b) = (a.min(b), a.max(b));
                match chance.between(0, 2) {
                    0 => format!("{}{}", &text[..a], &text[b..]),
                    1 => format!("{}{}", &text[..b], &text[a..]),
                    _ => format!("{}{word}{}", &text[..a], &text[b..]),
                }
            }
        }
    }
}

/// An answer in which every number that can be is one of two, in turns, and so is every number at the end of a line or
/// before a comma.
pub(super) fn extremes(fact: &Fact, turns: [i64; 2], digits: &str) -> Option<Fact> {
    let mut value = serde_json::to_value(fact).ok()?;
    for at in 0..count(&value) {
        let mut tried = value.clone();
        if set_extreme(&mut tried, &mut at.clone(), turns[at % 2], digits)
            && serde_json::from_value::<Fact>(tried.clone()).is_ok()
        {
            value = tried;
        }
    }
    serde_json::from_value(value).ok()
}

/// Changes the part that is so many parts further on; whether it is one that has numbers.
fn set_extreme(value: &mut Value, left: &mut usize, number: i64, digits: &str) -> bool {
    if *left == 0 {
        return match value {
            Value::Number(found) => {
                *found = number.into();
                true
            }
            Value::String(text) => {
                let with = |piece: &str| {
                    let bare = piece.trim_end_matches(['\r', '\n', ',']);
                    let head = bare.trim_end_matches(|c: char| c.is_ascii_digit());
                    if head.len() == bare.len() || !head.ends_with(['\t', '=', ':', ' ']) {
                        return piece.to_owned();
                    }
                    format!("{head}{digits}{}", &piece[bare.len()..])
                };
                *text = text.split_inclusive(['\n', ',']).map(with).collect();
                true
            }
            _ => false,
        };
    }
    *left -= 1;
    match value {
        Value::Array(items) => items
            .iter_mut()
            .any(|item| at_or_within(item, left, number, digits)),
        Value::Object(fields) => fields
            .values_mut()
            .any(|item| at_or_within(item, left, number, digits)),
        _ => false,
    }
}

/// The same; it ends where the part was found, whatever it is.
fn at_or_within(value: &mut Value, left: &mut usize, number: i64, digits: &str) -> bool {
    let size = count(value);
    if *left >= size {
        *left -= size;
        return false;
    }
    set_extreme(value, left, number, digits);
    true
}

/// A check's name that may be none.
pub(super) fn check(name: &str, chance: &mut Chance) -> String {
    Pool(Vec::new()).other_text(name, chance)
}

fn with_another_number(text: &str, word: &str, chance: &mut Chance) -> String {
    let mut starts = Vec::new();
    let mut was_digit = false;
    for (at, c) in text.char_indices() {
        if c.is_ascii_digit() && !was_digit {
            starts.push(at);
        }
        was_digit = c.is_ascii_digit();
    }
    let Some(&start) = chance.pick(&starts) else {
        return word.to_owned();
    };
    let end = text[start..]
        .find(|c: char| !c.is_ascii_digit())
        .map_or(text.len(), |len| start + len);
    format!("{}{word}{}", &text[..start], &text[end..])
}

fn collect(value: &Value, parts: &mut Vec<Value>) {
    parts.push(value.clone());
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, parts)),
        Value::Object(fields) => fields.values().for_each(|item| collect(item, parts)),
        _ => {}
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0usize,
    }
}
