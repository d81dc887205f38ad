//! Members of which too little is known: they may be in use, and are left as they are.
//!
//! A server that runs and does not answer may be the primary. A moment may heal it where it is starting or being stopped;
//! where it listens elsewhere or speaks TLS only, it does not.

use kit::Probe;
use plan::Refusal;
use protocol::facts::MongoError;
use serde_json::Value;

use super::availability::available;
use crate::observe::{Member, Membership, View};
use crate::settings::Settings;

/// What a server says of a login while it starts, is being stopped or changes its role: `ShutdownInProgress`,
/// `PrimarySteppedDown`, `InterruptedAtShutdown`, `InterruptedDueToReplStateChange`, `NotPrimaryOrSecondary`
/// (<https://www.mongodb.com/docs/manual/reference/error-codes/>).
const FOR_NOW: [i32; 5] = [91, 189, 11_600, 11_602, 13_436];

/// Whether a server refuses a login only for now.
pub(crate) fn is_for_now(error: &MongoError) -> bool {
    FOR_NOW.contains(&error.code)
}

/// Whether a user was made for SCRAM-SHA-1 alone, by which nobody logs in here: `MechanismUnavailable`. Whether a password is
/// right is not known then.
pub(crate) fn lacks_sha_256(error: &MongoError) -> bool {
    error.code == 334
}

/// The refusal to change a host whose server tells nothing; `None` where it answers, or does not run.
pub(crate) fn doubt(settings: &Settings, member: &Member<'_>) -> Option<Refusal> {
    let host = member.host;
    let refusal = |why: String, resolve: String| {
        Refusal::new(format!("nothing is changed on {host}"), why, resolve).on(host)
    };
    match &member.server {
        Probe::Up(_) | Probe::Down(_) => None,
        Probe::Denied(error) => {
            let resolve = if lacks_sha_256(error) {
                "give the admin its password again in the shell (db.changeUserPassword): servers since 4.0 store it for \
                 SCRAM-SHA-256 then"
            } else {
                "see what the server's log says of the login"
            };
            let refusal = refusal(format!("it refuses the admin: {error}"), resolve.to_owned());
            Some(if is_for_now(error) {
                refusal.passing()
            } else {
                refusal
            })
        }
        // The planner says so.
        Probe::Unknown(_) if member.unreachable.is_some() => None,
        Probe::Unknown(why) => {
            let why = format!("its server may be in use, and does not answer: {why}");
            Some(match elsewhere(settings, member) {
                Some((what, resolve)) => refusal(format!("{why}; {what}"), resolve),
                None if member.is_foreign => refusal(
                    why,
                    "see in its log whether it requires TLS, which clusterctl does not speak".to_owned(),
                ),
                None => refusal(
                    why,
                    "if it was started a moment ago, plan again in a minute; else its log tells why it does not answer"
                        .to_owned(),
                )
                .passing(),
            })
        }
    }
}

/// Whether a member that is not available may be within moments: it starts, catches up, or waits for a primary.
pub(crate) fn is_coming(view: &View<'_>, member: &Member<'_>) -> bool {
    match &member.server {
        Probe::Up(server) => {
            matches!(server.membership, Membership::Member | Membership::Hidden(_))
                && available(view, member).is_err()
        }
        Probe::Down(_) => false,
        Probe::Denied(_) | Probe::Unknown(_) => {
            doubt(view.settings, member).is_some_and(|refusal| refusal.passing)
        }
    }
}

/// Where a server listens by its own file, if that is not where it is asked; and what to do about it.
fn elsewhere(settings: &Settings, member: &Member<'_>) -> Option<(String, String)> {
    let Some(Ok(conf)) = &member.conf else {
        return None;
    };
    let path = &settings.config_path;
    let mode = ["net.tls.mode", "net.ssl.mode"]
        .iter()
        .find_map(|key| conf.get(key)?.as_str());
    if let Some(mode @ ("requireTLS" | "requireSSL")) = mode {
        return Some((
            format!("{path} has {mode}, and clusterctl does not speak TLS"),
            "let it take connections without TLS as well (preferTLS), or manage the set without clusterctl"
                .to_owned(),
        ));
    }
    let port = conf
        .get("net.port")
        .and_then(Value::as_u64)
        .filter(|port| *port != u64::from(settings.port));
    if let Some(port) = port {
        return Some((
            format!("{path} has port {port}"),
            format!("set port = {port} in the inventory"),
        ));
    }
    let bind = conf.get("net.bindIp").and_then(Value::as_str)?;
    let is_local = bind.split(',').all(|address| address.trim().starts_with('/'));
    is_local.then(|| {
        (
            format!("{path} binds it to {bind} alone"),
            "bind it to an address as well: clusterctl speaks TCP only".to_owned(),
        )
    })
}
