//! The step `leave`: former members are removed.
//!
//! It comes after the applications have learned the other members. One host is removed after another, replicas first; the
//! master fails over before it is removed. When all members are available and have caught up, and their sentinels elect
//! without it, its sentinel and its engine are stopped and disabled; its data stay where they are. Then the members'
//! sentinels forget it, one at a time and 30 s apart, for Sentinel counts a majority among all whom it ever met
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Adding or removing Sentinels"). A sentinel
//! that was reset tells when that was: `role-reported-time` starts again at 0 (`sentinelResetMaster` in `sentinel.c`).

mod forget;
mod stop;

use plan::{Level, Refusal};
use types::HostName;

use crate::observe::{Instance, Member, View};
use crate::rules::find_roles::find_roles;
use crate::rules::member_removal::{LEAVE, Votes, can_be_spared};
use crate::rules::role_assignment::is_being_replaced;
use crate::rules::rollout::Rollout;
use crate::settings::Settings;
use kit::{Cx, StepPlan};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = find_roles(&view);
    let mut all = StepPlan::nothing();
    let mut former = view.former();
    let Some(master) = roles.master().filter(|_| roles.are_sentinels()) else {
        let why = "no sentinel names a master";
        let hosts = former.iter().map(|member| member.host.clone());
        all.unplanned.extend(hosts.map(|host| (host, why.to_owned())));
        return all;
    };
    former.sort_by_key(|member| member.host == master);
    let gone = gone_for_good(&view, cx);
    let rollout = Rollout {
        cx,
        view: &view,
        roles: &roles,
        master,
    };
    let is_observed = |member: &Member<'_>| cx.others.contains(member.host);
    let mut votes = Votes {
        staying: cx.hosts.len() + former.iter().filter(|member| is_observed(member)).count(),
        total: settings.hosts.len() + former.len() + gone.len(),
    };
    for member in former {
        let host = member.host;
        votes.staying -= usize::from(is_observed(member));
        let proof = can_be_spared(&rollout, member, votes);
        match &proof {
            Ok(()) => {}
            Err(why) if cx.is_allowed(LEAVE, host) => {
                let text = format!("it is removed without proof that it can be spared: {why}");
                all.note(Level::Warning, Some(host), text);
            }
            Err(why) => {
                let refusal = refusal(host, why);
                all.refusals.push(if is_being_replaced(&view, member) {
                    refusal.passing()
                } else {
                    refusal
                });
                continue;
            }
        }
        stop::plan(&rollout, member, proof.is_ok(), &mut all);
        votes.total -= 1;
        forget::plan(&rollout, member.address().unwrap_or(host.as_str()), &mut all);
    }
    for address in gone {
        forget::plan(&rollout, &address, &mut all);
    }
    all
}

/// Addresses of no host, which only sentinels know and do not reach, and which the operator allows them to forget.
fn gone_for_good(view: &View<'_>, cx: &Cx<'_>) -> Vec<String> {
    let watching = view.watching();
    let known = watching.iter().flat_map(|watch| watch.sentinel.peers());
    let gone = known.filter(|known| known.is_down() && view.at(known.ip()).is_none());
    let is_allowed = |address: &&str| {
        let host: Option<HostName> = address.parse().ok();
        host.is_some_and(|host| cx.is_allowed(LEAVE, &host))
    };
    let addresses = gone.map(Instance::ip).filter(is_allowed);
    let mut addresses: Vec<String> = addresses.map(str::to_owned).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// The refusal is about the host, so that nothing of the members is stopped for it.
fn refusal(host: &HostName, why: &str) -> Refusal {
    let refusal = Refusal::new(
        format!("{host} does not leave"),
        why,
        format!(
            "make sure that {host} can be reached and follows the master, and plan again; with consent it is removed as it \
             is. If it cannot be reached, its engine and its sentinel must never start again: they would come back"
        ),
    );
    refusal.on(host).unless_allowed(LEAVE, host)
}
