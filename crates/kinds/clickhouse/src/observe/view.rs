//! The view: what is known of a cluster, host by host. It is built once a step, and handed down.

use formats::xml::Element;
use plan::{Facts, Unknown};
use protocol::facts::{UnitFact, UnitQuery};
use types::HostName;

use super::coordination::on_disk::{OnDisk, has_past, on_disk};
use super::coordination::voter::{self, Voter};
use super::server::merged;
use super::server::queries::tables_on_disk;
use super::server::replies::{self as server, Denial, Live};
use crate::settings::Settings;
use kit::{Members, Probe};

/// All that is known of a cluster.
pub(crate) struct View<'a> {
    pub(crate) settings: &'a Settings,
    /// The facts themselves, for files that are planned one by one.
    pub(crate) facts: &'a Facts,
    /// Its hosts, and other hosts, which may be former members.
    pub(crate) members: Members<Member<'a>>,
    /// The voters of a quorum that is managed elsewhere.
    pub(crate) external: Vec<Voter>,
}

/// All that is known of one host.
pub(crate) struct Member<'a> {
    pub(crate) host: &'a HostName,
    /// The server's unit.
    pub(crate) unit: Result<&'a UnitFact, Unknown>,
    pub(crate) server: Probe<Live, Denial>,
    /// Its server's configuration, as it put it together itself.
    pub(crate) merged: Option<Element>,
    /// The unit of its voter.
    pub(crate) voter_unit: Result<&'a UnitFact, Unknown>,
    /// Its voter, whether the quorum has it or not.
    pub(crate) voter: Voter,
    /// The quorum in its files.
    pub(crate) on_disk: Option<OnDisk>,
    /// Whether its voter was ever in a quorum, as far as its disk tells.
    pub(crate) has_past: bool,
}

impl kit::Member for Member<'_> {
    fn host(&self) -> &HostName {
        self.host
    }
}

impl Member<'_> {
    /// Its server's answers, or why there are none: denied, down and unknown alike.
    pub(crate) fn live(&self) -> Result<&Live, &str> {
        match &self.server {
            Probe::Up(live) => Ok(live),
            Probe::Denied(denial) => Err(denial.words()),
            Probe::Down(why) | Probe::Unknown(why) => Err(why),
        }
    }

    /// The voters that its voter runs with, as it tells, or else as its file does.
    pub(crate) fn running(&self) -> &[(u32, String)] {
        let conf = self.voter.conf.as_ref().map(|conf| conf.servers.as_slice());
        let on_disk = self.on_disk.as_ref().map(|files| files.servers.as_slice());
        let told = conf.filter(|servers| !servers.is_empty());
        told.or(on_disk).unwrap_or_default()
    }

    /// Why nothing is known of what its server holds, although it runs, or may run: it counts as in use. A host that was
    /// not reached is none of this judgement's.
    pub(crate) fn doubt(&self) -> Option<&str> {
        match &self.server {
            _ if self.unit.is_err() => None,
            Probe::Denied(denial) => Some(denial.words()),
            Probe::Unknown(why) => Some(why),
            _ => None,
        }
    }
}

impl<'a> View<'a> {
    /// Decodes the facts.
    pub(crate) fn new(settings: &'a Settings, facts: &'a Facts) -> Self {
        let observe = |host| {
            let unit = facts.get(host, &UnitQuery::new(&settings.unit));
            let server = server::probe(settings, host, &unit, facts);
            let merged = merged::merged(settings, host, facts);
            let is_keeper_elsewhere = merged::keeper_elsewhere(settings, merged.as_ref()).is_some();
            Member {
                host,
                voter: voter::voter(settings, host, server.is_up() && !is_keeper_elsewhere, facts),
                unit,
                server,
                voter_unit: facts.get(host, &UnitQuery::new(settings.quorum_unit())),
                on_disk: on_disk(settings, host, merged.as_ref(), facts),
                merged,
                has_past: has_past(settings, host, facts),
            }
        };
        Self {
            settings,
            facts,
            members: Members::observe(&settings.hosts, &settings.others, observe),
            external: voter::external_voters(settings, facts),
        }
    }

    /// A host of the cluster, or one that may be a former member.
    pub(crate) fn member(&self, host: &HostName) -> Option<&Member<'a>> {
        self.members.any(host)
    }

    /// A host by its name in a configuration.
    pub(crate) fn named(&self, name: &str) -> Option<&Member<'a>> {
        self.members.all().find(|member| member.host.as_str() == name)
    }

    /// The voter on any host, be it one of another cluster by now.
    pub(crate) fn voter(&self, host: &HostName) -> Voter {
        match self.member(host) {
            Some(member) => member.voter.clone(),
            None => voter::voter(self.settings, host, false, self.facts),
        }
    }

    /// The hosts of the cluster whose server answers.
    pub(crate) fn answering(&self) -> impl Iterator<Item = (&Member<'a>, &Live)> {
        let members = self.members.listed.iter();
        members.filter_map(|member| Some((member, member.server.up()?)))
    }

    /// Whether any server holds replicated tables, or may hold some: then a quorum of blank members would make all of them
    /// read-only for good.
    pub(crate) fn has_tables(&self) -> bool {
        self.answering().any(|(_, live)| live.has_tables()) || self.doubtful().next().is_some()
    }

    /// Whether a member's server is stopped, and its disk has replicated tables, or may have some.
    pub(crate) fn has_tables_on_disk(&self, member: &Member<'_>) -> bool {
        let found = self.facts.get(member.host, &tables_on_disk(self.settings));
        matches!(member.server, Probe::Down(_)) && !found.is_ok_and(|grep| grep.status == 1)
    }

    /// The hosts of the cluster of whose server nothing is known, and why.
    pub(crate) fn doubtful(&self) -> impl Iterator<Item = (&Member<'a>, &str)> {
        let members = self.members.listed.iter();
        members.filter_map(|member| Some((member, member.doubt()?)))
    }
}
