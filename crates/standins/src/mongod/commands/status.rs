//! `replSetGetStatus` and `replSetGetConfig`: how the set is, as this member sees it.

use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};

use crate::mongod::errors::{Code, CommandError, Reply, fail};
use crate::mongod::node::{Node, State};
use crate::mongod::optime::OpTime;
use crate::mongod::query::truthy;
use crate::mongod::repl::{MemberState, PeerView};
use crate::mongod::setconfig::{Member, SetConfig};

/// The configuration, or the error of a server that has none.
pub(super) fn config<'a>(node: &Node, state: &'a State) -> Result<&'a SetConfig, CommandError> {
    if node.options.repl_set.is_none() {
        return fail(Code::NoReplicationEnabled, "not running with --replSet");
    }
    state
        .repl
        .config
        .as_ref()
        .ok_or_else(|| CommandError::new(Code::NotYetInitialized, "no replset config has been received"))
}

/// `replSetGetConfig`.
pub(super) fn get_config(node: &Node, command: &Document) -> Reply {
    let state = node.lock();
    let mut reply = doc! {"config": config(node, &state)?.shown()};
    if truthy(command.get("commitmentStatus")) {
        if state.repl.state != MemberState::Primary {
            return fail(
                Code::NotWritablePrimary,
                "commitmentStatus is only supported on primary.",
            );
        }
        reply.insert("commitmentStatus", state.repl.config_committed());
    }
    Ok(reply)
}

/// `replSetGetStatus`.
pub(super) fn get_status(node: &Node) -> Reply {
    let state = node.lock();
    let config = config(node, &state)?;
    let Some(me) = state.repl.me else {
        return fail(
            Code::InvalidReplicaSetConfig,
            "Our replica set config is invalid or we are not a member of it",
        );
    };
    let repl = &state.repl;
    let (last, durable) = (repl.applied(state.oplog.last()), state.oplog.last());
    let source = repl.sync_source.and_then(|id| config.member(id));
    let members: Vec<Document> = config
        .members
        .iter()
        .map(|member| {
            if member.id == me {
                myself(node, &state, config, member)
            } else {
                other(&state, member, node.options.release())
            }
        })
        .collect();
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let stable = if repl.state == MemberState::Arbiter {
        OpTime::NULL
    } else {
        repl.commit
    };
    Ok(doc! {
        "set": &config.name, "date": DateTime::now(), "myState": repl.state as i32, "term": repl.term,
        "syncSourceHost": source.map_or("", |member| &member.host),
        "syncSourceId": source.map_or(-1, |member| member.id),
        "heartbeatIntervalMillis": 2000_i64, "majorityVoteCount": count(config.majority()),
        "writeMajorityCount": count(config.write_majority()),
        "votingMembersCount": count(config.voters().count()),
        "writableVotingMembersCount": count(config.writable_voters()),
        "optimes": {
            "lastCommittedOpTime": repl.commit.document(), "lastCommittedWallTime": repl.commit.date(),
            "readConcernMajorityOpTime": repl.commit.document(), "appliedOpTime": last.document(),
            "durableOpTime": durable.document(), "lastAppliedWallTime": last.date(),
            "lastDurableWallTime": durable.date(),
        },
        "lastStableRecoveryTimestamp": stable.timestamp(), "members": members,
    })
}

fn common(member: &Member, state: MemberState, healthy: bool, uptime: Duration) -> Document {
    doc! {
        "_id": member.id, "name": &member.host, "health": f64::from(u8::from(healthy)), "state": state as i32,
        "stateStr": state.name(), "uptime": i64::try_from(uptime.as_secs()).unwrap_or(i64::MAX),
    }
}

fn myself(node: &Node, state: &State, config: &SetConfig, member: &Member) -> Document {
    let repl = &state.repl;
    let mut shown = common(member, repl.state, true, node.started.elapsed());
    let last = state.oplog.last();
    if !member.arbiter {
        shown.extend(doc! {
            "optime": last.document(), "optimeDate": last.date(),
        });
        if node.options.release() >= (5, 0) {
            shown.extend(doc! {"lastAppliedWallTime": last.date(), "lastDurableWallTime": last.date()});
        }
    }
    let source = repl.sync_source.and_then(|id| config.member(id));
    shown.extend(doc! {
        "syncSourceHost": source.map_or("", |member| &member.host),
        "syncSourceId": source.map_or(-1, |member| member.id),
        "infoMessage": if repl.too_stale { "error RS102 too stale to catch up" } else { "" },
    });
    elected(repl.elected, &mut shown);
    shown.extend(doc! {
        "configVersion": config.version, "configTerm": config.term, "self": true, "lastHeartbeatMessage": "",
    });
    shown
}

fn other(state: &State, member: &Member, release: (u32, u32)) -> Document {
    let peer = state.repl.peers.get(&member.id).cloned().unwrap_or_default();
    let healthy = peer.up_since.is_some();
    let shown_state = if healthy || peer.last_heartbeat.is_none() {
        peer.state
    } else {
        MemberState::Down
    };
    let uptime = peer.up_since.map_or(Duration::ZERO, |since| since.elapsed());
    let mut shown = common(member, shown_state, healthy, uptime);
    let place = if healthy { peer.optime } else { OpTime::NULL };
    if !member.arbiter {
        shown.extend(doc! {
            "optime": place.document(), "optimeDurable": place.document(), "optimeDate": place.date(),
            "optimeDurableDate": place.date(),
        });
        if release >= (5, 0) {
            shown.extend(doc! {
                "lastAppliedWallTime": peer.optime.date(), "lastDurableWallTime": peer.optime.date(),
            });
        }
    }
    describe_link(&peer, state, &mut shown);
    elected(
        peer.elected.filter(|_| shown_state == MemberState::Primary),
        &mut shown,
    );
    shown.extend(doc! {"configVersion": peer.config.1, "configTerm": peer.config.0});
    shown
}

fn describe_link(peer: &PeerView, state: &State, shown: &mut Document) {
    let never = DateTime::from_millis(0);
    let source = state.repl.config.as_ref().and_then(|config| {
        config
            .members
            .iter()
            .find(|member| member.host == peer.sync_source)
            .map(|member| member.id)
    });
    shown.extend(doc! {
        "lastHeartbeat": peer.last_heartbeat.unwrap_or(never), "lastHeartbeatRecv": peer.last_recv.unwrap_or(never),
        "pingMs": i64::try_from(peer.ping.as_millis()).unwrap_or(i64::MAX), "lastHeartbeatMessage": &peer.message,
        "syncSourceHost": &peer.sync_source, "syncSourceId": source.map_or(Bson::Int32(-1), Bson::Int32),
        "infoMessage": "",
    });
}

fn elected(election: Option<(OpTime, DateTime)>, shown: &mut Document) {
    if let Some((at, date)) = election {
        shown.extend(doc! {"electionTime": at.timestamp(), "electionDate": date});
    }
}
