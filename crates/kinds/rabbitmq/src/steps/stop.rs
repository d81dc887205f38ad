//! The step `stop`: every member of a formed cluster whose cookie changes is stopped, first in, last out: the member that
//! stopped last has the latest state and must be there when the others start.

use protocol::UnitVerb;

use crate::observe::View;
use crate::rules::consents::COOKIE;
use crate::rules::cookie::changes_for_all;
use crate::settings::Settings;
use kit::{Cx, StepPlan, each_host};

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    // Where one may not change, none does: the step `cookie` refuses it there, and the others go on.
    let mut changing = view
        .on(cx.hosts)
        .filter(|member| changes_for_all(&view, member))
        .peekable();
    let all_change = changing.peek().is_some() && changing.all(|member| cx.is_allowed(COOKIE, member.host));
    let mut plan = each_host(cx, |host| {
        let member = view.member(host)?;
        let is_running = member.unit.clone()?.is_active();
        if !(is_running && all_change && member.is_clustered()) {
            return Ok(Vec::new());
        }
        let reason = "a new cookie takes effect on all members at once, and this was consented to";
        Ok(vec![member.process(settings).tell(&[UnitVerb::Stop], reason)])
    });
    plan.tasks.reverse();
    plan
}
