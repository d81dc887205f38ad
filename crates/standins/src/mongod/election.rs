//! Elections: which member becomes primary, and when it steps down.
//!
//! Simplified from the real protocol: a member that misses a primary asks in a dry run whether it would be elected,
//! then in a new term for votes, which everybody gives once a term, on disk first, and only to a member that has at least
//! as much as the voter does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{DateTime, Document, doc};
use serde_json::json;

use super::control::Control;
use super::errors::{Code, Reply, fail};
use super::node::{Node, State};
use super::optime::OpTime;
use super::repl::{MemberState, Repl};
use super::setconfig::{Member, SetConfig};

/// When to miss the primary that was just heard of: a little later the lower a member's priority is, and never at
/// the same time as another.
pub fn next_time(repl: &Repl, control: &Control) -> Instant {
    let me = repl.my_member();
    let mine = me.map_or(0.0, |member| member.priority);
    let before = repl
        .others()
        .iter()
        .filter(|member| member.priority > mine)
        .count();
    let election = control.election();
    let share = control.spread(me.map_or(0, |member| member.id), repl.term)
        + 0.2 * f64::from(u8::try_from(before).unwrap_or(5));
    Instant::now() + election + election.mul_f64(share)
}

/// Looks after this member's role, several times a second.
pub async fn run(node: Arc<Node>) {
    loop {
        let pause = { node.lock().control.tick() };
        tokio::time::sleep(pause).await;
        let stands = {
            let state = &mut *node.lock();
            state.control = Control::read(&node.options.db_path, node.options.times);
            settle(&node, state);
            wants_election(state)
        };
        if stands {
            stand(&node, true).await;
        }
    }
}

/// Changes of role that need nobody's vote.
fn settle(node: &Node, state: &mut State) {
    let election = state.control.election();
    let Some(majority) = state.repl.config.as_ref().map(SetConfig::majority) else {
        return;
    };
    match state.repl.state {
        MemberState::Primary if state.repl.voters_alive(election) < majority => {
            node.log.repl(
                21809,
                "Can't see a majority of the set, relinquishing primary",
                &json!({}),
            );
            node.become_state(state, MemberState::Secondary);
        }
        MemberState::Primary => grant_vote(node, state),
        MemberState::Startup2 | MemberState::Recovering
            if state.repl.synced && !state.repl.too_stale && Instant::now() >= state.repl.ready_at =>
        {
            node.become_state(state, MemberState::Secondary);
            state.repl.election_at = next_time(&state.repl, &state.control);
        }
        _ => {}
    }
}

/// Gives a new member the vote that was held back, once it has done its initial sync.
fn grant_vote(node: &Node, state: &mut State) {
    let repl = &state.repl;
    let is_ready = |member: &&Member| {
        let peer = repl.peers.get(&member.id);
        member.newly_added && peer.is_some_and(|peer| peer.state == MemberState::Secondary)
    };
    let Some(config) = &repl.config else { return };
    let Some(new) = config.members.iter().find(is_ready) else {
        return;
    };
    if !repl.reconfiguring && repl.config_committed() {
        let (config, me) = (config.grant_vote(new.id), repl.me);
        node.install(state, config, me);
    }
}

fn wants_election(state: &mut State) -> bool {
    let election = state.control.election();
    let now = Instant::now();
    let mine = state.oplog.last();
    let is_ending = state.stopping || state.quiescing.is_some();
    let waits = state.control.lone_voter_waits();
    let repl = &mut state.repl;
    let Some(me) = repl.my_member().cloned() else {
        return false;
    };
    let may = repl.state == MemberState::Secondary && me.electable() && now >= repl.not_before && !is_ending;
    if !may {
        repl.takeover_at = None;
        return false;
    }
    let Some(primary) = repl.primary(election) else {
        repl.takeover_at = None;
        return now >= repl.election_at
            || repl
                .config
                .as_ref()
                .is_some_and(|config| config.members.len() == 1 || !waits && config.voters().count() == 1);
    };
    // A primary of a lower priority is replaced, once this member has all its writes (to two seconds).
    let higher = repl
        .config
        .as_ref()
        .and_then(|config| config.member(primary))
        .is_some_and(|p| p.priority < me.priority);
    let fresh = repl.optime_of(primary, mine).ts.0 <= mine.ts.0 + 2;
    if !(higher && fresh) {
        repl.takeover_at = None;
        return false;
    }
    let at = *repl.takeover_at.get_or_insert(now + election);
    let due = now >= at;
    if due {
        repl.takeover_at = None;
    }
    due
}

/// Stands for election; whether it was won.
pub async fn stand(node: &Arc<Node>, dry_run_first: bool) -> bool {
    let limit = {
        let state = &mut *node.lock();
        state.repl.election_at = next_time(&state.repl, &state.control);
        state.control.election()
    };
    if dry_run_first && !ask_for_votes(node, true, limit).await {
        return false;
    }
    {
        let state = &mut *node.lock();
        let Some(me) = state.repl.me else { return false };
        if state.repl.state != MemberState::Secondary {
            return false;
        }
        state.repl.term += 1;
        state.repl.vote = (state.repl.term, me);
        node.save(state);
        node.log.repl(
            21438,
            "Starting an election",
            &json!({"newTerm": state.repl.term}),
        );
    }
    ask_for_votes(node, false, limit).await && win(node)
}

async fn ask_for_votes(node: &Arc<Node>, dry_run: bool, limit: Duration) -> bool {
    let (request, voters, majority, term) = {
        let state = node.lock();
        let (Some(config), Some(me)) = (&state.repl.config, state.repl.me) else {
            return false;
        };
        let request = doc! {
            "replSetRequestVotes": 1, "$db": "admin", "setName": &config.name, "dryRun": dry_run,
            "term": state.repl.term, "candidateId": me, "configVersion": config.version, "configTerm": config.term,
            "lastAppliedOpTime": state.oplog.last().document(),
        };
        let voters: Vec<String> = config
            .voters()
            .filter(|member| member.id != me)
            .map(|member| member.host.clone())
            .collect();
        (request, voters, config.majority(), state.repl.term)
    };
    let mut asked = tokio::task::JoinSet::new();
    for host in voters {
        let (node, request) = (Arc::clone(node), request.clone());
        asked.spawn(async move { node.peers.call(&host, &request, limit).await });
    }
    let mut granted = 1;
    while granted < majority {
        let Some(answer) = asked.join_next().await else {
            return false;
        };
        let Ok(Ok(answer)) = answer else { continue };
        if answer.get_bool("voteGranted").unwrap_or(false) {
            granted += 1;
        }
        let state = &mut *node.lock();
        node.learn_term(state, answer.get_i64("term").unwrap_or(0));
        if state.repl.term > term {
            return false;
        }
    }
    node.lock().repl.term == term
}

fn win(node: &Node) -> bool {
    let state = &mut *node.lock();
    let term = state.repl.term;
    let Some(config) = &state.repl.config else {
        return false;
    };
    if state.repl.state != MemberState::Secondary
        || Some(state.repl.vote) != state.repl.me.map(|me| (term, me))
    {
        return false;
    }
    state.repl.config = Some(config.in_term(term));
    node.save(state);
    node.become_state(state, MemberState::Primary);
    if node.write_noop(state, "new primary").is_err() {
        return false;
    }
    let at = state.oplog.last();
    state.repl.elected = Some((at, DateTime::now()));
    state.repl.config_barrier = at;
    state.repl.sync_source = None;
    state.repl.advance_commit(at);
    node.log.repl(
        21331,
        "Transition to primary complete; database writes are now permitted",
        &json!({"term": term}),
    );
    node.touch();
    node.beat_now.notify_one();
    true
}

/// Answers a candidate.
pub fn vote(node: &Node, command: &Document) -> Reply {
    let state = &mut *node.lock();
    if state.repl.me.is_none() {
        return fail(Code::NotYetInitialized, "not a member of a set");
    }
    let (term, dry_run) = (
        command.get_i64("term").unwrap_or(0),
        command.get_bool("dryRun").unwrap_or(false),
    );
    let candidate = command.get_i32("candidateId").unwrap_or(-1);
    if !dry_run {
        node.learn_term(state, term);
    }
    let reason = refuse(state, command, term, candidate, dry_run);
    if reason.is_empty() && !dry_run {
        state.repl.vote = (term, candidate);
        state.repl.election_at = next_time(&state.repl, &state.control);
        node.save(state);
    }
    Ok(doc! {"term": state.repl.term, "voteGranted": reason.is_empty(), "reason": reason})
}

/// Why a candidate does not get this member's vote; empty where it does.
fn refuse(state: &State, command: &Document, term: i64, candidate: i32, dry_run: bool) -> &'static str {
    let rank = (
        command.get_i64("configTerm").unwrap_or(-1),
        command.get_i32("configVersion").unwrap_or(-1),
    );
    let repl = &state.repl;
    if term < repl.term {
        "candidate's term is lower than mine"
    } else if repl.config.as_ref().is_some_and(|mine| rank < mine.rank()) {
        "candidate's config is older than mine"
    } else if OpTime::read(command.get("lastAppliedOpTime")) < state.oplog.last() {
        "candidate's data is staler than mine"
    } else if !dry_run && repl.vote.0 >= term && repl.vote != (term, candidate) {
        "already voted for another candidate this term"
    } else {
        ""
    }
}
