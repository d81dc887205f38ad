//! A client for checks by hand, in the place of upstream's `tools/ssdb-cli`.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

use super::message;

/// Sends each line of the input as a command, and writes what is answered as upstream's client does for `info`: a
/// name, then its value or block of lines.
pub fn run(
    host: &str,
    port: u16,
    password: Option<&str>,
    input: impl BufRead,
    mut output: impl Write,
) -> io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect((host, port))?);
    if let Some(password) = password {
        message::write(stream.get_mut(), &["auth", password])?;
        let reply = message::read(&mut stream)?.unwrap_or_default();
        if reply.first().is_none_or(|status| status != b"ok") {
            return Err(io::Error::other("authentication failed"));
        }
    }
    for line in input.lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        message::write(stream.get_mut(), &words)?;
        let reply = message::read(&mut stream)?.unwrap_or_default();
        for item in reply {
            writeln!(output, "{}", String::from_utf8_lossy(&item))?;
        }
    }
    Ok(())
}
