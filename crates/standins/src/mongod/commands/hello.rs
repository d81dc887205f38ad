//! `hello`, under its three names: what a client learns of a server before it trusts it with anything.

use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};

use crate::mongod::errors::{Code, CommandError, Reply};
use crate::mongod::node::{Node, State};
use crate::mongod::query::{truthy, whole};
use crate::mongod::repl::MemberState;
use crate::mongod::setconfig::{Member, SetConfig};
use crate::mongod::store::USERS;
use crate::mongod::wire::MAX_MESSAGE;

use super::session::Session;

/// Answers `hello`, `isMaster` or `ismaster`: at once, or where the client knows the present state already, when it
/// changes.
pub(super) async fn hello(node: &Node, session: &Session, command: &Document, name: &str) -> Reply {
    let known = command.get_document("topologyVersion").ok();
    let patience = command
        .get("maxAwaitTimeMS")
        .and_then(whole)
        .and_then(|millis| u64::try_from(millis).ok());
    if let (Some(known), Some(patience)) = (known, patience)
        && known
            .get_object_id("processId")
            .is_ok_and(|id| id == node.instance)
    {
        let counter = known.get_i64("counter").unwrap_or(-1);
        node.await_topology(counter, Duration::from_millis(patience))
            .await;
    }
    if let Some(rest) = node.quiesces(&node.lock()) {
        let error = CommandError::new(
            Code::ShutdownInProgress,
            "The server is in quiesce mode and will shut down",
        );
        let rest = i64::try_from(rest.as_millis()).unwrap_or(i64::MAX);
        return Err(error.with("remainingQuiesceTimeMillis", rest));
    }
    Ok(describe(node, session, command, name))
}

/// `topologyVersion`: which process answers, and how often what it says of the set has changed.
pub(super) fn topology(node: &Node, state: &mut State) -> Document {
    doc! {"processId": node.instance, "counter": state.topology_version()}
}

fn describe(node: &Node, session: &Session, command: &Document, name: &str) -> Document {
    let state = &mut *node.lock();
    let mut reply = doc! {"topologyVersion": topology(node, state)};
    let writable = if name == "hello" {
        "isWritablePrimary"
    } else {
        "ismaster"
    };
    if node.options.repl_set.is_none() {
        reply.insert(writable, true);
    } else {
        describe_set(state, writable, &mut reply);
    }
    if truthy(command.get("helloOk")) {
        reply.insert("helloOk", true);
    }
    reply.extend(doc! {
        "maxBsonObjectSize": 16 * 1024 * 1024, "maxMessageSizeBytes": i32::try_from(MAX_MESSAGE).unwrap_or(i32::MAX),
        "maxWriteBatchSize": 100_000, "localTime": DateTime::now(), "logicalSessionTimeoutMinutes": 30,
        "connectionId": session.id, "minWireVersion": 0, "maxWireVersion": wire_version(node.options.release()),
        "readOnly": false,
    });
    if let Ok(user) = command.get_str("saslSupportedMechs") {
        let known = state.store.get(USERS, &Bson::from(user)).is_some();
        if known {
            reply.insert("saslSupportedMechs", vec!["SCRAM-SHA-256"]);
        }
    }
    reply
}

/// `maxWireVersion` of a release.
fn wire_version((major, minor): (u32, u32)) -> i32 {
    match (major, minor) {
        (4, 2) => 8,
        (4, 9) => 12,
        (4, _) => 9,
        (5, _) => 13,
        (6, _) => 17,
        (7, _) => 21,
        _ => 25,
    }
}

/// What the server says of its set, here and in `serverStatus`.
pub(super) fn describe_set(state: &State, writable: &str, reply: &mut Document) {
    let repl = &state.repl;
    let (Some(config), Some(me)) = (&repl.config, repl.my_member()) else {
        reply.extend(doc! {
            writable: false, "secondary": false, "info": "Does not have a valid replica set config",
            "isreplicaset": true,
        });
        return;
    };
    let is_primary = repl.state == MemberState::Primary && !state.stopping;
    reply.extend(doc! {
        "setName": &config.name, "setVersion": config.version, writable: is_primary,
        "secondary": repl.state == MemberState::Secondary,
    });
    name_members(config, reply);
    let primary = repl
        .primary(state.control.election())
        .and_then(|id| config.member(id));
    if let Some(primary) = primary {
        reply.insert("primary", &primary.host);
    }
    if me.arbiter {
        reply.insert("arbiterOnly", true);
    }
    if me.priority == 0.0 && !me.arbiter {
        reply.insert("passive", true);
    }
    if me.hidden {
        reply.insert("hidden", true);
    }
    reply.insert("me", &me.host);
    reply.extend(election_id(state).map(|id| ("electionId".to_owned(), id.into())));
    let last = repl.applied(state.oplog.last());
    reply.insert(
        "lastWrite",
        doc! {
            "opTime": last.document(), "lastWriteDate": last.date(),
            "majorityOpTime": repl.commit.document(), "majorityWriteDate": repl.commit.date(),
        },
    );
}

/// `electionId`: the term of this primary.
pub(super) fn election_id(state: &State) -> Option<ObjectId> {
    let (at, _) = state.repl.elected?;
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    bytes[4..].copy_from_slice(&at.term.to_be_bytes());
    Some(ObjectId::from_bytes(bytes))
}

fn name_members(config: &SetConfig, reply: &mut Document) {
    let list = |wanted: &dyn Fn(&Member) -> bool| -> Vec<String> {
        let visible = config
            .members
            .iter()
            .filter(|member| !member.hidden && wanted(member));
        visible.map(|member| member.host.clone()).collect()
    };
    reply.insert("hosts", list(&|member| !member.arbiter && member.priority > 0.0));
    for (key, names) in [
        (
            "passives",
            list(&|member| !member.arbiter && member.priority == 0.0),
        ),
        ("arbiters", list(&|member| member.arbiter)),
    ] {
        if !names.is_empty() {
            reply.insert(key, names);
        }
    }
}
