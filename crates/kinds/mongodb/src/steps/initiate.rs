//! The step `initiate`: the set comes into being, once.
//!
//! Only where no host has a configuration of any set. The seed is the host that holds data, else the first of the
//! inventory; it alone votes at first, so that it becomes the primary whatever happens, and the others rise in the step
//! `members` once they have its data.

use plan::{Consent, Preview, Refusal};
use protocol::facts::{Bson, Login, MongoCommand, MongoFact, Query};
use protocol::{Action, Fact, Operation, Precondition};
use types::HostName;

use crate::checks::gates;
use crate::observe::queries::{HERE, ask_as_nobody};
use crate::observe::view::{Node, Place, Server, View, known_admin};
use crate::rules::desired_members::first_config;
use crate::rules::stored_data::{DISCARD, Holding};
use crate::settings::Settings;
use crate::steps::check::{obstacle, refusal, whole};
use crate::steps::start::starts;
use formats::replset::SetConfig;
use kit::{Cx, StepPlan, Task};

/// `NodeNotFound`: a member that was only just started may not answer the seed yet.
const NODE_NOT_FOUND: i32 = 74;
/// Time limit: the seed asks all others first.
const LIMIT: u64 = 120_000;
/// The name of the command.
const COMMAND: &str = "replSetInitiate";

/// A set that this plan makes.
pub(crate) struct Planned<'c> {
    /// The host that becomes the primary.
    pub(crate) seed: &'c HostName,
    /// Its configuration.
    pub(crate) config: SetConfig,
}

/// The set that an earlier step of this plan makes.
pub(crate) fn planned<'c>(cx: &Cx<'c>) -> Option<Planned<'c>> {
    cx.earlier.iter().find_map(|task| {
        let (name, document) = first_command(task)?.fields.first()?;
        (name == COMMAND).then(|| Planned {
            seed: &task.host,
            config: SetConfig::read(document),
        })
    })
}

/// The first command that a task sends to a server.
pub(crate) fn first_command(task: &Task) -> Option<&MongoCommand> {
    match &task.action.as_ref()?.operation {
        Operation::Mongo { commands, .. } => commands.first(),
        _ => None,
    }
}

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let mut all = StepPlan::nothing();
    // What the step `check` refuses is said once.
    let is_refused =
        !whole(&view).is_empty() || view.nodes.iter().any(|node| obstacle(&view, node, cx).is_some());
    if view.has_set() || view.nodes.is_empty() || is_refused {
        return all;
    }
    for node in &view.nodes {
        if let Err(why) = is_ready(&view, node, cx) {
            let why = format!("the set is initiated once all its hosts are ready: {why}");
            all.unplanned.push((node.host.clone(), why));
        }
    }
    if !all.unplanned.is_empty() {
        return all;
    }
    let seed = match seed(&view, cx) {
        Ok(seed) => seed,
        Err(refusal) => {
            all.refusals.push(*refusal);
            return all;
        }
    };
    all.tasks.push(task(&view, seed));
    all
}

/// Whether a host can be part of the new set.
fn is_ready(view: &View<'_>, node: &Node<'_>, cx: &Cx<'_>) -> Result<(), String> {
    let host = node.host;
    if let Some(why) = node.unreachable {
        return Err(format!("{host} cannot be reached: {why}"));
    }
    if !cx.hosts.contains(host) {
        return Err(format!("{host} is not part of this run"));
    }
    match &node.server {
        Server::Up(up) => match up.place(&view.settings.replica_set) {
            Place::Blank => Ok(()),
            Place::Standalone if starts(view, node, cx) => Ok(()),
            Place::Standalone => Err(format!("{host} does not replicate")),
            Place::Hidden(error) => Err(format!("{host} says {error}")),
            Place::Member | Place::Foreign(_) | Place::Removed(_) => Err(format!("{host} has been in a set")),
        },
        Server::Denied(error) => Err(format!("{host} refuses the admin: {error}")),
        Server::Down(_) | Server::Unknown(_) if starts(view, node, cx) => {
            if node.never_ran(view.settings) {
                return Ok(());
            }
            Err(format!(
                "{host} has run before, and only its start tells what it is a member of"
            ))
        }
        Server::Down(why) | Server::Unknown(why) => Err(format!("{host} does not answer: {why}")),
    }
}

/// The host that is initiated: what it holds becomes the set's, and what any other holds is lost. So the one that holds
/// data is the seed, or the only one that may hold some; where that does not decide, the operator does.
fn seed<'v>(view: &'v View<'_>, cx: &Cx<'_>) -> Result<&'v Node<'v>, Box<Refusal>> {
    let settings = view.settings;
    let may_lead = |node: &Node<'_>| {
        let options = settings.options(node.host);
        options.is_some_and(|options| !options.is_passive())
    };
    let mut held: Vec<(&Node<'_>, String)> = Vec::new();
    let mut unproven: Vec<(&Node<'_>, String)> = Vec::new();
    for node in &view.nodes {
        match node.holding(settings) {
            Holding::Nothing => {}
            Holding::Something(what) => held.push((node, what)),
            Holding::Unknown(_) if cx.is_allowed(DISCARD, node.host) => {}
            Holding::Unknown(why) => unproven.push((node, why)),
        }
    }
    match (held.as_slice(), unproven.as_slice()) {
        ([], []) => {
            let first = view.nodes.iter().find(|node| may_lead(node));
            first.ok_or_else(|| not_initiated("no member may become the primary", "give one a priority"))
        }
        ([(node, _)], []) | ([], [(node, _)]) if may_lead(node) => Ok(node),
        ([(node, what)], []) => Err(not_initiated(
            format!("{} holds {what}, and may not become the primary", node.host),
            "give it a priority in the inventory",
        )),
        ([], [(node, why)]) => Err(not_initiated(
            format!(
                "{} may hold data, and may not become the primary: {why}",
                node.host
            ),
            "give it a priority in the inventory",
        )),
        ([(first, what), (second, other), ..], _) => Err(not_initiated(
            format!(
                "{} holds {what} and {} holds {other}: only one's data become the set's",
                first.host, second.host
            ),
            "decide which data are kept, and empty the data directories of the others by hand",
        )),
        (_, [.., (last, why)]) => {
            let hosts: Vec<&str> = unproven.iter().map(|(node, _)| node.host.as_str()).collect();
            let others = held
                .first()
                .map_or("only one's data become".to_owned(), |(node, what)| {
                    format!("{} holds {what}, and its data become", node.host)
                });
            let mut refusal = not_initiated(
                format!(
                    "{} may hold data, and {others} the set's: {why}",
                    hosts.join(", ")
                ),
                "start mongod there without replication.replSetName and look with show dbs; empty the data directories that \
                 hold nothing of worth, or name each such host in an override",
            );
            refusal.consent = Some(Consent {
                action: DISCARD.to_owned(),
                host: last.host.clone(),
            });
            Err(refusal)
        }
    }
}

fn not_initiated(why: impl Into<String>, way_out: &str) -> Box<Refusal> {
    Box::new(refusal(None, "the set is not initiated", why, way_out))
}

fn task(view: &View<'_>, seed: &Node<'_>) -> Task {
    let (settings, host) = (view.settings, seed.host);
    // What is not known yet is what the newest servers say.
    let version = view.version().unwrap_or((5, 0));
    let config = first_config(settings, host, version);
    let command = MongoCommand::new(COMMAND, config.document());
    let preview = Preview::Commands(vec![command.to_string()]);
    let others = config.members().len() - 1;
    let none = "no host has a set's configuration";
    let reason = match seed.holding(settings) {
        Holding::Something(what) => format!("{none}, and {host} holds {what}"),
        Holding::Unknown(_) => format!("{none}, and {host} alone may hold data"),
        Holding::Nothing => none.to_owned(),
    };
    let no_set = Precondition {
        what: format!("{host} is in no set"),
        query: ask_as_nobody(
            settings.port,
            vec![MongoCommand::new("hello", 1).only(&["setName"])],
        )
        .wrap(),
        fact: Fact::Mongo(MongoFact::Replies {
            login: Login::Nobody,
            replies: vec![Ok(Bson::doc([]))],
        }),
    };
    let action = Action {
        only_if: vec![no_set],
        operation: Operation::Mongo {
            address: HERE.to_owned(),
            port: settings.port,
            // Where there is no user yet, the localhost exception allows it.
            user: seed.server.up().and_then(|up| known_admin(settings, up)),
            commands: vec![command],
            again_on: vec![NODE_NOT_FOUND],
        },
        limit_ms: LIMIT,
    };
    let title = match others {
        0 => format!("initiate the set {}", settings.replica_set),
        _ => format!(
            "initiate the set {}, with {host} as its first voting member",
            settings.replica_set
        ),
    };
    let shows_config = settings.admin.is_none()
        || seed
            .server
            .up()
            .is_some_and(|up| known_admin(settings, up).is_some());
    let task = Task::new(host, title, reason, action)
        .preview(preview)
        .gate(gates::primary(settings, host));
    if shows_config {
        // A new primary writes its term into the configuration; before that is committed, none follows.
        return task.gate(gates::committed(view, 1));
    }
    task
}
