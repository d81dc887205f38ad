//! Answers to four-letter words: ZooKeeper and ClickHouse Keeper.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use protocol::Text;
use protocol::facts::{WordsFact, WordsQuery};

use crate::secrets::Secrets;
use crate::words::words;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(3);
/// A longer answer is cut.
const LONGEST: u64 = 1 << 20;

pub(super) fn observe(secrets: &Secrets, query: &WordsQuery) -> WordsFact {
    let replies = query.words.iter().map(|word| ask(secrets, query, word));
    match replies.collect() {
        Ok(replies) => WordsFact::Replies(replies),
        Err(why) => WordsFact::Down(why),
    }
}

/// The server reads one word, answers and closes.
fn ask(secrets: &Secrets, query: &WordsQuery, word: &str) -> Result<Text, String> {
    let mut stream = super::connect(&query.address, query.port)?;
    let until = Instant::now() + LIMIT;
    let mut answer = Vec::new();
    let mut talk = || -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.write_all(word.as_bytes())?;
        let mut part = vec![0; 16 << 10];
        while (answer.len() as u64) < LONGEST {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(len) => answer.extend_from_slice(&part[..len]),
                // ZooKeeper closes while the last byte of a long word is on its way; what was said is said.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !answer.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    talk().map_err(|error| format!("{word}: {}", words(&error)))?;
    Ok(secrets.conceal_lossy(&answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

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
        assert_eq!(
            observe(&Secrets::default(), &query),
            WordsFact::Replies(replies.to_vec())
        );
        server.join().unwrap();
        assert!(matches!(observe(&Secrets::default(), &query), WordsFact::Down(_)));
    }
}
