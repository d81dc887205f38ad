//! A replica set as it was observed: the view that all decisions read.

use formats::replset::{SetConfig, host_of};
use kit::{Cx, Members};
use plan::Facts;
use protocol::facts::Bson;
use types::HostName;

use super::member::Member;
use super::names::Names;
use super::server::{Membership, Server};
use crate::settings::Settings;

/// A replica set as it was observed. What was not asked, as in a gate, counts as not known.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    /// The listed hosts, and other hosts of the inventory.
    pub(crate) members: Members<Member<'a>>,
    /// The set's configuration in force: the primary's, or else the latest that a member has.
    pub(crate) config: Option<SetConfig>,
    /// The names of the hosts' members in it.
    pub(crate) names: Names,
}

impl<'a> View<'a> {
    pub(crate) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let observe = |host: &'a HostName| Member::observe(settings, host, facts);
        let members = Members::observe(&settings.hosts, &settings.others, observe);
        let names = Names::observe(settings, &members, None, facts);
        let mut view = Self {
            settings,
            members,
            config: None,
            names,
        };
        view.config = view.find_config();
        view.names = Names::observe(settings, &view.members, view.config.as_ref(), facts);
        view
    }

    fn find_config(&self) -> Option<SetConfig> {
        if let Some(config) = self.primary().and_then(|(_, server)| server.config.clone()) {
            return Some(config);
        }
        let configs = self.in_set().filter_map(|(_, server)| server.config.as_ref());
        configs
            .max_by_key(|config| (config.term(), config.version()))
            .cloned()
    }

    /// The listed hosts.
    pub(crate) fn listed(&self) -> &[Member<'a>] {
        &self.members.listed
    }

    /// The listed ones of these hosts.
    pub(crate) fn listed_on(&self, hosts: &'a [HostName]) -> impl Iterator<Item = &Member<'a>> {
        hosts.iter().filter_map(|host| self.members.listed(host))
    }

    /// The servers that are members of the set, whether the inventory lists them or not.
    pub(crate) fn in_set(&self) -> impl Iterator<Item = (&Member<'a>, &Server)> {
        let members = self.listed().iter().chain(self.former_members());
        let up = members.filter_map(|member| Some((member, member.server.up()?)));
        up.filter(|(_, server)| server.membership == Membership::Member)
    }

    /// The hosts that the inventory does not list, and whose servers are or were in this very set: two sets of one name
    /// have different ids.
    pub(crate) fn former_members(&self) -> impl Iterator<Item = &Member<'a>> {
        let mut up = self.listed().iter().filter_map(|member| member.server.up());
        let ours = up.find_map(|server| match server.membership {
            Membership::Member => set_id(server),
            _ => None,
        });
        let is_ours =
            move |member: &&Member<'a>| ours.is_some() && member.server.up().and_then(set_id) == ours;
        self.members.former.iter().filter(is_ours)
    }

    /// Whether a server that was removed from a set was a member of this one.
    pub(crate) fn was_member(&self, server: &Server) -> bool {
        let ours = self.config.as_ref().and_then(SetConfig::set_id);
        ours.is_some() && set_id(server) == ours
    }

    /// The primary. Where two report the role, for an old one takes a while to notice, the one of the later term.
    pub(crate) fn primary(&self) -> Option<(&Member<'a>, &Server)> {
        let primaries = self.in_set().filter(|(_, server)| server.is_primary());
        primaries.max_by_key(|(_, server)| server.status.as_ref()?.term)
    }

    /// Whether a set exists: some server is a member of it.
    pub(crate) fn has_set(&self) -> bool {
        self.in_set().next().is_some()
    }

    /// The version of the servers: the oldest, for what it does not know must not be said.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        let running = self
            .listed()
            .iter()
            .filter_map(|member| member.server.up()?.version);
        let installed = self.listed().iter().filter_map(|member| member.installed);
        running.min().or(installed.min())
    }

    /// The listed host on which a member runs, under the inventory's port.
    pub(crate) fn listed_host(&self, name: &str) -> Option<&HostName> {
        let mut hosts = self.settings.hosts.iter();
        hosts.find(|host| self.names.of(host) == name)
    }

    /// The host on which a member runs, under whatever port: one of the inventory, or else what its name says.
    pub(crate) fn host_of(&self, name: &str) -> Option<HostName> {
        self.names.host_of(name).cloned().or_else(|| host_of(name))
    }

    /// The members of the configuration that the inventory does not list, by their names.
    pub(crate) fn unlisted(&self) -> Vec<String> {
        let members = self.config.iter().flat_map(SetConfig::members);
        let unlisted = members.filter(|member| self.listed_host(member.name()).is_none());
        unlisted.map(|member| member.name().to_owned()).collect()
    }
}

fn set_id(server: &Server) -> Option<&Bson> {
    server.config.as_ref()?.set_id()
}

/// Whether a host's server can be told something in this run.
pub(crate) fn is_reached(host: &HostName, cx: &Cx<'_>) -> bool {
    cx.hosts.contains(host) || cx.others.contains(host)
}
