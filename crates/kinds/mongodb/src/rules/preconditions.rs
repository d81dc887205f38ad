//! Preconditions of actions: roles and configurations, which the agent checks right before.

use formats::replset::SetConfig;
use kit::Probe;
use protocol::facts::{Bson, Login, MongoCommand, MongoFact, Query, Silence};
use protocol::{Fact, Precondition};
use types::HostName;

use crate::observe::queries::{ask, ask_as_nobody};
use crate::observe::{Member, Role};
use crate::settings::Settings;

/// The host's server is the primary of the set.
pub(crate) fn is_primary(settings: &Settings, host: &HostName) -> Precondition {
    let set = settings.replica_set.as_str();
    let what = format!("{host} is the primary of {set}");
    let fields = [("setName", set.into()), ("isWritablePrimary", true.into())];
    hello(what, settings.port, &fields)
}

/// The host's server is the primary of no set.
pub(crate) fn is_not_primary(settings: &Settings, member: &Member<'_>) -> Precondition {
    let what = format!("{} is not the primary", member.host);
    let fields = [("isWritablePrimary", false.into())];
    hello(what, port(settings, member), &fields)
}

/// The member is available in the set, and is not its primary.
pub(crate) fn is_available(settings: &Settings, member: &Member<'_>, role: Role) -> Precondition {
    let field = match role {
        Role::Arbiter => "arbiterOnly",
        Role::Primary | Role::Secondary => "secondary",
    };
    let what = format!("{} is available, and is not the primary", member.host);
    let fields = [
        ("setName", settings.replica_set.as_str().into()),
        (field, true.into()),
    ];
    hello(what, port(settings, member), &fields)
}

/// The host's server is in no set.
pub(crate) fn is_in_no_set(settings: &Settings, host: &HostName) -> Precondition {
    let command = MongoCommand::new("hello", 1).only(&["setName"]);
    Precondition {
        what: format!("{host} is in no set"),
        query: ask_as_nobody(settings.port, vec![command]).wrap(),
        fact: replied(Login::Nobody, Bson::doc([])),
    }
}

/// A server that was down still is: it may have been started, and be the primary by now.
pub(crate) fn is_still_down(settings: &Settings, member: &Member<'_>) -> Option<Precondition> {
    if !matches!(member.server, Probe::Down(_)) {
        return None;
    }
    let command = MongoCommand::new("hello", 1).only(&["setName"]);
    Some(Precondition {
        what: format!("{} does not answer", member.host),
        query: ask_as_nobody(settings.port, vec![command]).wrap(),
        fact: Fact::Mongo(MongoFact::Down(Silence::refused())),
    })
}

/// The configuration in force is still this one, and a majority has it. Only a primary tells, so the host is still the
/// primary as well; where the term is known, it is the primary of the same term.
pub(crate) fn is_committed(settings: &Settings, primary: &HostName, config: &SetConfig) -> Precondition {
    let mut only = vec!["config.version"];
    let mut fields = vec![("version", Bson::from(config.version()))];
    if let Some(term) = config.term() {
        only.push("config.term");
        fields.push(("term", term.into()));
    }
    only.push("commitmentStatus");
    let command = MongoCommand::new("replSetGetConfig", 1)
        .with("commitmentStatus", true)
        .only(&only);
    let login = match &settings.admin {
        Some(_) => Login::Accepted,
        None => Login::Nobody,
    };
    let version = config.version();
    let reply = Bson::doc([("config", Bson::doc(fields)), ("commitmentStatus", true.into())]);
    Precondition {
        what: format!("{primary} is the primary, and a majority has version {version} of the configuration"),
        query: ask(settings, settings.port, vec![command]).wrap(),
        fact: replied(login, reply),
    }
}

/// The server on the port says exactly this of itself, without a login.
fn hello(what: String, port: u16, fields: &[(&str, Bson)]) -> Precondition {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let command = MongoCommand::new("hello", 1).only(&names);
    Precondition {
        what,
        query: ask_as_nobody(port, vec![command]).wrap(),
        fact: replied(Login::Nobody, Bson::doc(fields.iter().cloned())),
    }
}

fn replied(login: Login, reply: Bson) -> Fact {
    let replies = vec![Ok(reply)];
    Fact::Mongo(MongoFact::Replies { login, replies })
}

fn port(settings: &Settings, member: &Member<'_>) -> u16 {
    member.server.up().map_or(settings.port, |server| server.port)
}
