//! `saslStart` and `saslContinue`: how a client logs in.

use bson::{Bson, Document, doc};
use serde_json::json;

use crate::mongod::errors::{Code, CommandError, Reply, fail};
use crate::mongod::node::{Node, State};
use crate::mongod::peer::binary;
use crate::mongod::rights::User;
use crate::mongod::scram::{Credentials, ServerExchange, parse_client_first};

use super::session::{Conversation, Session};
use super::users;

/// The first message.
pub(super) fn start(node: &Node, session: &mut Session, database: &str, command: &Document) -> Reply {
    let mechanism = command.get_str("mechanism").unwrap_or_default();
    if mechanism != "SCRAM-SHA-256" {
        let received = format!("Received authentication for mechanism {mechanism} which is");
        return if node.options.release() < (5, 0) {
            fail(Code::BadValue, format!("{received} unknown or not enabled"))
        } else {
            fail(Code::MechanismUnavailable, format!("{received} not enabled"))
        };
    }
    let payload = payload(command)?;
    let Ok((name, bare)) = parse_client_first(&payload) else {
        return fail(Code::AuthenticationFailed, "Authentication failed.");
    };
    let found = look_up(node, &node.lock(), &name, database);
    let Some((credentials, user)) = found else {
        return refuse(node, &name, database, "UserNotFound");
    };
    let Ok((exchange, reply)) = ServerExchange::start(bare, &credentials) else {
        return refuse(node, &name, database, "malformed message");
    };
    let skip_empty = command
        .get_document("options")
        .is_ok_and(|o| o.get_bool("skipEmptyExchange").unwrap_or(false));
    session.sasl = Some(Conversation {
        exchange,
        credentials,
        user,
        skip_empty,
        proven: false,
    });
    Ok(doc! {"conversationId": 1, "done": false, "payload": binary(&reply)})
}

/// The messages after it.
pub(super) fn proceed(node: &Node, session: &mut Session, command: &Document) -> Reply {
    let Some(mut conversation) = session.sasl.take() else {
        return fail(Code::ProtocolError, "No SASL session state found");
    };
    if conversation.proven {
        admit(session, conversation.user);
        return Ok(doc! {"conversationId": 1, "done": true, "payload": binary("")});
    }
    let Ok(reply) = conversation
        .exchange
        .finish(&payload(command)?, &conversation.credentials)
    else {
        return refuse(
            node,
            &conversation.user.name,
            &conversation.user.database,
            "storedKey mismatch",
        );
    };
    let done = conversation.skip_empty;
    if done {
        admit(session, conversation.user);
    } else {
        conversation.proven = true;
        session.sasl = Some(conversation);
    }
    Ok(doc! {"conversationId": 1, "done": done, "payload": binary(&reply)})
}

fn admit(session: &mut Session, user: User) {
    session.users.retain(|other| other.database != user.database);
    session.users.push(user);
}

fn refuse(node: &Node, name: &str, database: &str, reason: &str) -> Reply {
    let attributes = json!({"user": name, "db": database, "error": reason});
    node.log
        .write("I", "ACCESS", 5_286_307, "Failed to authenticate", &attributes);
    fail(Code::AuthenticationFailed, "Authentication failed.")
}

fn look_up(node: &Node, state: &State, name: &str, database: &str) -> Option<(Credentials, User)> {
    if name == "__system" && database == "local" {
        return Some((node.peers.key()?.credentials.clone(), User::internal()));
    }
    users::log_in(state, name, database)
}

fn payload(command: &Document) -> Result<String, CommandError> {
    let bytes = match command.get("payload") {
        Some(Bson::Binary(binary)) => binary.bytes.clone(),
        Some(Bson::String(text)) => text.clone().into_bytes(),
        _ => {
            return fail(
                Code::TypeMismatch,
                "BSON field 'payload' is missing but a required field",
            );
        }
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
