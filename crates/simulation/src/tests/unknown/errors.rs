//! The errors that an answer can be: instead of the whole of it, or instead of one reply in it.

use protocol::facts::{
    Bson, CommandFact, ErlangFact, HttpFact, MongoError, MongoFact, RespFact, RespValue, Silence, SsdbFact,
    SsdbReply, Term, WordsFact,
};
use protocol::{Fact, FactError, Text};

/// An error in place of a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// The agent could not ask.
    Unasked,
    /// Nobody listens where it asked.
    Refused,
    /// Nothing came in time.
    NoAnswer,
    /// Somebody listens who speaks another protocol.
    Foreign,
    /// The server refuses the login.
    Denied,
}

impl Whole {
    pub(super) const ALL: [Self; 5] = [
        Self::Unasked,
        Self::Refused,
        Self::NoAnswer,
        Self::Foreign,
        Self::Denied,
    ];

    /// What the agent says then; `None` where an answer of this sort cannot be this error.
    pub(super) fn instead_of(self, fact: &Fact) -> Option<Result<Fact, FactError>> {
        let silence = match self {
            Self::Unasked => {
                let message = "it did not answer in time".to_owned();
                return Some(Err(FactError { message }));
            }
            Self::Refused => Silence::refused(),
            Self::NoAnswer => Silence::no_answer("it did not answer in time"),
            Self::Foreign => Silence::foreign("it closed the connection"),
            Self::Denied => return denied(fact).map(Ok),
        };
        Some(Ok(match fact {
            Fact::Mongo(_) => Fact::Mongo(MongoFact::Down(silence)),
            Fact::Resp(_) => Fact::Resp(RespFact::Down(silence)),
            Fact::Ssdb(_) => Fact::Ssdb(SsdbFact::Down(silence)),
            Fact::Http(_) => Fact::Http(HttpFact::Down(silence)),
            Fact::Erlang(_) => Fact::Erlang(ErlangFact::Down(silence)),
            Fact::Words(_) => Fact::Words(WordsFact::Down(silence)),
            _ => return None,
        }))
    }
}

/// The server's own words, as the real ones have them.
fn denied(fact: &Fact) -> Option<Fact> {
    Some(match fact {
        Fact::Mongo(_) => Fact::Mongo(MongoFact::Denied(mongo(
            18,
            "AuthenticationFailed",
            "Authentication failed.",
        ))),
        Fact::Resp(_) => {
            let words = "WRONGPASS invalid username-password pair or user is disabled.";
            Fact::Resp(RespFact::Denied(words.to_owned()))
        }
        Fact::Ssdb(_) => Fact::Ssdb(SsdbFact::Denied("authentication required".to_owned())),
        Fact::Erlang(_) => {
            let words = "it does not accept the cookie".to_owned();
            Fact::Erlang(ErlangFact::Denied(words))
        }
        Fact::Http(_) => Fact::Http(HttpFact::Reply {
            status: 401,
            body: Text::new("Code: 193, e.displayText() = DB::Exception: Wrong password for user altcraft"),
        }),
        _ => return None,
    })
}

/// The same answer with one of its replies replaced by an error or by garbage, for each reply and each of those: which
/// reply, what it became, and the answer.
pub(super) fn in_part(fact: &Fact) -> Vec<(usize, &'static str, Fact)> {
    match fact {
        Fact::Mongo(MongoFact::Replies { login, replies }) => each(replies, &in_mongo(), |replies| {
            Fact::Mongo(MongoFact::Replies {
                login: login.clone(),
                replies,
            })
        }),
        Fact::Resp(RespFact::Replies {
            authenticated,
            replies,
        }) => each(replies, &in_resp(), |replies| {
            Fact::Resp(RespFact::Replies {
                authenticated: *authenticated,
                replies,
            })
        }),
        Fact::Ssdb(SsdbFact::Replies {
            asks_password,
            replies,
        }) => each(replies, &in_ssdb(), |replies| {
            Fact::Ssdb(SsdbFact::Replies {
                asks_password: *asks_password,
                replies,
            })
        }),
        Fact::Erlang(ErlangFact::Results(results)) => each(results, &in_erlang(), |results| {
            Fact::Erlang(ErlangFact::Results(results))
        }),
        Fact::Words(WordsFact::Replies(replies)) => each(replies, &in_words(), |replies| {
            Fact::Words(WordsFact::Replies(replies))
        }),
        Fact::Http(HttpFact::Reply { status: 200, .. }) => {
            let reply = |status: u16, body: &str| {
                Fact::Http(HttpFact::Reply {
                    status,
                    body: Text::new(body),
                })
            };
            let unknown = "Code: 60, e.displayText() = DB::Exception: Table system.zookeeper doesn't exist.";
            let over = "Code: 999, e.displayText() = Coordination::Exception: Session expired";
            vec![
                (0, "no such table", reply(404, unknown)),
                (0, "session over", reply(500, over)),
                (0, "garbage", reply(200, "garbage\n")),
            ]
        }
        Fact::Command(_) => {
            let failed = CommandFact {
                status: 70,
                stdout: String::new(),
                stderr: "Error: unable to perform an operation on node".to_owned(),
            };
            vec![(0, "failed", Fact::Command(failed))]
        }
        _ => Vec::new(),
    }
}

fn in_mongo() -> [(&'static str, Result<Bson, MongoError>); 5] {
    [
        (
            "no such command",
            Err(mongo(59, "CommandNotFound", "no such command")),
        ),
        (
            "unauthorized",
            Err(mongo(
                13,
                "Unauthorized",
                "not authorized on admin to execute command",
            )),
        ),
        (
            "time limit",
            Err(mongo(50, "MaxTimeMSExpired", "operation exceeded time limit")),
        ),
        (
            "not primary",
            Err(mongo(
                13436,
                "NotPrimaryOrSecondary",
                "node is not in primary or recovering state",
            )),
        ),
        ("garbage", Ok(Bson::Str(Text::new("garbage")))),
    ]
}

fn in_resp() -> [(&'static str, RespValue); 4] {
    let error = |words: &str| RespValue::Error(words.to_owned());
    [
        ("no such command", error("ERR unknown command")),
        ("loading", error("LOADING Redis is loading the dataset in memory")),
        (
            "no permission",
            error("NOPERM this user has no permissions to run the command"),
        ),
        ("garbage", RespValue::Str(Text::new("garbage"))),
    ]
}

fn in_ssdb() -> [(&'static str, SsdbReply); 3] {
    let reply = |status: &str, words: &str| SsdbReply {
        status: status.to_owned(),
        items: vec![Text::new(words)],
    };
    [
        ("no such command", reply("client_error", "Unknown Command: info")),
        ("error", reply("error", "error")),
        ("garbage", reply("garbage", "garbage")),
    ]
}

fn in_erlang() -> [(&'static str, Result<Term, String>); 4] {
    [
        (
            "undef",
            Err("{badrpc,{'EXIT',{undef,[{rabbit_mnesia,status,[],[]}]}}}".to_owned()),
        ),
        (
            "no proc",
            Err("{badrpc,{'EXIT',{noproc,{gen_server,call,[rabbit_node_monitor]}}}}".to_owned()),
        ),
        ("time-out", Err("{badrpc,timeout}".to_owned())),
        ("garbage", Ok(Term::atom("garbage"))),
    ]
}

fn in_words() -> [(&'static str, Text); 3] {
    [
        (
            "not serving",
            Text::new("This ZooKeeper instance is not currently serving requests\n"),
        ),
        (
            "not in the whitelist",
            Text::new("mntr is not executed because it is not in the whitelist.\n"),
        ),
        ("garbage", Text::new("garbage")),
    ]
}

/// The list with each of its items replaced by each of the errors.
fn each<T: Clone>(
    list: &[T],
    errors: &[(&'static str, T)],
    fact: impl Fn(Vec<T>) -> Fact,
) -> Vec<(usize, &'static str, Fact)> {
    let places = (0..list.len()).flat_map(|at| errors.iter().map(move |error| (at, error)));
    let replaced = places.map(|(at, (what, error))| {
        let mut list = list.to_vec();
        list[at] = error.clone();
        (at, *what, fact(list))
    });
    replaced.collect()
}

fn mongo(code: i32, name: &str, message: &str) -> MongoError {
    MongoError {
        code,
        name: name.to_owned(),
        message: message.to_owned(),
    }
}
