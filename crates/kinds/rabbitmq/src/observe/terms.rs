//! Reading Erlang terms.

use protocol::facts::Term;

/// The texts of a list.
pub(super) fn texts(list: Option<&Term>) -> Vec<String> {
    let texts = list.map(Term::items).unwrap_or_default().iter();
    texts
        .filter_map(|term| term.as_str().map(str::to_owned))
        .collect()
}

/// The text of a key in a property list or a map.
pub(super) fn text(term: &Term, key: &str) -> Option<String> {
    term.get(key).and_then(Term::as_str).map(str::to_owned)
}

/// A property list or map as a JSON object, and what is in it.
pub(super) fn json(term: &Term) -> serde_json::Value {
    use serde_json::Value;
    let object = |pairs: Vec<(&Term, &Term)>| {
        let entries = pairs
            .into_iter()
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), json(value)));
        Value::Object(entries.collect())
    };
    let is_pair = |item: &Term| matches!(item, Term::Tuple(pair) if pair.len() == 2);
    match term {
        Term::Atom(word) if word == "true" => Value::Bool(true),
        Term::Atom(word) if word == "false" => Value::Bool(false),
        Term::Int(number) => Value::from(*number),
        Term::List(items) if !items.is_empty() && items.iter().all(is_pair) => {
            let pairs = items.iter().map(|pair| (&pair.items()[0], &pair.items()[1]));
            object(pairs.collect())
        }
        Term::Map(pairs) => object(pairs.iter().map(|(key, value)| (key, value)).collect()),
        Term::List(items) => Value::Array(items.iter().map(json).collect()),
        other => Value::from(other.as_str().unwrap_or_default()),
    }
}

/// A term as Erlang would print it, near enough for a message.
pub(super) fn show(term: &Term) -> String {
    let all = |items: &[Term]| items.iter().map(show).collect::<Vec<_>>().join(",");
    match term {
        Term::Atom(text) | Term::Str(text) | Term::Float(text) | Term::Other(text) => text.clone(),
        Term::Int(number) => number.to_string(),
        Term::List(items) => format!("[{}]", all(items)),
        Term::Tuple(items) => format!("{{{}}}", all(items)),
        Term::Map(_) => "#{...}".to_owned(),
        Term::Secret(id) => id.to_string(),
    }
}
