//! The recording, with the names of the store in memory: each server has a host of its own there.

use protocol::Text;
use protocol::facts::RespValue;
use serde_json::{Map, Value};
use types::SecretId;

/// The engines' password, as the agent shows it.
pub(crate) fn password() -> SecretId {
    "file:pw".parse().unwrap()
}

/// The recording.
pub(crate) fn read() -> Map<String, Value> {
    let text = include_str!("../../../standins/recorded/kvrocks-2.6.json");
    let mut all: Value = serde_json::from_str(text).unwrap();
    translate(&mut all);
    let Value::Object(all) = all else {
        panic!("no situations");
    };
    all
}

/// The host and the port of a recorded port of the loopback.
fn place(port: &str) -> Option<(String, &'static str)> {
    let number: u16 = port.parse().ok()?;
    match number {
        27340..=27343 => Some((format!("10.0.0.{}", number - 27339), "6666")),
        27360..=27362 => Some((format!("10.0.0.{}", number - 27359), "26379")),
        _ => None,
    }
}

fn translate(value: &mut Value) {
    match value {
        Value::String(text) => *text = translated(text),
        Value::Array(items) => {
            for at in 1..items.len() {
                let (address, port) = (items[at - 1].as_str(), items[at].as_str());
                if let (Some("127.0.0.1"), Some((host, port))) = (address, port.and_then(place)) {
                    (items[at - 1], items[at]) = (host.into(), port.into());
                }
            }
            match items.as_mut_slice() {
                [key, at] if key == "bind" => *at = "10.0.0.1".into(),
                [key, at] if key == "port" => *at = "6666".into(),
                items => items.iter_mut().for_each(translate),
            }
        }
        Value::Object(fields) => {
            for (address, port) in [("ip", "port"), ("master-host", "master-port")] {
                if let Some((host, number)) = fields.get(port).and_then(Value::as_str).and_then(place) {
                    fields.insert(address.to_owned(), host.into());
                    fields.insert(port.to_owned(), number.into());
                }
            }
            fields.values_mut().for_each(translate);
        }
        _ => {}
    }
}

fn translated(text: &str) -> String {
    let mut text = text.replace("PASSWORD", Text::secret(&password()).as_str());
    for recorded in (27340..=27343).chain(27360..=27362) {
        let (host, port) = place(&recorded.to_string()).unwrap();
        for form in [
            "127.0.0.1 PORT",
            "bind 127.0.0.1\nport PORT",
            "master_host:127.0.0.1\r\nmaster_port:PORT",
            "ip=127.0.0.1,port=PORT",
        ] {
            let was = form.replace("PORT", &recorded.to_string());
            let is = form.replace("127.0.0.1", &host).replace("PORT", port);
            text = text.replace(&was, &is);
        }
    }
    text
}

/// A reply as the recording writes it; simple strings have no sign of their own here.
pub(crate) fn shown(reply: &RespValue) -> Value {
    match reply {
        RespValue::Nil => Value::Null,
        RespValue::Int(number) => (*number).into(),
        RespValue::Str(text) => text.as_str().into(),
        RespValue::List(items) => items.iter().map(shown).collect(),
        RespValue::Error(words) => format!("-{words}").into(),
    }
}

/// A recorded reply in the same form.
pub(crate) fn recorded(reply: &Value) -> Value {
    match reply.as_str() {
        Some(text) => text.strip_prefix('+').unwrap_or(text).into(),
        None => reply.clone(),
    }
}

/// Whether a text is of a pattern, in which stars stand for anything.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len()).any(|at| rest.is_char_boundary(at) && glob(tail, &rest[at..]))
}
