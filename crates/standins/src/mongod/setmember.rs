//! One member of a replica set's configuration: its document, and which the real server takes.

use bson::{Document, doc};

use super::errors::{Code, CommandError, fail};
use super::query::{number, truthy, whole};
use super::show;

/// One member of the set.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields of a member document")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a member document has as many switches"
)]
pub struct Member {
    pub id: i32,
    pub host: String,
    pub arbiter: bool,
    pub hidden: bool,
    pub priority: f64,
    /// Whether its vote counts: not while it is newly added.
    pub votes: bool,
    /// Whether its vote waits until it has done its initial sync.
    pub newly_added: bool,
    pub delay: i64,
}

impl Member {
    /// Whether it can become primary.
    pub fn electable(&self) -> bool {
        !self.arbiter && self.votes && self.priority > 0.0
    }
}

const MEMBER_FIELDS: &[&str] = &[
    "_id",
    "host",
    "arbiterOnly",
    "buildIndexes",
    "hidden",
    "priority",
    "tags",
    "votes",
    "horizons",
    "newlyAdded",
    "secondaryDelaySecs",
    "slaveDelay",
];

/// Reads a member, with its document in which all defaults are filled in; `delay_name` is the release's.
pub(super) fn parse(from: &Document, delay_name: &str) -> Result<(Member, Document), CommandError> {
    parse_fields(from, delay_name).map_err(|mut error| {
        error.message = format!(
            "member: {} :: caused by :: {}",
            show::document(from),
            error.message
        );
        error
    })
}

fn parse_fields(from: &Document, delay_name: &str) -> Result<(Member, Document), CommandError> {
    known(from, MEMBER_FIELDS, "MemberConfig")?;
    if let Some(wrong) = ["secondaryDelaySecs", "slaveDelay"]
        .iter()
        .find(|n| **n != delay_name && from.contains_key(n))
    {
        return invalid(format!("BSON field 'MemberConfig.{wrong}' is an unknown field."));
    }
    let id = integer(from, "_id")
        .and_then(|id| i32::try_from(id).ok())
        .filter(|id| (0..=255).contains(id));
    let Some(id) = id else {
        return invalid("_id field value must be an integer between 0 and 255");
    };
    let host = text(from, "host", "MemberConfig")?;
    let host = if host.contains(':') {
        host
    } else {
        format!("{host}:27017")
    };
    let arbiter = truthy(from.get("arbiterOnly"));
    let votes = integer(from, "votes").unwrap_or(1);
    let priority = from.get("priority").and_then(number);
    let newly_added = truthy(from.get("newlyAdded"));
    let member = Member {
        id,
        arbiter,
        hidden: truthy(from.get("hidden")),
        // An arbiter's default of 1 is read as 0.
        priority: priority
            .filter(|p| !(arbiter && (*p - 1.0).abs() < f64::EPSILON))
            .unwrap_or(f64::from(u8::from(!arbiter))),
        votes: votes == 1 && !newly_added,
        newly_added,
        delay: integer(from, delay_name).unwrap_or(0),
        host,
    };
    if !(0..=1).contains(&votes) {
        return invalid(format!("votes field value is {votes} but must be 0 or 1"));
    }
    if !(0.0..=1000.0).contains(&member.priority) {
        return invalid(format!(
            "priority field value of {} is out of range",
            member.priority
        ));
    }
    if member.priority > 0.0 {
        for (is_broken, why) in [
            (votes == 0, "when non-voting (votes:0)"),
            (member.hidden, "when hidden=true"),
            (member.delay > 0, "when secondaryDelaySecs is used"),
        ] {
            if is_broken {
                return invalid(format!("priority must be 0 {why}"));
            }
        }
    }
    if arbiter && votes == 0 {
        return invalid("Arbiter must vote (cannot have 0 votes)");
    }
    let mut document = doc! {
        "_id": id, "host": &member.host, "arbiterOnly": arbiter,
        "buildIndexes": from.get("buildIndexes").is_none_or(|flag| truthy(Some(flag))),
        "hidden": member.hidden, "priority": member.priority,
        "tags": from.get_document("tags").cloned().unwrap_or_default(),
        delay_name: member.delay, "votes": i32::from(votes == 1),
    };
    if newly_added {
        document.insert("newlyAdded", true);
    }
    Ok((member, document))
}

/// Refuses fields that are not of these.
pub(super) fn known(from: &Document, fields: &[&str], what: &str) -> Result<(), CommandError> {
    match from.keys().find(|key| !fields.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => invalid(format!("BSON field '{what}.{key}' is an unknown field.")),
    }
}

/// A text that must be there.
pub(super) fn text(from: &Document, key: &str, what: &str) -> Result<String, CommandError> {
    match from.get_str(key) {
        Ok(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => invalid(format!(
            "BSON field '{what}.{key}' is missing but a required field"
        )),
    }
}

/// A whole number, where there is one.
pub(super) fn integer(from: &Document, key: &str) -> Option<i64> {
    from.get(key).and_then(whole)
}

/// A document that breaks a rule of its own.
pub(super) fn invalid<T>(reason: impl Into<String>) -> Result<T, CommandError> {
    fail(Code::InvalidReplicaSetConfig, reason)
}
