//! References to secrets, and how good a secret must be.

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::{Read, read};
use crate::value;
use crate::{Findings, Reader, SecretRef, SecretRule, Takes};

/// Reads keys `a` to `k` as references.
fn secrets(text: &str, rule: SecretRule) -> Read<()> {
    read(&[("inventory.toml", text)], |sources, ids, findings| {
        let (table, diagnostics) = value::parse(sources, ids[0]);
        for diagnostic in diagnostics {
            findings.report(diagnostic);
        }
        let reader = Reader::new(&table, "a setting", findings);
        for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"] {
            reader.secret(key, rule);
        }
        reader.finish();
    })
}

fn one(rule: SecretRule) -> SecretRef {
    secrets("a = { file = \"secrets/x\" }", rule).secrets.remove(0)
}

#[test]
fn references_are_read_and_named_after_their_source() {
    let read = secrets(
        "a = { env = \"MQ\" }\nb = { file = \"secrets/mq\" }\nc = { age = \"mq.age\" }\nd = { command = [\"pass\", \"show\", \"mq\"] }\n",
        SecretRule::PASSWORD,
    );
    assert_eq!(read.said(), "");
    let names: Vec<&str> = read.secrets.iter().map(|secret| secret.id.as_str()).collect();
    assert_eq!(
        names,
        ["env:MQ", "file:secrets/mq", "age:mq.age", "command:pass show mq"]
    );
}

#[test]
fn two_commands_of_different_words_are_two_secrets() {
    let read = secrets(
        "a = { command = [\"pass\", \"show x\"] }\nb = { command = [\"pass show\", \"x\"] }\nc = { command = [\"pass\", \"show\", \"x\"] }\nd = { command = [\"pass\", \"\\\"show x\\\"\"] }",
        SecretRule::PASSWORD,
    );
    let names: std::collections::BTreeSet<&str> =
        read.secrets.iter().map(|secret| secret.id.as_str()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn literal_secrets_and_what_is_no_reference_are_refused() {
    let read = secrets(
        r#"
a = "hunter2hunter2hunter2"
b = 5
c = { env = 5 }
d = { env = "X", file = "y" }
e = {}
f = { vault = "x" }
g = { command = [] }
h = { command = ["pass", 3] }
i = { env = "" }
j = { command = "pass show x" }
k = { command = [""] }
"#,
        SecretRule::PASSWORD,
    );
    assert_snapshot!(read.said());
}

#[test]
fn a_secret_that_is_written_out_is_not_repeated_in_what_is_said() {
    let read = secrets("a = \"hunter2hunter2hunter2\"", SecretRule::PASSWORD);
    let diagnostic = &read.diagnostics[0];
    let said = format!(
        "{} {} {:?}",
        diagnostic.message, diagnostic.label, diagnostic.hint
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn weak_secrets_are_refused_unless_that_is_allowed() {
    let judge = |rule, value: &str, allow| {
        let found = one(rule).check(value, allow);
        found.map_or_else(|| "good".to_owned(), |found| found.label)
    };
    let long = "x7".repeat(16);
    let cases = [
        (SecretRule::PASSWORD, long.as_str()),
        (SecretRule::PASSWORD, &long[1..]),
        (SecretRule::PASSWORD, "abcdefghijklmnopqrstuvwxyzABCDEF"),
        (SecretRule::PASSWORD, "ABCDEFGHIJKLMN"),
        (SecretRule::PASSWORD, "1234567"),
        (SecretRule::PASSWORD, ""),
        (SecretRule::PASSWORD, "pässword, sixteen times as long as this"),
        (
            SecretRule::PASSWORD,
            "two\nlines of more than thirty-two characters",
        ),
        (SecretRule::COOKIE, "a cookie of more than thirty-two characters"),
        (SecretRule::COOKIE, long.as_str()),
        (SecretRule::COOKIE, "short"),
    ];
    let mut said = String::new();
    for (rule, value) in cases {
        let (strict, weak) = (judge(rule, value, false), judge(rule, value, true));
        writeln!(said, "{value:?}\n  {strict}\n  weak allowed: {weak}").unwrap();
    }
    assert_snapshot!(said);
}

#[test]
fn a_value_that_its_place_cannot_express_is_refused_with_the_character() {
    let judge = |takes: Takes, value: &str| {
        let value = value.replace(
            "...",
            "in a value of more than thirty-two characters"
                .replace(' ', "-")
                .as_str(),
        );
        let found = one(SecretRule::PASSWORD.of(takes)).check(&value, true);
        found.map_or_else(|| "good".to_owned(), |found| found.label)
    };
    let values = [
        "...\"",
        "...\\",
        "...]]>",
        "...#",
        "...;",
        "...'",
        "...%",
        "...$",
        "...{{",
        "... x",
        " ...",
        "... ",
        "...\tx",
        "...\u{e9}",
        "...\nx",
        "...\0x",
        "...\u{ffff}",
        "...\u{27ea}",
        "...+/=",
        "...\u{1b}[2J",
    ];
    let all = [
        Takes::Printable,
        Takes::Trimmed,
        Takes::TrimmedAscii,
        Takes::Ascii,
        Takes::Word,
        Takes::Base64,
        Takes::Alphanumeric,
    ];
    let mut said = String::new();
    for value in values {
        writeln!(said, "{value:?}").unwrap();
        for takes in all {
            writeln!(said, "  {takes:?}: {}", judge(takes, value)).unwrap();
        }
    }
    assert_snapshot!(said);
}

#[test]
fn a_value_longer_than_its_server_takes_is_refused() {
    let long = "x7".repeat(513);
    let found = one(SecretRule::PASSWORD).check(&long, true).unwrap();
    assert_eq!(found.label, "it has 1026 bytes, and may have 1024 at most");
    assert!(!format!("{found:?}").contains("x7x7"));
}

#[test]
fn a_finding_is_told_once() {
    let findings = Findings::default();
    for _ in 0..2 {
        findings.report(types::Diagnostic::error("the same").hint("again"));
    }
    assert_eq!(findings.into_parts().0.len(), 1);
}
