//! Documents of the wire and documents of the protocol crate, turned into each other.

use bson::spec::BinarySubtype;
use bson::{Binary, Document, Timestamp};
use protocol::facts::{Bson, Fields, MongoCommand, MongoError};
use secrets::Secrets;

use super::error::ClientError;

/// Bytes as a value.
pub(super) fn bytes(bytes: Vec<u8>) -> bson::Bson {
    bson::Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

/// The error in a reply. A write that was done and not replicated as far as was asked is an error too.
pub(crate) fn failure(reply: &Document) -> Option<MongoError> {
    let is_ok = reply.get("ok").is_some_and(|ok| number(ok) == Some(1.0));
    let failed = match (is_ok, reply.get_array("writeErrors")) {
        (false, _) => reply,
        (true, Ok(errors)) => errors.first()?.as_document()?,
        (true, Err(_)) => reply.get_document("writeConcernError").ok()?,
    };
    let text = |key: &str| failed.get_str(key).unwrap_or_default().to_owned();
    Some(MongoError {
        code: failed.get_i32("code").unwrap_or(0),
        name: text("codeName"),
        message: text("errmsg"),
    })
}

fn number(value: &bson::Bson) -> Option<f64> {
    match value {
        bson::Bson::Double(number) => Some(*number),
        bson::Bson::Int32(number) => Some(f64::from(*number)),
        bson::Bson::Boolean(flag) => Some(f64::from(u8::from(*flag))),
        _ => None,
    }
}

/// The fields of a command, with its secrets in them.
pub(crate) fn fields(secrets: &Secrets, fields: &Fields) -> Result<Document, ClientError> {
    let mut document = Document::new();
    for (name, value) in fields {
        document.insert(name.clone(), outgoing(secrets, value)?);
    }
    Ok(document)
}

fn outgoing(secrets: &Secrets, value: &Bson) -> Result<bson::Bson, ClientError> {
    let odd = |what: &str| ClientError::Command(format!("{what} cannot be sent to a server"));
    Ok(match value {
        Bson::Null => bson::Bson::Null,
        Bson::Bool(flag) => bson::Bson::Boolean(*flag),
        Bson::Int(number) => i32::try_from(*number).map_or(bson::Bson::Int64(*number), bson::Bson::Int32),
        Bson::Double(text) => bson::Bson::Double(text.parse().map_err(|_| odd(text))?),
        Bson::Str(text) => {
            let bytes = secrets.reveal(text, &[])?;
            bson::Bson::String(String::from_utf8(bytes.to_vec()).map_err(|_| odd("a secret"))?)
        }
        Bson::Array(items) => {
            let items = items.iter().map(|item| outgoing(secrets, item));
            bson::Bson::Array(items.collect::<Result<_, _>>()?)
        }
        Bson::Doc(inner) => bson::Bson::Document(fields(secrets, inner)?),
        Bson::Date(ms) => bson::Bson::DateTime(bson::DateTime::from_millis(*ms)),
        Bson::Timestamp(time, increment) => bson::Bson::Timestamp(Timestamp {
            time: *time,
            increment: *increment,
        }),
        Bson::ObjectId(hex) => {
            bson::Bson::ObjectId(bson::oid::ObjectId::parse_str(hex).map_err(|_| odd(hex))?)
        }
        Bson::Binary(subtype, hex) => bson::Bson::Binary(Binary {
            subtype: (*subtype).into(),
            bytes: unhex(hex).ok_or_else(|| odd(hex))?,
        }),
        Bson::Other(text) => return Err(odd(text)),
    })
}

/// The wanted part of a reply, without the secrets in it.
pub(crate) fn reply(secrets: &Secrets, command: &MongoCommand, reply: Document) -> Bson {
    let paths: Vec<Vec<&str>> = command
        .only
        .iter()
        .map(|path| path.split('.').collect())
        .collect();
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    if paths.is_empty() {
        return incoming(secrets, bson::Bson::Document(reply));
    }
    incoming(secrets, bson::Bson::Document(project(reply, &paths)))
}

/// The document with these paths only, in their order: what is compared must not depend on a server's order.
fn project(mut document: Document, paths: &[&[&str]]) -> Document {
    let mut kept = Document::new();
    for name in paths.iter().filter_map(|path| path.first()) {
        let Some(value) = document.remove(name) else {
            continue;
        };
        let inner: Vec<&[&str]> = paths
            .iter()
            .filter(|path| path.first() == Some(name))
            .map(|path| &path[1..])
            .collect();
        if inner.iter().any(|path| path.is_empty()) {
            kept.insert(*name, value);
        } else if let Some(part) = project_value(value, &inner) {
            kept.insert(*name, part);
        }
    }
    kept
}

fn project_value(value: bson::Bson, paths: &[&[&str]]) -> Option<bson::Bson> {
    match value {
        bson::Bson::Document(document) => Some(bson::Bson::Document(project(document, paths))),
        bson::Bson::Array(items) => {
            let items = items.into_iter().filter_map(|item| project_value(item, paths));
            Some(bson::Bson::Array(items.collect()))
        }
        _ => None,
    }
}

fn incoming(secrets: &Secrets, value: bson::Bson) -> Bson {
    match value {
        bson::Bson::Null | bson::Bson::Undefined => Bson::Null,
        bson::Bson::Boolean(flag) => Bson::Bool(flag),
        bson::Bson::Int32(number) => Bson::Int(number.into()),
        bson::Bson::Int64(number) => Bson::Int(number),
        bson::Bson::Double(number) => Bson::double(number),
        bson::Bson::String(text) | bson::Bson::Symbol(text) => {
            Bson::Str(secrets.conceal_lossy(text.as_bytes()))
        }
        bson::Bson::Array(items) => {
            Bson::Array(items.into_iter().map(|item| incoming(secrets, item)).collect())
        }
        bson::Bson::Document(document) => Bson::Doc(
            document
                .into_iter()
                .map(|(name, value)| (name, incoming(secrets, value)))
                .collect(),
        ),
        bson::Bson::DateTime(time) => Bson::Date(time.timestamp_millis()),
        bson::Bson::Timestamp(at) => Bson::Timestamp(at.time, at.increment),
        bson::Bson::ObjectId(id) => Bson::ObjectId(id.to_hex()),
        bson::Bson::Binary(binary) => Bson::Binary(
            binary.subtype.into(),
            base16ct::lower::encode_string(&binary.bytes),
        ),
        other => Bson::Other(other.to_string()),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;
    use types::Secret;

    fn secrets() -> Secrets {
        Secrets::default().with([("pw".parse().unwrap(), Secret::new("a-password"))])
    }

    #[test]
    fn a_reply_is_cut_to_what_is_wanted() {
        let status = doc! {
            "set": "rs0", "date": 1, "ok": 1.0,
            "members": [{ "name": "db1:27017", "uptime": 5, "optime": { "t": 1_i64, "x": 2 } }, 7],
        };
        let command = MongoCommand::new("replSetGetStatus", 1).only(&[
            "set",
            "members.name",
            "members.optime.t",
            "missing.x",
        ]);
        let other_order = doc! {
            "members": [{ "optime": { "x": 2, "t": 1_i64 }, "name": "db1:27017" }], "ok": 1.0, "set": "rs0",
        };
        assert_eq!(
            reply(&secrets(), &command, other_order),
            reply(&secrets(), &command, status.clone())
        );
        assert_eq!(
            reply(&secrets(), &command, status).to_string(),
            "{ set: \"rs0\", members: [{ name: \"db1:27017\", optime: { t: 1 } }] }"
        );
    }

    #[test]
    fn what_comes_in_goes_out_again() {
        let document = doc! {
            "a": bson::oid::ObjectId::from_bytes([7; 12]), "b": 1.5, "c": 3, "c2": i64::MAX, "d": bson::DateTime::from_millis(9),
            "e": Timestamp { time: 1, increment: 2 }, "f": [true, bson::Bson::Null, { "g": "text" }],
            "h": Binary { subtype: BinarySubtype::Uuid, bytes: vec![0, 255] },
        };
        let seen = reply(&secrets(), &MongoCommand::new("x", 1), document.clone());
        let Bson::Doc(seen) = seen else { panic!() };
        assert_eq!(fields(&secrets(), &seen).unwrap(), document);
    }

    #[test]
    fn secrets_are_put_in_and_taken_out() {
        let pwd = protocol::Text::secret(&"pw".parse().unwrap());
        let sent = fields(&secrets(), &vec![("pwd".to_owned(), pwd.clone().into())]).unwrap();
        assert_eq!(sent, doc! { "pwd": "a-password" });
        let seen = reply(&secrets(), &MongoCommand::new("x", 1), sent);
        assert_eq!(seen.get("pwd"), Some(&Bson::Str(pwd)));
    }

    #[test]
    fn failures_of_commands_and_of_writes() {
        assert_eq!(failure(&doc! { "ok": 1.0 }), None);
        assert_eq!(failure(&doc! { "ok": 1, "n": 1 }), None);
        let error = failure(&doc! { "ok": 0.0, "code": 94, "codeName": "NotYetInitialized", "errmsg": "no" });
        assert_eq!(error.unwrap().to_string(), "no (NotYetInitialized, code 94)");
        let written = doc! { "ok": 1.0, "writeConcernError": { "code": 64, "codeName": "WriteConcernFailed", "errmsg": "late" } };
        assert_eq!(failure(&written).unwrap().code, 64);
        let write = doc! { "ok": 1.0, "writeErrors": [{ "index": 0, "code": 11000, "errmsg": "duplicate" }] };
        assert_eq!(failure(&write).unwrap().code, 11000);
    }
}
