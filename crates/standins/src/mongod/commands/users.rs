//! Users: documents in `admin.system.users`, replicated like all others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bson::{Bson, Document, doc};

use crate::mongod::errors::{Code, CommandError, Reply, fail};
use crate::mongod::node::{Node, State};
use crate::mongod::oplog::Op;
use crate::mongod::query::{truthy, whole};
use crate::mongod::repl::MemberState;
use crate::mongod::rights::{Role, User};
use crate::mongod::scram::{Credentials, ITERATIONS};
use crate::mongod::store::USERS;

use super::concern;

/// `createUser`.
pub(super) async fn create(node: &Node, database: &str, command: &Document) -> Reply {
    let name = command.get_str("createUser").unwrap_or_default();
    let Ok(password) = command.get_str("pwd") else {
        return fail(
            Code::BadValue,
            "Must provide a 'pwd' field for all user documents, except those with '$external' as the user's source db",
        );
    };
    if name.is_empty() || password.is_empty() {
        return fail(Code::BadValue, "User document needs 'user' field to be non-empty");
    }
    let credentials = hash(password);
    let at = {
        let state = &mut *node.lock();
        concern::require_primary(node, state, database)?;
        let id = format!("{database}.{name}");
        if state.store.get(USERS, &id.clone().into()).is_some() {
            return fail(
                Code::Location51003,
                format!("User \"{name}@{database}\" already exists"),
            );
        }
        let mut document = doc! {
            "_id": &id, "userId": bson::Uuid::new(), "user": name, "db": database, "credentials": credentials,
            "roles": roles(command, database)?.unwrap_or_default(),
        };
        if let Ok(custom) = command.get_document("customData") {
            document.insert("customData", custom.clone());
        }
        node.write(state, &Op::new("i", USERS, document))?
    };
    concern::await_majority(node, at, command).await?;
    Ok(doc! {})
}

/// `updateUser`.
pub(super) async fn update(node: &Node, database: &str, command: &Document) -> Reply {
    let name = command.get_str("updateUser").unwrap_or_default();
    let new_password = command.get_str("pwd").ok().map(hash);
    let at = {
        let state = &mut *node.lock();
        concern::require_primary(node, state, database)?;
        let id = Bson::String(format!("{database}.{name}"));
        let Some(mut document) = state.store.get(USERS, &id).cloned() else {
            return not_found(name, database);
        };
        let roles = roles(command, database)?;
        if new_password.is_none() && roles.is_none() && !command.contains_key("customData") {
            return fail(
                Code::BadValue,
                "Must specify at least one field to update in updateUser",
            );
        }
        if let Some(credentials) = new_password {
            document.insert("credentials", credentials);
        }
        if let Some(roles) = roles {
            document.insert("roles", roles);
        }
        if let Some(custom) = command.get("customData") {
            document.insert("customData", custom.clone());
        }
        node.write(state, &Op::replace(USERS, id, document))?
    };
    concern::await_majority(node, at, command).await?;
    Ok(doc! {})
}

/// `dropUser`.
pub(super) async fn drop_user(node: &Node, database: &str, command: &Document) -> Reply {
    let name = command.get_str("dropUser").unwrap_or_default();
    let at = {
        let state = &mut *node.lock();
        concern::require_primary(node, state, database)?;
        let id = Bson::String(format!("{database}.{name}"));
        if state.store.get(USERS, &id).is_none() {
            return not_found(name, database);
        }
        node.write(state, &Op::new("d", USERS, doc! {"_id": id}))?
    };
    concern::await_majority(node, at, command).await?;
    Ok(doc! {})
}

/// `usersInfo`: one user, several, those of a database, or all.
pub(super) fn info(node: &Node, database: &str, command: &Document) -> Reply {
    let state = node.lock();
    let is_open = matches!(state.repl.state, MemberState::Primary | MemberState::Secondary);
    if node.options.repl_set.is_some() && !is_open {
        let word = if node.options.release() < (5, 0) {
            "master"
        } else {
            "primary"
        };
        let why = format!(
            "PlanExecutor error during aggregation :: caused by :: not {word} or secondary; cannot currently read \
             from this replSet member"
        );
        return fail(Code::NotPrimaryOrSecondary, why);
    }
    let secrets = truthy(command.get("showCredentials"));
    let wanted = command.get("usersInfo").cloned().unwrap_or(Bson::Null);
    let is_wanted = |user: &Document, wanted: &Bson| match wanted {
        Bson::String(name) => is(user, "user", name) && is(user, "db", database),
        Bson::Document(one) if one.contains_key("forAllDBs") => true,
        Bson::Document(one) => user.get("user") == one.get("user") && user.get("db") == one.get("db"),
        _ => is(user, "db", database),
    };
    let users: Vec<Document> = state
        .store
        .all(USERS)
        .filter(|user| match &wanted {
            Bson::Array(all) => all.iter().any(|one| is_wanted(user, one)),
            one => is_wanted(user, one),
        })
        .map(|user| show(user, secrets))
        .collect();
    Ok(doc! {"users": users})
}

fn is(user: &Document, key: &str, value: &str) -> bool {
    user.get_str(key).is_ok_and(|found| found == value)
}

fn show(user: &Document, secrets: bool) -> Document {
    let mut shown = user.clone();
    if !secrets {
        shown.remove("credentials");
    }
    shown.insert("mechanisms", vec!["SCRAM-SHA-256"]);
    shown
}

/// What a client's proof is checked against, and who it then is.
pub(super) fn log_in(state: &State, name: &str, database: &str) -> Option<(Credentials, User)> {
    let user = state
        .store
        .get(USERS, &Bson::String(format!("{database}.{name}")))?;
    let kept = user
        .get_document("credentials")
        .ok()?
        .get_document("SCRAM-SHA-256")
        .ok()?;
    let key = |name: &str| BASE64.decode(kept.get_str(name).ok()?).ok()?.try_into().ok();
    let credentials = Credentials {
        salt: kept.get_str("salt").ok()?.to_owned(),
        iterations: kept
            .get("iterationCount")
            .and_then(whole)
            .and_then(|count| u32::try_from(count).ok())?,
        stored_key: key("storedKey")?,
        server_key: key("serverKey")?,
    };
    let roles = user
        .get_array("roles")
        .ok()?
        .iter()
        .filter_map(|role| Role::read(role, database))
        .collect();
    Some((
        credentials,
        User {
            name: name.to_owned(),
            database: database.to_owned(),
            roles,
        },
    ))
}

fn hash(password: &str) -> Document {
    let kept = Credentials::new(password, &rand::random::<[u8; 28]>(), ITERATIONS);
    doc! {"SCRAM-SHA-256": {
        "iterationCount": i32::try_from(kept.iterations).unwrap_or(i32::MAX), "salt": kept.salt,
        "storedKey": BASE64.encode(kept.stored_key), "serverKey": BASE64.encode(kept.server_key),
    }}
}

fn roles(command: &Document, database: &str) -> Result<Option<Vec<Document>>, CommandError> {
    let Some(roles) = command.get("roles") else {
        if command.contains_key("createUser") {
            return fail(
                Code::Location40414,
                "BSON field 'createUser.roles' is missing but a required field",
            );
        }
        return Ok(None);
    };
    let all = roles.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut read = Vec::new();
    for role in all {
        match Role::read(role, database) {
            Some(role) if role.exists() => read.push(role.document()),
            Some(role) => {
                return fail(
                    Code::RoleNotFound,
                    format!("Could not find role: {}@{}", role.name, role.database),
                );
            }
            None => return fail(Code::BadValue, "Role names must be either strings or objects"),
        }
    }
    Ok(Some(read))
}

fn not_found<T>(name: &str, database: &str) -> Result<T, CommandError> {
    fail(Code::UserNotFound, format!("User {name}@{database} not found"))
}
