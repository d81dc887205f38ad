//! Beside a paused host: a converged service stays so, and the member there is not counted on.

use cases::{is_settled, plan_beside_paused, render};

use super::rig::Rig as _;
use super::{built, service};
use crate::KIND;

#[test]
fn beside_a_paused_host_nothing_is_planned_or_refused() {
    let service = service("");
    let cluster = built(&*service);
    let facts = cluster.facts(&*service);
    for host in service.hosts() {
        let plan = plan_beside_paused(&*service, &KIND.steps(), &facts, host);
        if cluster.primary() != Some(host.as_str()) {
            assert!(is_settled(&plan), "{}", render(&plan));
            continue;
        }
        // Only the primary knows what the set is made of: nothing says that all is as it should be.
        assert_eq!(
            (plan.tasks.len(), plan.refusals.len()),
            (0, 1),
            "{}",
            render(&plan)
        );
        assert!(
            plan.refusals[0].resolve.contains("rs.stepDown()"),
            "{}",
            render(&plan)
        );
    }
}
