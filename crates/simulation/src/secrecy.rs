//! What leaves a host, as the real agent reports it: with what it was handed as references, and the rest masked.
//!
//! Worlds hold references in place of values. A host of theirs knows some of the values only, so a reference to one that
//! it was not handed is turned into the value that really stands there, and looked at as the agent looks at a file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use protocol::facts::{FileFact, FileQuery};
use protocol::{Fact, FactQuery, Piece, Reference, Text};
use regex_lite::Regex;
use types::{Secret, SecretId};

/// The value that stands for a secret everywhere in the simulation.
pub(crate) fn value(id: &SecretId) -> Secret {
    Secret::new(format!("value-of-{id}-0123456789abcdef"))
}

/// An answer as it leaves a host that was handed these secrets; the error is the secret that would leave it in the open.
pub(crate) fn reported(
    query: &FactQuery,
    fact: Fact,
    given: &BTreeMap<SecretId, Secret>,
) -> Result<Fact, SecretId> {
    let Ok(named) = fact.secrets() else {
        return Ok(fact);
    };
    let unknown: BTreeSet<SecretId> = named.into_iter().filter(|id| !given.contains_key(id)).collect();
    let Some(first) = unknown.first() else {
        return Ok(fact);
    };
    match (query, fact) {
        (FactQuery::File(query), Fact::File(FileFact::Present(mut meta))) => {
            let text = meta.text.take().map(|text| concealed(query, &text, given));
            let text = text.flatten();
            if let Some(leaked) = unknown.iter().find(|id| holds(text.as_ref(), &value(id))) {
                return Err(leaked.clone());
            }
            meta.text = text;
            Ok(Fact::File(FileFact::Present(meta)))
        }
        _ => Err(first.clone()),
    }
}

fn holds(text: Option<&Text>, secret: &Secret) -> bool {
    text.is_some_and(|text| text.as_str().contains(secret.expose()))
}

fn concealed(query: &FileQuery, text: &Text, given: &BTreeMap<SecretId, Secret>) -> Option<Text> {
    let mut content = String::new();
    for piece in text.pieces().ok()? {
        match piece {
            Piece::Plain(plain) => content.push_str(plain),
            Piece::Secret(reference) => {
                let value = value(&reference.id);
                content.push_str(reference.encoding.encode(value.expose()).expose());
            }
            Piece::Kept(range) => content.extend(std::iter::repeat_n('?', range.len())),
        }
    }
    let wanted = query
        .secrets
        .iter()
        .filter(|wanted| given.contains_key(&wanted.id));
    let rest = given.keys().map(Reference::plain);
    let all = wanted.cloned().chain(rest);
    let known: Vec<(Reference, Secret)> = all.map(|one| (one.clone(), value(&one.id))).collect();
    Text::conceal(content.as_bytes(), &known, &masked(&content, &query.masks))
}

/// What the first groups of the patterns match, line by line.
pub(crate) fn masked(content: &str, masks: &[String]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for regex in masks.iter().filter_map(|mask| Regex::new(mask).ok()) {
        let mut start = 0;
        for line in content.split_inclusive('\n') {
            let groups = regex.captures_iter(line.trim_end_matches(['\n', '\r']));
            let groups = groups.filter_map(|found| found.get(1));
            ranges.extend(groups.map(|group| start + group.start()..start + group.end()));
            start += line.len();
        }
    }
    ranges
}
