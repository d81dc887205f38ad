//! What main.json says of services of the inventory in blocks that are not managed, and the virtual host that it uses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::main_json::desired;
use crate::observe::Member;
use crate::settings::Settings;
use formats::main_json::Want;

/// The platform's own virtual host, where main.json names none.
const VHOST: &str = "altcraft";
/// The runbook's port of the store of duplicates: its service offers its sentinels.
const STORE: u16 = 6666;

/// The places of hosts of the inventory in blocks that are not managed: `WORKFLOW_CACHE has db1:6666`. The platform goes on
/// using them when services move.
pub(crate) fn places(settings: &Settings, member: &Member<'_>) -> BTreeSet<String> {
    let Some(Value::Object(json)) = &member.json else {
        return BTreeSet::new();
    };
    let managed = desired(settings, &settings.hosts, member.host, member.json.as_ref());
    let is_managed = |key: &str| managed.iter().any(|(managed, _)| managed == key);
    let mut found = BTreeSet::new();
    for (key, value) in json.iter().filter(|(key, _)| !is_managed(key)) {
        let mut places = BTreeSet::new();
        collect(settings, value, None, &mut places);
        if !places.is_empty() {
            let places: Vec<String> = places.into_iter().collect();
            found.insert(format!("{key} has {}", places.join(", ")));
        }
    }
    found
}

/// Collects places: strings that are a host, or a host and a port, and the port that stands beside a host.
fn collect(settings: &Settings, value: &Value, port: Option<&Value>, places: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            let port = object.iter().find(|(key, _)| key.eq_ignore_ascii_case("port"));
            let port = port.map(|(_, port)| port);
            for value in object.values() {
                collect(settings, value, port, places);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect(settings, item, None, places);
            }
        }
        Value::String(text) if is_host(settings, text) || is_here(settings, text, port) => {
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            places.insert(format!("{text}{port}"));
        }
        Value::String(text) => {
            let at = text.rsplit_once(':');
            let is_place =
                |(host, port): (&str, &str)| port.parse::<u16>().is_ok() && is_host(settings, host);
            if at.is_some_and(is_place) {
                places.insert(text.clone());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_host(settings: &Settings, text: &str) -> bool {
    settings.known.iter().any(|host| host.as_str() == text) || settings.addresses.iter().any(|at| at == text)
}

/// Whether it is the host itself, with the port of a service of the inventory: what a host alone has of its own.
fn is_here(settings: &Settings, text: &str, port: Option<&Value>) -> bool {
    let is_loopback = text == "localhost" || text.parse::<IpAddr>().is_ok_and(|at| at.is_loopback());
    let offered = settings.uses.all().flat_map(|used| &used.offer.endpoints);
    let mut ports = offered.map(|at| at.port).chain([STORE]);
    is_loopback
        && port
            .and_then(Value::as_u64)
            .is_some_and(|port| ports.any(|known| u64::from(known) == port))
}

/// The virtual host of RabbitMQ that main.json uses and in which our user has no permissions by the inventory.
pub(crate) fn closed_vhost(settings: &Settings, member: &Member<'_>) -> Option<String> {
    let json = member.json.as_ref()?;
    let broker = settings.uses.rabbitmq.as_ref()?;
    let login = broker.login(&settings.user)?;
    let wanted = desired(settings, &settings.hosts, member.host, member.json.as_ref());
    let ours = wanted.iter().find(|(key, _)| key == "RABBITMQ_VHOST");
    let told = match ours {
        Some((_, Want::Is(value))) => value.as_str(),
        _ => json.get("RABBITMQ_VHOST").and_then(Value::as_str),
    };
    let vhost = told.filter(|told| !told.is_empty()).unwrap_or(VHOST);
    let is_open = login.vhosts.iter().any(|open| open == vhost);
    let user = &settings.user;
    (!is_open).then(|| {
        format!(
            "main.json uses the virtual host {vhost:?} of RabbitMQ, in which the user {user} of {} has no permissions by the \
             inventory: users.{user}.permissions = {{ {vhost:?} = \".*\" }}, unless somebody else sees to them",
            broker.service
        )
    })
}
