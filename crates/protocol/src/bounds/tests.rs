//! A message over a limit is an error, and never a crash.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::facts::{
    Bson, ErlangFact, LogFact, Login, MongoFact, RespFact, RespValue, SsdbFact, SsdbReply, Term,
};
use crate::frame::{self, Decoder, FrameError, Message};
use crate::{Response, ToController};

/// A frame of these bytes.
fn frame(content: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(content);
    frame
}

fn answer(facts: Vec<Fact>) -> ToController {
    ToController {
        id: 7,
        response: Response::Facts(facts.into_iter().map(Ok).collect()),
    }
}

fn resp(value: RespValue) -> Fact {
    Fact::Resp(RespFact::Replies {
        authenticated: false,
        replies: vec![value],
    })
}

fn mongo(value: Bson) -> Fact {
    Fact::Mongo(MongoFact::Replies {
        login: Login::Nobody,
        replies: vec![Ok(value)],
    })
}

fn erlang(term: Term) -> Fact {
    Fact::Erlang(ErlangFact::Results(vec![Ok(term)]))
}

/// A value within so many lists.
fn nested<T>(depth: usize, mut value: T, wrap: impl Fn(T) -> T) -> T {
    for _ in 0..depth {
        value = wrap(value);
    }
    value
}

/// All ways in which a value can nest.
fn deep(depth: usize) -> Vec<Fact> {
    let map = |term| Term::Map(vec![(Term::Int(1), term)]);
    let key = |term| Term::Map(vec![(term, Term::Int(1))]);
    let doc = |value| Bson::Doc(vec![("a".to_owned(), value)]);
    vec![
        resp(nested(depth, RespValue::Nil, |value| {
            RespValue::List(vec![value])
        })),
        mongo(nested(depth, Bson::Null, |value| Bson::Array(vec![value]))),
        mongo(nested(depth, Bson::Null, doc)),
        erlang(nested(depth, Term::Int(1), |term| Term::List(vec![term]))),
        erlang(nested(depth, Term::Int(1), |term| Term::Tuple(vec![term]))),
        erlang(nested(depth, Term::Int(1), map)),
        erlang(nested(depth, Term::Int(1), key)),
    ]
}

/// The bytes of such an answer, as an agent that is not ours would write them: what one level more adds to the shallow
/// one is put in again and again.
fn deep_frame(shallow: &Fact, deeper: &Fact, depth: usize) -> Vec<u8> {
    let [one, two] = [shallow, deeper].map(|fact| postcard::to_stdvec(&answer(vec![fact.clone()])).unwrap());
    let same = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
    let tail = one[same..].to_vec();
    let added = two.len() - one.len();
    let head = &two[same..same + added];
    let mut content = one[..same].to_vec();
    for _ in 0..depth {
        content.extend_from_slice(head);
    }
    content.extend_from_slice(&tail);
    frame(&content)
}

#[test]
fn a_value_of_the_greatest_depth_goes_through() {
    for fact in deep(DEPTH) {
        let sent = answer(vec![fact]);
        let mut decoder = Decoder::default();
        decoder.push(&frame::encode(&sent).unwrap());
        assert_eq!(decoder.next::<ToController>().unwrap(), Some(sent));
    }
}

#[test]
fn a_frame_nested_ten_thousand_levels_deep_is_an_error_of_its_request() {
    // The last one nests in keys, whose other half comes after them.
    let pairs = deep(1).into_iter().zip(deep(2)).take(6);
    for (shallow, deeper) in pairs {
        let frame = deep_frame(&shallow, &deeper, 10_000);
        let mut decoder = Decoder::default();
        decoder.push(&frame);
        assert_eq!(
            decoder.next::<ToController>(),
            Err(FrameError::Exceeded(Exceeded::Depth))
        );
        // The conversation goes on behind it.
        decoder.push(&frame);
        assert_eq!(decoder.next_answer(), Ok(Some((7, Err(Exceeded::Depth)))));
        let ready = answer(Vec::new());
        decoder.push(&frame::encode(&ready).unwrap());
        assert_eq!(decoder.next_answer(), Ok(Some((7, Ok(ready.response)))));
        assert!(decoder.is_empty());
    }
}

#[test]
fn a_value_that_nests_too_deep_is_not_encoded() {
    for fact in deep(10_000) {
        let message = answer(vec![fact]);
        assert_eq!(
            frame::encode(&message),
            Err(FrameError::Exceeded(Exceeded::Depth))
        );
        // To drop it would recurse as deep.
        std::mem::forget(message);
    }
}

#[test]
fn a_frame_of_one_byte_elements_is_an_error_of_its_request() {
    // Each element is the discriminant of `Nil`: one byte here, and the size of a value there.
    let mut content = postcard::to_stdvec(&answer(vec![resp(RespValue::List(Vec::new()))])).unwrap();
    assert_eq!(content.pop(), Some(0));
    let count = 8 << 20;
    content.extend(postcard::to_stdvec(&count).unwrap());
    content.resize(content.len() + count, 0);
    let mut decoder = Decoder::default();
    decoder.push(&frame(&content));
    let limit = ToController::LIMITS.bytes;
    assert_eq!(decoder.next_answer(), Ok(Some((7, Err(Exceeded::Size(limit))))));
}

#[test]
fn answers_that_do_not_fit_are_left_out_and_the_others_arrive() {
    let small = || Ok(resp(RespValue::Int(1)));
    let replies = vec![
        SsdbReply {
            status: String::new(),
            items: Vec::new()
        };
        1_500_000
    ];
    let large = Fact::Ssdb(SsdbFact::Replies {
        asks_password: false,
        replies,
    });
    let text = |len: usize| Ok(resp(RespValue::Error("x".repeat(len))));
    let deeper = deep(1000).swap_remove(0);
    let mut answers = [
        small(),
        Ok(deeper),
        small(),
        Ok(large),
        text(600),
        text(600),
        small(),
    ];
    fit(&mut answers, 7 * 256 + 1000, 1 << 20);
    let errors: Vec<String> = answers
        .iter()
        .map(|answer| answer.as_ref().err().map(ToString::to_string).unwrap_or_default())
        .collect();
    assert_eq!(
        errors,
        [
            "",
            "the answer is skipped: it nests deeper than 64 levels",
            "",
            "the answer is skipped: it takes more than 128 MiB",
            "",
            "the answer is skipped: the host's answers together are too large",
            "",
        ]
    );
}

/// Any answer with values that nest.
fn any_nesting() -> impl Strategy<Value = Fact> {
    let leaf = prop_oneof![
        "[a-zé]{0,8}".prop_map(Term::Atom),
        any::<i64>().prop_map(Term::Int),
        "[a-zé]{0,8}".prop_map(Term::Str),
    ];
    let terms = leaf.prop_recursive(8, 64, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Term::List),
            vec(inner.clone(), 0..6).prop_map(Term::Tuple),
            vec((inner.clone(), inner), 0..6).prop_map(Term::Map),
        ]
    });
    let values = "[a-z]{0,3}".prop_map(|text| RespValue::Str(text.into()));
    let values = values.prop_recursive(8, 64, 6, |inner| vec(inner, 0..6).prop_map(RespValue::List));
    let documents = any::<i64>().prop_map(Bson::Int);
    let documents = documents.prop_recursive(8, 64, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Bson::Array),
            vec(("[a-z]{0,3}", inner), 0..6).prop_map(Bson::Doc),
        ]
    });
    let items = vec(vec("[a-z]{0,3}", 0..6), 0..6).prop_map(|replies| {
        let replies = replies.into_iter().map(|items| SsdbReply {
            status: String::new(),
            items: items.into_iter().map(Into::into).collect(),
        });
        Fact::Ssdb(SsdbFact::Replies {
            asks_password: true,
            replies: replies.collect(),
        })
    });
    let lines = vec(vec("[a-z]{0,3}", 0..6), 0..6).prop_map(|found| {
        let found = found
            .into_iter()
            .map(|lines| lines.into_iter().map(Into::into).collect());
        Fact::Log(LogFact::Lines(found.collect()))
    });
    prop_oneof![
        terms.prop_map(erlang),
        values.prop_map(resp),
        documents.prop_map(mongo),
        items,
        lines
    ]
}

proptest! {
    #[test]
    fn bytes_of_any_kind_decode_within_the_limits_or_are_an_error(content in vec(any::<u8>(), 0..2000)) {
        let mut decoder = Decoder::default();
        decoder.push(&frame(&content));
        if let Ok(Some((_, Ok(response)))) = decoder.next_answer() {
            prop_assert!(measure(&response, ToController::LIMITS).is_ok());
        }
    }

    #[test]
    fn what_was_measured_can_be_read_within_that(fact in any_nesting()) {
        let fact: Result<Fact, FactError> = Ok(fact);
        let bytes = postcard::to_stdvec(&fact).unwrap();
        let weight = measure(&fact, Limits::ANSWER).unwrap();
        let exactly = Limits { bytes: weight, ..Limits::ANSWER };
        prop_assert_eq!(read::<Result<Fact, FactError>>(&bytes, exactly), Ok(fact));
    }

    #[test]
    fn a_message_with_some_bytes_changed_decodes_within_the_limits_or_is_an_error(
        fact in any_nesting(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut content = postcard::to_stdvec(&answer(vec![fact])).unwrap();
        for (place, byte) in changes {
            let place = place.index(content.len());
            content[place] = byte;
        }
        let mut decoder = Decoder::default();
        decoder.push(&frame(&content));
        if let Ok(Some((_, Ok(response)))) = decoder.next_answer() {
            prop_assert!(measure(&response, ToController::LIMITS).is_ok());
        }
    }
}
