//! Preconditions of actions. The agent asks again at the moment of acting, and expects the very answer that was observed
//! or is foreseen.

use protocol::facts::{Query, RespCommand, RespFact, RespQuery, RespValue, THIS_HOST};
use protocol::{Fact, Precondition};
use types::HostName;

use crate::observe::queries::{self, of_engine};
use crate::observe::{Engine, Member, View, Watch};
use crate::settings::Settings;

/// The sentinel of `member` still names the master that the plan is about, asked from `from`. An isolated sentinel is not
/// asked.
pub(crate) fn same_master(
    view: &View<'_>,
    named: &HostName,
    from: &HostName,
    member: &Member<'_>,
) -> Option<Precondition> {
    if view.is_isolated(member.host) {
        return None;
    }
    names_same(
        view,
        format!("{named} is still the master"),
        from,
        view.watch(member)?,
    )
}

/// A sentinel still names the endpoint that it named, asked from `from`.
pub(crate) fn names_same(
    view: &View<'_>,
    what: String,
    from: &HostName,
    watch: Watch<'_, '_>,
) -> Option<Precondition> {
    let endpoint = ["ip", "port"].map(|field| RespValue::Str(watch.master.get(field).into()));
    let at = if from == watch.member.host {
        THIS_HOST
    } else {
        watch.member.address()?
    };
    let query = queries::master_address(view.settings, at);
    Some(precondition(
        what,
        &query,
        false,
        vec![RespValue::List(endpoint.to_vec())],
    ))
}

/// A joining member still has no keys.
pub(crate) fn still_empty(settings: &Settings, host: &HostName, engine: &Engine) -> Precondition {
    let commands = vec![
        RespCommand::new(["DBSIZE"]),
        RespCommand::new(["SCAN", "0", "COUNT", "1"]).sensitive([]),
    ];
    let nothing = RespValue::List(vec![RespValue::Str("0".into()), RespValue::List(Vec::new())]);
    precondition(
        format!("{host} holds no keys"),
        &of_engine(settings, engine.at.clone(), commands),
        engine.authenticated,
        vec![RespValue::Int(0), nothing],
    )
}

/// A role that an engine reports.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// The failover has not begun.
    Master,
    /// The failover has reached it.
    Replica,
}

/// The engine reports this role. It asks for our password by now, after the step `set`.
pub(crate) fn has_role(settings: &Settings, host: &HostName, engine: &Engine, role: Role) -> Precondition {
    let (what, says) = match role {
        Role::Master => (format!("{host} is still the master"), "master"),
        Role::Replica => (format!("{host} is a replica now"), "slave"),
    };
    let query = of_engine(settings, engine.at.clone(), vec![queries::role()]);
    precondition(what, &query, true, vec![RespValue::Str(says.into())])
}

/// These commands still have these replies.
pub(crate) fn precondition(
    what: String,
    query: &RespQuery,
    authenticated: bool,
    replies: Vec<RespValue>,
) -> Precondition {
    Precondition {
        what,
        query: query.wrap(),
        fact: Fact::Resp(RespFact::Replies {
            authenticated,
            replies,
        }),
    }
}
