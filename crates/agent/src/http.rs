//! A client of servers that speak HTTP, for facts and for actions.
//!
//! One request a connection, as HTTP/1.0, so that a body ends where the connection does and nothing is sent in chunks.
//! `httparse` reads the head.

use std::fmt::Write as _;
use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::TextError;
use protocol::facts::{HttpEndpoint, HttpMethod, HttpRequest, Silence, THIS_HOST};
use secrets::Secrets;
use zeroize::Zeroizing;

use crate::bounds::{Share, Time};
use crate::client::{ClientError, silence};
use crate::stream::Stream;

/// How much of a body is read.
const LONGEST: usize = 1 << 20;
/// A longer head is none of a server that we talk to.
const LONGEST_HEAD: usize = 64 << 10;

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// At most [`LONGEST`] bytes of it.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Sends a request and reads the answer, within a time limit.
pub(crate) fn ask(
    secrets: &Secrets,
    at: &HttpEndpoint,
    request: &HttpRequest,
    time: Time,
    share: &mut Share<'_>,
) -> Result<Reply, ClientError> {
    let bytes = encode(secrets, at, request)?;
    // The answer, the body cut out of it, and the text that it becomes.
    share
        .grow(4 * (LONGEST + LONGEST_HEAD))
        .map_err(ClientError::Limit)?;
    let mut stream = Stream::open(&at.address, at.port, time)?;
    let received = exchange(&mut stream, &bytes).map_err(|error| silence(&error))?;
    decode(&received)
}

/// The request as bytes.
fn encode(
    secrets: &Secrets,
    at: &HttpEndpoint,
    request: &HttpRequest,
) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let head_is_sound = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if !head_is_sound(&request.path) || !head_is_sound(&at.address) {
        return Err(ClientError::Limit("the address or path holds a space".to_owned()));
    }
    let body = secrets.reveal(&request.body, &[])?;
    // None of these buffers grows: one that does leaves copies in memory.
    let known = at
        .account
        .as_ref()
        .and_then(|account| secrets.get(account.password.as_ref()?));
    let password = known.map_or(0, |password| password.expose().len());
    let user = at.account.as_ref().map_or(0, |account| account.user.len());
    let room = 512 + request.path.len() + at.address.len() + 2 * (user + password);
    let mut head = Zeroizing::new(String::with_capacity(room));
    let host = match at.address.as_str() {
        THIS_HOST => "localhost",
        named => named,
    };
    // Writing to a string does not fail.
    let _ = write!(
        head,
        "{} {} HTTP/1.0\r\nHost: {host}:{}\r\nConnection: close\r\n",
        request.method.as_str(),
        request.path,
        at.port
    );
    if let Some(account) = &at.account {
        let mut plain = Zeroizing::new(String::with_capacity(user + password + 1));
        plain.push_str(&account.user);
        plain.push(':');
        if let Some(id) = &account.password {
            let password = secrets
                .get(id)
                .ok_or_else(|| TextError::UnknownSecret(id.clone()))?;
            plain.push_str(password.expose());
        }
        let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
        let _ = write!(head, "Authorization: Basic {}\r\n", *encoded);
    }
    if request.method == HttpMethod::Post {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + body.len()));
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Sends everything and reads until the server closes.
fn exchange(stream: &mut Stream, request: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    stream.write_all(request)?;
    let mut received = Zeroizing::new(Vec::new());
    let mut part = Zeroizing::new(vec![0; 16 << 10]);
    while received.len() < LONGEST + LONGEST_HEAD {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(len) => received.extend_from_slice(&part[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(received)
}

/// The answer in all that a server sent.
pub(crate) fn decode(received: &[u8]) -> Result<Reply, ClientError> {
    let foreign = |why: String| ClientError::Silent(Silence::foreign(why));
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(received);
    let parsed = parsed.map_err(|error| foreign(format!("the server does not speak HTTP: {error}")))?;
    let (httparse::Status::Complete(len), Some(status)) = (parsed, head.code) else {
        return Err(foreign(
            "the connection ended within the head of the answer".to_owned(),
        ));
    };
    let body = &received[len..];
    let promised = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let promised = promised.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    if promised.is_some_and(|promised| body.len() < promised.min(LONGEST)) {
        return Err(foreign("the connection ended within the answer".to_owned()));
    }
    let body = &body[..body.len().min(LONGEST)];
    Ok(Reply {
        status,
        body: Zeroizing::new(body.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Text;
    use protocol::facts::HttpAccount;
    use types::Secret;

    fn endpoint() -> HttpEndpoint {
        HttpEndpoint {
            address: "127.0.0.1".into(),
            port: 8123,
            account: Some(HttpAccount {
                user: "altcraft".into(),
                password: Some("pw".parse().unwrap()),
            }),
        }
    }

    fn secrets() -> Secrets {
        Secrets::default().with([("pw".parse().unwrap(), Secret::new("secret-password"))])
    }

    #[test]
    fn a_request_carries_the_account_and_the_length_of_its_body() {
        let body = Text::new("SELECT '⟪secret:pw⟫'");
        let bytes = encode(&secrets(), &endpoint(), &HttpRequest::post("/", body)).unwrap();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            "POST / HTTP/1.0\r\nHost: 127.0.0.1:8123\r\nConnection: close\r\n\
             Authorization: Basic YWx0Y3JhZnQ6c2VjcmV0LXBhc3N3b3Jk\r\nContent-Length: 24\r\n\r\n\
             SELECT 'secret-password'"
        );
    }

    #[test]
    fn a_path_cannot_smuggle_a_header_in() {
        let request = HttpRequest::get("/ HTTP/1.0\r\nX: y");
        assert!(encode(&secrets(), &endpoint(), &request).is_err());
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let reply = decode(b"HTTP/1.0 404 Not Found\r\nContent-Length: 3\r\n\r\nabc").unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (404, &b"abc"[..]));
        let reply = decode(b"HTTP/1.1 200 OK\r\n\r\nuntil the end").unwrap();
        assert_eq!(reply.body.as_slice(), b"until the end");
        for broken in [
            &b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nabc"[..],
            b"HTTP/1.0 200 OK\r\n",
            b"",
            b"-ERR unknown command\r\n\r\n",
        ] {
            assert!(matches!(decode(broken), Err(ClientError::Silent(_))));
        }
    }
}
