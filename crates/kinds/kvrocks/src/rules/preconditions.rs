//! What must still be so at the moment of acting. The agent asks again, and expects the very answer that was seen or
//! foreseen.

use plan::Facts;
use protocol::facts::{Query, RespCommand, RespFact, RespQuery, RespValue};
use protocol::{Fact, Precondition};
use types::HostName;

use crate::observe::queries;
use crate::observe::replies::{Engine, field, replies};
use crate::observe::view::{Member, View};
use crate::settings::Settings;

/// The sentinel of `member` still names the master that the plan is about, asked from `from`.
pub(crate) fn same_master(
    view: &View<'_>,
    named: &HostName,
    from: &HostName,
    member: &Member<'_>,
) -> Option<Precondition> {
    if view.is_stray(member.host) {
        return None;
    }
    let what = format!("{named} is still the master");
    names_same(view, what, from, member)
}

/// The sentinel of `member` still names whom it named, asked from `from`.
pub(crate) fn names_same(
    view: &View<'_>,
    what: String,
    from: &HostName,
    member: &Member<'_>,
) -> Option<Precondition> {
    let master = view.watched(member.sentinel.up()?)?;
    let address = ["ip", "port"].map(|name| RespValue::Str(field(master, name).into()));
    let at = if from == member.host {
        "127.0.0.1"
    } else {
        member.address()?
    };
    Some(Precondition {
        what,
        query: queries::master_address(view.settings, at).wrap(),
        fact: replies(false, vec![RespValue::List(address.to_vec())]),
    })
}

/// A node that is going to be made a replica still holds nothing.
pub(crate) fn still_empty(settings: &Settings, host: &HostName, engine: &Engine) -> Precondition {
    let (address, port) = engine.at.clone();
    let commands = vec![
        RespCommand::new(["DBSIZE"]),
        RespCommand::new(["SCAN", "0", "COUNT", "1"]).sensitive([]),
    ];
    let nothing = RespValue::List(vec![RespValue::Str("0".into()), RespValue::List(Vec::new())]);
    Precondition {
        what: format!("{host} holds no keys"),
        query: RespQuery {
            address,
            port,
            password: Some(settings.password.clone()),
            commands,
        }
        .wrap(),
        fact: replies(engine.authenticated, vec![RespValue::Int(0), nothing]),
    }
}

/// A member that did not answer still does not: one that has come up meanwhile serves, and is not stopped like one that
/// does not. `None` where it was not asked at its own address, or answered.
pub(crate) fn still_silent(settings: &Settings, host: &HostName, facts: &Facts) -> Option<Precondition> {
    let query = queries::engines(settings, host).into_iter().next()?;
    let fact = facts.get(host, &query).ok()?;
    matches!(fact, RespFact::Down(_)).then(|| Precondition {
        what: format!("{host} still does not answer"),
        fact: Fact::Resp(fact.clone()),
        query: query.wrap(),
    })
}

/// What an engine takes itself for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// Others follow it.
    Master,
    /// It follows another: the failover before this has reached it.
    Replica,
}

/// The engine takes itself for this.
pub(crate) fn has_role(settings: &Settings, host: &HostName, engine: &Engine, role: Role) -> Precondition {
    let (what, says) = match role {
        Role::Master => (format!("{host} is still the master"), "master"),
        Role::Replica => (format!("{host} is a replica now"), "slave"),
    };
    let (address, port) = engine.at.clone();
    Precondition {
        what,
        query: RespQuery {
            address,
            port,
            password: Some(settings.password.clone()),
            commands: vec![queries::role()],
        }
        .wrap(),
        // The step `set` has made it ask for our password by now.
        fact: replies(true, vec![RespValue::Str(says.into())]),
    }
}
