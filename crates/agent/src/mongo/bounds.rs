//! Looking through a reply before it is decoded: how deep it nests, and what it takes.
//!
//! `bson` decodes documents within documents by recursion, and an array of the shortest values takes a hundred times its
//! length.

use bson::RawDocument;
use bson::raw::{RawBsonRef, RawIter};
use protocol::bounds::DEPTH;

use crate::bounds::Share;

/// What a value takes at most: in its document with its place there, in the fact, and in lists that grow.
const VALUE: usize = 384;
const _: () = assert!(size_of::<bson::Bson>() <= 128);

/// Takes what the document will take out of the share, unless it nests too deep or is none.
pub(super) fn check(document: &RawDocument, share: &mut Share<'_>) -> Result<(), String> {
    look(document.iter_elements(), share, DEPTH)
}

fn look(elements: RawIter<'_>, share: &mut Share<'_>, levels: usize) -> Result<(), String> {
    for element in elements {
        let not_mongo = |_| "it does not speak MongoDB's protocol".to_owned();
        let element = element.map_err(not_mongo)?;
        // Binary data becomes hexadecimal digits.
        share.grow(VALUE + 2 * (element.key().as_str().len() + element.size()))?;
        let within = match element.value().map_err(not_mongo)? {
            RawBsonRef::Document(inner) => inner.iter_elements(),
            RawBsonRef::Array(inner) => inner.iter_elements(),
            RawBsonRef::JavaScriptCodeWithScope(code) => code.scope.iter_elements(),
            _ => continue,
        };
        let Some(levels) = levels.checked_sub(1) else {
            return Err(format!("its reply nests deeper than {DEPTH} levels"));
        };
        look(within, share, levels)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Memory;
    use bson::{Bson, Document, doc};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn checked(bytes: &[u8]) -> Result<(), String> {
        let document = RawDocument::from_bytes(bytes).map_err(|error| error.to_string())?;
        check(document, &mut Memory::default().share())
    }

    fn nested(levels: usize) -> Document {
        (0..levels).fold(doc! { "a": 1 }, |inner, _| doc! { "a": [inner] })
    }

    #[test]
    fn documents_nest_as_deep_as_facts_and_no_deeper() {
        assert_eq!(checked(&nested(DEPTH / 2).to_vec().unwrap()), Ok(()));
        let error = checked(&nested(DEPTH / 2 + 1).to_vec().unwrap()).unwrap_err();
        assert_eq!(error, "its reply nests deeper than 64 levels");
    }

    proptest! {
        #[test]
        fn what_is_let_through_can_be_decoded_or_is_an_error(
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let scope = bson::JavaScriptCodeWithScope { code: "f".to_owned(), scope: doc! { "x": 1 } };
            let pattern = bson::Regex { pattern: "a".try_into().unwrap(), options: "i".try_into().unwrap() };
            let document = doc! {
                "a": [1, "text", { "b": Bson::Null, "c": true }], "d": 1.5, "e": bson::oid::ObjectId::new(), "f": scope,
                "g": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2] }, "h": pattern,
                "i": bson::Timestamp { time: 1, increment: 2 }, "j": bson::DateTime::from_millis(3), "k": 4_i64,
            };
            let mut bytes = document.to_vec().unwrap();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if checked(&bytes).is_ok()
                && let Ok(raw) = RawDocument::from_bytes(&bytes)
                && let Ok(document) = Document::try_from(raw)
            {
                let _shown = document.to_string();
            }
        }
    }
}
