//! Processes that run, or may run, and tell nothing of themselves: they count as in use, and are left as they are.
//!
//! What a restart of them would interrupt, what a changed macro would cost their tables, and whether they are in the quorum
//! is not known. A moment may heal it where they are starting; where they listen elsewhere, or let nobody in, it does not.

use plan::Refusal;
use types::HostName;

use crate::observe::coordination::voter::VoterState;
use crate::observe::server::merged::{Elsewhere, keeper_elsewhere, server_elsewhere};
use crate::observe::server::replies::Denial;
use crate::observe::view::{Member, View};
use crate::rules::coordination::quorum::Quorum;
use crate::settings::Settings;
use kit::Probe;

/// The refusal to change a host whose server tells nothing; `None` where it does, or does not run.
pub(crate) fn server(settings: &Settings, member: &Member<'_>) -> Option<Refusal> {
    let why = member.doubt()?;
    let what = format!("the server on {} is neither changed nor restarted", member.host);
    let why = format!("it may hold tables that are in use, and does not tell: {why}");
    let refusal = match (server_elsewhere(settings, member.merged.as_ref()), &member.server) {
        (Some(elsewhere), _) => Refusal::new(
            what,
            format!("{why}; {}", words(elsewhere, "HTTP")),
            resolve(elsewhere, "http_port"),
        ),
        (None, Probe::Denied(Denial::Foreign(_))) => Refusal::new(
            what,
            why,
            "set http_port in the inventory to the port that the server has; or free that port for it",
        ),
        (None, Probe::Denied(Denial::Refused(_))) => Refusal::new(
            what,
            why,
            "name a user that may log in from the host itself, and its password: user and password in the inventory",
        ),
        (None, _) => Refusal::new(
            what,
            why,
            "if it was started a moment ago, plan again in a minute; else its log tells why it does not answer",
        )
        .passing(),
    };
    Some(refusal.on(member.host))
}

/// The refusal to change a host whose `ZooKeeper` runs and does not answer.
pub(crate) fn zookeeper(quorum: &Quorum<'_>, host: &HostName) -> Option<Refusal> {
    let voter = quorum.on(host)?;
    let VoterState::Silent(why) = &voter.state else {
        return None;
    };
    let refusal = Refusal::new(
        format!("the ZooKeeper on {host} is neither changed nor restarted"),
        format!("it runs, may be one that the quorum needs, and does not tell: {why}"),
        "if it was started a moment ago, plan again in a minute; if it has another client port, set it in the inventory; \
         if its 4lw.commands.whitelist lacks srvr, add that; else its log tells why it does not answer",
    );
    Some(refusal.on(host).passing())
}

/// The refusal to start or restart servers all at once, which a new cluster needs, where one of them may be in use.
pub(crate) fn formation<'h>(
    view: &View<'_>,
    mut restarted: impl Iterator<Item = &'h HostName>,
) -> Option<Refusal> {
    let is_formed = view.answering().any(|(_, live)| !live.cluster.is_empty());
    let (member, why) = view.doubtful().next().filter(|_| !is_formed)?;
    // Those that tell nothing themselves are refused each.
    let is_known = |host: &&HostName| view.member(host).is_some_and(|member| member.doubt().is_none());
    let host = restarted.find(is_known)?;
    let refusal = Refusal::new(
        format!("{host} does not restart"),
        format!(
            "whether it is a member of a cluster in use, {} would know, which does not tell: {why}",
            member.host
        ),
        "if that was started a moment ago, plan again in a minute; else let clusterctl log in there first",
    );
    let is_starting = matches!(member.server, Probe::Unknown(_));
    Some(if is_starting { refusal.passing() } else { refusal })
}

/// The refusal to change a host whose Keeper listens where it is not asked.
pub(crate) fn keeper(settings: &Settings, member: &Member<'_>) -> Option<Refusal> {
    let elsewhere = keeper_elsewhere(settings, member.merged.as_ref())?;
    let refusal = Refusal::new(
        format!("the Keeper on {} is neither changed nor restarted", member.host),
        words(elsewhere, "its clients"),
        resolve(elsewhere, "keeper = { port }"),
    );
    Some(refusal.on(member.host))
}

fn words(elsewhere: Elsewhere, whom: &str) -> String {
    match elsewhere {
        Elsewhere::Port(port) => format!("its configuration has port {port} for {whom}"),
        Elsewhere::TlsOnly(port) => {
            format!("its configuration has port {port} with TLS for {whom}, and none without")
        }
    }
}

fn resolve(elsewhere: Elsewhere, key: &str) -> String {
    match elsewhere {
        Elsewhere::Port(port) => format!("set {key} to {port} in the inventory"),
        Elsewhere::TlsOnly(_) => {
            "give it a port without TLS on the loopback: clusterctl speaks none".to_owned()
        }
    }
}
