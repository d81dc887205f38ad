//! Beside a paused host: a converged service stays so, and the member there is not counted on.

use cases::{is_settled, plan_beside_paused, render};

use super::rig::Rig as _;
use super::{DEBIAN, MODERN, built, keeper, zookeeper};
use crate::KIND;

#[test]
fn beside_a_paused_host_nothing_is_planned_or_refused() {
    for (service, version) in [(zookeeper(""), DEBIAN), (keeper(""), MODERN)] {
        let facts = built(&*service, version).facts(&*service);
        for host in service.hosts() {
            let plan = plan_beside_paused(&*service, &KIND.steps(), &facts, host);
            assert!(is_settled(&plan), "{}", render(&plan));
        }
    }
}
