//! The recording: situations in their order, as BSON.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, Timestamp};
use serde_json::Value;

/// All situations, by their names.
pub(super) fn read() -> Document {
    let text = include_str!("../../../recorded/mongod-4.9.json");
    match bson(serde_json::from_str(text).unwrap()) {
        Bson::Document(recording) => recording,
        other => panic!("no recording: {other}"),
    }
}

/// Extended JSON as what it stands for. The recording has no numbers of other types than it shows: `1.0` is a double.
pub(super) fn bson(value: Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => flag.into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            None => Bson::Double(number.as_f64().unwrap()),
        },
        Value::String(text) => text.into(),
        Value::Array(items) => Bson::Array(items.into_iter().map(bson).collect()),
        Value::Object(map) => {
            let only = map.iter().next().map(|(key, value)| (key.as_str(), value));
            match only {
                Some(("$oid", id)) => Bson::ObjectId(ObjectId::parse_str(id.as_str().unwrap()).unwrap()),
                Some(("$date", date)) => {
                    Bson::DateTime(DateTime::parse_rfc3339_str(date.as_str().unwrap()).unwrap())
                }
                Some(("$timestamp", at)) => {
                    let part = |key: &str| u32::try_from(at[key].as_u64().unwrap()).unwrap();
                    Bson::Timestamp(Timestamp {
                        time: part("t"),
                        increment: part("i"),
                    })
                }
                Some(("$binary", _)) => Bson::Binary(Binary {
                    subtype: BinarySubtype::Generic,
                    bytes: b"x".to_vec(),
                }),
                _ => Bson::Document(map.into_iter().map(|(key, value)| (key, bson(value))).collect()),
            }
        }
    }
}
