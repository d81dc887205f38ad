//! Which secrets a message refers to: a host is handed those, and no others.
//!
//! Everything is taken apart field by field and without `..`: a field or a variant that is added does not compile until
//! somebody has decided here whether it names secrets.

use std::collections::BTreeSet;

use types::SecretId;

use crate::facts::{
    Call, CandidateQuery, CommandQuery, ErlangQuery, FactString, FileQuery, HttpAccount, HttpEndpoint,
    HttpQuery, HttpRequest, LogQuery, MongoCommand, MongoQuery, MongoUser, OsQuery, PackageQuery,
    ResolveQuery, RespCommand, RespQuery, SsdbCommand, SsdbQuery, SsdbReach, Strings, TcpQuery, UnitQuery,
    WordsQuery,
};
use crate::text::{CLOSE, OPEN};
use crate::{
    Action, ActionRequest, Command, Fact, FactQuery, Operation, Precondition, Request, Text, TextError,
};

impl Request {
    /// The secrets that the request refers to.
    pub fn secrets(&self) -> BTreeSet<SecretId> {
        match self {
            Self::Secrets(_) | Self::Lock { .. } | Self::Heartbeat => BTreeSet::new(),
            Self::Gather(queries) => queries.iter().flat_map(FactQuery::secrets).collect(),
            Self::Act(request) => {
                let ActionRequest {
                    id: _,
                    is_repeated: _,
                    action,
                } = &**request;
                action.secrets()
            }
        }
    }
}

impl FactQuery {
    /// The secrets that the query refers to: those that it logs in with, and those that are recognised in its answer.
    pub fn secrets(&self) -> BTreeSet<SecretId> {
        let mut found = Found::default();
        found.query(self);
        found.ids
    }
}

impl Action {
    /// The secrets that the action refers to, in what it does and in what must still be so.
    pub fn secrets(&self) -> BTreeSet<SecretId> {
        let mut found = Found::default();
        let Self {
            only_if,
            operation,
            limit_ms: _,
        } = self;
        for Precondition { what: _, query, fact } in only_if {
            found.query(query);
            found.strings().fact(fact);
        }
        found.operation(operation);
        found.ids
    }
}

impl Fact {
    /// The secrets that the answer refers to.
    ///
    /// # Errors
    /// [`TextError::Malformed`] where a string holds the reserved brackets otherwise than around a reference: no agent of
    /// ours says so.
    pub fn secrets(&self) -> Result<BTreeSet<SecretId>, TextError> {
        let mut found = Found::default();
        found.strings().fact(self);
        match found.malformed {
            Some(what) => Err(TextError::Malformed(what)),
            None => Ok(found.ids),
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    ids: BTreeSet<SecretId>,
    malformed: Option<String>,
}

impl Found {
    fn id(&mut self, id: &SecretId) {
        self.ids.insert(id.clone());
    }

    fn ids<'a>(&mut self, ids: impl IntoIterator<Item = &'a SecretId>) {
        self.ids.extend(ids.into_iter().cloned());
    }

    fn each<'a, T: 'a>(&mut self, items: impl IntoIterator<Item = &'a T>, see: fn(&mut Self, &T)) {
        for item in items {
            see(self, item);
        }
    }

    /// Looks at strings of facts, and of what queries and operations have in common with them.
    fn strings(&mut self) -> Strings<impl FnMut(FactString<'_>)> {
        Strings(|string: FactString<'_>| match string {
            FactString::Plain(string) | FactString::Said(string) => self.string(string),
            FactString::Text(text) | FactString::File(text) => self.string(text.as_str()),
            FactString::Secret(id) => self.id(id),
        })
    }

    fn text(&mut self, text: &Text) {
        self.string(text.as_str());
    }

    /// A string that may become part of a [`Text`] later.
    fn string(&mut self, string: &str) {
        if !string.contains([OPEN, CLOSE]) {
            return;
        }
        let text = Text::new(string);
        match text.pieces() {
            Ok(pieces) => {
                for piece in pieces {
                    match piece {
                        crate::Piece::Secret(reference) => self.id(&reference.id),
                        crate::Piece::Plain(plain) if plain.contains(CLOSE) => {
                            self.malformed.get_or_insert_with(|| plain.to_owned());
                        }
                        crate::Piece::Plain(_) | crate::Piece::Kept(_) => {}
                    }
                }
            }
            Err(_) => {
                self.malformed.get_or_insert_with(|| string.to_owned());
            }
        }
    }

    fn resp_query(&mut self, query: &RespQuery) {
        let RespQuery {
            address: _,
            port: _,
            password,
            commands,
        } = query;
        self.ids(password);
        self.each(commands, Self::resp_command);
    }

    fn query(&mut self, query: &FactQuery) {
        match query {
            FactQuery::Os(OsQuery)
            | FactQuery::Unit(UnitQuery { name: _ })
            | FactQuery::Package(PackageQuery { name: _ })
            | FactQuery::Resolve(ResolveQuery { name: _ })
            | FactQuery::Tcp(TcpQuery { host: _, port: _ })
            | FactQuery::Command(CommandQuery { argv: _, limit_ms: _ })
            | FactQuery::Candidate(CandidateQuery { name: _, unless: _ })
            | FactQuery::Words(WordsQuery {
                address: _,
                port: _,
                words: _,
            })
            | FactQuery::Log(LogQuery {
                path: _,
                patterns: _,
                last: _,
                tail: _,
            }) => {}
            FactQuery::File(FileQuery {
                path: _,
                text: _,
                secrets,
                masks: _,
            }) => self.ids(secrets.iter().map(|reference| &reference.id)),
            FactQuery::Resp(query) => self.resp_query(query),
            FactQuery::Ssdb(SsdbQuery {
                address: _,
                port: _,
                password,
                commands,
            }) => {
                self.ids(password);
                self.each(commands, Self::ssdb_command);
            }
            FactQuery::Erlang(ErlangQuery {
                node: _,
                cookie_file: _,
                ready,
                calls,
            }) => {
                if let Some((call, term)) = ready {
                    self.call(call);
                    self.strings().term(term);
                }
                self.each(calls, Self::call);
            }
            FactQuery::Mongo(MongoQuery {
                address: _,
                port: _,
                user,
                or_as_nobody: _,
                commands,
            }) => {
                self.mongo_user(user.as_ref());
                self.each(commands, Self::mongo_command);
            }
            FactQuery::Http(HttpQuery {
                at,
                request,
                limit_ms: _,
            }) => {
                self.endpoint(at);
                self.http_request(request);
            }
        }
    }

    fn ssdb_reach(&mut self, until: &SsdbReach) {
        let SsdbReach {
            command,
            pattern: _,
            at_least: _,
        } = until;
        self.ssdb_command(command);
    }

    fn operation(&mut self, operation: &Operation) {
        match operation {
            Operation::WriteFile {
                path: _,
                text,
                mode: _,
                owner: _,
                group: _,
                was: _,
                trial: _,
            } => self.text(text),
            Operation::RestoreFile {
                path: _,
                backup: _,
                was: _,
            }
            | Operation::MakeDirectory {
                path: _,
                mode: _,
                owner: _,
                group: _,
                was: _,
            }
            | Operation::SetAccess {
                path: _,
                mode: _,
                owner: _,
                group: _,
                was: _,
            }
            | Operation::UnitFiles {
                name: _,
                first: _,
                files: _,
                verbs: _,
                reads: _,
            }
            // Its lines are written as they are.
            | Operation::SetDirectives {
                path: _,
                directives: _,
            }
            | Operation::Unit {
                name: _,
                verbs: _,
                reads: _,
            }
            | Operation::InstallPackages { names: _ } => {}
            Operation::Run { commands } => self.each(commands, Self::command),
            Operation::Resp {
                address: _,
                port: _,
                password,
                commands,
            } => {
                self.ids(password);
                self.each(commands, Self::resp_command);
            }
            Operation::FollowMaster {
                address: _,
                port: _,
                password,
                word: _,
                sentinel,
                old: _,
                commands,
            } => {
                self.ids(password);
                self.resp_query(sentinel);
                self.each(commands, Self::resp_command);
            }
            Operation::Ssdb {
                address: _,
                port: _,
                password,
                commands,
                until,
            } => {
                self.ids(password);
                self.each(commands, Self::ssdb_command);
                self.each(until, Self::ssdb_reach);
            }
            Operation::Mongo {
                address: _,
                port: _,
                user,
                commands,
                again_on: _,
            } => {
                self.mongo_user(user.as_ref());
                self.each(commands, Self::mongo_command);
            }
            Operation::Http {
                at,
                requests,
                again_on: _,
            } => {
                self.endpoint(at);
                self.each(requests, Self::http_request);
            }
        }
    }

    fn command(&mut self, command: &Command) {
        let Command { argv: _, stdin } = command;
        self.each(stdin, Self::text);
    }

    fn resp_command(&mut self, command: &RespCommand) {
        let RespCommand {
            args,
            sensitive: _,
            known,
        } = command;
        self.each(args, Self::text);
        self.ids(known);
    }

    fn ssdb_command(&mut self, command: &SsdbCommand) {
        let SsdbCommand { args, is_private: _ } = command;
        self.each(args, Self::text);
    }

    fn mongo_user(&mut self, user: Option<&MongoUser>) {
        if let Some(MongoUser {
            name: _,
            password,
            auth_db: _,
        }) = user
        {
            self.id(password);
        }
    }

    fn mongo_command(&mut self, command: &MongoCommand) {
        let MongoCommand {
            db: _,
            fields,
            only: _,
        } = command;
        for (_, value) in fields {
            self.strings().bson(value);
        }
    }

    fn endpoint(&mut self, at: &HttpEndpoint) {
        let HttpEndpoint {
            address: _,
            port: _,
            account,
        } = at;
        if let Some(HttpAccount { user: _, password }) = account {
            self.ids(password);
        }
    }

    fn http_request(&mut self, request: &HttpRequest) {
        let HttpRequest {
            method: _,
            path: _,
            body,
        } = request;
        self.text(body);
    }

    fn call(&mut self, call: &Call) {
        let Call {
            module: _,
            function: _,
            args,
            when_ready: _,
        } = call;
        for term in args {
            self.strings().term(term);
        }
    }
}

#[cfg(test)]
mod tests;
