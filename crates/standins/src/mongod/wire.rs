//! MongoDB's wire protocol: `OP_MSG`, and the `OP_QUERY` that clients still greet a server with.
//!
//! Both sides use it here: the server reads requests and writes replies, and members call each other. After
//! <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>.

use bson::{Bson, Document};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;
const CHECKSUM_PRESENT: u32 = 1;
const MORE_TO_COME: u32 = 2;
/// `maxMessageSizeBytes` of `hello`.
pub const MAX_MESSAGE: usize = 48_000_000;

/// Why a peer's bytes make no message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection failed or ended in the middle of a message.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A document in the message is no BSON.
    #[error("no BSON document: {0}")]
    Bson(#[from] bson::error::Error),
    /// The message breaks the protocol.
    #[error("{0}")]
    Malformed(&'static str),
    /// An operation of the days before `OP_MSG`.
    #[error("opcode {0} is not supported")]
    Opcode(i32),
}

/// One request, or one reply.
#[derive(Debug)]
pub struct Message {
    /// The sender's number of it.
    pub id: i32,
    /// Whether it came as `OP_QUERY`, and wants an `OP_REPLY`.
    pub legacy: bool,
    /// Whether the sender waits for no reply.
    pub silent: bool,
    /// The command or the reply, document sequences folded in as arrays.
    pub body: Document,
}

/// Reads one message; nothing where the peer closed the connection between two.
pub async fn read<R: AsyncRead + Unpin>(from: &mut R) -> Result<Option<Message>, WireError> {
    let mut header = [0; 16];
    match from.read_exact(&mut header).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut head = header.as_slice();
    let (length, id, _, opcode) = (int(&mut head)?, int(&mut head)?, int(&mut head)?, int(&mut head)?);
    let length = usize::try_from(length).unwrap_or(0);
    if !(16..=MAX_MESSAGE).contains(&length) {
        return Err(WireError::Malformed("a message of an impossible length"));
    }
    let mut body = vec![0; length - 16];
    from.read_exact(&mut body).await?;
    match opcode {
        OP_MSG => parse_msg(id, &body).map(Some),
        OP_QUERY => parse_query(id, &body).map(Some),
        other => Err(WireError::Opcode(other)),
    }
}

fn parse_msg(id: i32, body: &[u8]) -> Result<Message, WireError> {
    let mut rest = body;
    let flags = int(&mut rest)?.cast_unsigned();
    if flags & CHECKSUM_PRESENT != 0 {
        let end = rest
            .len()
            .checked_sub(4)
            .ok_or(WireError::Malformed("no room for the checksum"))?;
        rest = &rest[..end];
    }
    let mut document = None;
    let mut sequences = Vec::new();
    while let Some((kind, after)) = rest.split_first() {
        rest = after;
        match kind {
            0 => document = Some(Document::from_reader(&mut rest)?),
            1 => sequences.push(sequence(&mut rest)?),
            _ => return Err(WireError::Malformed("a section of an unknown kind")),
        }
    }
    let mut body = document.ok_or(WireError::Malformed("a message without a body"))?;
    for (name, documents) in sequences {
        body.insert(name, documents);
    }
    Ok(Message {
        id,
        legacy: false,
        silent: flags & MORE_TO_COME != 0,
        body,
    })
}

fn sequence(rest: &mut &[u8]) -> Result<(String, Vec<Bson>), WireError> {
    let size = usize::try_from(int(rest)?).unwrap_or(0);
    let size = size.checked_sub(4).filter(|size| *size <= rest.len());
    let (mut part, after) =
        rest.split_at(size.ok_or(WireError::Malformed("a sequence of an impossible size"))?);
    *rest = after;
    let name = cstring(&mut part)?;
    let mut documents = Vec::new();
    while !part.is_empty() {
        documents.push(Bson::Document(Document::from_reader(&mut part)?));
    }
    Ok((name, documents))
}

fn parse_query(id: i32, body: &[u8]) -> Result<Message, WireError> {
    let mut rest = body;
    int(&mut rest)?;
    let name = cstring(&mut rest)?;
    let Some(database) = name.strip_suffix(".$cmd") else {
        return Err(WireError::Opcode(OP_QUERY));
    };
    int(&mut rest)?;
    int(&mut rest)?;
    let mut body = Document::from_reader(&mut rest)?;
    body.insert("$db", database);
    Ok(Message {
        id,
        legacy: true,
        silent: false,
        body,
    })
}

/// Writes a request: its number and its command, which names its database as `$db`.
pub async fn write_request<W: AsyncWrite + Unpin>(
    to: &mut W,
    id: i32,
    body: &Document,
) -> Result<(), WireError> {
    write_msg(to, id, 0, body).await
}

/// Writes the reply to a request in the form that the request came in.
pub async fn write_reply<W: AsyncWrite + Unpin>(
    to: &mut W,
    request: &Message,
    body: &Document,
) -> Result<(), WireError> {
    if !request.legacy {
        return write_msg(to, request.id, request.id, body).await;
    }
    let body = body.to_vec()?;
    let mut message = header(16 + 20 + body.len(), request.id, request.id, OP_REPLY);
    // Flags, cursor (64 bits), first of all, one document.
    for field in [0_i32, 0, 0, 0, 1] {
        message.extend(field.to_le_bytes());
    }
    message.extend(body);
    Ok(to.write_all(&message).await?)
}

async fn write_msg<W: AsyncWrite + Unpin>(
    to: &mut W,
    id: i32,
    answers: i32,
    body: &Document,
) -> Result<(), WireError> {
    let body = body.to_vec()?;
    let mut message = header(16 + 5 + body.len(), id, answers, OP_MSG);
    message.extend([0; 5]);
    message.extend(body);
    Ok(to.write_all(&message).await?)
}

fn header(length: usize, id: i32, answers: i32, opcode: i32) -> Vec<u8> {
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    [length, id, answers, opcode]
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect()
}

fn int(rest: &mut &[u8]) -> Result<i32, WireError> {
    let (bytes, after) = rest
        .split_first_chunk()
        .ok_or(WireError::Malformed("a message that ends too early"))?;
    *rest = after;
    Ok(i32::from_le_bytes(*bytes))
}

fn cstring(rest: &mut &[u8]) -> Result<String, WireError> {
    let end = rest
        .iter()
        .position(|byte| *byte == 0)
        .ok_or(WireError::Malformed("a name without an end"))?;
    let name = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    Ok(name)
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[tokio::test]
    async fn document_sequences_become_arrays() {
        let mut body = vec![0, 0, 0, 0, 0];
        body.extend(doc! {"insert": "c", "$db": "d"}.to_vec().unwrap());
        let one = doc! {"_id": 1}.to_vec().unwrap();
        body.push(1);
        body.extend(i32::try_from(4 + 10 + one.len()).unwrap().to_le_bytes());
        body.extend(b"documents\0");
        body.extend(&one);
        let mut bytes = header(16 + body.len(), 7, 0, OP_MSG);
        bytes.extend(body);
        let message = read(&mut bytes.as_slice()).await.unwrap().unwrap();
        assert_eq!(message.id, 7);
        assert_eq!(
            message.body,
            doc! {"insert": "c", "$db": "d", "documents": [{"_id": 1}]}
        );
    }

    #[tokio::test]
    async fn broken_messages_are_errors() {
        for bytes in [
            vec![9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xdd, 7, 0, 0],
            header(20, 1, 0, OP_MSG),
        ] {
            assert!(read(&mut bytes.as_slice()).await.is_err() || bytes.len() < 20);
        }
        assert!(read(&mut [].as_slice()).await.unwrap().is_none());
    }
}
