//! Answers to four-letter words: ZooKeeper and ClickHouse Keeper.

use std::io::{self, Read, Write};

use protocol::facts::{Silence, WordsFact, WordsQuery};
use protocol::{FactError, Text};
use secrets::Secrets;

use super::answer::unknown;
use crate::bounds::{Share, Time};
use crate::client::{ClientError, silence};
use crate::stream::Stream;

/// A longer answer is cut.
const LONGEST: usize = 1 << 20;

pub(super) fn observe(
    secrets: &Secrets,
    query: &WordsQuery,
    share: &mut Share<'_>,
) -> Result<WordsFact, FactError> {
    let time = Time::of_server();
    let replies = query
        .words
        .iter()
        .map(|word| ask(secrets, query, word, time, share));
    match replies.collect() {
        Ok(replies) => Ok(WordsFact::Replies(replies)),
        Err(ClientError::Silent(silence)) => Ok(WordsFact::Down(silence)),
        Err(error) => Err(unknown(error)),
    }
}

/// The server reads one word, answers and closes.
fn ask(
    secrets: &Secrets,
    query: &WordsQuery,
    word: &str,
    time: Time,
    share: &mut Share<'_>,
) -> Result<Text, ClientError> {
    // The answer, and the text that it becomes.
    share.grow(3 * LONGEST).map_err(ClientError::Limit)?;
    let mut stream = Stream::open(&query.address, query.port, time)?;
    let mut answer = Vec::new();
    let mut talk = || -> io::Result<()> {
        stream.write_all(word.as_bytes())?;
        let mut part = vec![0; 16 << 10];
        while answer.len() < LONGEST {
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(len) => answer.extend_from_slice(&part[..len]),
                // ZooKeeper closes while the last byte of a long word is on its way; what was said is said.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !answer.is_empty() => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    talk().map_err(|error| {
        let Silence { kind, words } = silence(&error);
        let words = format!("{word}: {words}");
        Silence { kind, words }
    })?;
    Ok(secrets.conceal_lossy(&answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Memory;
    use std::net::TcpListener;

    fn observe(query: &WordsQuery) -> WordsFact {
        super::observe(&Secrets::default(), query, &mut Memory::default().share()).unwrap()
    }

    #[test]
    fn each_word_has_a_connection_of_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = stream.unwrap();
                let mut word = [0; 4];
                stream.read_exact(&mut word).unwrap();
                stream.write_all(&word).unwrap();
                stream.write_all(b"\tanswered\n").unwrap();
            }
        });
        let query = WordsQuery {
            address: "127.0.0.1".into(),
            port,
            words: vec!["mntr".into(), "srvr".into()],
        };
        let replies = ["mntr\tanswered\n", "srvr\tanswered\n"].map(Text::new);
        assert_eq!(observe(&query), WordsFact::Replies(replies.to_vec()));
        server.join().unwrap();
        assert_eq!(observe(&query), WordsFact::Down(Silence::refused()));
    }
}
