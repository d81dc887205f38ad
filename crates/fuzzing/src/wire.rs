//! Targets of what controller and agent say to each other.

use protocol::frame::{Decoder, FrameError, Message, encode};
use protocol::{Piece, Reference, Text, ToAgent, ToController};
use serde::Serialize;
use serde::de::DeserializeOwned;
use types::{Secret, SecretId};

/// What an agent sends: the controller trusts no host. An answer that is over a limit does not end the conversation.
pub(crate) fn to_controller(input: &[u8]) -> bool {
    stream(input, |decoder| {
        let answer = decoder.next_answer()?;
        Ok(answer.map(|(id, response)| {
            if let Ok(response) = response {
                survives(&ToController { id, response });
            }
        }))
    })
}

/// What a controller sends. An agent runs as root, and another program may be at the other end.
pub(crate) fn to_agent(input: &[u8]) -> bool {
    stream(input, |decoder| {
        let message = decoder.next::<ToAgent>()?;
        Ok(message.map(|message| survives(&message)))
    })
}

/// Reads messages from a stream that arrives in two parts.
fn stream(input: &[u8], mut next: impl FnMut(&mut Decoder) -> Result<Option<()>, FrameError>) -> bool {
    let (first, second) = input.split_at(input.len() / 2);
    let mut decoder = Decoder::default();
    let mut taken = false;
    for part in [first, second] {
        decoder.push(part);
        loop {
            match next(&mut decoder) {
                Ok(Some(())) => taken = true,
                Ok(None) => break,
                Err(_) => return taken,
            }
        }
    }
    taken
}

/// What was decoded must encode to a frame that decodes to the same.
fn survives<T: Message + Serialize + DeserializeOwned>(message: &T) {
    // A message that is too large for a frame is refused when it is sent.
    let Ok(frame) = encode(message) else { return };
    let mut decoder = Decoder::default();
    decoder.push(&frame);
    let again = decoder.next::<T>();
    assert!(
        matches!(&again, Ok(Some(again)) if encode(again).as_ref() == Ok(&frame)),
        "a message that was decoded does not survive the way back: {:?}",
        again.err()
    );
}

/// A text with references, as a file of the operator, a saved plan or an agent may bring it.
pub(crate) fn text(input: &[u8]) -> bool {
    let Ok(input) = std::str::from_utf8(input) else {
        return false;
    };
    let text = Text::new(input);
    let Ok(pieces) = text.pieces() else { return false };
    let plain: usize = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Plain(part) => part.len(),
            _ => 0,
        })
        .sum();
    let Some((id, secret)) = known() else { return false };
    let original = [b'x'; 64];
    let revealed = text.reveal(|wanted| (*wanted == id).then_some(&secret), &original);
    if let Ok(revealed) = &revealed {
        assert!(
            revealed.len() >= plain,
            "characters were lost when references were replaced"
        );
    }
    let _ = (text.secrets(), report::text::redact(&text));
    revealed.is_ok()
}

/// A file's bytes become a text, and the text becomes the same bytes. A masked or secret value is in it nowhere.
pub(crate) fn conceal(input: &[u8]) -> bool {
    // The first bytes say which ranges are masked.
    let Some((header, file)) = input.split_first_chunk::<4>() else {
        return false;
    };
    let at = |index: usize| usize::from(header[index]).min(file.len());
    let is_boundary = |at: usize| std::str::from_utf8(file).is_ok_and(|text| text.is_char_boundary(at));
    let masked: Vec<_> = [(at(0), at(1)), (at(2), at(3))]
        .into_iter()
        .filter(|(start, end)| start < end && is_boundary(*start) && is_boundary(*end))
        .map(|(start, end)| start..end)
        .collect();
    let Some((id, secret)) = known() else { return false };
    let secrets = [(Reference::plain(&id), secret.clone())];
    let Some(text) = Text::conceal(file, &secrets, &masked) else {
        return false;
    };
    let secret_is_left = text.as_str().contains(secret.expose());
    assert!(!secret_is_left, "a secret is left in {:?}", text.as_str());
    let back = text.reveal(|wanted| (*wanted == id).then_some(&secret), file);
    assert_eq!(back.as_deref(), Ok(file), "{:?} is another file", text.as_str());
    true
}

/// A secret that inputs can name and contain.
fn known() -> Option<(SecretId, Secret)> {
    Some(("k".parse().ok()?, Secret::new(agent::fuzzing::SECRET)))
}
