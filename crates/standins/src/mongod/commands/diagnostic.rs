//! Questions about the server itself: its version, options, figures and parameters.

use bson::{DateTime, Document, doc};

use crate::mongod::errors::{Code, Reply, fail};
use crate::mongod::node::Node;
use crate::mongod::repl::MemberState;
use crate::mongod::sync;

use super::hello;
use super::session::Session;

/// `buildInfo`; its module list says that this is none of MongoDB's builds.
pub(super) fn build_info(node: &Node) -> Document {
    let mut numbers: Vec<i32> = node
        .options
        .version
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect();
    numbers.resize(4, 0);
    doc! {
        "version": &node.options.version, "gitVersion": "stand-in for clusterctl's lab",
        "modules": ["stand-in"], "allocator": "none", "javascriptEngine": "none", "versionArray": numbers, "bits": 64,
        "debug": false, "maxBsonObjectSize": 16 * 1024 * 1024, "storageEngines": ["stand-in"],
    }
}

/// `connectionStatus`.
pub(super) fn connection_status(session: &Session) -> Document {
    let users: Vec<_> = session
        .users
        .iter()
        .map(|user| doc! {"user": &user.name, "db": &user.database})
        .collect();
    let roles = session.users.iter().flat_map(|user| &user.roles);
    let roles: Vec<_> = roles.map(crate::mongod::rights::Role::document).collect();
    doc! {"authInfo": {"authenticatedUsers": users, "authenticatedUserRoles": roles}}
}

/// `serverStatus`, with the sections that tell of replication and, as since 5.1, of the catalog.
pub(super) fn server_status(node: &Node, command: &Document) -> Reply {
    let uptime = node.started.elapsed();
    let millis = i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX);
    let state = &mut *node.lock();
    let host = format!("{}:{}", host_name(), node.options.port);
    let mut reply = doc! {
        "host": host, "version": &node.options.version, "process": "mongod", "pid": i64::from(std::process::id()),
        "uptime": uptime.as_secs_f64().floor(), "uptimeMillis": millis, "localTime": DateTime::now(),
        "storageEngine": {"name": "stand-in", "persistent": true},
    };
    if node.options.repl_set.is_some() {
        let mut repl = doc! {"topologyVersion": hello::topology(node, state)};
        hello::describe_set(state, "isWritablePrimary", &mut repl);
        reply.insert("repl", repl);
    }
    if node.options.release() >= (5, 1) {
        let own = ["admin.", "config.", "local."];
        let is_users = |name: &&str| !own.iter().any(|own| name.starts_with(own));
        let collections = state.store.namespaces().filter(is_users).count();
        let collections = i64::try_from(collections).unwrap_or(i64::MAX);
        reply.insert("catalogStats", doc! {"collections": collections});
    }
    if crate::mongod::query::truthy(command.get("oplog")) && node.options.repl_set.is_some() {
        // Without an oplog the question is refused as a whole (4.9, an arbiter and a server that waits for its set).
        let first = state.oplog.entries().get(sync::window_start(state));
        let Some(first) = first.filter(|_| state.repl.config.is_some()) else {
            return fail(Code::Location17347, "Problem reading earliest entry from oplog");
        };
        let latest = state.oplog.last().timestamp();
        reply.insert(
            "oplog",
            doc! {"latestOptime": latest, "earliestOptime": first.at.timestamp()},
        );
    }
    Ok(reply)
}

/// `hostInfo`, as far as anybody here asks.
pub(super) fn host_info() -> Document {
    doc! {"system": {"currentTime": DateTime::now(), "hostname": host_name()}, "os": {"type": "Linux"}}
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// `getParameter`, for the few that are kept here.
pub(super) fn get_parameter(node: &Node, command: &Document) -> Reply {
    let (major, minor) = node.options.release();
    let minor = if major >= 5 { 0 } else { minor };
    let is_arbiter = node.lock().repl.state == MemberState::Arbiter;
    if is_arbiter && command.contains_key("featureCompatibilityVersion") {
        return fail(
            Code::UnknownFeatureCompatibilityVersion,
            "featureCompatibilityVersion is not yet known.",
        );
    }
    let known = doc! {
        "featureCompatibilityVersion": {"version": format!("{major}.{minor}")},
        "authenticationMechanisms": ["SCRAM-SHA-256"], "enableLocalhostAuthBypass": true,
        "scramSHA256IterationCount": 15000, "transitionToAuth": node.lenient(), "quiet": false,
    };
    if command.get_str("getParameter").is_ok_and(|name| name == "*") {
        return Ok(known);
    }
    let wanted: Document = known
        .into_iter()
        .filter(|(key, _)| command.contains_key(key))
        .collect();
    if wanted.is_empty() {
        return fail(Code::InvalidOptions, "no option found to get");
    }
    Ok(wanted)
}

/// `shutdown`: as if the service manager had asked for it.
pub(super) fn shut_down(node: &Node) -> Document {
    node.ask_to_stop();
    doc! {}
}
