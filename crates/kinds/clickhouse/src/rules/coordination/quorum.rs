//! The quorum that keeps the replicas' common state: ZooKeeper's or Keeper's members, as they see themselves.
//!
//! Both answer the same four-letter words, and only `mntr` tells of a quorum: `ruok` is answered by a member that is
//! alone (<https://clickhouse.com/docs/guides/sre/keeper/clickhouse-keeper>, "Four letter word commands"). A quorum that is lost is
//! never repaired here: which of the members has the latest state is not ours to guess.

use formats::mark;
use plan::{Facts, Refusal};
use protocol::facts::{FileFact, UnitFact, UnitQuery, WordsFact};
use types::HostName;

use crate::observe::queries;
use crate::observe::server::{self as view, Talk};
use crate::rules::coordination::ids::Seen;
use crate::rules::coordination::zoo_cfg as zoo;
use crate::settings::{Coordination, Settings};
use formats::xml;

/// A member of the quorum.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// Its host; `None` where it is somebody else's.
    pub(crate) host: Option<HostName>,
    pub(crate) peer: Peer,
    /// What it says its configuration is (the word `conf`), where it tells.
    pub(crate) conf: Option<String>,
}

/// A member's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It leads, with so many followers in step; `None` where it does not tell how many.
    Leader(Option<usize>),
    /// It follows.
    Follower,
    /// It is alone by configuration, with so many nodes in its tree.
    Standalone(u64),
    /// It runs and serves nobody, for it sees no majority.
    Waiting,
    /// It does not answer.
    Down(String),
    /// It could not be asked.
    Unknown(String),
}

impl Peer {
    pub(crate) fn is_serving(&self) -> bool {
        matches!(self, Self::Leader(_) | Self::Follower)
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Leader(Some(followers)) => format!("leader, {followers} in step"),
            Self::Leader(None) => "leader".to_owned(),
            Self::Follower => "follower".to_owned(),
            Self::Standalone(_) => "it runs alone, not in the quorum".to_owned(),
            Self::Waiting => "it runs and sees no majority".to_owned(),
            Self::Down(why) | Self::Unknown(why) => why.clone(),
        }
    }
}

/// All members.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quorum {
    pub(crate) members: Vec<Member>,
}

impl Quorum {
    pub(crate) fn find(settings: &Settings, facts: &Facts) -> Self {
        let members = match &settings.coordination {
            Coordination::Named(nodes) => nodes
                .iter()
                .enumerate()
                .map(|(at, (name, _))| {
                    // Every host asks; a member is what the host that gets furthest says.
                    let seen = settings
                        .hosts
                        .iter()
                        .map(|host| member(settings, host, at, facts));
                    let best = seen.min_by_key(|(peer, _)| reach(peer));
                    let (peer, conf) = best.unwrap_or((Peer::Unknown("nobody asked".to_owned()), None));
                    Member {
                        name: name.clone(),
                        host: None,
                        peer,
                        conf,
                    }
                })
                .collect(),
            _ => settings
                .members()
                .iter()
                .map(|host| {
                    let (peer, conf) = own(settings, host, facts);
                    Member {
                        name: host.to_string(),
                        host: Some(host.clone()),
                        peer,
                        conf,
                    }
                })
                .collect(),
        };
        Self { members }
    }

    /// The member on a host.
    pub(crate) fn on(&self, host: &HostName) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| member.host.as_ref() == Some(host))
    }

    pub(crate) fn leader(&self) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| matches!(member.peer, Peer::Leader(_)))
    }

    /// Whether a host's member leads.
    pub(crate) fn leads(&self, host: &HostName) -> bool {
        self.on(host)
            .is_some_and(|member| matches!(member.peer, Peer::Leader(_)))
    }

    pub(crate) fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Whether there is one that serves, whole or not. One member alone is one; and who follows, follows somebody, be it
    /// a member that the inventory does not name any more.
    pub(crate) fn is_there(&self) -> bool {
        let alone = self.members.len() == 1 && matches!(self.members[0].peer, Peer::Standalone(_));
        alone || self.members.iter().any(|member| member.peer.is_serving())
    }

    /// Whether there is one that a host's member is not part of: it was down, or it is new.
    pub(crate) fn lacks(&self, host: &HostName) -> bool {
        self.is_there() && self.on(host).is_some_and(|member| !member.peer.is_serving())
    }

    /// Why it is not whole; `None` where one leads and all others are in step.
    pub(crate) fn trouble(&self) -> Option<String> {
        let others = self.members.len().saturating_sub(1);
        if self.members.len() == 1 && self.is_there() {
            return None;
        }
        let leaders = self
            .members
            .iter()
            .filter(|member| matches!(member.peer, Peer::Leader(_)));
        if leaders.count() > 1 {
            return Some("more than one member leads".to_owned());
        }
        if let Some(member) = self.members.iter().find(|member| !member.peer.is_serving()) {
            return Some(format!("{}: {}", member.name, member.peer.describe()));
        }
        match self.leader().map(|leader| &leader.peer) {
            None => Some("nobody leads".to_owned()),
            Some(Peer::Leader(Some(followers))) if *followers < others => {
                Some(format!("{followers} of {others} followers are in step"))
            }
            Some(_) => None,
        }
    }
}

/// How far asking got.
fn reach(peer: &Peer) -> u8 {
    match peer {
        Peer::Leader(_) | Peer::Follower | Peer::Standalone(_) => 0,
        Peer::Waiting => 1,
        Peer::Down(_) => 2,
        Peer::Unknown(_) => 3,
    }
}

/// A host's own member: at its addresses the first that gets an answer.
fn own(settings: &Settings, host: &HostName, facts: &Facts) -> (Peer, Option<String>) {
    let count = queries::words(settings, host).len();
    let seen = (0..count).map(|at| member(settings, host, at, facts));
    seen.min_by_key(|(peer, _)| reach(peer))
        .unwrap_or((Peer::Unknown("nobody asked".to_owned()), None))
}

fn member(settings: &Settings, host: &HostName, at: usize, facts: &Facts) -> (Peer, Option<String>) {
    let queries = queries::words(settings, host);
    let Some(query) = queries.get(at) else {
        return (Peer::Unknown("nobody asked".to_owned()), None);
    };
    match facts.get(host, query) {
        Err(unknown) => (Peer::Unknown(unknown.to_string()), None),
        Ok(WordsFact::Down(why)) => (Peer::Down(why.clone()), None),
        Ok(WordsFact::Replies(replies)) => {
            let word = |at: usize| replies.get(at).map_or("", |reply| reply.as_str());
            let conf = Some(word(2).to_owned()).filter(|conf| conf.contains("clientPort="));
            (peer(word(0), word(1)), conf)
        }
    }
}

/// What a host's own member says, whether the inventory has it as one or not.
pub(crate) fn peer_on(settings: &Settings, host: &HostName, facts: &Facts) -> Peer {
    own(settings, host, facts).0
}

/// Whether a host's own file has it in a quorum with members that are in it still.
pub(crate) fn was_member(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    let all = seen(settings, facts);
    let Some((_, seen)) = all.into_iter().find(|(other, _)| other == host) else {
        return false;
    };
    let has = |name: &str| seen.servers.iter().any(|(_, other)| other == name);
    has(host.as_str())
        && settings
            .members()
            .iter()
            .any(|member| member != host && has(member.as_str()))
}

/// A member's state from `srvr` and `mntr`. Where `mntr` is not in the whitelist, `srvr` still tells the mode.
fn peer(srvr: &str, mntr: &str) -> Peer {
    let number = |key: &str| {
        let line = mntr
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('\t'));
        line.and_then(|value| value.trim().parse::<u64>().ok())
    };
    let mode = srvr.lines().find_map(|line| line.strip_prefix("Mode: "));
    match mode.map(str::trim) {
        Some("leader") => {
            let followers = number("zk_synced_followers").and_then(|number| usize::try_from(number).ok());
            Peer::Leader(followers)
        }
        Some("follower" | "observer") => Peer::Follower,
        Some("standalone") => {
            let count = srvr.lines().find_map(|line| line.strip_prefix("Node count: "));
            let count = count.and_then(|count| count.trim().parse().ok());
            Peer::Standalone(number("zk_znode_count").or(count).unwrap_or(0))
        }
        _ => Peer::Waiting,
    }
}

/// What every host's files say of the members' numbers.
pub(crate) fn seen(settings: &Settings, facts: &Facts) -> Vec<(HostName, Seen)> {
    let mut all = Vec::new();
    for host in settings.hosts.iter().chain(&settings.others) {
        let text = |fact: Result<&FileFact, _>| {
            let text = fact.ok().and_then(FileFact::text);
            text.map(|text| text.as_str().to_owned())
        };
        let found = match &settings.coordination {
            Coordination::Keeper(_) => {
                let file = text(facts.get(host, &queries::config_file(settings, "keeper")));
                file.map(|file| seen_in_keeper(&file))
            }
            Coordination::ZooKeeper(zookeeper) => {
                let config = text(facts.get(host, &queries::zoo_cfg(zookeeper)));
                let myid = text(facts.get(host, &queries::myid(zookeeper)));
                Some(zoo::seen(config.as_deref(), myid.as_deref()))
            }
            Coordination::Named(_) => None,
        };
        // A host that is none of ours tells only of a quorum that it shares with ours.
        let is_ours = |seen: &Seen| {
            settings.hosts.contains(host)
                || seen
                    .servers
                    .iter()
                    .any(|(_, name)| settings.hosts.iter().any(|host| host.as_str() == name))
        };
        all.extend(found.filter(is_ours).map(|found| (host.clone(), found)));
    }
    all
}

fn seen_in_keeper(text: &str) -> Seen {
    let mut seen = Seen {
        mark: mark::read(text),
        ..Seen::default()
    };
    let Ok(root) = xml::parse(text) else {
        return seen;
    };
    let raft = root
        .child("keeper_server")
        .and_then(|server| server.child("raft_configuration"));
    for server in raft.into_iter().flat_map(|raft| raft.all("server")) {
        let id = server.text_at(&["id"]).and_then(|id| id.parse().ok());
        if let (Some(id), Some(host)) = (id, server.text_at(&["hostname"])) {
            seen.servers.push((id, host.to_owned()));
        }
    }
    seen
}

/// The hosts that the quorum consists of now, as far as it is known: as its leader has it, or who follows it.
pub(crate) fn current(settings: &Settings, quorum: &Quorum, facts: &Facts) -> Option<Vec<String>> {
    // Whoever leads knows; it may be one that the inventory does not name any more.
    let elsewhere = settings.hosts.iter().chain(&settings.others);
    let foreign = elsewhere
        .filter(|host| quorum.leader().is_none() && !settings.members().contains(host))
        .map(|host| (host, own(settings, host, facts)))
        .find(|(host, (peer, _))| matches!(peer, Peer::Leader(_)) && was_member(settings, host, facts));
    let serving = || quorum.members.iter().find(|member| member.peer.is_serving());
    let (host, conf) = if let Some((host, (_, conf))) = foreign {
        (Some(host), conf)
    } else {
        let member = quorum.leader().or_else(serving)?;
        (member.host.as_ref(), member.conf.clone())
    };
    if let Some(conf) = conf {
        let servers = formats::zoo::servers(&conf);
        if !servers.is_empty() {
            return Some(servers.into_iter().map(|(_, host)| host).collect());
        }
    }
    let host = host?;
    let all = seen(settings, facts);
    let (_, seen) = all.into_iter().find(|(other, _)| other == host)?;
    let names: Vec<String> = seen.servers.into_iter().map(|(_, host)| host).collect();
    (!names.is_empty()).then_some(names)
}

/// Whether most of those that vote serve. They are asked one after another: beside one that tells of a leader who is gone by
/// now stand others that look for the next already.
pub(crate) fn is_led(settings: &Settings, quorum: &Quorum, facts: &Facts) -> bool {
    let Some(voters) = current(settings, quorum, facts) else {
        return quorum.is_there();
    };
    let serves = |name: &&String| {
        name.parse()
            .is_ok_and(|host| peer_on(settings, &host, facts).is_serving())
    };
    voters.iter().filter(serves).count() * 2 > voters.len()
}

/// The unit that runs a member.
pub(crate) fn unit<'f>(settings: &Settings, host: &HostName, facts: &'f Facts) -> Option<&'f UnitFact> {
    facts.get(host, &UnitQuery::new(settings.quorum_unit())).ok()
}

/// Whether a member was ever part of a quorum, as far as its disk tells.
pub(crate) fn has_past(settings: &Settings, host: &HostName, facts: &Facts) -> bool {
    match &settings.coordination {
        Coordination::ZooKeeper(zookeeper) => {
            let fact = facts.get(host, &queries::epoch(zookeeper));
            let epoch = fact
                .ok()
                .and_then(FileFact::text)
                .map(|text| text.as_str().trim());
            epoch.is_some_and(|epoch| epoch != "0" && !epoch.is_empty())
        }
        Coordination::Keeper(_) => {
            let fact = facts.get(host, &queries::keeper_log(settings));
            fact.is_ok_and(|fact| fact.meta().is_some())
        }
        Coordination::Named(_) => false,
    }
}

/// Whether somebody relies on the quorum, be it there at this moment or not: while a leader is chosen, nobody serves, and
/// members that run are no less in use.
pub(crate) fn is_in_use(settings: &Settings, quorum: &Quorum, facts: &Facts) -> bool {
    quorum.is_there() || tables_exist(settings, facts)
}

/// Whether any server holds replicated tables: then a quorum of blank members would make all of them read-only for good.
fn tables_exist(settings: &Settings, facts: &Facts) -> bool {
    settings.hosts.iter().any(|host| {
        matches!(view::talk(settings, host, facts), Talk::Up(live) if live.replicas.as_ref().is_ok_and(|all| !all.is_empty()))
    })
}

/// The consent to begin a new quorum without what the old one knew.
pub(crate) const CONSENT: &str = "clickhouse.new-quorum";

/// Why there is no quorum and none may be made by starting what does not run; `None` where there is one, or will be.
///
/// `starts` tells which members this plan starts, or starts again.
pub(crate) fn lost(
    settings: &Settings,
    quorum: &Quorum,
    facts: &Facts,
    starts: impl Fn(&HostName) -> bool,
    is_allowed: impl Fn(&HostName) -> bool,
) -> Option<Refusal> {
    if quorum.is_there() || quorum.members.is_empty() {
        return None;
    }
    let (majority, all) = (quorum.majority(), quorum.members.len());
    let refusal = |why: String, way_out: &str| {
        Some(Refusal {
            service: None,
            host: None,
            what: format!(
                "nothing is changed without a quorum of {}",
                match settings.coordination {
                    Coordination::Keeper(_) => "Keeper",
                    _ => "ZooKeeper",
                }
            ),
            why,
            way_out: way_out.to_owned(),
            consent: None,
        })
    };
    let list = |members: &[&Member]| {
        let words: Vec<String> = members
            .iter()
            .map(|member| format!("{} ({})", member.name, member.peer.describe()))
            .collect();
        words.join(", ")
    };
    let gone: Vec<&Member> = quorum
        .members
        .iter()
        .filter(|member| match &member.host {
            Some(_) => matches!(member.peer, Peer::Unknown(_)),
            None => !member.peer.is_serving(),
        })
        .collect();
    if all.saturating_sub(gone.len()) < majority {
        let why = format!(
            "of {all} members {} are out of reach: {}",
            gone.len(),
            list(&gone)
        );
        return refusal(
            why,
            "bring them back first; whoever has the latest state must be among them",
        );
    }
    let hosts: Vec<&HostName> = quorum
        .members
        .iter()
        .filter_map(|member| member.host.as_ref())
        .collect();
    let (past, blank): (Vec<&HostName>, Vec<&HostName>) =
        hosts.iter().partition(|host| has_past(settings, host, facts));
    // Keeper's files are there as soon as it tried to start; that there is something to lose is proven by tables.
    let at_stake = !past.is_empty() && (settings.zookeeper().is_some() || tables_exist(settings, facts));
    if at_stake && past.len() < majority {
        let missing: Vec<&&HostName> = blank.iter().filter(|host| !is_allowed(host)).collect();
        if let Some(first) = missing.first() {
            let names = |hosts: &[&HostName]| {
                hosts
                    .iter()
                    .map(|host| host.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let why = format!(
                "only {} of {all} members knows what was agreed upon; {} are blank and would outvote it",
                names(&past),
                names(&blank)
            );
            let mut refused = refusal(
                why,
                "put the data of the blank members back, or allow on each of them that what the old quorum knew is lost \
                 (replicated tables then need SYSTEM RESTORE REPLICA)",
            )?;
            refused.consent = Some(plan::Consent {
                action: CONSENT.to_owned(),
                host: (**first).clone(),
            });
            return Some(refused);
        }
    }
    if hosts.iter().any(|host| starts(host)) {
        return None;
    }
    let silent: Vec<&Member> = quorum
        .members
        .iter()
        .filter(|member| !member.peer.is_serving())
        .collect();
    refusal(
        format!("all {all} members run, and nobody leads: {}", list(&silent)),
        "if they were started a moment ago, plan again in a minute; else their logs tell why they do not agree",
    )
}

/// The text that a member's keeper.xml should have names these hosts; used to tell who is new.
pub(crate) fn changes(
    settings: &Settings,
    quorum: &Quorum,
    facts: &Facts,
) -> Option<(Vec<String>, Vec<String>)> {
    let current = current(settings, quorum, facts)?;
    let wanted: Vec<String> = match &settings.coordination {
        Coordination::Named(nodes) => nodes.iter().map(|(name, _)| name.clone()).collect(),
        _ => settings.members().iter().map(HostName::to_string).collect(),
    };
    let added = wanted
        .iter()
        .filter(|name| !current.contains(name))
        .cloned()
        .collect();
    let removed = current
        .iter()
        .filter(|name| !wanted.contains(name))
        .cloned()
        .collect();
    Some((added, removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_a_member_is_what_srvr_says() {
        let mntr = "zk_version\t3.8.0\nzk_server_state\tleader\nzk_znode_count\t5\nzk_synced_followers\t2\n";
        assert_eq!(
            peer("Zxid: 0x0\nMode: leader\nNode count: 5\n", mntr),
            Peer::Leader(Some(2))
        );
        assert_eq!(peer("Mode: leader\n", "mntr is not executed"), Peer::Leader(None));
        assert_eq!(
            peer("Mode: standalone\nNode count: 80\n", ""),
            Peer::Standalone(80)
        );
        assert_eq!(peer("Mode: follower\n", ""), Peer::Follower);
        assert_eq!(peer("Mode: standalone\n", mntr), Peer::Standalone(5));
        let waiting = "This ZooKeeper instance is not currently serving requests\n";
        assert_eq!(peer(waiting, waiting), Peer::Waiting);
    }
}
