//! Which member of the set runs on which host.
//!
//! A set that was made by hand may know its members by address or by full name. A running server says which member it is;
//! of one that does not run, the inventory's name tells: as it stands, as the addresses that it resolves to, or as a full
//! name.

use std::collections::BTreeMap;
use std::net::IpAddr;

use formats::replset::{MemberConfig, SetConfig};
use kit::Members;
use plan::Facts;
use types::HostName;

use super::member::Member;
use super::queries::resolved;
use crate::settings::Settings;

/// The names of the hosts' members in the set.
#[derive(Debug)]
pub(crate) struct Names {
    /// By host, with the inventory's port; a host that has no such member has the name that it would get.
    names: BTreeMap<HostName, String>,
    /// The hosts of the configuration's members, whatever their port.
    hosts: BTreeMap<String, HostName>,
}

/// How a member's name tells its host, the surest first.
const PROOFS: [fn(&Member<'_>, &str, &Context<'_, '_>) -> bool; 4] = [
    |member, name, _| member.own_name() == Some(name),
    |member, name, _| host_part(name) == member.host.as_str(),
    |member, name, cx| {
        host_part(name)
            .parse()
            .is_ok_and(|address| cx.has_address(member.host, address))
    },
    |member, name, _| is_full_name(member.host.as_str(), host_part(name)),
];

impl Names {
    pub(crate) fn observe(
        settings: &Settings,
        members: &Members<Member<'_>>,
        config: Option<&SetConfig>,
        facts: &Facts,
    ) -> Self {
        let cx = Context { members, facts };
        let configured = config.map(SetConfig::members).unwrap_or_default();
        let mut free: Vec<&str> = configured.iter().map(MemberConfig::name).collect();
        let mut names = BTreeMap::new();
        let mut hosts = BTreeMap::new();
        for proves in PROOFS {
            for member in members.all() {
                let is_meant = |name: &&str| proves(member, name, &cx);
                for name in free.iter().copied().filter(is_meant) {
                    hosts
                        .entry(name.to_owned())
                        .or_insert_with(|| member.host.clone());
                }
                if names.contains_key(member.host) {
                    continue;
                }
                // Of two names that could be meant, neither is taken.
                let meant = free.iter().copied().filter(is_meant);
                let mut found = meant.filter(|name| port(name) == Some(settings.port));
                if let (Some(name), None) = (found.next(), found.next()) {
                    names.insert(member.host.clone(), name.to_owned());
                }
            }
            free.retain(|name| !names.values().any(|known| known == name));
        }
        for member in members.all() {
            names
                .entry(member.host.clone())
                .or_insert_with(|| settings.member_name(member.host));
        }
        Self { names, hosts }
    }

    /// The name of a host's member.
    pub(crate) fn of(&self, host: &HostName) -> &str {
        self.names.get(host).map_or("", String::as_str)
    }

    /// The host of the inventory on which a member runs, under whatever port.
    pub(crate) fn host_of(&self, name: &str) -> Option<&HostName> {
        let listed = self.names.iter().find(|(_, its)| *its == name);
        listed.map(|(host, _)| host).or_else(|| self.hosts.get(name))
    }
}

struct Context<'c, 'a> {
    members: &'c Members<Member<'a>>,
    facts: &'c Facts,
}

impl Context<'_, '_> {
    /// Whether any host resolves the name of this one to an address. Its loopback addresses are those of any host.
    fn has_address(&self, host: &HostName, address: IpAddr) -> bool {
        let query = resolved(host);
        let mut answers = self
            .members
            .all()
            .filter_map(|asked| self.facts.get(asked.host, &query).ok());
        !address.is_loopback()
            && answers.any(|fact| fact.addresses.iter().any(|text| text.parse() == Ok(address)))
    }
}

/// `[fd00::1]:27017` has its address in brackets.
fn host_part(name: &str) -> &str {
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn port(name: &str) -> Option<u16> {
    name.rsplit_once(':')?.1.parse().ok()
}

/// Whether one of two names is the other with a domain.
fn is_full_name(one: &str, other: &str) -> bool {
    let is_below = |short: &str, full: &str| {
        full.strip_prefix(short).is_some_and(|rest| rest.starts_with('.')) && full.parse::<IpAddr>().is_err()
    };
    is_below(one, other) || is_below(other, one)
}
