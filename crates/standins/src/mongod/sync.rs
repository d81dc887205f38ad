//! How a member gets what the primary wrote: it asks for what comes after its own last entry, and waits for it.
//!
//! A new member asks for everything, which is its initial sync. Where the other does not know this member's last
//! entry (a deposed primary wrote it alone), both look for the last one that they share, and what comes after it is
//! cut off: the real server's rollback. Asking again is at the same time the report of how far this member is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Bson, DateTime, Document, doc};
use serde_json::json;

use super::errors::{Code, Reply, fail};
use super::heartbeat::learn_commit;
use super::node::{Node, State};
use super::oplog::Entry;
use super::optime::OpTime;
use super::peer::PeerError;
use super::repl::MemberState;
use super::setconfig::Member;

/// How many entries go over at once.
const BATCH: usize = 1000;
/// How long an answer waits for something to happen.
const PATIENCE: Duration = Duration::from_millis(500);

/// Takes the oplog from another member, for as long as this one is no primary.
pub async fn run(node: Arc<Node>) {
    loop {
        let source = choose(&mut node.lock());
        let Some(source) = source else {
            let pause = node.lock().control.heartbeat() / 4;
            tokio::time::sleep(pause).await;
            continue;
        };
        // A source that was cut off silently would keep this member waiting while another is primary.
        let moved = node.wait_until(None, |state| {
            let primary = state.repl.primary(state.control.election());
            primary.is_some_and(|primary| primary != source.id)
        });
        let pulled = tokio::select! {
            pulled = pull(&node, &source) => pulled,
            _ = moved => continue,
        };
        if let Err(error) = pulled {
            if error.code == Code::OplogStartMissing as i32 {
                too_stale(&node, &error);
            }
            let pause = node.lock().control.heartbeat() / 2;
            tokio::time::sleep(pause).await;
        }
    }
}

fn too_stale(node: &Node, error: &PeerError) {
    let state = &mut *node.lock();
    state.repl.too_stale = true;
    node.log
        .repl(21343, "Too stale to catch up", &json!({"error": error.message}));
    node.become_state(state, MemberState::Recovering);
}

/// Whom to take the oplog from: the primary, or who is ahead of this member.
fn choose(state: &mut State) -> Option<Member> {
    let follows = matches!(
        state.repl.state,
        MemberState::Secondary | MemberState::Startup2 | MemberState::Recovering
    );
    if !follows || state.control.never_catch_up || state.stopping {
        state.repl.sync_source = None;
        return None;
    }
    let mine = state.oplog.last();
    let repl = &mut state.repl;
    let primary = repl.primary(state.control.election());
    let ahead = || {
        let able = repl
            .peers
            .iter()
            .filter(|(_, peer)| peer.state == MemberState::Secondary && peer.optime > mine);
        able.max_by_key(|(_, peer)| peer.optime).map(|(id, _)| *id)
    };
    let source = primary.or_else(ahead);
    repl.sync_source = source;
    repl.config.as_ref()?.member(source?).cloned()
}

async fn pull(node: &Node, source: &Member) -> Result<(), PeerError> {
    let (mine, me, term) = {
        let state = node.lock();
        (state.oplog.last(), state.repl.me.unwrap_or(-1), state.repl.term)
    };
    let request = doc! {
        "standinPull": 1, "$db": "local", "after": mine.document(), "fromId": me, "term": term,
        "set": node.options.repl_set.as_deref().unwrap_or_default(),
    };
    let answer = node
        .peers
        .call(&source.host, &request, Duration::from_secs(5))
        .await?;
    if answer.get_bool("unknown").unwrap_or(false) {
        return roll_back(node, source, mine, OpTime::read(answer.get("last"))).await;
    }
    let entries: Vec<Entry> = answer
        .get_array("entries")
        .map(|all| {
            all.iter()
                .filter_map(Bson::as_document)
                .cloned()
                .map(Entry::from_document)
                .collect()
        })
        .unwrap_or_default();
    let taken = take(node, mine, entries).await;
    let state = &mut *node.lock();
    node.learn_term(state, answer.get_i64("term").unwrap_or(0));
    if taken {
        learn_commit(state, OpTime::read(answer.get("commit")));
        finish_initial_sync(node, state, OpTime::read(answer.get("last")));
    }
    node.touch();
    Ok(())
}

/// Appends what came, each entry no earlier than this member's lag lets it; whether all of it was appended, so that
/// this member's entries are the source's.
async fn take(node: &Node, mut mine: OpTime, mut entries: Vec<Entry>) -> bool {
    while !entries.is_empty() {
        let lag = {
            let state = node.lock();
            let delay = state.repl.my_member().map_or(0, |member| member.delay.max(0)) * 1000;
            delay + i64::try_from(state.control.lag_ms).unwrap_or(0)
        };
        let now = DateTime::now().timestamp_millis();
        let is_ripe = |entry: &Entry| lag == 0 || entry.wall().timestamp_millis() + lag <= now;
        let ripe = entries.iter().take_while(|entry| is_ripe(entry)).count();
        if ripe == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let rest = entries.split_off(ripe);
        let state = &mut *node.lock();
        let told_to_stop = state.control.never_catch_up || state.stopping;
        if state.oplog.last() != mine || state.repl.state == MemberState::Primary || told_to_stop {
            return false;
        }
        if node.append(state, std::mem::replace(&mut entries, rest)).is_err() {
            return false;
        }
        mine = state.oplog.last();
    }
    let state = node.lock();
    state.oplog.last() == mine && state.repl.state != MemberState::Primary
}

/// A member that has all data of its source has completed its initial sync.
fn finish_initial_sync(node: &Node, state: &mut State, source_last: OpTime) {
    let caught_up = state.oplog.last() >= source_last && source_last != OpTime::NULL;
    if state.repl.synced || !caught_up || Instant::now() < state.repl.ready_at {
        return;
    }
    state.repl.synced = true;
    node.save(state);
    node.log
        .write("I", "INITSYNC", 21192, "Initial sync done", &json!({}));
}

async fn roll_back(node: &Node, source: &Member, mine: OpTime, theirs: OpTime) -> Result<(), PeerError> {
    let points: Vec<Bson> = {
        let state = node.lock();
        // A member that is behind must not make others lose data; an initial sync has nothing to lose.
        if state.repl.synced && theirs <= mine {
            return Ok(());
        }
        state
            .oplog
            .entries()
            .iter()
            .rev()
            .take(100_000)
            .map(|entry| entry.at.document().into())
            .collect()
    };
    let request = doc! {"standinCommonPoint": points, "$db": "local"};
    let answer = node
        .peers
        .call(&source.host, &request, Duration::from_secs(10))
        .await?;
    let shared = OpTime::read(answer.get("shared"));
    let state = &mut *node.lock();
    if state.oplog.last() != mine || state.repl.state == MemberState::Primary {
        return Ok(());
    }
    if state.repl.synced && shared < state.repl.commit {
        let attributes =
            json!({"commonPoint": format!("{shared:?}"), "commitPoint": format!("{:?}", state.repl.commit)});
        node.log.write(
            "F",
            "ROLLBACK",
            51121,
            "Common point must be at least stable timestamp",
            &attributes,
        );
        state.repl.too_stale = true;
        node.become_state(state, MemberState::Recovering);
        return Ok(());
    }
    let length = state.oplog.find(shared).map_or(0, |at| at + 1);
    node.log.write(
        "I",
        "ROLLBACK",
        21607,
        "Rollback",
        &json!({"entries": state.oplog.entries().len() - length}),
    );
    node.truncate(state, length);
    Ok(())
}

/// Answers a member that asks for what comes after its last entry.
pub async fn answer_pull(node: &Node, command: &Document) -> Reply {
    let after = OpTime::read(command.get("after"));
    note_position(node, command, after);
    node.wait_until(Some(PATIENCE), |state| {
        state.oplog.last() != after || state.stopping
    })
    .await;
    let state = node.lock();
    let oplog = &state.oplog;
    let mut reply = doc! {
        "last": oplog.last().document(), "commit": state.repl.commit.document(), "term": state.repl.term,
    };
    let from = match (after, oplog.find(after)) {
        (OpTime::NULL, _) => 0,
        (_, Some(at)) => at + 1,
        (_, None) => {
            reply.insert("unknown", true);
            return Ok(reply);
        }
    };
    if after != OpTime::NULL && from < window_start(&state) {
        return fail(
            Code::OplogStartMissing,
            "our last optime fetched is not in the sync source's oplog",
        );
    }
    let end = oplog.entries().len().min(from + BATCH);
    let entries: Vec<Bson> = oplog.entries()[from..end]
        .iter()
        .map(|entry| entry.document.clone().into())
        .collect();
    reply.insert("entries", entries);
    Ok(reply)
}

/// A member's last entry is one that this server knows: then that far the member is.
fn note_position(node: &Node, command: &Document, after: OpTime) {
    let state = &mut *node.lock();
    node.learn_term(state, command.get_i64("term").unwrap_or(0));
    let mine = state.oplog.last();
    let id = command.get_i32("fromId").unwrap_or(-1);
    if state.control.deaf {
        return;
    }
    if let Some(peer) = state.repl.peers.get_mut(&id)
        && after > peer.optime
    {
        peer.optime = after;
        state.repl.advance_commit(mine);
        node.touch();
    }
}

/// Answers a member that looks for the last entry that both have.
pub fn answer_common_point(node: &Node, command: &Document) -> Reply {
    let state = node.lock();
    let points = command
        .get_array("standinCommonPoint")
        .map(Vec::as_slice)
        .unwrap_or_default();
    let shared = points
        .iter()
        .map(|point| OpTime::read(Some(point)))
        .find(|at| state.oplog.find(*at).is_some());
    Ok(doc! {"shared": shared.unwrap_or(OpTime::NULL).document()})
}

/// The first entry that the oplog pretends to hold still.
pub fn window_start(state: &State) -> usize {
    let seconds = i64::from(state.control.oplog_window_s);
    if seconds == 0 {
        return 0;
    }
    let oldest = DateTime::now().timestamp_millis() / 1000 - seconds;
    let entries = state.oplog.entries();
    entries
        .partition_point(|entry| i64::from(entry.at.ts.0) < oldest)
        .min(entries.len().saturating_sub(1))
}

/// Writes something every ten seconds, so that the members' lag can be told on an idle set too.
pub async fn keep_alive(node: Arc<Node>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let state = &mut *node.lock();
        let idle = OpTime::NULL.next(0).ts.0.saturating_sub(state.oplog.last().ts.0);
        if state.repl.state == MemberState::Primary && idle >= 10 {
            // Only a full disk fails here, and then the next write says so.
            let _ = node.write_noop(state, "periodic noop");
        }
    }
}
