//! The commands that make and change a replica set.
//!
//! After `replication_coordinator_impl.cpp`: what is refused, with which number, and what a command waits for before
//! it says `ok`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Document, doc};
use serde_json::json;

use crate::mongod::election;
use crate::mongod::errors::{Code, CommandError, Reply, fail};
use crate::mongod::node::{Node, State, max_time};
use crate::mongod::query::{truthy, whole};
use crate::mongod::repl::MemberState;
use crate::mongod::setconfig::{Member, SetConfig};

use super::{concern, status};

/// `replSetInitiate`.
pub(super) async fn initiate(node: &Arc<Node>, command: &Document) -> Reply {
    let Some(name) = node.options.repl_set.clone() else {
        return fail(
            Code::NoReplicationEnabled,
            "This node was not started with replication enabled.",
        );
    };
    if node.lock().repl.config.is_some() {
        return Err(already_initialized());
    }
    let mut document = command
        .get_document("replSetInitiate")
        .cloned()
        .unwrap_or_default();
    let mut reply = Document::new();
    if document.is_empty() {
        let me = format!(
            "{}:{}",
            node.options
                .bind
                .iter()
                .find(|n| !n.starts_with("127."))
                .map_or("localhost", String::as_str),
            node.options.port
        );
        reply = doc! {"info2": "no configuration specified. Using a default configuration for the set", "me": &me};
        document = doc! {"_id": &name, "members": [{"_id": 0, "host": me}]};
    }
    if !document.contains_key("version") {
        document.insert("version", 1);
    }
    let mut config = SetConfig::parse(&document, node.options.release())?;
    require_name(&config, &name, "initiate with a set name that", "initiate")?;
    config.validate()?;
    config.check_initial()?;
    let me = find_me(node, &config, Code::InvalidReplicaSetConfig).await?;
    config = config.in_term(0);
    config.assign_set_id();
    check_quorum(node, &config, me, true).await?;
    let state = &mut *node.lock();
    if state.repl.config.is_some() {
        return Err(already_initialized());
    }
    // The initiating member has no sync source: its data are the set's data.
    state.repl.synced = true;
    node.write_noop(state, "initiating set")?;
    state.repl.ready_at = Instant::now();
    node.install(state, config, Some(me));
    node.become_state(state, MemberState::Secondary);
    state.repl.election_at = Instant::now() + state.control.election();
    Ok(reply)
}

fn already_initialized() -> CommandError {
    CommandError::new(Code::AlreadyInitialized, "already initialized")
}

fn require_name(config: &SetConfig, name: &str, refusal: &str, whose: &str) -> Result<(), CommandError> {
    if config.name == name {
        return Ok(());
    }
    let message = format!(
        "Rejecting {refusal} differs from command line set name, {whose} set name: {}, command line set name: {name}",
        config.name
    );
    fail(Code::InvalidReplicaSetConfig, message)
}

async fn find_me(node: &Node, config: &SetConfig, code: Code) -> Result<i32, CommandError> {
    let described = format!(
        "{{version: {}, term: {}}} for replica set {}",
        config.version, config.term, config.name
    );
    match node.find_self(config).await.as_slice() {
        [] => fail(
            code,
            format!("No host described in new configuration with {described} maps to this node"),
        ),
        [me] if config.member(*me).is_some_and(Member::electable) => Ok(*me),
        [me] => fail(
            if code == Code::NodeNotFound {
                Code::NodeNotElectable
            } else {
                code
            },
            format!(
                "This node, {}, with _id MemberId({me}) is not electable under the new configuration with {described}",
                config.member(*me).map_or("", |member| &member.host)
            ),
        ),
        several => fail(
            Code::InvalidReplicaSetConfig,
            format!("The members {several:?} all map to this node in new configuration with {described}"),
        ),
    }
}

/// Asks the proposed members whether they would take part.
async fn check_quorum(
    node: &Arc<Node>,
    config: &SetConfig,
    me: i32,
    initial: bool,
) -> Result<(), CommandError> {
    let my_host = config
        .member(me)
        .map(|member| member.host.clone())
        .unwrap_or_default();
    let request = doc! {
        "replSetHeartbeat": &config.name, "$db": "admin", "configVersion": -1, "configTerm": -1_i64,
        "term": node.lock().repl.term, "from": "", "fromId": me, "sender": &my_host,
    };
    let mut asked = tokio::task::JoinSet::new();
    for member in config.members.iter().filter(|member| member.id != me).cloned() {
        let (node, request) = (Arc::clone(node), request.clone());
        asked.spawn(async move {
            let answer = node
                .peers
                .call(&member.host, &request, Duration::from_secs(3))
                .await;
            (member, answer)
        });
    }
    let mine = config
        .member(me)
        .map_or((false, false), |member| (member.votes, member.electable()));
    let (mut electable, mut failed) = (usize::from(mine.1), Vec::new());
    let mut voters: Vec<String> = mine.0.then_some(my_host).into_iter().collect();
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(member, _)| config.members.iter().position(|known| known.id == member.id));
    for (member, answer) in answers {
        match answer {
            Ok(answer) => {
                veto(config, &member, &answer)?;
                voters.extend(member.votes.then_some(member.host.clone()));
                electable += usize::from(member.electable());
            }
            Err(error) if error.code == Code::InconsistentReplicaSetNames as i32 => {
                let message = format!("Our set name did not match that of {}", member.host);
                return fail(Code::NewReplicaSetConfigurationIncompatible, message);
            }
            Err(error) => failed.push(format!("{} failed with {error}", member.host)),
        }
    }
    let failed = failed.join(", ");
    if initial && !failed.is_empty() {
        return fail(
            Code::NodeNotFound,
            format!(
                "replSetInitiate quorum check failed because not all proposed set members responded affirmatively: \
                 {failed}"
            ),
        );
    }
    if electable == 0 {
        let message =
            "Quorum check failed because no electable nodes responded; at least one required for config";
        return fail(Code::NodeNotFound, message);
    }
    if voters.len() < config.majority() {
        return fail(
            Code::NodeNotFound,
            format!(
                "Quorum check failed because not enough voting nodes responded; required {} but only the following {} \
                 voting nodes responded: {}; the following nodes did not respond affirmatively: {failed}",
                config.majority(),
                voters.len(),
                voters.join(", ")
            ),
        );
    }
    Ok(())
}

/// What forbids a configuration even if all others agree. That a member has data of its own does not: it loses it.
fn veto(config: &SetConfig, member: &Member, answer: &Document) -> Result<(), CommandError> {
    let host = &member.host;
    let theirs = answer.get_i32("configVersion").unwrap_or(-1);
    if theirs >= config.version {
        return fail(
            Code::NewReplicaSetConfigurationIncompatible,
            format!(
                "Our config version of {} is no larger than the version on {host}, which is {theirs}",
                config.version
            ),
        );
    }
    let id = answer.get_document("config").ok().and_then(|theirs| {
        theirs
            .get_document("settings")
            .ok()?
            .get_object_id("replicaSetId")
            .ok()
    });
    if id.is_some() && id != config.set_id() {
        let message = format!("Our replica set ID did not match that of {host}");
        return fail(Code::NewReplicaSetConfigurationIncompatible, message);
    }
    Ok(())
}

/// `replSetReconfig`.
pub(super) async fn reconfig(node: &Arc<Node>, command: &Document) -> Reply {
    let force = truthy(command.get("force"));
    let limit = max_time(command);
    let begun = Instant::now();
    if node.options.repl_set.is_none() {
        return fail(Code::NoReplicationEnabled, "not running with --replSet");
    }
    check_may_reconfigure(&node.lock(), force)?;
    if !force {
        // The configuration before must be a majority's, and the writes before it, or two majorities could differ.
        let settled = node
            .wait_until(limit, |state| state.repl.config_committed() || !is_primary(state))
            .await;
        if !settled {
            return fail(Code::CurrentConfigNotCommittedYet, not_committed(&node.lock()));
        }
    }
    let (old, document) = begin(node, command, force)?;
    let result = carry_out(node, &old, &document, force).await;
    node.lock().repl.reconfiguring = false;
    result?;
    node.beat_now.notify_one();
    if !force {
        let rest = limit.map(|limit| {
            limit
                .saturating_sub(begun.elapsed())
                .max(Duration::from_millis(1))
        });
        if !node
            .wait_until(rest, |state| state.repl.config_committed() || !is_primary(state))
            .await
        {
            let message = "Reconfig finished but failed to propagate to a majority :: caused by :: operation exceeded \
                           time limit";
            return fail(Code::MaxTimeMSExpired, message);
        }
    }
    Ok(doc! {})
}

fn is_primary(state: &State) -> bool {
    state.repl.state == MemberState::Primary
}

fn not_committed(state: &State) -> String {
    let (term, version) = state.repl.config.as_ref().map_or((0, 0), SetConfig::rank);
    format!(
        "New config is rejected :: caused by :: Current config with {{version: {version}, term: {term}}} has not yet \
         propagated to a majority of nodes"
    )
}

fn check_may_reconfigure(state: &State, force: bool) -> Result<(), CommandError> {
    if state.repl.config.is_none() {
        return fail(Code::NotYetInitialized, "no replset config has been received");
    }
    if state.repl.reconfiguring {
        let message = "Cannot run replSetReconfig because the node is currently updating its configuration";
        return fail(Code::ConfigurationInProgress, message);
    }
    if !force && !is_primary(state) {
        let message = format!(
            "New config is rejected :: caused by :: replSetReconfig should only be run on a writable PRIMARY. Current \
             state {};",
            state.repl.state.name()
        );
        return fail(Code::NotWritablePrimary, message);
    }
    Ok(())
}

/// Takes the only place of a reconfig that is carried out.
fn begin(node: &Node, command: &Document, force: bool) -> Result<(SetConfig, Document), CommandError> {
    let state = &mut *node.lock();
    check_may_reconfigure(state, force)?;
    let Ok(document) = command.get_document("replSetReconfig") else {
        return fail(Code::BadValue, "no configuration specified");
    };
    let old = status::config(node, state)?.clone();
    let mut document = document.clone();
    if force {
        let wanted = document
            .get("version")
            .and_then(whole)
            .unwrap_or(1)
            .max(i64::from(old.version));
        document.insert("version", i32::try_from(wanted + 10_000).unwrap_or(i32::MAX));
        document.insert("term", old.term);
    } else {
        document.insert("term", state.repl.term);
    }
    // What the client left out of the settings is not the set's id: that one stays.
    let settings = document.entry("settings").or_insert(doc! {}.into());
    if let (Some(id), Some(settings)) = (old.set_id(), settings.as_document_mut())
        && !settings.contains_key("replicaSetId")
    {
        settings.insert("replicaSetId", id);
    }
    state.repl.reconfiguring = true;
    Ok((old, document))
}

async fn carry_out(
    node: &Arc<Node>,
    old: &SetConfig,
    document: &Document,
    force: bool,
) -> Result<(), CommandError> {
    let mut config = SetConfig::parse(document, node.options.release())?;
    require_name(
        &config,
        &old.name,
        "reconfig where new config set name",
        "new config",
    )?;
    config.check_follows(old, force)?;
    if !force {
        config.hold_back_votes(old);
    }
    let default = concern::set_by_hand(&node.lock());
    // Before 5.0 nothing waits for the majority unasked.
    if node.options.release() >= (5, 0)
        && !force
        && default.is_none()
        && old.implicit_majority() != config.implicit_majority()
    {
        return fail(
            Code::NewReplicaSetConfigurationIncompatible,
            "Reconfig attempted to install a config that would change the implicit default write concern. Use the \
             setDefaultRWConcern command to set a cluster-wide write concern and try the reconfig again.",
        );
    }
    let me = find_me(node, &config, Code::NodeNotFound).await?;
    if !force {
        check_quorum(node, &config, me, false).await?;
    }
    let state = &mut *node.lock();
    if !force && !is_primary(state) {
        return fail(
            Code::NotWritablePrimary,
            "Stepped down while carrying out a reconfig",
        );
    }
    node.install(state, config, Some(me));
    Ok(())
}

/// `replSetStepDown`.
pub(super) async fn step_down(node: &Arc<Node>, command: &Document) -> Reply {
    let seconds = |key: &str| command.get(key).and_then(whole);
    let force = truthy(command.get("force"));
    let period = seconds("replSetStepDown")
        .filter(|period| *period > 1)
        .unwrap_or(60);
    let catch_up = seconds("secondaryCatchUpPeriodSecs").unwrap_or(if force { 0 } else { 10 });
    if node.options.repl_set.is_none() {
        return fail(Code::NoReplicationEnabled, "not running with --replSet");
    }
    if seconds("replSetStepDown").is_some_and(|period| period < 0) {
        return fail(Code::BadValue, "stepdown period must be a positive integer");
    }
    if period < catch_up {
        return fail(
            Code::BadValue,
            "stepdown period must be longer than secondaryCatchUpPeriodSecs",
        );
    }
    if !is_primary(&node.lock()) {
        return fail(Code::NotWritablePrimary, "not primary so can't step down");
    }
    let (period, catch_up) = (period.unsigned_abs(), catch_up.unsigned_abs());
    step_down_primary(
        node,
        Duration::from_secs(period),
        Duration::from_secs(catch_up),
        force,
    )
    .await
}

/// Steps down once an electable member has caught up, and asks that one to take over.
pub(in crate::mongod) async fn step_down_primary(
    node: &Arc<Node>,
    period: Duration,
    catch_up: Duration,
    force: bool,
) -> Reply {
    let ready = |state: &State| !state.control.refuse_stepdown && !successors(state).is_empty();
    let found = node
        .wait_until(Some(catch_up), |state| ready(state) || !is_primary(state))
        .await;
    if !found && !force && catch_up >= period {
        let why = "By the time we were ready to step down, we were already past the time we were supposed to step \
                   down until";
        return fail(Code::ExceededTimeLimit, why);
    }
    if !found && !force {
        let now = bson::DateTime::now().try_to_rfc3339_string().unwrap_or_default();
        return fail(
            Code::ExceededTimeLimit,
            format!(
                "No electable secondaries caught up as of {now}. Please use the replSetStepDown command with the \
                 argument {{force: true}} to force node to step down."
            ),
        );
    }
    let next = {
        let state = &mut *node.lock();
        if !is_primary(state) {
            return fail(
                Code::PrimarySteppedDown,
                "While waiting for secondaries to catch up, this node stepped down",
            );
        }
        let next = successors(state);
        state.repl.not_before = Instant::now() + period;
        state.repl.election_at = election::next_time(&state.repl, &state.control);
        node.log
            .repl(21579, "Stepping down", &json!({"handingOverTo": next}));
        node.become_state(state, MemberState::Secondary);
        next
    };
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let request = doc! {"replSetStepUp": 1, "$db": "admin"};
        for host in next {
            if node
                .peers
                .call(&host, &request, Duration::from_secs(3))
                .await
                .is_ok()
            {
                return;
            }
        }
    });
    Ok(doc! {})
}

/// The electable members that have all that this one has, those of the highest priority first.
fn successors(state: &State) -> Vec<String> {
    let mine = state.oplog.last();
    let mut others: Vec<Member> = state.repl.others();
    others.retain(|member| {
        let peer = state.repl.peers.get(&member.id);
        let alive = peer.is_some_and(|peer| peer.up_since.is_some() && peer.state == MemberState::Secondary);
        alive && member.electable() && state.repl.optime_of(member.id, mine) >= mine
    });
    others.sort_by(|a, b| b.priority.total_cmp(&a.priority));
    others.into_iter().map(|member| member.host).collect()
}

/// What a primary that steps down asks of its successor.
pub(super) async fn step_up(node: &Arc<Node>) -> Reply {
    let able = {
        let state = node.lock();
        let electable = state.repl.my_member().is_some_and(Member::electable);
        // A member that stepped down or is frozen does not run for election, even when asked to.
        let may_run = Instant::now() >= state.repl.not_before && state.quiescing.is_none();
        electable && state.repl.state == MemberState::Secondary && may_run
    };
    if able && election::stand(node, false).await {
        return Ok(doc! {});
    }
    fail(Code::CommandFailed, "Election failed.")
}

/// `replSetFreeze`.
pub(super) fn freeze(node: &Node, command: &Document) -> Reply {
    let state = &mut *node.lock();
    status::config(node, state)?;
    let seconds = command.get("replSetFreeze").and_then(whole).unwrap_or(0);
    if is_primary(state) {
        return fail(
            Code::NotSecondary,
            "Cannot freeze node when primary or running for election, state: Primary",
        );
    }
    state.repl.not_before = Instant::now() + Duration::from_secs(seconds.unsigned_abs());
    Ok(doc! {"info": if seconds == 0 { "unfreezing" } else { "freezing" }})
}
