//! What is known and waited for when a member leaves: the gates, and what of the cluster would go with it.

use plan::{Facts, Gate, Verdict};
use protocol::Query;
use protocol::facts::{ErlangFact, FileFact};
use types::HostName;

use crate::checks;
use crate::observe::queues::Seen;
use crate::observe::view::{self, Node};
use crate::settings::Settings;
use crate::steps::leave::FORGET;
use kit::Cx;

/// All hosts of the service run in the cluster. Each of these checks ends with the leaver's node.
pub(crate) const REST: &str = "rest-runs:";
/// No quorum queue counts on the leaver.
pub(crate) const SHRUNK: &str = "shrunk:";
/// The others run, and have all that the leaver has.
pub(crate) const FREE: &str = "free:";
/// The leaver is no member.
pub(crate) const LEFT: &str = "left:";

/// How long mirrors may take to be filled, in milliseconds.
const LIMIT: u64 = 3_600_000;

/// A member that the inventory does not list.
pub(crate) struct Leaver {
    pub(crate) host: HostName,
    pub(crate) node: String,
    /// Whether the others see it run.
    pub(crate) runs: bool,
}

/// The queues that there are, by type.
#[derive(Debug)]
pub(crate) struct Kept {
    classic: Vec<Seen>,
    quorum: Vec<Seen>,
    streams: Vec<Seen>,
    /// Those of all types that are up.
    live: Vec<Seen>,
}

impl Kept {
    /// As the node of a former member tells, whose own question asks it.
    pub(crate) fn of(settings: &Settings, host: &HostName, facts: &Facts) -> Result<Self, String> {
        let query = view::node_query(settings, host);
        let skipped = query.calls.len() - view::queues_calls().len();
        Self::read(
            facts.get(host, &query).map_err(|unknown| unknown.to_string())?,
            skipped,
        )
    }

    fn read(fact: &ErlangFact, skipped: usize) -> Result<Self, String> {
        let results = match fact {
            ErlangFact::Results(results) => results,
            ErlangFact::Down(why) | ErlangFact::Denied(why) => return Err(why.clone()),
        };
        let mut lists = results
            .iter()
            .skip(skipped)
            .map(|result| result.as_ref().map(Seen::all).map_err(Clone::clone));
        let mut next = || {
            lists
                .next()
                .unwrap_or_else(|| Err("it told no queues".to_owned()))
        };
        Ok(Self {
            classic: next()?,
            quorum: next()?,
            streams: next()?,
            live: next()?,
        })
    }

    /// Whether quorum queues count on a member.
    pub(crate) fn has_quorum(&self, leaver: &Leaver) -> bool {
        self.quorum.iter().any(|queue| queue.is_on(&leaver.node))
    }

    /// A queue that would go with a member; a quorum queue that has no other member may get some first.
    pub(crate) fn only_on(&self, leaver: &Leaver, grows: bool) -> Option<&str> {
        let node = &leaver.node;
        // What is durable does not tell of mirrors, what is up does.
        let is_mirrored = |queue: &Seen| {
            let mut live = self.live.iter().filter(|live| live.name == queue.name);
            live.any(|live| live.has_synchronised_mirror(node))
        };
        let alone = |queue: &&Seen| queue.is_led_on(node) && !queue.is_exclusive() && !is_mirrored(queue);
        let classic = self.classic.iter().find(alone);
        let quorum = || self.quorum.iter().find(|queue| !grows && queue.is_only_on(node));
        // Streams have replicas of their own kind, which this does not move.
        let stream = || self.streams.iter().find(|queue| queue.is_on(node));
        classic
            .or_else(quorum)
            .or_else(stream)
            .map(|queue| queue.name.as_str())
    }
}

/// A gate about a leaver that a member tells.
pub(crate) fn gate(settings: &Settings, teller: &HostName, check: &str, node: &str, title: String) -> Gate {
    let mut gate = checks::gate(settings, &format!("{check}{node}"), teller, title);
    let mut queries = vec![view::node_query(settings, teller).wrap()];
    if [SHRUNK, FREE].contains(&check) {
        queries.push(view::queues_query(settings, teller).wrap());
    }
    gate.watch.insert(teller.clone(), queries);
    gate.limit_ms = LIMIT;
    gate
}

/// Judges such a gate; `None` for the check of another step.
pub(crate) fn judge(settings: &Settings, check: &str, teller: &HostName, facts: &Facts) -> Option<Verdict> {
    let (check, node) = [REST, SHRUNK, FREE, LEFT]
        .iter()
        .find_map(|known| Some((*known, check.strip_prefix(known)?)))?;
    let Ok(Node::Up(broker)) = view::node(settings, teller, facts) else {
        return Some(Verdict::Wait(format!("{teller} does not run")));
    };
    let kept = || {
        let fact = facts.get(teller, &view::queues_query(settings, teller));
        Kept::read(fact.map_err(|unknown| unknown.to_string())?, 0)
    };
    // Others that do not run and leave too are forgotten one after another.
    let mut listed = settings.hosts.iter().map(Settings::node);
    let missing = listed.find(|other| !broker.running.contains(other));
    let leaver = Leaver {
        host: teller.clone(),
        node: node.to_owned(),
        runs: broker.running.contains(node),
    };
    let rest = || {
        missing
            .as_ref()
            .map(|other| Verdict::Wait(format!("{other} does not run in the cluster")))
    };
    let shrunk = |kept: &Kept| {
        kept.has_quorum(&leaver)
            .then(|| Verdict::Wait("quorum queues count on it".to_owned()))
    };
    let wrong = match check {
        REST => rest(),
        SHRUNK => match kept() {
            Ok(kept) => shrunk(&kept),
            Err(why) => Some(Verdict::Wait(why)),
        },
        FREE => match kept() {
            _ if missing.is_some() => rest(),
            Ok(kept) => {
                shrunk(&kept).or_else(|| kept.only_on(&leaver, false).map(|queue| lost(&leaver, queue)))
            }
            Err(why) => Some(Verdict::Wait(why)),
        },
        _ => broker
            .members
            .contains(node)
            .then(|| Verdict::Wait("it is a member".to_owned())),
    };
    Some(wrong.unwrap_or(Verdict::Pass))
}

/// A mirror of one that runs may be filled yet; what one that does not run has alone stays so.
fn lost(leaver: &Leaver, queue: &str) -> Verdict {
    let text = format!("the {queue} is on {} alone", leaver.node);
    if leaver.runs {
        return Verdict::Wait(text);
    }
    let host = leaver.node.rsplit('@').next().unwrap_or_default();
    Verdict::Fail(format!(
        "{text}: start it there, or lose it with --allow {FORGET}={host} or rabbitmq.leave={host}"
    ))
}

/// Whether a host that is no member was one: it is alone and holds nothing, with our members' cookie.
pub(crate) fn is_former(settings: &Settings, host: &HostName, cx: &Cx<'_>) -> bool {
    let hash = |fact: &FileFact| fact.meta().map(|meta| meta.sha256.clone());
    let own = cx
        .facts
        .get(host, &view::former_cookie_query(settings))
        .ok()
        .and_then(hash);
    let is_ours = |member: &HostName| {
        let cookie = cx
            .facts
            .get(member, &view::cookie_query(settings))
            .ok()
            .and_then(hash);
        cookie.is_some() && cookie == own
    };
    let is_bare = match view::node(settings, host, cx.facts) {
        Ok(Node::Up(broker)) => broker.members.len() <= 1 && broker.possession().is_none(),
        Ok(Node::Halted(members)) => members.len() <= 1,
        // Its disk may name those who forgot it.
        Ok(Node::Off(_)) => true,
        Ok(Node::OtherCookie) | Err(_) => false,
    };
    is_bare && cx.hosts.iter().any(is_ours)
}
