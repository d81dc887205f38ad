//! The checks of gates: spelled, read and judged here.

use plan::{Facts, Verdict};
use types::HostName;

use crate::observe::{Member, View};
use crate::rules::find_roles::find_roles;
use crate::rules::role_assignment::is_orphan;
use crate::rules::roles::Roles;
use crate::rules::{member_removal, replication, sentinels};
use crate::settings::Settings;
use kit::Probe;
use kit::checks::until;

/// A check: the condition on facts that a gate waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// A member answers with our password, and where it is a replica, has caught up with its master.
    MemberServing,
    /// The same for the node that becomes the master before it has replicas.
    MasterServing,
    /// Each replica that follows the master has all that it has.
    ReplicasLevel,
    /// All sentinels name another master than the old one.
    Promoted,
    /// The same, and the old one knows it.
    NewMaster,
    /// Every engine that answers follows the master and has caught up, and the sentinels have a quorum.
    Followers,
    /// A sentinel watches the master.
    SentinelKnows,
    /// The sentinels see each other and the replicas, and have a quorum.
    SentinelAgrees,
    /// All members are available, and their sentinels elect without a departing member.
    Staying,
    /// Every sentinel has known all members for a while.
    Found,
    /// The same, and one has forgotten this address.
    Forgotten(String),
}

kit::spell_checks!(Check {
    "member-serving" => MemberServing,
    "master-serving" => MasterServing,
    "replicas-level" => ReplicasLevel,
    "promoted" => Promoted,
    "new-master" => NewMaster,
    "followers" => Followers,
    "sentinel-knows" => SentinelKnows,
    "sentinel-agrees" => SentinelAgrees,
    "staying" => Staying,
    "found" => Found;
    "forgotten=" + Forgotten
});

/// Judges a check by the facts.
pub(crate) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    kit::checks::judge(check, |check: Check| {
        check.judge(&View::new(settings, facts), host)
    })
}

impl Check {
    fn judge(&self, view: &View<'_>, host: Option<&HostName>) -> Verdict {
        let roles = find_roles(view);
        if let Some(why) = host.and_then(|host| ended(self, view, view.members.any(host)?)) {
            return Verdict::Fail(why);
        }
        until(match (self, host.and_then(|host| view.members.any(host))) {
            (Self::Followers, _) => replication::all_follow(view, &roles),
            (Self::SentinelAgrees, _) => sentinels::sentinels_agree(view, &roles),
            (Self::Found, _) => member_removal::all_known(view, &roles),
            (_, None) => {
                let name = &view.settings.name;
                return Verdict::Fail(format!(
                    "the check {self} is about a host that {name} does not have"
                ));
            }
            (Self::MemberServing, Some(member)) => match orphaned(view, &roles, member) {
                Some(why) => return Verdict::Fail(why),
                None => replication::available(view, &roles, member, false),
            },
            (Self::MasterServing, Some(member)) => replication::available(view, &roles, member, true),
            (Self::ReplicasLevel, Some(master)) => replication::replicas_level(view, master),
            (Self::Promoted, Some(old)) => sentinels::promoted(&roles, old.host).map(drop),
            (Self::NewMaster, Some(old)) => sentinels::new_master(&roles, old),
            (Self::SentinelKnows, Some(member)) => sentinels::sentinel_watches(view, member),
            (Self::Staying, Some(member)) => member_removal::members_suffice(view, &roles, member.host),
            (Self::Forgotten(address), Some(member)) => {
                member_removal::forgotten(view, &roles, member, address)
            }
        })
    }
}

/// Why the process that a check is about does not come: its unit has ended.
fn ended(check: &Check, view: &View<'_>, member: &Member<'_>) -> Option<String> {
    let settings = view.settings;
    let unit = match check {
        Check::MemberServing | Check::MasterServing if matches!(member.engine, Probe::Down(_)) => {
            &settings.unit
        }
        Check::SentinelKnows if matches!(member.sentinel, Probe::Down(_)) => &settings.sentinel.unit,
        _ => return None,
    };
    Some(kit::checks::has_ended(unit, member.host))
}

/// Why a replica will never follow the master, however long it is waited for.
fn orphaned(view: &View<'_>, roles: &Roles, member: &Member<'_>) -> Option<String> {
    let engine = member.engine.up().filter(|_| is_orphan(view, roles, member))?;
    let (host, followed, master) = (member.host, engine.follows(), roles.master()?);
    Some(format!(
        "{host} follows {followed}, the master is {master}, and no sentinel knows {host}: plan again"
    ))
}
