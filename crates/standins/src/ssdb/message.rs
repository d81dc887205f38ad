//! The protocol: a message is items, each its length, a newline, its bytes and a newline; an empty line ends it.

use std::io::{self, BufRead, Write};

/// A message.
pub type Message = Vec<Vec<u8>>;

/// A longer item is no item.
const MAX_ITEM: usize = 32 << 20;

/// Reads a message; `None` where the connection ended before one began.
pub fn read(from: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut items = Message::new();
    loop {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line)? == 0 {
            return if items.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let line = line.trim_ascii_end();
        if line.is_empty() {
            if items.is_empty() {
                continue;
            }
            return Ok(Some(items));
        }
        let len = std::str::from_utf8(line)
            .ok()
            .and_then(|digits| digits.parse::<usize>().ok());
        let len = len
            .filter(|&len| len <= MAX_ITEM)
            .ok_or(io::ErrorKind::InvalidData)?;
        let mut item = vec![0; len];
        from.read_exact(&mut item)?;
        let mut end = Vec::new();
        from.read_until(b'\n', &mut end)?;
        if !end.trim_ascii().is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        items.push(item);
    }
}

/// Writes a message.
pub fn write<T: AsRef<[u8]>>(to: &mut impl Write, items: &[T]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for item in items {
        let item = item.as_ref();
        bytes.extend_from_slice(item.len().to_string().as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(item);
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    to.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let items: Message = vec![b"set".to_vec(), b"a\nb".to_vec(), Vec::new()];
        let mut bytes = Vec::new();
        write(&mut bytes, &items).unwrap();
        assert_eq!(bytes, b"3\nset\n3\na\nb\n0\n\n\n");
        let mut reader = bytes.as_slice();
        assert_eq!(read(&mut reader).unwrap(), Some(items));
        assert_eq!(read(&mut reader).unwrap(), None);
        assert!(read(&mut &b"GET / HTTP\n"[..]).is_err());
    }
}
