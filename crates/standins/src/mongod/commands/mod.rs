//! What a client can ask, who may ask it, and where the answers are.

mod catalog;
mod concern;
mod crud;
mod diagnostic;
mod hello;
mod replset;
mod sasl;
mod session;
mod status;
mod users;

use std::sync::Arc;

use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};

use super::errors::{Code, CommandError, Reply, fail};
pub(super) use replset::step_down_primary;
pub(super) use session::Session;

use super::node::{Node, State};
use super::repl::MemberState;
use super::rights::{Exception, Need, may};
use super::{election, heartbeat, show, sync};

/// Answers one command.
pub(super) async fn answer(node: &Arc<Node>, session: &mut Session, command: &Document) -> Document {
    let name = command.keys().next().cloned().unwrap_or_default();
    let database = command.get_str("$db").unwrap_or("test").to_owned();
    let result = match authorize(node, session, &name, &database, command) {
        Ok(()) => run(node, session, &name, &database, command).await,
        Err(error) => Err(error),
    };
    let mut reply = match result {
        Ok(mut reply) => {
            reply.insert("ok", 1.0);
            reply
        }
        Err(error) if error.is_of_the_topology() && node.options.repl_set.is_some() => {
            let mut reply = doc! {"topologyVersion": hello::topology(node, &mut node.lock())};
            reply.extend(error.reply());
            reply
        }
        Err(error) => error.reply(),
    };
    if node.options.repl_set.is_some() {
        gossip(&node.lock(), &mut reply);
    }
    reply
}

/// The set's time, which its members tell once a primary has written anything.
fn gossip(state: &State, reply: &mut Document) {
    let now = state.oplog.last();
    if now.term > 0 {
        let hash = Binary {
            subtype: BinarySubtype::Generic,
            bytes: vec![0; 20],
        };
        let signature = doc! {"hash": hash, "keyId": 0_i64};
        reply.extend(doc! {
            "$clusterTime": {"clusterTime": now.timestamp(), "signature": signature}, "operationTime": now.timestamp(),
        });
    }
}

fn authorize(
    node: &Node,
    session: &Session,
    name: &str,
    database: &str,
    command: &Document,
) -> Result<(), CommandError> {
    let need = need(name, database, command);
    if !node.options.auth || node.lenient() || matches!(need, Need::Nothing) {
        return Ok(());
    }
    let exception = {
        let state = node.lock();
        match state.repl.state {
            _ if state.store.has_users() || !session.from.ip().is_loopback() => Exception::None,
            MemberState::Arbiter => Exception::Arbiter,
            _ => Exception::Bootstrap,
        }
    };
    if may(&session.users, &need, exception) {
        return Ok(());
    }
    if session.users.is_empty() && exception == Exception::None {
        let word = if node.options.release() < (6, 0) {
            "command"
        } else {
            "Command"
        };
        return fail(
            Code::Unauthorized,
            format!("{word} {name} requires authentication"),
        );
    }
    let shown = show::command(command);
    fail(
        Code::Unauthorized,
        format!("not authorized on {database} to execute command {shown}"),
    )
}

/// What a command takes: the action types of the real server, folded into few.
fn need(name: &str, database: &str, command: &Document) -> Need {
    let on = database.to_owned();
    let collection = || command.get_str(name).unwrap_or_default().to_owned();
    match name {
        "hello" | "isMaster" | "ismaster" | "ping" | "buildInfo" | "buildinfo" | "connectionStatus"
        | "saslStart" | "saslContinue" | "logout" | "endSessions" | "whatsmyuri" | "getnonce" | "_isSelf"
        | "listCommands" => Need::Nothing,
        "replSetInitiate" | "replSetReconfig" => Need::Configure,
        "replSetGetStatus" => Need::Status,
        "replSetGetConfig" => Need::Config,
        "replSetStepDown" | "replSetFreeze" | "setParameter" | "setDefaultRWConcern" | "shutdown" => {
            Need::Manage
        }
        "serverStatus" | "getCmdLineOpts" | "getParameter" => Need::Monitor,
        "hostInfo" | "getLog" | "getDefaultRWConcern" | "features" => Need::Inspect,
        "listDatabases" => Need::LoggedIn,
        "createUser" => Need::CreateUser(on),
        "updateUser" | "dropUser" | "grantRolesToUser" => Need::Users(on),
        "usersInfo" => Need::SeeUsers(on),
        "find" | "count" | "aggregate" | "getMore" | "distinct" => Need::Read(on, collection()),
        "listCollections" | "listIndexes" | "killCursors" => Need::Read(on, String::new()),
        "insert" | "update" | "delete" | "findAndModify" | "create" | "drop" | "dropDatabase"
        | "createIndexes" => Need::Write(on, collection()),
        _ => Need::Internal,
    }
}

async fn run(
    node: &Arc<Node>,
    session: &mut Session,
    name: &str,
    database: &str,
    command: &Document,
) -> Reply {
    match name {
        "hello" | "isMaster" | "ismaster" => hello::hello(node, session, command, name).await,
        "ping" | "endSessions" | "killCursors" => Ok(doc! {}),
        "buildInfo" | "buildinfo" => Ok(diagnostic::build_info(node)),
        "connectionStatus" => Ok(diagnostic::connection_status(session)),
        "whatsmyuri" => Ok(doc! {"you": session.from.to_string()}),
        "serverStatus" => diagnostic::server_status(node, command),
        "getCmdLineOpts" => Ok(doc! {"argv": &node.options.argv, "parsed": node.options.parsed.clone()}),
        "hostInfo" => Ok(diagnostic::host_info()),
        "getParameter" => diagnostic::get_parameter(node, command),
        "setParameter" => Ok(doc! {"was": 0}),
        "saslStart" => sasl::start(node, session, database, command),
        "saslContinue" => sasl::proceed(node, session, command),
        "logout" => {
            session.users.retain(|user| user.database != database);
            Ok(doc! {})
        }
        "replSetInitiate" => replset::initiate(node, command).await,
        "replSetReconfig" => replset::reconfig(node, command).await,
        "replSetGetStatus" => status::get_status(node),
        "replSetGetConfig" => status::get_config(node, command),
        "replSetStepDown" => replset::step_down(node, command).await,
        "replSetFreeze" => replset::freeze(node, command),
        "createUser" => users::create(node, database, command).await,
        "updateUser" => users::update(node, database, command).await,
        "dropUser" => users::drop_user(node, database, command).await,
        "usersInfo" => users::info(node, database, command),
        "setDefaultRWConcern" => concern::set_default(node, command).await,
        "getDefaultRWConcern" => Ok(concern::get_default(node)),
        "insert" => crud::insert(node, database, command).await,
        "update" => crud::update(node, database, command).await,
        "delete" => crud::delete(node, database, command).await,
        "find" => crud::find(node, database, command),
        "count" => crud::count(node, database, command),
        "aggregate" => crud::aggregate(node, database, command),
        "create" => catalog::create(node, database, command).await,
        "drop" => catalog::drop_collection(node, database, command).await,
        "dropDatabase" => catalog::drop_database(node, database, command).await,
        "listDatabases" => catalog::list_databases(node, session, command),
        "listCollections" => Ok(catalog::list_collections(node, database)),
        "shutdown" => Ok(diagnostic::shut_down(node)),
        "_isSelf" => Ok(doc! {"id": node.instance}),
        "replSetHeartbeat" => heartbeat::answer(node, command),
        "replSetRequestVotes" => election::vote(node, command),
        "replSetStepUp" => replset::step_up(node).await,
        "standinPull" => sync::answer_pull(node, command).await,
        "standinCommonPoint" => sync::answer_common_point(node, command),
        _ => fail(Code::CommandNotFound, format!("no such command: '{name}'")),
    }
}
