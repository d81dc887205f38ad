//! A saved plan in which any one thing was changed is never taken for the plan that it was.
//!
//! Every leaf is changed in several ways; every element of a list is removed, doubled and swapped with its neighbour; every
//! field is removed. What comes out is no plan, or the very same plan (such as a set in another order), or is found to be
//! another one. The plan that the hosts need now stands for the one before the change.

use std::path::Path;

use plan::{Comparison, compare};
use serde_json::{Map, Value, json};

use super::{GOLDEN, parse, texts};
use crate::saved::SavedPlan;

/// What may be changed, and why nothing comes of it.
const OF_NO_MEANING: [(&str, &str); 6] = [
    ("/made/", "who made it, and when, is for people"),
    (
        "/reason",
        "why a step is needed has figures that move; it is shown from the plan that is made now",
    ),
    ("/plan/notes", "remarks, shown from the plan that is made now"),
    ("/plan/refusals/0/why", "the proof has figures that move"),
    (
        "/plan/unplanned/0/why",
        "the words of a host that is out of reach",
    ),
    ("/options/restart", "the plan is made from it, and compared"),
];

/// Where what is changed is shown before anybody says yes: the plan is made from it anew.
const SHOWN: [&str; 3] = ["/source", "/scope", "/options"];

/// Other values for a leaf.
fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![json!("x"), json!(0), json!({})],
        Value::Bool(value) => vec![json!(!value)],
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            vec![
                json!(number + 1),
                json!(number.saturating_sub(1)),
                json!(u32::MAX),
            ]
        }
        Value::String(text) => {
            let mut flipped = text.clone();
            let last = flipped.pop().unwrap_or('b');
            flipped.push(if last == 'a' { 'b' } else { 'a' });
            let values = [
                String::new(),
                format!("{text} "),
                format!("{text}\u{1b}[2K"),
                flipped,
                // What the plan says of itself that it moves.
                "41-ab-".to_owned(),
                format!("41-ab-{text}"),
                text.replace("41-ab-", "97-cd-"),
                text.replace("db1", "db2"),
            ];
            values
                .into_iter()
                .filter(|value| value != text)
                .map(Value::from)
                .collect()
        }
        Value::Array(_) | Value::Object(_) => Vec::new(),
    }
}

/// All documents that differ from this one in one place, each with the place.
fn mutants(value: &Value, at: &str) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = others(value)
        .into_iter()
        .map(|other| (at.to_owned(), other))
        .collect();
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                let place = format!("{at}/{number}");
                let mut edit = |change: &dyn Fn(&mut Vec<Value>)| {
                    let mut items = items.clone();
                    change(&mut items);
                    found.push((place.clone(), Value::Array(items)));
                };
                edit(&|items| drop(items.remove(number)));
                edit(&|items| items.insert(number, item.clone()));
                if number > 0 {
                    edit(&|items| items.swap(number - 1, number));
                }
                for (place, other) in mutants(item, &place) {
                    let mut items = items.clone();
                    items[number] = other;
                    found.push((place, Value::Array(items)));
                }
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let place = format!("{at}/{name}");
                let without: Map<String, Value> = fields
                    .iter()
                    .filter(|(other, _)| *other != name)
                    .map(|(name, field)| (name.clone(), field.clone()))
                    .collect();
                found.push((place.clone(), Value::Object(without)));
                for (place, other) in mutants(field, &place) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), other);
                    found.push((place, Value::Object(fields)));
                }
            }
        }
        _ => {}
    }
    found
}

/// What tells that a plan is not the one that it was.
fn is_found_out(changed: &SavedPlan, original: &SavedPlan, place: &str) -> bool {
    let names = |plan: &SavedPlan| plan.names(std::collections::BTreeSet::new());
    let is_shown = SHOWN.iter().any(|shown| place.starts_with(shown)) && names(changed) != names(original);
    compare(&changed.plan, &original.plan) != Comparison::Same
        || !texts::changes(&changed.texts, &original.texts).is_empty()
        || is_shown
}

#[test]
fn a_saved_plan_in_which_anything_was_changed_is_never_taken_for_the_same() {
    let document: Value = serde_json::from_str(GOLDEN).unwrap();
    let read = |document: &Value| parse(Path::new("plan.json"), &document.to_string());
    let original = read(&document).unwrap();
    let (mut sound, mut refused) = (0, 0);
    for (place, mutant) in mutants(&document, "") {
        let Ok(changed) = read(&mutant) else {
            refused += 1;
            continue;
        };
        // A set in another order, a default that was left out.
        if changed == original {
            continue;
        }
        sound += 1;
        let is_exempt = OF_NO_MEANING.iter().any(|(part, _)| place.contains(part));
        assert!(
            is_exempt || is_found_out(&changed, &original, &place),
            "{place} was changed and the plan is taken for the same:\n{mutant}"
        );
    }
    // Else this would test nothing.
    assert!(sound > 500 && refused > 500, "{sound} sound, {refused} refused");
}

#[test]
fn what_is_of_no_meaning_is_in_the_file() {
    let document: Value = serde_json::from_str(GOLDEN).unwrap();
    let places: Vec<String> = mutants(&document, "")
        .into_iter()
        .map(|(place, _)| place)
        .collect();
    for (part, why) in OF_NO_MEANING {
        assert!(places.iter().any(|place| place.contains(part)), "{part}: {why}");
    }
}
