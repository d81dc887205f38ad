//! The last look at what leaves the host.
//!
//! Where a fact is made, its secrets become references. This pass over the finished response is the second line: a
//! program that echoes its input or a server that quotes a password in an error must not carry it out either.

use protocol::facts::{
    Bson, CandidateFact, CommandFact, ErlangFact, FileFact, HttpFact, LogFact, Login, MongoError, MongoFact,
    RespFact, RespValue, SsdbFact, TcpFact, Term, WordsFact,
};
use protocol::{ActionError, Change, Fact, FactError, Response, Text};

use crate::secrets::Secrets;

/// Replaces every secret in the strings of a response. The text of a file is left alone: its secrets are references
/// already, and asterisks in it would be written back.
pub(crate) fn redact(response: &mut Response, secrets: &Secrets) {
    let clean = Cleaner(secrets);
    match response {
        Response::Ready | Response::Locked => {}
        Response::LockedBy(holder) => {
            clean.string(&mut holder.who);
            clean.string(&mut holder.since);
        }
        Response::Facts(facts) => {
            for fact in facts {
                match fact {
                    Ok(fact) => clean.fact(fact),
                    Err(FactError { message }) => clean.string(message),
                }
            }
        }
        Response::Acted(result) => clean.result(result),
        Response::Failed(why) => clean.string(why),
    }
}

struct Cleaner<'a>(&'a Secrets);

impl Cleaner<'_> {
    fn string(&self, text: &mut String) {
        *text = self.0.redact(text);
    }

    fn result(&self, result: &mut Result<Change, ActionError>) {
        match result {
            Ok(Change { summary, .. }) => self.string(summary),
            Err(
                ActionError::Changed { what }
                | ActionError::TimedOut { what, .. }
                | ActionError::CutOff { what }
                | ActionError::LeftRunning { what, .. }
                | ActionError::Failed { message: what },
            ) => self.string(what),
        }
    }

    fn text(&self, text: &mut Text) {
        *text = Text::new(self.0.redact(text.as_str()));
    }

    fn fact(&self, fact: &mut Fact) {
        match fact {
            Fact::Tcp(TcpFact::Closed(why))
            | Fact::Resp(RespFact::Down(why) | RespFact::Denied(why))
            | Fact::Ssdb(SsdbFact::Down(why) | SsdbFact::Denied(why))
            | Fact::Erlang(ErlangFact::Down(why) | ErlangFact::Denied(why))
            | Fact::Mongo(MongoFact::Down(why))
            | Fact::Http(HttpFact::Down(why))
            | Fact::Words(WordsFact::Down(why)) => self.string(why),
            Fact::Candidate(CandidateFact { version }) => {
                if let Some(version) = version {
                    self.string(version);
                }
            }
            Fact::Mongo(MongoFact::Denied(error)) => self.mongo_error(error),
            Fact::Mongo(MongoFact::Replies { login, replies }) => self.mongo(login, replies),
            Fact::Command(CommandFact { stdout, stderr, .. }) => {
                self.string(stdout);
                self.string(stderr);
            }
            Fact::Resp(RespFact::Replies { replies, .. }) => self.replies(replies),
            Fact::Ssdb(SsdbFact::Replies { replies, .. }) => {
                for reply in replies {
                    self.string(&mut reply.status);
                    for item in &mut reply.items {
                        *item = Text::new(self.0.redact(item.as_str()));
                    }
                }
            }
            Fact::Http(HttpFact::Reply { body, .. }) => self.text(body),
            Fact::Words(WordsFact::Replies(replies)) => replies.iter_mut().for_each(|reply| self.text(reply)),
            Fact::Erlang(ErlangFact::Results(results)) => {
                for result in results {
                    match result {
                        Ok(term) => self.term(term),
                        Err(why) => self.string(why),
                    }
                }
            }
            Fact::Log(LogFact::Lines(found)) => found.iter_mut().flatten().for_each(|line| self.text(line)),
            // Its text was concealed when it was read.
            Fact::File(FileFact::Present(meta)) => self.string(&mut meta.target),
            // Numbers, hashes and the system's own words.
            Fact::Os(_)
            | Fact::File(FileFact::Absent)
            | Fact::Unit(_)
            | Fact::Package(_)
            | Fact::Log(LogFact::Absent)
            | Fact::Resolve(_)
            | Fact::Tcp(TcpFact::Open) => {}
        }
    }

    fn replies(&self, replies: &mut [RespValue]) {
        for reply in replies {
            match reply {
                RespValue::Nil | RespValue::Int(_) => {}
                RespValue::Str(text) => self.text(text),
                RespValue::List(items) => self.replies(items),
                RespValue::Error(why) => self.string(why),
            }
        }
    }

    fn mongo(&self, login: &mut Login, replies: &mut [Result<Bson, MongoError>]) {
        if let Login::Refused(error) = login {
            self.mongo_error(error);
        }
        for reply in replies {
            match reply {
                Ok(value) => self.bson(value),
                Err(error) => self.mongo_error(error),
            }
        }
    }

    /// The name too is the server's own text.
    fn mongo_error(&self, error: &mut MongoError) {
        let MongoError {
            code: _,
            name,
            message,
        } = error;
        self.string(name);
        self.string(message);
    }

    fn bson(&self, value: &mut Bson) {
        match value {
            Bson::Str(text) => *text = Text::new(self.0.redact(text.as_str())),
            Bson::Other(text) => self.string(text),
            Bson::Array(items) => items.iter_mut().for_each(|item| self.bson(item)),
            Bson::Doc(fields) => {
                for (name, value) in fields {
                    self.string(name);
                    self.bson(value);
                }
            }
            // Numbers, times and hexadecimal digits.
            _ => {}
        }
    }

    fn term(&self, term: &mut Term) {
        match term {
            Term::Int(_) | Term::Float(_) | Term::Secret(_) => {}
            Term::Atom(text) | Term::Str(text) | Term::Other(text) => self.string(text),
            Term::List(items) | Term::Tuple(items) => {
                for item in items {
                    self.term(item);
                }
            }
            Term::Map(pairs) => {
                for (name, value) in pairs {
                    self.term(name);
                    self.term(value);
                }
            }
        }
    }
}
