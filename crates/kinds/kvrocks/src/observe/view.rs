//! All that was observed, in the words of the service.

use plan::Facts;
use types::HostName;

use super::addresses::is_loopback;
use super::engine::Engine;
use super::member::Member;
use super::sentinel::{Instance, Sentinel};
use crate::settings::Settings;
use kit::{Cx, Members};

/// The members of a store, and hosts that may have been members.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) members: Members<Member<'a>>,
}

/// A sentinel that watches our master.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'v, 'a> {
    pub(crate) member: &'v Member<'a>,
    pub(crate) sentinel: &'v Sentinel,
    pub(crate) master: &'v Instance,
}

impl<'a> View<'a> {
    /// Decodes the facts. What was not asked, as in a gate, counts as not known.
    pub(crate) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let observe = |host| Member::observe(settings, host, facts);
        Self {
            settings,
            members: Members::observe(&settings.hosts, &settings.others, observe),
        }
    }

    /// The members on a step's hosts.
    pub(crate) fn on<'v>(&'v self, cx: &'v Cx<'_>) -> impl Iterator<Item = &'v Member<'a>> {
        cx.hosts.iter().filter_map(|host| self.members.any(host))
    }

    /// The members' engines that answer, each with its member.
    pub(crate) fn engines(&self) -> impl Iterator<Item = (&Member<'a>, &Engine)> + Clone {
        let members = self.members.listed.iter();
        members.filter_map(|member| Some((member, member.engine.up()?)))
    }

    /// The host, a member or not, that has an address, or a name that stands for one.
    pub(crate) fn at(&self, address: &str) -> Option<&Member<'a>> {
        self.members.all().find(|member| member.is_at(address))
    }

    /// The former members: the members' sentinels know them, or they know the members.
    pub(crate) fn former(&self) -> Vec<&Member<'a>> {
        let watching = self.watching();
        let is_known = |other: &Member<'a>| watching.iter().any(|watch| self.knows(watch, other));
        let others = self.members.former.iter();
        others
            .filter(|other| is_known(other) || self.follows(other) || self.watches(other))
            .collect()
    }

    /// Whether a sentinel knows a host, as master, replica or sentinel.
    pub(crate) fn knows(&self, watch: &Watch<'_, '_>, other: &Member<'_>) -> bool {
        let is_it = |instance: &Instance, port: u16| {
            let said = instance.get("port");
            other.is_at(instance.ip()) && (said.is_empty() || said == port.to_string())
        };
        let sentinel = watch.sentinel;
        let mut engines = std::iter::once(watch.master).chain(&sentinel.replicas);
        let mut sentinels = sentinel.others.iter();
        engines.any(|instance| is_it(instance, self.settings.port))
            || sentinels.any(|instance| is_it(instance, self.settings.sentinel.port))
    }

    fn follows(&self, other: &Member<'_>) -> bool {
        let engine = other.engine.up().filter(|engine| !engine.is_master());
        engine.map(Engine::follows).is_some_and(|followed| {
            followed.port == self.settings.port.to_string() && self.is_member_at(&followed.address)
        })
    }

    fn watches(&self, other: &Member<'_>) -> bool {
        let watch = self.watch(other);
        watch.is_some_and(|watch| self.is_member_at(watch.master.ip()))
    }

    fn is_member_at(&self, address: &str) -> bool {
        let found = self.at(address);
        found.is_some_and(|found| self.members.listed(found.host).is_some())
    }

    /// The member's sentinel, where it answers and watches our master. A master at a loopback address is none: a packaged
    /// configuration watches that before it was told anything.
    pub(crate) fn watch<'v>(&self, member: &'v Member<'a>) -> Option<Watch<'v, 'a>> {
        let name = &self.settings.sentinel.master_name;
        let sentinel = member.sentinel.up()?;
        let mut masters = sentinel.masters.iter();
        let master = masters.find(|master| master.get("name") == name && !is_loopback(master.ip()))?;
        Some(Watch {
            member,
            sentinel,
            master,
        })
    }

    /// The members' sentinels that watch our master, without isolated ones.
    pub(crate) fn watching(&self) -> Vec<Watch<'_, 'a>> {
        let mut watching = self.all_watching();
        watching.retain(|watch| !self.is_isolated(watch.member.host));
        watching
    }

    /// Whether the sentinel of a host can hear of no election any more, and most of the others know of a later one.
    ///
    /// Sentinels tell each other on the engines that they watch and on the sentinels that they know
    /// (`sentinelSendHello` in `sentinel.c`): a new one whose master died before it had heard of others watches that
    /// master for ever. It took part in no election, so it is not asked who is the master.
    pub(crate) fn is_isolated(&self, host: &HostName) -> bool {
        let all = self.all_watching();
        let Some(watch) = all.iter().find(|watch| watch.member.host == host) else {
            return false;
        };
        let epoch = |watch: &Watch<'_, '_>| watch.master.number::<u64>("config-epoch");
        let is_alone = watch.master.is_down() && watch.sentinel.peers().all(Instance::is_down);
        let later: Vec<&Watch<'_, '_>> = all.iter().filter(|other| epoch(other) > epoch(watch)).collect();
        let endpoint = |watch: &Watch<'_, '_>| watch.master.endpoint();
        let agree = later.iter().all(|other| endpoint(other) == endpoint(later[0]));
        is_alone && agree && later.len() * 2 > all.len()
    }

    fn all_watching(&self) -> Vec<Watch<'_, 'a>> {
        let members = self.members.listed.iter();
        members.filter_map(|member| self.watch(member)).collect()
    }
}

impl Watch<'_, '_> {
    /// Whether its quorum is to be raised.
    pub(crate) fn has_low_quorum(&self, settings: &Settings) -> bool {
        let live = self.master.get("quorum").parse::<usize>();
        live.is_ok_and(|live| live < settings.sentinel.quorum)
    }
}
