//! What can be asked about a host, and what the answers look like.
//!
//! A query and its fact stand side by side, one module a subject. The subjects are the host's own (files, units,
//! packages, names) and *protocols* (RESP, the Erlang distribution, MongoDB's): the agent speaks protocols, and what a reply
//! means for a service is decided in the `services` crate. So most new kinds need nothing new here.

mod command;
mod erlang;
mod file;
mod http;
mod log;
mod mongo;
mod net;
mod resp;
mod silence;
mod ssdb;
mod strings;
mod system;
mod unit;
mod words;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use command::{CommandFact, CommandQuery};
pub use erlang::{Call, ErlangFact, ErlangQuery, Term};
pub use file::{DirectoryState, FileFact, FileKind, FileMeta, FileQuery, FileState, Obstacle};
pub use http::{HttpAccount, HttpEndpoint, HttpFact, HttpMethod, HttpQuery, HttpRequest};
pub use log::{LogFact, LogQuery};
pub use mongo::{Bson, Fields, Login, MongoCommand, MongoError, MongoFact, MongoQuery, MongoUser};
pub use net::{ResolveFact, ResolveQuery, THIS_HOST, TcpFact, TcpQuery};
pub use resp::{RespCommand, RespFact, RespQuery, RespValue};
pub use silence::{Silence, SilenceKind};
pub use ssdb::{SsdbCommand, SsdbFact, SsdbQuery, SsdbReach, SsdbReply};
pub(crate) use strings::Strings;
pub use strings::{FactString, FactStringMut};
pub use system::{CandidateFact, CandidateQuery, OsFact, OsQuery, PackageFact, PackageQuery};
pub use unit::{StartedWith, UnitFact, UnitQuery};
pub use words::{WordsFact, WordsQuery};

/// A query and the type of its answer, so that asking for a file's fact gives a file's fact.
pub trait Query: Clone {
    /// What answers it.
    type Fact;

    /// The query as one of the closed set that goes over the wire.
    fn wrap(&self) -> FactQuery;

    /// The answer out of the closed set; `None` where it answers some other query.
    fn pick(fact: &Fact) -> Option<&Self::Fact>;
}

/// Why a query has no answer: the host could be asked, but the thing could not be observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message}")]
pub struct FactError {
    /// What went wrong, e.g. `permission denied`.
    pub message: String,
}

macro_rules! subjects {
    ($($(#[$doc:meta])* $variant:ident($query:ty => $fact:ty),)+) => {
        /// One question about a host. Answering it changes nothing.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FactQuery { $($(#[$doc])* $variant($query),)+ }

        /// One answer.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum Fact { $($(#[$doc])* $variant($fact),)+ }

        $(impl Query for $query {
            type Fact = $fact;

            fn wrap(&self) -> FactQuery {
                FactQuery::$variant(self.clone())
            }

            fn pick(fact: &Fact) -> Option<&$fact> {
                match fact {
                    Fact::$variant(fact) => Some(fact),
                    _ => None,
                }
            }
        })+
    };
}

subjects! {
    /// The host itself.
    Os(OsQuery => OsFact),
    /// A file or directory.
    File(FileQuery => FileFact),
    /// A systemd unit.
    Unit(UnitQuery => UnitFact),
    /// An installed package.
    Package(PackageQuery => PackageFact),
    /// The addresses of a name.
    Resolve(ResolveQuery => ResolveFact),
    /// Whether a port accepts connections.
    Tcp(TcpQuery => TcpFact),
    /// What a command that changes nothing prints.
    Command(CommandQuery => CommandFact),
    /// Replies of a server that speaks RESP.
    Resp(RespQuery => RespFact),
    /// Results of function calls on an Erlang node.
    Erlang(ErlangQuery => ErlangFact),
    /// Replies of a server that speaks SSDB's protocol.
    Ssdb(SsdbQuery => SsdbFact),
    /// Replies of a MongoDB server.
    Mongo(MongoQuery => MongoFact),
    /// The answer to a request of HTTP.
    Http(HttpQuery => HttpFact),
    /// The answers to four-letter words.
    Words(WordsQuery => WordsFact),
    /// The last lines of a log file that match.
    Log(LogQuery => LogFact),
    /// The version of a package that would be installed.
    Candidate(CandidateQuery => CandidateFact),
}
