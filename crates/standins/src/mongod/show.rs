//! Commands and documents as the real server writes them into its messages, and options as it shows them.

use bson::{Bson, Document};

/// A command for a message: passwords and proofs are hidden.
pub(super) fn command(command: &Document) -> String {
    let mut shown = command.clone();
    for key in ["pwd", "payload"] {
        if shown.contains_key(key) {
            shown.insert(key, "xxx");
        }
    }
    document(&shown)
}

/// A document for a message.
pub(super) fn document(document: &Document) -> String {
    let fields = document
        .iter()
        .map(|(key, value)| format!("{key}: {}", self::value(value)));
    enclosed('{', &fields.collect::<Vec<_>>(), '}')
}

/// Options as `--outputConfig` shows them: YAML, sections below their names.
pub fn yaml(options: &Document, indent: &str) -> String {
    let lines = options.iter().map(|(key, value)| match value {
        Bson::Document(inner) => format!("{indent}{key}:\n{}", yaml(inner, &format!("{indent}  "))),
        Bson::String(text) => format!("{indent}{key}: {text}\n"),
        other => format!("{indent}{key}: {other}\n"),
    });
    lines.collect()
}

fn value(value: &Bson) -> String {
    match value {
        Bson::Document(inner) => document(inner),
        Bson::Array(items) => enclosed('[', &items.iter().map(self::value).collect::<Vec<_>>(), ']'),
        Bson::Double(number) if number.fract() == 0.0 => format!("{number:.1}"),
        Bson::ObjectId(id) => format!("ObjectId('{id}')"),
        other => other.to_string(),
    }
}

fn enclosed(open: char, inner: &[String], close: char) -> String {
    if inner.is_empty() {
        format!("{open}{close}")
    } else {
        format!("{open} {} {close}", inner.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    #[test]
    fn passwords_are_hidden_and_doubles_have_a_point() {
        let shown =
            super::command(&doc! {"createUser": "x", "pwd": "y", "roles": [], "n": {"p": 0.0, "q": [1_i64]}});
        assert_eq!(
            shown,
            "{ createUser: \"x\", pwd: \"xxx\", roles: [], n: { p: 0.0, q: [ 1 ] } }"
        );
    }
}
