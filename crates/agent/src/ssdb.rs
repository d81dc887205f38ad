//! A client of servers that speak SSDB's protocol, for facts and for actions.

use protocol::Text;
use protocol::facts::{Silence, SsdbCommand};
use secrets::{Secrets, append};
use types::SecretId;
use zeroize::Zeroizing;

use crate::bounds::{REPLY, Share, Time};
use crate::client::ClientError;
use crate::wire::{self, Scan, Whole, Wire};

/// A reply: its items as they came.
pub(crate) type Items = Vec<Zeroizing<Vec<u8>>>;

/// A connection to a server.
pub(crate) struct Connection {
    wire: Wire,
    /// Whether the server asks for a password. It says "ok" to any password where it has none.
    pub(crate) asks_password: bool,
}

impl Connection {
    /// Connects, and authenticates where a password is named.
    pub(crate) fn open(
        secrets: &Secrets,
        address: &str,
        port: u16,
        password: Option<&SecretId>,
        time: Time,
        share: &mut Share<'_>,
    ) -> Result<Self, ClientError> {
        let mut connection = Self {
            wire: Wire::open(address, port, time)?,
            asks_password: false,
        };
        let first = connection.exchange(&[Text::new("ping")], secrets, share)?;
        connection.asks_password = status(&first) == "noauth";
        match password {
            Some(id) => connection.authenticate(secrets, id, share)?,
            None if connection.asks_password => return Err(ClientError::Denied(said(&first))),
            None => {}
        }
        Ok(connection)
    }

    fn authenticate(
        &mut self,
        secrets: &Secrets,
        id: &SecretId,
        share: &mut Share<'_>,
    ) -> Result<(), ClientError> {
        let reply = self.exchange(&[Text::new("auth"), Text::secret(id)], secrets, share)?;
        match status(&reply) {
            "ok" => Ok(()),
            "error" | "noauth" | "client_error" => Err(ClientError::Denied(said(&reply))),
            _ => Err(Silence::foreign(said(&reply)).into()),
        }
    }

    /// Sends a command and reads its reply.
    pub(crate) fn ask(
        &mut self,
        secrets: &Secrets,
        command: &SsdbCommand,
        share: &mut Share<'_>,
    ) -> Result<Items, ClientError> {
        let reply = self.exchange(&command.args, secrets, share)?;
        match status(&reply) {
            "noauth" => Err(ClientError::Denied(said(&reply))),
            _ => Ok(reply),
        }
    }

    fn exchange(
        &mut self,
        args: &[Text],
        secrets: &Secrets,
        share: &mut Share<'_>,
    ) -> Result<Items, ClientError> {
        let mut bytes = Zeroizing::new(Vec::new());
        for arg in args {
            let arg = secrets.reveal(arg, &[])?;
            append(&mut bytes, arg.len().to_string().as_bytes());
            append(&mut bytes, b"\n");
            append(&mut bytes, &arg);
            append(&mut bytes, b"\n");
        }
        append(&mut bytes, b"\n");
        self.wire.send(&bytes)?;
        let parse = |bytes: &[u8]| parse(bytes).ok_or_else(|| NO_SSDB.to_owned());
        self.wire.reply::<Message, _>(share, parse)
    }
}

/// The status of a reply.
pub(crate) fn status(reply: &Items) -> &str {
    reply
        .first()
        .and_then(|item| std::str::from_utf8(item).ok())
        .unwrap_or_default()
}

/// A reply as one line.
pub(crate) fn said(reply: &Items) -> String {
    let items: Vec<_> = reply.iter().map(|item| String::from_utf8_lossy(item)).collect();
    items.join(": ")
}

const NO_SSDB: &str = "it does not speak SSDB's protocol";

/// Looks through a message: how far it went, and how many items it met.
#[derive(Default)]
struct Message {
    at: usize,
    items: usize,
}

impl Scan for Message {
    fn go_on(&mut self, received: &[u8]) -> Result<Option<Whole>, &'static str> {
        while let Some(part) = part(received, self.at)? {
            match part {
                // Empty lines before a message mean nothing.
                Part::Empty { next } if self.items == 0 => self.at = next,
                Part::Empty { next } => {
                    let (len, values) = (next, self.items);
                    return Ok(Some(Whole { len, values }));
                }
                Part::Item { next, .. } => {
                    self.at = next;
                    self.items += 1;
                }
            }
        }
        Ok(None)
    }
}

/// The first message in what was received, and its length; for the fuzz targets.
pub(crate) fn first(received: &[u8], share: &mut Share<'_>) -> Result<Option<(Items, usize)>, String> {
    let decode = |bytes: &[u8]| parse(bytes).ok_or_else(|| NO_SSDB.to_owned());
    wire::first::<Message, _>(received, share, decode)
}

/// The items of a message that is whole.
fn parse(bytes: &[u8]) -> Option<Items> {
    let (mut items, mut at) = (Items::new(), 0);
    while let Ok(Some(part)) = part(bytes, at) {
        match part {
            Part::Empty { next } if items.is_empty() => at = next,
            Part::Empty { .. } => return Some(items),
            Part::Item { item, next } => {
                items.push(Zeroizing::new(item.to_vec()));
                at = next;
            }
        }
    }
    None
}

/// What begins at a place of a message, and where the next part does.
enum Part<'b> {
    Empty { next: usize },
    Item { item: &'b [u8], next: usize },
}

/// The part that begins here; `None` where it is not complete.
fn part(bytes: &[u8], at: usize) -> Result<Option<Part<'_>>, &'static str> {
    /// The length of an item has few digits.
    const LINE: usize = 20;
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(end) = rest.iter().take(LINE + 1).position(|&byte| byte == b'\n') else {
        return if rest.len() > LINE { Err(NO_SSDB) } else { Ok(None) };
    };
    let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
    let begin = at + end + 1;
    if line.is_empty() {
        return Ok(Some(Part::Empty { next: begin }));
    }
    let len: usize = std::str::from_utf8(line)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .filter(|&len| len <= REPLY)
        .ok_or(NO_SSDB)?;
    let Some(item) = bytes.get(begin..begin + len) else {
        return Ok(None);
    };
    let end = begin + len;
    match bytes.get(end..) {
        Some([b'\n', ..]) => Ok(Some(Part::Item { item, next: end + 1 })),
        Some([b'\r', b'\n', ..]) => Ok(Some(Part::Item { item, next: end + 2 })),
        Some([] | [b'\r']) | None => Ok(None),
        Some(_) => Err(NO_SSDB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn texts(bytes: &[u8]) -> Result<Option<(Vec<String>, usize)>, &'static str> {
        let whole = Message::default().go_on(bytes)?;
        Ok(whole.map(|Whole { len, values }| {
            let items = parse(&bytes[..len]).unwrap();
            assert_eq!(items.len(), values);
            let items = items
                .iter()
                .map(|item| String::from_utf8_lossy(item).into_owned());
            (items.collect(), len)
        }))
    }

    #[test]
    fn a_message_ends_with_an_empty_line() {
        let message = b"2\nok\n3\na\nb\n0\n\n\n2\nok\n\n";
        let first = vec!["ok".to_owned(), "a\nb".to_owned(), String::new()];
        assert_eq!(texts(message).unwrap(), Some((first, 15)));
        for cut in 0..15 {
            assert_eq!(texts(&message[..cut]).unwrap(), None, "{cut}");
        }
    }

    #[test]
    fn carriage_returns_are_taken() {
        assert_eq!(
            texts(b"2\r\nok\r\n\r\n").unwrap(),
            Some((vec!["ok".to_owned()], 9))
        );
    }

    #[test]
    fn other_protocols_are_told_apart() {
        for other in [
            &b"-ERR unknown command\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\n",
            b"2\nokay\n\n",
            b"99999999999999\n",
        ] {
            assert!(texts(other).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_message_is_found_however_it_is_cut_and_bytes_of_any_kind_are_an_error_at_most(
            parts in vec(
                prop::sample::select(vec!["2\nok\n", "0\n\n", "\n", "1\r\nx\r\n", "1\n\n\n", "3\na", "x", "9"]),
                0..12,
            ),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = parts.concat().into_bytes();
            let whole = texts(&bytes);
            let mut message = Message::default();
            let first = message.go_on(&bytes[..cut.index(bytes.len() + 1)]);
            let found = first.and_then(|first| first.map_or_else(|| message.go_on(&bytes), |whole| Ok(Some(whole))));
            prop_assert_eq!(
                found.map(|whole| whole.map(|whole| whole.len)),
                whole.map(|whole| whole.map(|(_, len)| len))
            );
        }
    }
}
