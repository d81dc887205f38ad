//! Beside a paused host: a converged service stays so, and the member there is not counted on.

use cases::{is_settled, plan_beside_paused, render};

use super::played::{built, facts, on};
use crate::KIND;

#[test]
fn beside_a_paused_host_nothing_is_planned_or_refused() {
    let hosts = ["app1", "app2", "app3"];
    let service = on(&hosts, "");
    let facts = facts(&built(&hosts), &*service);
    for host in service.hosts() {
        let plan = plan_beside_paused(&*service, &KIND.steps(), &facts, host);
        assert!(is_settled(&plan), "{}", render(&plan));
    }
}
