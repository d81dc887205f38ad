//! Redaction of what leaves the host.
//!
//! Where a fact is made, its secrets become references. This pass over the finished response is the second line: a
//! program that echoes its input or a server that quotes a password in an error must not carry it out either.

use protocol::facts::FactStringMut;
use protocol::{Response, Text};
use secrets::Secrets;

/// Replaces every secret in the strings of a response. The text of a file is left alone: its secrets are references
/// already, and asterisks in it would be written back.
pub(crate) fn redact(response: &mut Response, secrets: &Secrets) {
    response.for_each_message(|message| *message = secrets.redact(message));
    let Response::Facts(facts) = response else { return };
    for fact in facts.iter_mut().flatten() {
        fact.for_each_string(|string| match string {
            FactStringMut::Said(said) => *said = secrets.redact(said),
            FactStringMut::Text(text) => *text = Text::new(secrets.redact(text.as_str())),
            // Numbers, hashes and the system's own words.
            FactStringMut::Plain(_) | FactStringMut::File(_) | FactStringMut::Secret(_) => {}
        });
    }
}
