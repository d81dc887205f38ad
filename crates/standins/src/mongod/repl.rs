//! What a member knows of its replica set: its own role, the others', and what of it survives a crash.
//!
//! The protocol is a simplified form of the real one (terms, votes on disk, dry runs, priorities, a majority for
//! everything), honest in what matters: there is at most one primary a term, only a member with all that a majority
//! has is elected, and nothing counts as the majority's before a majority has it on disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bson::{DateTime, Document, doc};

use super::optime::OpTime;
use super::setconfig::{Member, SetConfig};

/// A member's state, under the server's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the server's own names")]
pub enum MemberState {
    Startup = 0,
    Primary = 1,
    Secondary = 2,
    Recovering = 3,
    Startup2 = 5,
    Unknown = 6,
    Arbiter = 7,
    Down = 8,
    Removed = 10,
}

impl MemberState {
    /// `stateStr`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "STARTUP",
            Self::Primary => "PRIMARY",
            Self::Secondary => "SECONDARY",
            Self::Recovering => "RECOVERING",
            Self::Startup2 => "STARTUP2",
            Self::Unknown => "UNKNOWN",
            Self::Arbiter => "ARBITER",
            Self::Down => "(not reachable/healthy)",
            Self::Removed => "REMOVED",
        }
    }

    /// The state of this number.
    pub fn from_number(number: i32) -> Self {
        let all = [
            Self::Startup,
            Self::Primary,
            Self::Secondary,
            Self::Recovering,
            Self::Startup2,
            Self::Arbiter,
        ];
        let known = all
            .into_iter()
            .chain([Self::Down, Self::Removed])
            .find(|state| *state as i32 == number);
        known.unwrap_or(Self::Unknown)
    }
}

/// What was last heard of another member.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named like the fields of replSetGetStatus")]
pub struct PeerView {
    pub state: MemberState,
    pub optime: OpTime,
    pub config: (i64, i32),
    pub last_ok: Option<Instant>,
    pub last_heartbeat: Option<DateTime>,
    pub last_recv: Option<DateTime>,
    pub up_since: Option<Instant>,
    pub message: String,
    pub ping: Duration,
    pub sync_source: String,
    pub elected: Option<(OpTime, DateTime)>,
}

impl Default for PeerView {
    fn default() -> Self {
        Self {
            state: MemberState::Startup,
            optime: OpTime::NULL,
            config: (-1, -1),
            last_ok: None,
            last_heartbeat: None,
            last_recv: None,
            up_since: None,
            message: String::new(),
            ping: Duration::ZERO,
            sync_source: String::new(),
            elected: None,
        }
    }
}

/// What a member knows of its set.
#[derive(Debug)]
pub struct Repl {
    /// The configuration, once there is one.
    pub config: Option<SetConfig>,
    /// This member's id in it, if it is one of its members.
    pub me: Option<i32>,
    /// This member's role.
    pub state: MemberState,
    /// The newest election term heard of.
    pub term: i64,
    /// The last vote: the term, and whom for.
    pub vote: (i64, i32),
    /// Whether the initial sync is done.
    pub synced: bool,
    /// What a majority has on disk.
    pub commit: OpTime,
    /// The last write before the present configuration; a majority must have it before the next one.
    pub config_barrier: OpTime,
    /// The other members, by id.
    pub peers: BTreeMap<i32, PeerView>,
    /// When this member stands for election if nothing is heard of a primary.
    pub election_at: Instant,
    /// When this member takes over from a primary of a lower priority.
    pub takeover_at: Option<Instant>,
    /// This member does not stand for election before (stepped down, frozen).
    pub not_before: Instant,
    /// When this member was elected, if it is primary.
    pub elected: Option<(OpTime, DateTime)>,
    /// Whether a reconfig is being carried out right now.
    pub reconfiguring: bool,
    /// Whom this member takes the oplog from.
    pub sync_source: Option<i32>,
    /// Not `SECONDARY` before (a slow start).
    pub ready_at: Instant,
    /// Whether the others' oplogs no longer reach back to where this one ends.
    pub too_stale: bool,
}

const FILE: &str = "standin-repl.bson";

impl Repl {
    /// What was on disk, or a member that knows of nothing.
    pub fn load(db_path: &Path, release: (u32, u32)) -> Self {
        let saved = std::fs::read(db_path.join(FILE)).ok();
        let saved = saved
            .and_then(|bytes| Document::from_reader(bytes.as_slice()).ok())
            .unwrap_or_default();
        let config = saved
            .get_document("config")
            .ok()
            .and_then(|config| SetConfig::parse(config, release).ok());
        let now = Instant::now();
        Self {
            config,
            me: None,
            state: MemberState::Startup,
            term: saved.get_i64("term").unwrap_or(0),
            vote: (
                saved.get_i64("votedTerm").unwrap_or(0),
                saved.get_i32("votedFor").unwrap_or(-1),
            ),
            synced: saved.get_bool("synced").unwrap_or(false),
            commit: OpTime::NULL,
            config_barrier: OpTime::NULL,
            peers: BTreeMap::new(),
            election_at: now,
            takeover_at: None,
            not_before: now,
            elected: None,
            reconfiguring: false,
            sync_source: None,
            ready_at: now,
            too_stale: false,
        }
    }

    /// Puts on disk what must survive a crash, before anybody hears of it.
    pub fn save(&self, db_path: &Path) -> std::io::Result<()> {
        let mut saved = doc! {
            "term": self.term, "votedTerm": self.vote.0, "votedFor": self.vote.1, "synced": self.synced,
        };
        if let Some(config) = &self.config {
            saved.insert("config", config.document.clone());
        }
        let (path, new) = (db_path.join(FILE), db_path.join(format!("{FILE}.new")));
        let mut file = File::create(&new)?;
        file.write_all(&saved.to_vec().map_err(std::io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(new, path)?;
        File::open(db_path)?.sync_all()
    }

    /// This member's own entry in the configuration.
    pub fn my_member(&self) -> Option<&Member> {
        self.config.as_ref()?.member(self.me?)
    }

    /// The other members.
    pub fn others(&self) -> Vec<Member> {
        let Some(config) = &self.config else {
            return Vec::new();
        };
        config
            .members
            .iter()
            .filter(|member| Some(member.id) != self.me)
            .cloned()
            .collect()
    }

    /// The member that is primary, as far as this one knows.
    pub fn primary(&self, within: Duration) -> Option<i32> {
        if self.state == MemberState::Primary {
            return self.me;
        }
        let alive = |peer: &PeerView| peer.last_ok.is_some_and(|at| at.elapsed() < within);
        // Two may seem to be primary for a moment: the one of the later election is.
        let primaries = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.state == MemberState::Primary && alive(peer));
        primaries
            .max_by_key(|(_, peer)| peer.elected.map(|(at, _)| at))
            .map(|(id, _)| *id)
    }

    /// How many voters are heard of, this one included.
    pub fn voters_alive(&self, within: Duration) -> usize {
        let alive = |id: i32| {
            Some(id) == self.me
                || self
                    .peers
                    .get(&id)
                    .and_then(|peer| peer.last_ok)
                    .is_some_and(|at| at.elapsed() < within)
        };
        self.config.as_ref().map_or(0, |config| {
            config.voters().filter(|member| alive(member.id)).count()
        })
    }

    /// As primary: moves the commit point to what a majority of the voters has on disk.
    pub fn advance_commit(&mut self, mine: OpTime) {
        let Some(config) = &self.config else { return };
        if self.state != MemberState::Primary {
            return;
        }
        let mut places: Vec<OpTime> = config
            .voters()
            .filter(|member| !member.arbiter)
            .map(|member| self.optime_of(member.id, mine))
            .collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(place) = places.get(config.write_majority().saturating_sub(1))
            // Only what was written in this term proves anything about what came before it.
            && place.term == self.term
            && *place > self.commit
        {
            self.commit = *place;
        }
    }

    /// How far this member speaks of itself: an arbiter holds nothing, and knows how far the majority is.
    pub fn applied(&self, mine: OpTime) -> OpTime {
        if self.state == MemberState::Arbiter {
            self.commit
        } else {
            mine
        }
    }

    /// How far a member is; `mine` is this one's place.
    pub fn optime_of(&self, id: i32, mine: OpTime) -> OpTime {
        if Some(id) == self.me {
            mine
        } else {
            self.peers.get(&id).map_or(OpTime::NULL, |peer| peer.optime)
        }
    }

    /// Whether a majority of the voters has the present configuration, and the writes before it.
    pub fn config_committed(&self) -> bool {
        let Some(config) = &self.config else { return false };
        let has = |id: i32| {
            Some(id) == self.me
                || self
                    .peers
                    .get(&id)
                    .is_some_and(|peer| peer.config >= config.rank())
        };
        config.voters().filter(|member| has(member.id)).count() >= config.majority()
            && self.commit >= self.config_barrier
    }

    /// Forgets members that are gone from the configuration, and makes room for new ones.
    pub fn match_peers(&mut self) {
        let ids: Vec<i32> = self.others().iter().map(|member| member.id).collect();
        self.peers.retain(|id, _| ids.contains(id));
        for id in ids {
            self.peers.entry(id).or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary_of_three() -> Repl {
        let dir = tempfile::tempdir().unwrap();
        let mut repl = Repl::load(dir.path(), (7, 0));
        let members: Vec<_> = (0..3)
            .map(|id| doc! {"_id": id, "host": format!("h{id}:1")})
            .collect();
        let config = doc! {"_id": "rs0", "version": 2, "term": 3_i64, "members": members};
        repl.config = Some(SetConfig::parse(&config, (7, 0)).unwrap());
        repl.me = Some(0);
        repl.state = MemberState::Primary;
        repl.term = 3;
        repl.match_peers();
        repl
    }

    #[test]
    fn nothing_is_committed_before_a_majority_has_it_in_this_term() {
        let mut repl = primary_of_three();
        let mine = OpTime { term: 3, ts: (9, 2) };
        repl.advance_commit(mine);
        assert_eq!(repl.commit, OpTime::NULL);
        let old = OpTime { term: 2, ts: (9, 1) };
        repl.peers.get_mut(&1).unwrap().optime = old;
        repl.advance_commit(mine);
        assert_eq!(
            repl.commit,
            OpTime::NULL,
            "an old term's write is not counted by itself"
        );
        repl.peers.get_mut(&1).unwrap().optime = mine;
        repl.advance_commit(mine);
        assert_eq!(repl.commit, mine);
    }

    #[test]
    fn a_config_is_committed_when_a_majority_has_it_and_the_writes_before_it() {
        let mut repl = primary_of_three();
        repl.config_barrier = OpTime { term: 3, ts: (9, 2) };
        repl.peers.get_mut(&2).unwrap().config = (3, 2);
        assert!(!repl.config_committed());
        repl.commit = repl.config_barrier;
        assert!(repl.config_committed());
        repl.peers.get_mut(&2).unwrap().config = (3, 1);
        assert!(!repl.config_committed());
    }

    #[test]
    fn votes_terms_and_the_config_survive() {
        let dir = tempfile::tempdir().unwrap();
        let mut repl = primary_of_three();
        repl.vote = (3, 0);
        repl.synced = true;
        repl.save(dir.path()).unwrap();
        let again = Repl::load(dir.path(), (7, 0));
        assert_eq!((again.term, again.vote, again.synced), (3, (3, 0), true));
        assert_eq!(again.config, repl.config);
    }
}
