//! The voter on a host, as it answers.
//!
//! ZooKeeper and Keeper answer the same four-letter words, and only `mntr` tells of a quorum: `ruok` is answered by a
//! member that is alone (<https://clickhouse.com/docs/guides/sre/keeper/clickhouse-keeper>, "Four letter word commands").

use formats::zoo;
use plan::Facts;
use protocol::facts::{Silence, SilenceKind, UnitFact, UnitQuery, WordsFact, WordsQuery};
use types::HostName;

use super::queries;
use crate::settings::{Coordination, Settings};

/// A voter of the quorum.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Voter {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// Its host; `None` where it is managed elsewhere.
    pub(crate) host: Option<HostName>,
    pub(crate) state: VoterState,
    /// The configuration that it runs with (the word `conf`), where it tells.
    pub(crate) conf: Option<Conf>,
    /// The number that it runs with, where it tells.
    pub(crate) number: Option<u32>,
    /// How many others the quorum has, dead ones among them, where it is a Keeper that leads: its log has the voters, and
    /// its file may be newer (`KeeperServer::getFollowerCount`, `zk_followers`).
    pub(crate) peers: Option<usize>,
}

/// A voter's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VoterState {
    /// It leads, with so many followers in sync; `None` where it does not tell how many.
    Leader(Option<usize>),
    /// It follows.
    Follower,
    /// It is alone by configuration, with so many nodes in its tree.
    Standalone(u64),
    /// It runs, is not in the quorum and looks for a leader.
    Looking,
    /// It does not answer, and does not run either.
    Down(String),
    /// It runs, or may run, and does not answer.
    Silent(Silence),
    /// It could not be asked.
    Unknown(String),
}

/// The configuration that a ZooKeeper runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conf {
    text: String,
    /// Numbers and names of the voters.
    pub(crate) servers: Vec<(u32, String)>,
}

impl VoterState {
    pub(crate) fn is_leader(&self) -> bool {
        matches!(self, Self::Leader(_))
    }

    /// Whether it is in the quorum, or may be.
    pub(crate) fn may_serve(&self) -> bool {
        self.is_serving() || matches!(self, Self::Silent(_) | Self::Unknown(_))
    }

    /// Whether it is in the quorum.
    pub(crate) fn is_serving(&self) -> bool {
        matches!(self, Self::Leader(_) | Self::Follower)
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Leader(Some(followers)) => format!("leader, {followers} in sync"),
            Self::Leader(None) => "leader".to_owned(),
            Self::Follower => "follower".to_owned(),
            Self::Standalone(_) => "it runs alone, not in the quorum".to_owned(),
            Self::Looking => "it runs and sees no majority".to_owned(),
            Self::Silent(silence) => silence.to_string(),
            Self::Down(why) | Self::Unknown(why) => why.clone(),
        }
    }

    /// How far the question got; of several answers the lowest counts.
    fn rank(&self) -> u8 {
        match self {
            Self::Leader(_) | Self::Follower | Self::Standalone(_) => 0,
            Self::Looking => 1,
            Self::Silent(_) => 2,
            Self::Down(_) => 3,
            Self::Unknown(_) => 4,
        }
    }
}

impl Conf {
    /// Reads the answer to `conf`; a ZooKeeper that does not allow the word answers a sentence.
    fn read(text: &str) -> Option<Self> {
        text.contains("clientPort=").then(|| Self {
            text: text.to_owned(),
            servers: zoo::servers(text),
        })
    }

    /// The value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        zoo::value(&self.text, key)
    }

    /// Whether it has a voter of that name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.servers.iter().any(|(_, server)| server == name)
    }
}

/// What a voter answers.
struct Answer {
    state: VoterState,
    conf: Option<Conf>,
    number: Option<u32>,
    peers: Option<usize>,
}

impl Answer {
    fn named(self, name: String, host: Option<HostName>) -> Voter {
        Voter {
            name,
            host,
            state: self.state,
            conf: self.conf,
            number: self.number,
            peers: self.peers,
        }
    }

    fn none(state: VoterState) -> Self {
        Self {
            state,
            conf: None,
            number: None,
            peers: None,
        }
    }
}

/// The voter on a host. It is down where nobody answers and its process has ended; a server that answers, and has opened
/// all its ports by then, has no Keeper in it.
pub(crate) fn voter(settings: &Settings, host: &HostName, has_server: bool, facts: &Facts) -> Voter {
    let queries = queries::words(settings);
    let mut best = best(queries.iter().map(|query| answer(host, query, facts)));
    // A ZooKeeper counts the followers that are connected.
    best.peers = best.peers.filter(|_| settings.keeper().is_some());
    if let VoterState::Silent(silence) = &best.state
        && silence.kind == SilenceKind::Refused
    {
        let unit = facts.get(host, &UnitQuery::new(settings.quorum_unit()));
        let is_over = unit.is_ok_and(UnitFact::has_ended) || (settings.keeper().is_some() && has_server);
        if is_over {
            best.state = VoterState::Down(silence.to_string());
        }
    }
    for (_, name) in best.conf.iter_mut().flat_map(|conf| &mut conf.servers) {
        *name = settings.canonical(name);
    }
    best.named(host.to_string(), Some(host.clone()))
}

/// The voters that are managed elsewhere: every host asks each of them, and the answer of the host that gets furthest counts.
pub(crate) fn external_voters(settings: &Settings, facts: &Facts) -> Vec<Voter> {
    let Coordination::External(nodes) = &settings.coordination else {
        return Vec::new();
    };
    let voter = |(at, (name, _)): (usize, &(String, u16))| {
        let ask = |host| Some(answer(host, queries::words(settings).get(at)?, facts));
        best(settings.hosts.iter().filter_map(ask)).named(name.clone(), None)
    };
    nodes.iter().enumerate().map(voter).collect()
}

fn best(answers: impl Iterator<Item = Answer>) -> Answer {
    let best = answers.min_by_key(|answer| answer.state.rank());
    best.unwrap_or_else(|| Answer::none(VoterState::Unknown("it was not asked".to_owned())))
}

fn answer(host: &HostName, query: &WordsQuery, facts: &Facts) -> Answer {
    match facts.get(host, query) {
        Err(unknown) => Answer::none(VoterState::Unknown(unknown.to_string())),
        Ok(WordsFact::Down(silence)) => Answer::none(VoterState::Silent(silence.clone())),
        Ok(WordsFact::Replies(replies)) => {
            let word = |at: usize| replies.get(at).map_or("", |reply| reply.as_str());
            Answer {
                state: state(word(0), word(1)),
                conf: Conf::read(word(2)),
                number: number(word(2)),
                peers: counted(word(1), "zk_followers").and_then(|peers| usize::try_from(peers).ok()),
            }
        }
    }
}

/// The number in the answer to `conf`, of `ZooKeeper` and of Keeper. One that is alone has none, and says 0.
fn number(conf: &str) -> Option<u32> {
    let keys = ["serverId", "server_id"];
    let value = keys.iter().find_map(|key| zoo::value(conf, key))?;
    value.parse().ok().filter(|number| *number > 0)
}

/// A number in the answer to `mntr`.
fn counted(mntr: &str, key: &str) -> Option<u64> {
    let mut lines = mntr.lines();
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('\t'))?;
    value.trim().parse().ok()
}

/// What a voter answers that is in no quorum, after its own name (`NettyServerCnxn`, `FourLetterCommand.cpp`).
const NOT_SERVING: &str = "instance is not currently serving requests";

/// A voter's state from `srvr` and `mntr`. Where `mntr` is not in the whitelist, `srvr` still tells the mode. Each is a question
/// of its own, and the leader may be lost between the two. One that does not tell its mode may be in the quorum.
fn state(srvr: &str, mntr: &str) -> VoterState {
    if [srvr, mntr].iter().any(|reply| reply.contains(NOT_SERVING)) {
        return VoterState::Looking;
    }
    let number = |key| counted(mntr, key);
    let mode = srvr.lines().find_map(|line| line.strip_prefix("Mode: "));
    match mode.map(str::trim) {
        Some("leader") => {
            let followers = number("zk_synced_followers").and_then(|number| usize::try_from(number).ok());
            VoterState::Leader(followers)
        }
        Some("follower" | "observer") => VoterState::Follower,
        // It serves reads while it sees no majority (`ReadOnlyZooKeeperServer`).
        Some("read-only") => VoterState::Looking,
        Some("standalone") => {
            let count = srvr.lines().find_map(|line| line.strip_prefix("Node count: "));
            let count = count.and_then(|count| count.trim().parse().ok());
            VoterState::Standalone(number("zk_znode_count").or(count).unwrap_or(0))
        }
        _ => {
            let said = srvr.lines().next().unwrap_or_default();
            VoterState::Silent(Silence::foreign(format!("it answers srvr with {said:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_a_voter_is_what_srvr_says() {
        let mntr = "zk_version\t3.8.0\nzk_server_state\tleader\nzk_znode_count\t5\nzk_synced_followers\t2\n";
        assert_eq!(
            state("Zxid: 0x0\nMode: leader\nNode count: 5\n", mntr),
            VoterState::Leader(Some(2))
        );
        assert_eq!(
            state("Mode: leader\n", "mntr is not executed"),
            VoterState::Leader(None)
        );
        assert_eq!(
            state("Mode: standalone\nNode count: 80\n", ""),
            VoterState::Standalone(80)
        );
        assert_eq!(state("Mode: follower\n", ""), VoterState::Follower);
        assert_eq!(state("Mode: standalone\n", mntr), VoterState::Standalone(5));
        let looking = "This ZooKeeper instance is not currently serving requests\n";
        assert_eq!(state(looking, looking), VoterState::Looking);
        assert_eq!(state("Mode: read-only\n", mntr), VoterState::Looking);
    }

    #[test]
    fn a_voter_that_loses_its_leader_between_two_answers_follows_nobody() {
        let mntr = "This instance is not currently serving requests";
        assert_eq!(
            state("Mode: follower\nNode count: 5\n", mntr),
            VoterState::Looking
        );
    }

    #[test]
    fn a_voter_that_does_not_tell_its_mode_may_be_in_the_quorum() {
        for said in ["srvr is not executed because it is not in the whitelist.\n", ""] {
            assert!(state(said, "").may_serve(), "{said}");
        }
    }
}
