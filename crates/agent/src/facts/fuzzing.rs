//! What the fuzz targets call: the bytes of a server's answer, taken the way that they take through the agent, from the
//! connection to the fact. Nothing but tests uses it; it is part of the agent so that the decoders can stay private.

use protocol::facts::{
    ErlangFact, HttpFact, Login, MongoCommand, MongoFact, RespCommand, RespFact, SsdbCommand, SsdbFact,
    WordsFact,
};
use protocol::{Fact, Response};
use secrets::Secrets;

use crate::bounds::Memory;
use crate::redact::redact;

/// Replies of a server that speaks RESP; `None` where one is not whole or not RESP.
pub fn resp(sent: &[u8]) -> Option<Response> {
    let secrets = secrets();
    let command = RespCommand::new(["INFO"]);
    let memory = Memory::default();
    let replies = each(sent, |rest| crate::resp::first(rest, &mut memory.share()).ok()?)?;
    let replies = replies
        .into_iter()
        .map(|frame| super::resp::value(&secrets, &command, frame));
    Some(response(
        &secrets,
        Fact::Resp(RespFact::Replies {
            authenticated: true,
            replies: replies.collect(),
        }),
    ))
}

/// Replies of a server that speaks SSDB's protocol; `None` where one is not whole or of another protocol.
pub fn ssdb(sent: &[u8]) -> Option<Response> {
    let secrets = secrets();
    let command = SsdbCommand::new(["info"]);
    let memory = Memory::default();
    let replies = each(sent, |rest| crate::ssdb::first(rest, &mut memory.share()).ok()?)?;
    let replies = replies
        .iter()
        .map(|items| super::ssdb::reply(&secrets, &command, items));
    Some(response(
        &secrets,
        Fact::Ssdb(SsdbFact::Replies {
            asks_password: true,
            replies: replies.collect(),
        }),
    ))
}

/// A MongoDB server's message behind its header; `None` where it holds no document.
pub fn mongo(body: &[u8]) -> Option<Response> {
    let secrets = secrets();
    let command = MongoCommand::new("replSetGetStatus", 1);
    let document = crate::mongo::document(body, &mut Memory::default().share()).ok()?;
    let reply = match crate::mongo::failure(&document) {
        Some(error) => Err(error),
        None => Ok(crate::mongo::reply(&secrets, &command, document)),
    };
    Some(response(
        &secrets,
        Fact::Mongo(MongoFact::Replies {
            login: Login::Accepted,
            replies: vec![reply],
        }),
    ))
}

/// What an Erlang node sends after the handshake; `None` where no answer to a call is in it.
pub fn erlang(sent: &[u8]) -> Option<Response> {
    let results = super::erlang::results(sent, &mut Memory::default().share());
    if results.is_empty() {
        return None;
    }
    Some(response(&secrets(), Fact::Erlang(ErlangFact::Results(results))))
}

/// All that an HTTP server sends; `None` where it is no whole answer.
pub fn http(sent: &[u8]) -> Option<Response> {
    let secrets = secrets();
    let reply = crate::http::decode(sent).ok()?;
    Some(response(
        &secrets,
        Fact::Http(HttpFact::Reply {
            status: reply.status,
            body: secrets.conceal_lossy(&reply.body),
        }),
    ))
}

/// The answer to a four-letter word, which may be any bytes.
pub fn words(sent: &[u8]) -> Response {
    let secrets = secrets();
    let reply = secrets.conceal_lossy(sent);
    response(&secrets, Fact::Words(WordsFact::Replies(vec![reply])))
}

/// A secret that inputs can contain.
pub const SECRET: &str = "hunter2hunter2";

fn secrets() -> Secrets {
    // The identifier is well-formed; where it was not, there would be no secret to look for.
    let known = "k".parse().ok().map(|id| (id, types::Secret::new(SECRET)));
    Secrets::default().with(known)
}

/// The response as it leaves the agent.
fn response(secrets: &Secrets, fact: Fact) -> Response {
    let mut response = Response::Facts(vec![Ok(fact)]);
    redact(&mut response, secrets);
    response
}

/// All replies in the bytes of a connection; `None` where what is left is not the beginning of another one.
fn each<T>(sent: &[u8], parse: impl Fn(&[u8]) -> Option<(T, usize)>) -> Option<Vec<T>> {
    let mut all = Vec::new();
    let mut rest = sent;
    while !rest.is_empty() {
        let (reply, used) = parse(rest)?;
        all.push(reply);
        rest = rest.get(used..)?;
    }
    Some(all)
}
