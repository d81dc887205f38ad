//! How members tell each other how they are, and how a configuration and a term travel.
//!
//! Each member asks every other one over and over (`replSetHeartbeat`). The answer carries the newest configuration
//! where the asker's is older, and a member that is asked by somebody with a newer one asks back for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Bson, DateTime, Document, doc};
use serde_json::json;

use super::errors::{Code, Reply, fail};
use super::node::{Node, State};
use super::optime::OpTime;
use super::peer::PeerError;
use super::repl::MemberState;
use super::setconfig::{Member, SetConfig};

/// Asks every other member, again and again.
pub async fn run(node: Arc<Node>) {
    loop {
        let (others, pause) = {
            let state = node.lock();
            let others = if state.repl.state == MemberState::Removed {
                Vec::new()
            } else {
                state.repl.others()
            };
            (others, state.control.heartbeat())
        };
        let mut asked = tokio::task::JoinSet::new();
        for member in others {
            asked.spawn(beat(Arc::clone(&node), member));
        }
        // One slow member must not keep the others waiting, but is not asked twice at once either.
        let _ = tokio::time::timeout(pause * 3, asked.join_all()).await;
        let _ = tokio::time::timeout(pause, node.beat_now.notified()).await;
    }
}

/// What this member says of itself when it asks.
fn request(node: &Node, state: &State) -> Document {
    let (term, version) = state.repl.config.as_ref().map_or((-1, -1), SetConfig::rank);
    doc! {
        "replSetHeartbeat": node.options.repl_set.as_deref().unwrap_or_default(), "$db": "admin",
        "configVersion": version, "configTerm": term, "term": state.repl.term,
        "from": Node::my_host(state).unwrap_or_default(), "fromId": state.repl.me.unwrap_or(-1),
    }
}

async fn beat(node: Arc<Node>, member: Member) {
    let (request, limit) = {
        let state = node.lock();
        (
            request(&node, &state),
            (state.control.election() / 2).max(Duration::from_millis(500)),
        )
    };
    let sent = Instant::now();
    let answer = node.peers.call(&member.host, &request, limit).await;
    let newer = take_answer(&node, &member, sent, answer);
    if let Some(config) = newer {
        adopt(&node, &config).await;
    }
}

/// Notes what a member answered; returns a configuration that is newer than this member's own.
fn take_answer(
    node: &Node,
    member: &Member,
    sent: Instant,
    answer: Result<Document, PeerError>,
) -> Option<Document> {
    let state = &mut *node.lock();
    if state.control.deaf {
        return None;
    }
    let peer = state.repl.peers.get_mut(&member.id)?;
    peer.last_heartbeat = Some(DateTime::now());
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            peer.message = error.message;
            peer.state = if error.answered {
                MemberState::Unknown
            } else {
                MemberState::Down
            };
            peer.up_since = None;
            node.touch();
            return None;
        }
    };
    peer.message.clear();
    peer.ping = sent.elapsed();
    peer.last_ok = Some(Instant::now());
    peer.up_since.get_or_insert(Instant::now());
    peer.state = MemberState::from_number(answer.get_i32("state").unwrap_or(6));
    peer.optime = OpTime::read(answer.get("opTime"));
    peer.config = (
        answer.get_i64("configTerm").unwrap_or(-1),
        answer.get_i32("configVersion").unwrap_or(-1),
    );
    answer
        .get_str("syncingTo")
        .unwrap_or_default()
        .clone_into(&mut peer.sync_source);
    let elected = OpTime::read(answer.get("elected"));
    peer.elected = (elected != OpTime::NULL).then_some((elected, elected.date()));
    let is_primary = peer.state == MemberState::Primary;
    let term = answer.get_i64("term").unwrap_or(0);
    node.learn_term(state, term);
    if is_primary && term == state.repl.term && state.repl.state != MemberState::Primary {
        let commit = OpTime::read(answer.get("commit"));
        // What this member wrote in another term may be nobody else's: that is no part of what the primary speaks of.
        if state.repl.state == MemberState::Arbiter {
            state.repl.commit = state.repl.commit.max(commit);
        } else if commit.term == state.oplog.last().term {
            learn_commit(state, commit);
        }
        state.repl.election_at = super::election::next_time(&state.repl, &state.control);
    }
    let mine = state.oplog.last();
    state.repl.advance_commit(mine);
    node.touch();
    answer.get_document("config").ok().cloned()
}

/// Learns how far the majority is, as far as this member is that far itself. Only for who knows that all entries of
/// this member are the other's too.
pub fn learn_commit(state: &mut State, commit: OpTime) {
    let known = commit.min(state.oplog.last());
    state.repl.commit = state.repl.commit.max(known);
}

/// Puts another member's newer configuration in force here.
async fn adopt(node: &Node, document: &Document) {
    let Ok(config) = SetConfig::parse(document, node.options.release()) else {
        return;
    };
    if node.options.repl_set.as_deref() != Some(&config.name) {
        return;
    }
    let me = node.find_self(&config).await.first().copied();
    let state = &mut *node.lock();
    let is_newer = state
        .repl
        .config
        .as_ref()
        .is_none_or(|mine| config.rank() > mine.rank());
    // A server that never was in a set stays out of one that does not name it.
    if is_newer && !state.repl.reconfiguring && (me.is_some() || state.repl.config.is_some()) {
        if me.is_none() && state.repl.state == MemberState::Primary {
            node.become_state(state, MemberState::Secondary);
        }
        node.install(state, config, me);
    }
}

/// Answers another member.
pub fn answer(node: &Arc<Node>, command: &Document) -> Reply {
    let Some(name) = &node.options.repl_set else {
        return fail(Code::NoReplicationEnabled, "not running with --replSet");
    };
    let theirs = command.get_str("replSetHeartbeat").unwrap_or_default();
    if theirs != name {
        node.log.repl(
            21426,
            "replSet set names do not match",
            &json!({"remote": theirs, "ours": name}),
        );
        return fail(
            Code::InconsistentReplicaSetNames,
            format!("Our set name of {name} does not match the set name '{theirs}' reported by remote node"),
        );
    }
    let state = &mut *node.lock();
    let rank = (
        command.get_i64("configTerm").unwrap_or(-1),
        command.get_i32("configVersion").unwrap_or(-1),
    );
    node.learn_term(state, command.get_i64("term").unwrap_or(0));
    let from = command.get_str("from").unwrap_or_default();
    let sender = state.repl.others().into_iter().find(|member| member.host == from);
    if let Some(peer) = sender.and_then(|member| state.repl.peers.get_mut(&member.id)) {
        peer.last_recv = Some(DateTime::now());
    }
    let mine = state.repl.config.as_ref().map(SetConfig::rank);
    if rank.1 > 0 && !from.is_empty() && mine.is_none_or(|mine| rank > mine) {
        tokio::spawn(ask_for_config(Arc::clone(node), from.to_owned()));
    }
    let repl = &state.repl;
    let mut reply = doc! {
        "set": name, "state": repl.state as i32, "term": repl.term, "opTime": state.oplog.last().document(),
        "commit": repl.commit.document(), "configVersion": mine.map_or(-1, |mine| mine.1),
        "configTerm": mine.map_or(-1, |mine| mine.0),
    };
    if let Some(source) = repl.sync_source.and_then(|id| repl.config.as_ref()?.member(id)) {
        reply.insert("syncingTo", &source.host);
    }
    if let Some((elected, _)) = repl.elected {
        reply.insert("elected", elected.document());
    }
    if let (Some(config), true) = (&repl.config, mine.is_some_and(|mine| mine > rank)) {
        reply.insert("config", config.document.clone());
    }
    Ok(reply)
}

async fn ask_for_config(node: Arc<Node>, host: String) {
    let request = request(&node, &node.lock());
    if let Ok(answer) = node.peers.call(&host, &request, Duration::from_secs(2)).await
        && let Some(config) = answer.get("config").and_then(Bson::as_document)
    {
        adopt(&node, config).await;
    }
}
