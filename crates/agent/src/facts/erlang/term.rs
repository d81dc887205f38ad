//! Terms between the wire's encoding and the protocol's plain data.

use erl_dist::term::{self as erl, Atom, Binary, List};
use protocol::facts::{Call, Term};
use secrets::Secrets;

/// A call's parts as Erlang terms.
pub(super) fn call(secrets: &Secrets, call: &Call) -> Result<(Atom, Atom, List), String> {
    let args = call
        .args
        .iter()
        .map(|arg| encode(secrets, arg))
        .collect::<Result<Vec<_>, _>>()?;
    let atom = |name: &String| Atom::from(name.as_str());
    Ok((atom(&call.module), atom(&call.function), List::from(args)))
}

/// What a call came to.
pub(super) fn result(term: erl::Term) -> Result<Term, String> {
    let term = decode(term);
    match &term {
        Term::Tuple(items) if items.first().and_then(Term::as_str) == Some("badrpc") => Err(print(&term)),
        _ => Ok(term),
    }
}

fn encode(secrets: &Secrets, term: &Term) -> Result<erl::Term, String> {
    let all = |items: &[Term]| {
        items
            .iter()
            .map(|item| encode(secrets, item))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match term {
        Term::Atom(name) => Atom::from(name.as_str()).into(),
        Term::Int(number) => match i32::try_from(*number) {
            Ok(number) => erl::FixInteger::from(number).into(),
            Err(_) => erl::BigInteger::from(*number).into(),
        },
        Term::Float(text) => {
            let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
            erl::Float { value: number }.into()
        }
        Term::Str(text) => Binary::from(text.as_bytes()).into(),
        Term::List(items) => List::from(all(items)?).into(),
        Term::Tuple(items) => erl::Tuple::from(all(items)?).into(),
        Term::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| Ok((encode(secrets, key)?, encode(secrets, value)?)));
            let map = pairs.collect::<Result<_, String>>()?;
            erl::Map { map }.into()
        }
        Term::Secret(id) => {
            let value = secrets
                .get(id)
                .ok_or_else(|| format!("the secret {id} is not known to the agent"))?;
            Binary::from(value.expose().as_bytes()).into()
        }
        Term::Other(text) => return Err(format!("{text} cannot be an argument")),
    })
}

fn decode(term: erl::Term) -> Term {
    match term {
        erl::Term::Atom(atom) => Term::Atom(atom.name),
        erl::Term::FixInteger(number) => Term::Int(number.value.into()),
        erl::Term::BigInteger(number) => match i64::try_from(&number.value) {
            Ok(number) => Term::Int(number),
            Err(_) => Term::Other(number.to_string()),
        },
        erl::Term::Float(number) => Term::Float(number.to_string()),
        erl::Term::Binary(binary) => Term::Str(String::from_utf8_lossy(&binary.bytes).into_owned()),
        erl::Term::ByteList(list) if is_string(&list.bytes) => Term::Str(characters(list.bytes)),
        erl::Term::ByteList(list) => {
            Term::List(list.bytes.iter().map(|&byte| Term::Int(byte.into())).collect())
        }
        erl::Term::List(list) => Term::List(list.elements.into_iter().map(decode).collect()),
        erl::Term::Tuple(tuple) => Term::Tuple(tuple.elements.into_iter().map(decode).collect()),
        erl::Term::Map(map) => {
            let pairs = map
                .map
                .into_iter()
                .map(|(key, value)| (decode(key), decode(value)));
            let mut pairs: Vec<(Term, Term)> = pairs.collect();
            // A map has no order of its own, and two equal answers must be equal.
            pairs.sort_unstable();
            Term::Map(pairs)
        }
        other => Term::Other(other.to_string()),
    }
}

/// Whether a list of bytes is text, by Erlang's own rule for printing one: all of it is printable.
fn is_string(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|&byte| matches!(byte, 8..=13 | 27 | 32..=126 | 160..))
}

/// A list of characters, each of which is a byte: UTF-8 where it is, else Latin-1, which Erlang's characters begin with.
fn characters(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
}

/// A term for people, about as Erlang prints it.
fn print(term: &Term) -> String {
    let all = |items: &[Term]| items.iter().map(print).collect::<Vec<_>>().join(",");
    match term {
        Term::Atom(text) | Term::Float(text) | Term::Other(text) => text.clone(),
        Term::Int(number) => number.to_string(),
        Term::Str(text) => format!("{text:?}"),
        // No answer holds one.
        Term::Secret(id) => id.to_string(),
        Term::List(items) => format!("[{}]", all(items)),
        Term::Tuple(items) => format!("{{{}}}", all(items)),
        Term::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!("{}=>{}", print(key), print(value)));
            format!("#{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(term: &Term) -> Term {
        let mut bytes = Vec::new();
        encode(&Secrets::default(), term)
            .unwrap()
            .encode(&mut bytes)
            .unwrap();
        decode(erl::Term::decode(bytes.as_slice()).unwrap())
    }

    #[test]
    fn terms_survive_the_wire() {
        let term = Term::Tuple(vec![
            Term::atom("rabbit@db1"),
            Term::Int(7),
            Term::Int(-1),
            Term::Int(1 << 40),
            Term::Int(i64::MIN),
            Term::Str("virtual höst".into()),
            Term::List(vec![]),
            Term::List(vec![Term::Int(8080), Term::atom("x")]),
            Term::Map(vec![
                (Term::atom("a"), Term::Str("1".into())),
                (Term::atom("b"), Term::Int(2)),
            ]),
        ]);
        assert_eq!(there_and_back(&term), term);
    }

    #[test]
    fn a_bad_call_is_an_error_in_erlangs_words() {
        let reason = Term::Tuple(vec![Term::atom("EXIT"), Term::List(vec![Term::Str("no".into())])]);
        let term = encode(
            &Secrets::default(),
            &Term::Tuple(vec![Term::atom("badrpc"), reason]),
        )
        .unwrap();
        assert_eq!(result(term), Err("{badrpc,{EXIT,[\"no\"]}}".to_owned()));
    }

    #[test]
    fn small_numbers_are_no_string() {
        assert!(is_string(b"3.10.8") && is_string(b"a\n"));
        assert!(!is_string(&[1, 2, 3]) && !is_string(&[]));
    }

    #[test]
    fn what_cannot_be_sent_is_an_error() {
        let error = call(
            &Secrets::default(),
            &Call::new("m", "f", [Term::Other("#Pid<0.1.0>".into())]),
        )
        .unwrap_err();
        assert_eq!(error, "#Pid<0.1.0> cannot be an argument");
    }

    #[test]
    fn a_secret_is_sent_as_its_value() {
        let secrets = Secrets::default().with([("k".parse().unwrap(), types::Secret::new("hunter2hunter2"))]);
        let sent = encode(&secrets, &Term::Secret("k".parse().unwrap())).unwrap();
        assert_eq!(decode(sent), Term::Str("hunter2hunter2".into()));
        assert!(encode(&Secrets::default(), &Term::Secret("k".parse().unwrap())).is_err());
    }
}
