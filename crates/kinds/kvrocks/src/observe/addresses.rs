//! The addresses under which a host is known.

use std::net::IpAddr;

use plan::Facts;
use protocol::facts::ResolveQuery;
use types::HostName;

use crate::settings::{Place, Settings};

/// Whether an address is one that a packaged configuration watches before it was told anything.
pub(crate) fn is_loopback(address: &str) -> bool {
    let parsed = address.parse::<IpAddr>();
    address == "localhost" || parsed.is_ok_and(|address| address.is_loopback())
}

/// Its own address first, then others, then its name. Empty where nothing resolves.
pub(super) fn addresses(settings: &Settings, host: &HostName, facts: &Facts) -> Vec<String> {
    let name = match settings.place(host) {
        Some(Place::Address(address)) => return vec![address.clone()],
        Some(Place::Name(name)) => name,
        None => return Vec::new(),
    };
    let query = ResolveQuery { name: name.clone() };
    // The host itself knows best, except that Debian gives it 127.0.1.1; then the others do.
    let asked = std::iter::once(host).chain(settings.hosts.iter().filter(|other| *other != host));
    let mut found: Vec<String> = Vec::new();
    for asked in asked {
        let answers = facts.get(asked, &query).map(|fact| fact.addresses.as_slice());
        let mut answers: Vec<&String> = answers.unwrap_or_default().iter().collect();
        answers.retain(|address| address.parse().is_ok_and(is_usable));
        // The runbook's addresses are IPv4; where a name has both, that is what the members are told.
        answers.sort_by_key(|address| address.contains(':'));
        for address in answers {
            if !found.contains(address) {
                found.push(address.clone());
            }
        }
    }
    if !found.is_empty() {
        found.push(name.clone());
    }
    found
}

fn is_usable(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !address.is_loopback() && !is_link_local
}
