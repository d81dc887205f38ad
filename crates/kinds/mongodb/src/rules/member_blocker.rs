//! Why nothing can be changed on a host.

use formats::mongod_conf::Conf;
use kit::Cx;
use plan::Refusal;
use protocol::facts::Bson;

use super::doubt::doubt;
use super::mongod_conf::{changes, overridden};
use super::stored_data::{DISCARD, StoredData, stored_data};
use crate::observe::{Member, Membership, View};
use crate::settings::Settings;

/// The reason against any change on a host.
pub(crate) fn member_blocker(view: &View<'_>, member: &Member<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let (settings, host) = (view.settings, member.host);
    let refusal = |what: String, why: String, resolve: &str| Some(Refusal::new(what, why, resolve).on(host));
    if let Some(why) = bad_conf(settings, member) {
        return refusal(
            format!("{} is not changed on {host}", settings.config_path),
            why,
            "correct the file by hand: mongod would not start with it either",
        );
    }
    let nothing = format!("nothing is changed on {host}");
    if let Some((path, value)) = overridden(settings, member) {
        return refusal(
            nothing,
            format!(
                "the command line of {} overrides {path} with {value}",
                settings.unit
            ),
            "leave that option out of the unit's ExecStart (systemctl edit), or let the inventory say the same",
        );
    }
    let Some(server) = member.server.up() else {
        return doubt(settings, member);
    };
    if let Some(options) = &server.options
        && let path = options.get("config").and_then(Bson::as_str)
        && path != Some(settings.config_path.as_str())
    {
        let path = path.map_or_else(|| "no file".to_owned(), |path| format!("the file {path}"));
        return refusal(
            nothing,
            format!(
                "its server was started with {path}, and the inventory says {}",
                settings.config_path
            ),
            "set config_path in the inventory to the file that the unit starts it with",
        );
    }
    match &server.membership {
        Membership::OtherSet(set) => refusal(
            nothing,
            format!(
                "it is a member of another set, {set:?}, and the inventory says {:?}",
                settings.replica_set
            ),
            "set replica_set in the inventory to that name and list its hosts, or remove the host from that set and empty \
             its data directory by hand",
        ),
        Membership::Removed(words) if !view.was_member(server) => refusal(
            nothing,
            format!("it is a former member of a set, which removed it: {words}"),
            "stop mongod there, move its data directory away, and start it empty",
        ),
        Membership::Standalone | Membership::Uninitiated if view.has_set() => data_at_risk(member, cx),
        _ => None,
    }
}

/// Why mongod would not start with a file, not even with the inventory's keys in it.
fn bad_conf(settings: &Settings, member: &Member<'_>) -> Option<String> {
    let conf = match member.conf.as_ref()? {
        Ok(conf) => conf,
        Err(bad) => return Some(bad.why.clone()),
    };
    let why = conf.refused()?;
    let edited = conf.edit(&changes(settings, member, conf)).ok();
    match edited.and_then(|text| Conf::parse(&text).ok()) {
        Some(edited) => edited.refused(),
        None => Some(why),
    }
}

/// A joining member's data would be replaced by the set's. Where what it stores is unproven, the operator may consent.
fn data_at_risk(member: &Member<'_>, cx: &Cx<'_>) -> Option<Refusal> {
    let host = member.host;
    let what = format!("{host} does not join the set");
    match stored_data(member) {
        StoredData::Nothing => None,
        StoredData::Unproven(_) if cx.is_allowed(DISCARD, host) => None,
        StoredData::Unproven(why) => {
            let refusal = Refusal::new(
                what,
                format!("it may hold data, which the set's would replace: {why}"),
                "start mongod there without replication.replSetName and look with show dbs; if nothing is to be kept, empty \
                 its data directory, or override with the consent",
            );
            Some(refusal.on(host).unless_allowed(DISCARD, host))
        }
        StoredData::Found(found) => {
            let refusal = Refusal::new(
                what,
                format!("it holds {found}, and the data of a joining member are replaced by the set's"),
                "move its data into the set (mongodump, mongorestore), then empty its data directory",
            );
            Some(refusal.on(host))
        }
    }
}
