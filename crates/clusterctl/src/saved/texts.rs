//! The digests of the texts that a project was read from.

use report::TextChanges;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use types::Sources;

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Text {
    /// Its path, or what stands for it where it is built in.
    pub(super) name: String,
    /// Its SHA-256, in hexadecimal.
    pub(super) sha256: String,
}

/// The texts that were read.
pub(crate) fn of(sources: &Sources) -> Vec<Text> {
    let texts = sources.all().iter().map(|source| Text {
        name: source.name.clone(),
        sha256: base16ct::lower::encode_string(&Sha256::digest(source.text.as_bytes())),
    });
    texts.collect()
}

/// What became of them.
pub(super) fn changes(was: &[Text], now: &[Text]) -> TextChanges {
    let find = |texts: &[Text], name: &str| texts.iter().find(|text| text.name == name).cloned();
    let mut changes = TextChanges::default();
    for text in was {
        match find(now, &text.name) {
            None => changes.gone.push(text.name.clone()),
            Some(other) if other != *text => changes.changed.push(text.name.clone()),
            Some(_) => {}
        }
    }
    let new = now.iter().filter(|text| find(was, &text.name).is_none());
    changes.new = new.map(|text| text.name.clone()).collect();
    if changes.is_empty() && was != now {
        // They are read in another order, or one of them twice.
        changes.changed = now.iter().map(|text| text.name.clone()).collect();
    }
    changes
}
