//! Beside a paused host: a converged service stays so, and the member there is not counted on.

use cases::{is_settled, plan_beside_paused, render};

use super::hosts::Rig as _;
use super::{built, service};
use crate::KIND;

#[test]
fn beside_a_paused_host_nothing_is_planned_or_refused() {
    let service = service(3, "");
    let facts = built(&*service).facts(&*service);
    for host in service.hosts() {
        let plan = plan_beside_paused(&*service, &KIND.steps(), &facts, host);
        assert!(is_settled(&plan), "{}", render(&plan));
    }
}
