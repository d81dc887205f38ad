//! Questions that fail although nothing is wrong with what they ask about: what a host answers then.
//!
//! A server that listens elsewhere, wants TLS or refuses the login, a unit file that cannot be read, a helper that timed
//! out: what is unknown is neither empty nor stopped.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::{Mutex, MutexGuard, PoisonError};

use plan::{Facts, HostFacts};
use protocol::facts::{
    ErlangFact, HttpFact, Login, MongoError, MongoFact, RespFact, Silence, SsdbFact, TcpFact, WordsFact,
};
use protocol::{Fact, FactError, FactQuery, Text};
use types::HostName;

use crate::chance::Chance;

pub(crate) type Answer = Result<Fact, FactError>;

/// The questions that fail now, and what came of those that did.
pub(crate) struct Doubts(Mutex<Books>);

struct Books {
    chance: Chance,
    doubts: Vec<Doubt>,
    /// What failing questions were answered last, and what they should have been.
    failed: BTreeMap<(HostName, FactQuery), (Answer, Answer)>,
}

impl Doubts {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Books {
            chance: Chance::new(seed, 4),
            doubts: Vec::new(),
            failed: BTreeMap::new(),
        }))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Questions begin to fail.
    pub(crate) fn begin(&self, doubt: &Doubt) {
        self.books().doubts.push(doubt.clone());
    }

    /// They are answered again.
    pub(crate) fn end(&self, doubt: &Doubt) {
        self.books().doubts.retain(|other| other != doubt);
    }

    /// What a host says to a question of which this is the true answer.
    pub(crate) fn said(&self, host: &HostName, query: &FactQuery, truth: Answer) -> Answer {
        let Books {
            chance,
            doubts,
            failed,
        } = &mut *self.books();
        let mut said = doubts
            .iter()
            .filter_map(|doubt| doubt.answer(host, query, &truth, chance));
        match said.next().filter(|said| *said != truth) {
            None => {
                // What was said falsely before may be true by now.
                if !failed.is_empty() {
                    failed.remove(&(host.clone(), query.clone()));
                }
                truth
            }
            Some(said) => {
                failed.insert((host.clone(), query.clone()), (said.clone(), truth));
                said
            }
        }
    }

    /// The truth of these facts; `None` where they are it.
    pub(crate) fn truth(&self, facts: &Facts) -> Option<Facts> {
        let mut truths = facts.clone();
        let mut is_all = true;
        for ((host, query), (said, truth)) in &self.books().failed {
            if facts.answer_to(host, query) == Some(said) {
                is_all = false;
                truths.add(
                    host.clone(),
                    HostFacts::Observed(vec![(query.clone(), truth.clone())]),
                );
            }
        }
        (!is_all).then_some(truths)
    }
}

/// Questions of one sort to one host fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) host: HostName,
    pub(crate) subject: Subject,
    pub(crate) failure: Failure,
    pub(crate) share: Share,
}

/// What the questions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Servers, in their own protocols.
    Servers,
    /// What systemd knows.
    Units,
    /// Files.
    Files,
    /// What programs on the host tell.
    Programs,
}

/// How they fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody listens.
    Refused,
    /// Nothing comes in time.
    NoAnswer,
    /// Another protocol is spoken.
    Foreign,
    /// The login is refused.
    Denied,
    /// The agent could not ask.
    Error,
}

/// Which of them fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    All,
    /// One of two, by chance.
    Half,
    /// Those to the host's loopback address.
    Loopback,
    /// Those to other addresses.
    Outward,
}

impl Doubt {
    pub(crate) fn draw(host: HostName, chance: &mut Chance) -> Self {
        use Failure::{Denied, Error, Foreign, NoAnswer, Refused};
        let subject = match chance.between(0, 5) {
            0 => Subject::Units,
            1 => Subject::Files,
            2 => Subject::Programs,
            _ => Subject::Servers,
        };
        // Files, units and programs are asked by the agent itself: it can only fail to.
        let failures: &[Failure] = match subject {
            Subject::Servers => &[Refused, NoAnswer, Foreign, Denied, Error],
            _ => &[Error],
        };
        let shares = [
            Share::All,
            Share::All,
            Share::Half,
            Share::Loopback,
            Share::Outward,
        ];
        let share = match subject {
            Subject::Servers => chance.pick(&shares),
            _ => chance.pick(&shares[..3]),
        };
        Self {
            host,
            subject,
            failure: chance.pick(failures).copied().unwrap_or(Error),
            share: share.copied().unwrap_or(Share::All),
        }
    }

    /// What is answered instead of the truth; `None` where this question does not fail.
    pub(crate) fn answer(
        &self,
        host: &HostName,
        query: &FactQuery,
        truth: &Answer,
        chance: &mut Chance,
    ) -> Option<Answer> {
        let is_asked = *host == self.host
            && subject(query) == self.subject
            && match (self.share, address(query)) {
                (Share::All, _) => true,
                (Share::Half, _) => chance.one_in(2),
                (Share::Loopback, address) => address.is_none_or(is_loopback),
                (Share::Outward, address) => address.is_some_and(|address| !is_loopback(address)),
            };
        is_asked.then(|| match self.failure {
            Failure::Refused => silent(query, Silence::refused()),
            Failure::NoAnswer => silent(query, Silence::no_answer("nothing came within 5 s")),
            Failure::Foreign => silent(query, Silence::foreign("the answer is of another protocol")),
            Failure::Denied => denied(query, truth),
            Failure::Error => Err(FactError {
                message: "it cannot be asked".to_owned(),
            }),
        })
    }
}

fn subject(query: &FactQuery) -> Subject {
    match query {
        FactQuery::Unit(_) => Subject::Units,
        FactQuery::File(_) | FactQuery::Log(_) => Subject::Files,
        FactQuery::Mongo(_)
        | FactQuery::Resp(_)
        | FactQuery::Ssdb(_)
        | FactQuery::Http(_)
        | FactQuery::Erlang(_)
        | FactQuery::Words(_)
        | FactQuery::Tcp(_) => Subject::Servers,
        FactQuery::Os(_)
        | FactQuery::Command(_)
        | FactQuery::Resolve(_)
        | FactQuery::Package(_)
        | FactQuery::Candidate(_) => Subject::Programs,
    }
}

/// The address that a server is asked at; `None` where it has to be on the host.
fn address(query: &FactQuery) -> Option<&str> {
    match query {
        FactQuery::Mongo(query) => Some(&query.address),
        FactQuery::Resp(query) => Some(&query.address),
        FactQuery::Ssdb(query) => Some(&query.address),
        FactQuery::Http(query) => Some(&query.at.address),
        FactQuery::Words(query) => Some(&query.address),
        FactQuery::Tcp(query) => Some(&query.host),
        _ => None,
    }
}

fn is_loopback(address: &str) -> bool {
    address == "localhost" || address.starts_with("127.") || address == "::1"
}

/// No answer of a server, and why.
fn silent(query: &FactQuery, silence: Silence) -> Answer {
    Ok(match query {
        FactQuery::Mongo(_) => Fact::Mongo(MongoFact::Down(silence)),
        FactQuery::Resp(_) => Fact::Resp(RespFact::Down(silence)),
        FactQuery::Ssdb(_) => Fact::Ssdb(SsdbFact::Down(silence)),
        FactQuery::Http(_) => Fact::Http(HttpFact::Down(silence)),
        FactQuery::Erlang(_) => Fact::Erlang(ErlangFact::Down(silence)),
        FactQuery::Words(_) => Fact::Words(WordsFact::Down(silence)),
        FactQuery::Tcp(_) => Fact::Tcp(TcpFact::Closed(silence)),
        _ => {
            return Err(FactError {
                message: silence.words,
            });
        }
    })
}

/// A server's refusal to answer somebody that it does not know; one that is down, and a port, refuse nobody.
fn denied(query: &FactQuery, truth: &Answer) -> Answer {
    let mongo = |code, name: &str, message: &str| MongoError {
        code,
        name: name.to_owned(),
        message: message.to_owned(),
    };
    Ok(match (query, truth) {
        (FactQuery::Mongo(query), Ok(Fact::Mongo(MongoFact::Replies { replies, .. }))) => {
            let refused = mongo(18, "AuthenticationFailed", "Authentication failed.");
            let unauthorized = || mongo(13, "Unauthorized", "command requires authentication");
            match &query.user {
                Some(_) if !query.or_as_nobody => Fact::Mongo(MongoFact::Denied(refused)),
                user => {
                    let open = |name: &str| matches!(name, "hello" | "ping" | "buildInfo");
                    let both = query.commands.iter().zip(replies);
                    let replies = both.map(|(command, reply)| match reply {
                        Ok(document) if open(command.name()) => Ok(document.clone()),
                        _ => Err(unauthorized()),
                    });
                    Fact::Mongo(MongoFact::Replies {
                        login: user.as_ref().map_or(Login::Nobody, |_| Login::Refused(refused)),
                        replies: replies.collect(),
                    })
                }
            }
        }
        (FactQuery::Resp(_), Ok(Fact::Resp(RespFact::Replies { .. }))) => {
            let words = "WRONGPASS invalid username-password pair or user is disabled.";
            Fact::Resp(RespFact::Denied(words.to_owned()))
        }
        (FactQuery::Ssdb(_), Ok(Fact::Ssdb(SsdbFact::Replies { .. }))) => {
            Fact::Ssdb(SsdbFact::Denied("invalid password".to_owned()))
        }
        (FactQuery::Erlang(_), Ok(Fact::Erlang(ErlangFact::Results(_)))) => {
            let words = "the node does not accept the cookie";
            Fact::Erlang(ErlangFact::Denied(words.to_owned()))
        }
        (FactQuery::Http(_), Ok(Fact::Http(HttpFact::Reply { .. }))) => {
            let body = "Code: 516. DB::Exception: default: Authentication failed: password is incorrect, or there is no \
                        user with such name. (AUTHENTICATION_FAILED)";
            Fact::Http(HttpFact::Reply {
                status: 403,
                body: Text::new(body.to_owned()),
            })
        }
        (FactQuery::Words(query), Ok(Fact::Words(WordsFact::Replies(_)))) => {
            let refused = |word: &String| {
                Text::new(format!(
                    "{word} is not executed because it is not in the whitelist.\n"
                ))
            };
            Fact::Words(WordsFact::Replies(query.words.iter().map(refused).collect()))
        }
        _ => return truth.clone(),
    })
}

impl Display for Doubt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let share = match self.share {
            Share::All => "questions",
            Share::Half => "half of the questions",
            Share::Loopback => "questions on loopback",
            Share::Outward => "questions to other addresses",
        };
        let subject = match self.subject {
            Subject::Servers => "servers",
            Subject::Units => "units",
            Subject::Files => "files",
            Subject::Programs => "programs",
        };
        let failure = match self.failure {
            Failure::Refused => "are refused",
            Failure::NoAnswer => "have no answer",
            Failure::Foreign => "meet another protocol",
            Failure::Denied => "are denied",
            Failure::Error => "fail",
        };
        write!(f, "{share} about {subject} of {} {failure}", self.host)
    }
}
