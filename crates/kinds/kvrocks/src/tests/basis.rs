//! What a saved plan for a store rests on.

use super::{built, packaged, service};
use crate::tests::rig::Rig as _;
use cases::basis;

#[test]
fn the_basis_has_the_master_and_the_failover() {
    let service = service("redis", "");
    assert!(basis(&*service, &packaged("redis", 3).facts(&*service)).is_empty());
    let mut fake = built(&*service, "redis");
    let before = basis(&*service, &fake.facts(&*service));
    fake.fail_over();
    insta::assert_debug_snapshot!([before, basis(&*service, &fake.facts(&*service))]);
}
