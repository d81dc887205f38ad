//! Every string in a fact, by where it comes from: one walk for those who read them and those who change them.
//!
//! Everything is taken apart field by field and without `..`: a field or a variant that is added does not compile until
//! somebody has decided here what its strings are.

use types::SecretId;

use super::{
    Bson, CandidateFact, CommandFact, ErlangFact, FileFact, FileMeta, HttpFact, LogFact, Login, MongoError,
    MongoFact, OsFact, PackageFact, ResolveFact, RespFact, RespValue, Silence, SsdbFact, SsdbReply,
    StartedWith, TcpFact, Term, UnitFact, WordsFact,
};
use crate::{Fact, Text};

macro_rules! walk {
    ($(#[$doc:meta])* $string:ident, $walk:ident $(, $mut:tt)?) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $string<'a> {
            /// The system's own word: a number, a hash, a state.
            Plain(&'a $($mut)? String),
            /// What a program or a server says.
            Said(&'a $($mut)? String),
            /// What a program or a server says, where it may become part of a text.
            Text(&'a $($mut)? Text),
            /// The text of a file, whose secrets are references already.
            File(&'a $($mut)? Text),
            /// A secret.
            Secret(&'a $($mut)? SecretId),
        }

        pub(crate) struct $walk<F>(pub(crate) F);

        impl<F: FnMut($string<'_>)> $walk<F> {
            fn plain<'s>(&mut self, strings: impl IntoIterator<Item = &'s $($mut)? String>) {
                for string in strings {
                    self.0($string::Plain(string));
                }
            }

            fn said(&mut self, string: &$($mut)? String) {
                self.0($string::Said(string));
            }

            pub(crate) fn text(&mut self, text: &$($mut)? Text) {
                self.0($string::Text(text));
            }

            pub(crate) fn fact(&mut self, fact: &$($mut)? Fact) {
                match fact {
                    Fact::Os(OsFact {
                        hostname,
                        id,
                        version,
                        arch,
                        kernel,
                        boot_id,
                        now_us: _,
                        uid: _,
                    }) => self.plain([hostname, id, version, arch, kernel, boot_id]),
                    Fact::File(FileFact::Present(meta)) => self.file(meta),
                    Fact::Unit(UnitFact {
                        load,
                        active,
                        sub,
                        enabled,
                        main_pid: _,
                        started_us: _,
                        invocation,
                        stale: _,
                        started_with,
                    }) => {
                        self.plain([load, active, sub, enabled, invocation]);
                        for StartedWith { path, is_same: _ } in started_with {
                            self.plain([path]);
                        }
                    }
                    Fact::Package(PackageFact { version, is_partial: _ }) => self.plain(version),
                    Fact::Candidate(CandidateFact { version: Some(version) }) => self.said(version),
                    Fact::Resolve(ResolveFact { addresses }) => {
                        for address in addresses {
                            self.plain([address]);
                        }
                    }
                    Fact::Resp(RespFact::Denied(why))
                    | Fact::Ssdb(SsdbFact::Denied(why))
                    | Fact::Erlang(ErlangFact::Denied(why)) => self.said(why),
                    Fact::Tcp(TcpFact::Closed(silence))
                    | Fact::Resp(RespFact::Down(silence))
                    | Fact::Ssdb(SsdbFact::Down(silence))
                    | Fact::Erlang(ErlangFact::Down(silence))
                    | Fact::Http(HttpFact::Down(silence))
                    | Fact::Words(WordsFact::Down(silence)) => self.silence(silence),
                    Fact::Command(CommandFact {
                        status: _,
                        stdout,
                        stderr,
                    }) => {
                        self.said(stdout);
                        self.said(stderr);
                    }
                    Fact::Resp(RespFact::Replies {
                        authenticated: _,
                        replies,
                    }) => {
                        for reply in replies {
                            self.resp(reply);
                        }
                    }
                    Fact::Ssdb(SsdbFact::Replies {
                        asks_password: _,
                        replies,
                    }) => {
                        for SsdbReply { status, items } in replies {
                            self.said(status);
                            for item in items {
                                self.text(item);
                            }
                        }
                    }
                    Fact::Erlang(ErlangFact::Results(results)) => {
                        for result in results {
                            match result {
                                Ok(term) => self.term(term),
                                Err(why) => self.said(why),
                            }
                        }
                    }
                    Fact::Mongo(fact) => self.mongo(fact),
                    Fact::Http(HttpFact::Reply { status: _, body }) => self.text(body),
                    Fact::Words(WordsFact::Replies(replies)) => {
                        for reply in replies {
                            self.text(reply);
                        }
                    }
                    Fact::Log(LogFact::Lines(found)) => {
                        for lines in found {
                            for line in lines {
                                self.text(line);
                            }
                        }
                    }
                    Fact::File(FileFact::Absent)
                    | Fact::Tcp(TcpFact::Open)
                    | Fact::Log(LogFact::Absent)
                    | Fact::Candidate(CandidateFact { version: None }) => {}
                }
            }

            fn file(&mut self, meta: &$($mut)? FileMeta) {
                let FileMeta {
                    kind: _,
                    sha256,
                    len: _,
                    mode: _,
                    owner,
                    group,
                    modified_us: _,
                    changed_us: _,
                    ahead_us: _,
                    text,
                    target,
                    names: _,
                } = meta;
                self.plain([sha256, owner, group]);
                self.said(target);
                if let Some(text) = text {
                    self.0($string::File(text));
                }
            }

            fn resp(&mut self, value: &$($mut)? RespValue) {
                match value {
                    RespValue::Nil | RespValue::Int(_) => {}
                    RespValue::Str(text) => self.text(text),
                    RespValue::List(items) => {
                        for item in items {
                            self.resp(item);
                        }
                    }
                    RespValue::Error(why) => self.said(why),
                }
            }

            pub(crate) fn term(&mut self, term: &$($mut)? Term) {
                match term {
                    Term::Int(_) => {}
                    Term::Float(text) => self.plain([text]),
                    Term::Atom(text) | Term::Str(text) | Term::Other(text) => self.said(text),
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
                    Term::Secret(id) => self.0($string::Secret(id)),
                }
            }

            pub(crate) fn bson(&mut self, value: &$($mut)? Bson) {
                match value {
                    Bson::Null | Bson::Bool(_) | Bson::Int(_) | Bson::Date(_) | Bson::Timestamp(_, _) => {}
                    Bson::Str(text) => self.text(text),
                    Bson::Array(items) => {
                        for item in items {
                            self.bson(item);
                        }
                    }
                    Bson::Doc(fields) => {
                        for (name, value) in fields {
                            self.said(name);
                            self.bson(value);
                        }
                    }
                    Bson::Double(text) | Bson::ObjectId(text) | Bson::Binary(_, text) => self.plain([text]),
                    Bson::Other(text) => self.said(text),
                }
            }

            fn mongo(&mut self, fact: &$($mut)? MongoFact) {
                match fact {
                    MongoFact::Down(silence) => self.silence(silence),
                    MongoFact::Denied(error) => self.mongo_error(error),
                    MongoFact::Replies { login, replies } => {
                        match login {
                            Login::Nobody | Login::Accepted => {}
                            Login::Refused(error) => self.mongo_error(error),
                        }
                        for reply in replies {
                            match reply {
                                Ok(value) => self.bson(value),
                                Err(error) => self.mongo_error(error),
                            }
                        }
                    }
                }
            }

            fn silence(&mut self, Silence { kind: _, words }: &$($mut)? Silence) {
                self.said(words);
            }

            /// The name too is the server's own text.
            fn mongo_error(&mut self, error: &$($mut)? MongoError) {
                let MongoError {
                    code: _,
                    name,
                    message,
                } = error;
                self.said(name);
                self.said(message);
            }
        }
    };
}

walk!(
    /// A string of a fact, to be read.
    FactString,
    Strings
);

walk!(
    /// A string of a fact, to be changed.
    FactStringMut,
    StringsMut,
    mut
);

impl Fact {
    /// Shows all strings of the fact in their order, to be changed.
    pub fn for_each_string(&mut self, see: impl FnMut(FactStringMut<'_>)) {
        StringsMut(see).fact(self);
    }
}
