//! The part of MongoDB's query and update language that canaries, load tests and clusterctl itself use.

use std::cmp::Ordering;

use bson::{Bson, Document};

use super::errors::{Code, CommandError, fail};

/// The value at a dotted path.
pub fn get<'a>(document: &'a Document, path: &str) -> Option<&'a Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((head, rest)) => get(document.get(head)?.as_document()?, rest),
    }
}

/// A number of any type.
pub fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(n) => Some(f64::from(*n)),
        #[expect(
            clippy::cast_precision_loss,
            reason = "what JavaScript clients compare with too"
        )]
        Bson::Int64(n) => Some(*n as f64),
        Bson::Double(n) => Some(*n),
        _ => None,
    }
}

/// A whole number of any type.
pub fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int64(n) => Some(*n),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be whole, and beyond 2^63 is clamped"
        )]
        other => number(other).filter(|n| n.fract() == 0.0).map(|n| n as i64),
    }
}

/// Whether a flag of a command is set: `true`, or any number but 0.
pub fn truthy(value: Option<&Bson>) -> bool {
    match value {
        Some(Bson::Boolean(flag)) => *flag,
        Some(value) => number(value).is_some_and(|n| n != 0.0),
        None => false,
    }
}

/// How two values of comparable types are ordered.
pub fn compare(a: &Bson, b: &Bson) -> Option<Ordering> {
    match (a, b) {
        (Bson::String(a), Bson::String(b)) => Some(a.cmp(b)),
        (Bson::Boolean(a), Bson::Boolean(b)) => Some(a.cmp(b)),
        (Bson::DateTime(a), Bson::DateTime(b)) => Some(a.cmp(b)),
        (Bson::ObjectId(a), Bson::ObjectId(b)) => Some(a.bytes().cmp(&b.bytes())),
        (Bson::Timestamp(a), Bson::Timestamp(b)) => Some((a.time, a.increment).cmp(&(b.time, b.increment))),
        (Bson::Int64(a), Bson::Int64(b)) => Some(a.cmp(b)),
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => (a == b).then_some(Ordering::Equal),
        },
    }
}

/// The order of two documents under a `sort` document.
pub fn sorted(sort: &Document, a: &Document, b: &Document) -> Ordering {
    for (path, direction) in sort {
        let (a, b) = (
            get(a, path).unwrap_or(&Bson::Null),
            get(b, path).unwrap_or(&Bson::Null),
        );
        let order = compare(a, b).unwrap_or_else(|| rank(a).cmp(&rank(b)));
        let order = if number(direction).is_some_and(|d| d < 0.0) {
            order.reverse()
        } else {
            order
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// The order of types among each other (of those that occur).
fn rank(value: &Bson) -> u8 {
    match value {
        Bson::Null => 0,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => 1,
        Bson::String(_) => 2,
        Bson::Document(_) => 3,
        Bson::Array(_) => 4,
        _ => 5,
    }
}

/// Whether a document matches a filter.
pub fn matches(filter: &Document, document: &Document) -> Result<bool, CommandError> {
    for (key, wanted) in filter {
        let holds = match (key.as_str(), wanted) {
            ("$and", Bson::Array(parts)) => branches(parts, document)?.into_iter().all(|holds| holds),
            ("$or", Bson::Array(parts)) => branches(parts, document)?.into_iter().any(|holds| holds),
            ("$comment", _) => true,
            (name, _) if name.starts_with('$') => {
                return fail(Code::BadValue, format!("unknown operator: {name}"));
            }
            (path, Bson::Document(operators)) if operators.keys().any(|key| key.starts_with('$')) => {
                let value = get(document, path);
                operators.iter().try_fold(true, |all, (name, operand)| {
                    Ok(all && test(name, operand, value)?)
                })?
            }
            (path, wanted) => equals(get(document, path), wanted),
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn branches(parts: &[Bson], document: &Document) -> Result<Vec<bool>, CommandError> {
    parts
        .iter()
        .filter_map(Bson::as_document)
        .map(|part| matches(part, document))
        .collect()
}

fn equals(value: Option<&Bson>, wanted: &Bson) -> bool {
    match value {
        None => *wanted == Bson::Null,
        Some(Bson::Array(items)) if !matches!(wanted, Bson::Array(_)) => {
            items.iter().any(|item| equals(Some(item), wanted))
        }
        Some(value) => compare(value, wanted) == Some(Ordering::Equal),
    }
}

fn test(operator: &str, operand: &Bson, value: Option<&Bson>) -> Result<bool, CommandError> {
    let order = value.and_then(|value| compare(value, operand));
    let among = || {
        operand
            .as_array()
            .is_some_and(|items| items.iter().any(|item| equals(value, item)))
    };
    Ok(match operator {
        "$eq" => equals(value, operand),
        "$ne" => !equals(value, operand),
        "$gt" => order == Some(Ordering::Greater),
        "$gte" => order.is_some_and(Ordering::is_ge),
        "$lt" => order == Some(Ordering::Less),
        "$lte" => order.is_some_and(Ordering::is_le),
        "$in" => among(),
        "$nin" => !among(),
        "$exists" => value.is_some() == truthy(Some(operand)),
        other => return fail(Code::BadValue, format!("unknown operator: {other}")),
    })
}

/// The document that an update makes of this one.
pub fn update(current: &Document, change: &Document, inserting: bool) -> Result<Document, CommandError> {
    if !change.keys().any(|key| key.starts_with('$')) {
        let mut new = change.clone();
        if let (Some(id), false) = (current.get("_id"), new.contains_key("_id")) {
            let mut with_id = Document::new();
            with_id.insert("_id", id.clone());
            with_id.extend(new);
            new = with_id;
        }
        return Ok(new);
    }
    let mut new = current.clone();
    for (operator, fields) in change {
        let Some(fields) = fields.as_document() else {
            return fail(
                Code::FailedToParse,
                format!("Modifiers operate on fields but we found another for {operator}"),
            );
        };
        for (path, operand) in fields {
            apply(&mut new, operator, path, operand, inserting)?;
        }
    }
    Ok(new)
}

fn apply(
    new: &mut Document,
    operator: &str,
    path: &str,
    operand: &Bson,
    inserting: bool,
) -> Result<(), CommandError> {
    if let Some((head, rest)) = path.split_once('.') {
        if let Bson::Document(inner) = new.entry(head).or_insert(Bson::Document(Document::new())) {
            return apply(inner, operator, rest, operand, inserting);
        }
        return fail(
            Code::BadValue,
            format!("Cannot create field '{rest}' in element {{{head}}}"),
        );
    }
    match operator {
        "$set" => {
            new.insert(path, operand.clone());
        }
        "$setOnInsert" if inserting => {
            new.insert(path, operand.clone());
        }
        "$setOnInsert" => {}
        "$unset" => {
            new.remove(path);
        }
        "$inc" => {
            let sum = match (new.get(path), operand) {
                (None, amount) => amount.clone(),
                (Some(value), amount) => match (whole(value), whole(amount)) {
                    (Some(a), Some(b)) => i32::try_from(a + b).map_or(Bson::Int64(a + b), Bson::Int32),
                    _ => Bson::Double(number(value).unwrap_or(0.0) + number(amount).unwrap_or(0.0)),
                },
            };
            new.insert(path, sum);
        }
        other => return fail(Code::FailedToParse, format!("Unknown modifier: {other}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn filters() {
        let document = doc! {"_id": 1, "a": {"b": 5_i64}, "t": ["x", "y"]};
        for (filter, holds) in [
            (doc! {}, true),
            (doc! {"_id": 1.0}, true),
            (doc! {"a.b": {"$gt": 4, "$lte": 5}}, true),
            (doc! {"a.b": {"$lt": 5}}, false),
            (doc! {"t": "y"}, true),
            (doc! {"$or": [{"_id": 2}, {"t": {"$in": ["x"]}}]}, true),
            (doc! {"z": {"$exists": false}, "y": Bson::Null}, true),
        ] {
            assert_eq!(matches(&filter, &document).unwrap(), holds, "{filter}");
        }
        assert!(matches(&doc! {"$where": 1}, &document).is_err());
    }

    #[test]
    fn updates() {
        let new = update(
            &doc! {"_id": 1, "n": 1},
            &doc! {"$inc": {"n": 2}, "$set": {"a.b": 3}},
            false,
        )
        .unwrap();
        assert_eq!(new, doc! {"_id": 1, "n": 3, "a": {"b": 3}});
        assert_eq!(
            update(&doc! {"_id": 1}, &doc! {"x": 1}, false).unwrap(),
            doc! {"_id": 1, "x": 1}
        );
    }
}
