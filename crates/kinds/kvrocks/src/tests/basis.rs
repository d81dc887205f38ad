//! What a saved plan for a store rests on.

use super::{built, packaged, service};
use crate::tests::world::Rig as _;
use cases::basis;

#[test]
fn a_store_says_who_is_the_master_and_since_which_failover() {
    let service = service("redis", "");
    assert!(basis(&*service, &packaged("redis", 3).facts(&*service)).is_empty());
    let mut world = built(&*service, "redis");
    let before = basis(&*service, &world.facts(&*service));
    world.fail_over();
    insta::assert_debug_snapshot!([before, basis(&*service, &world.facts(&*service))]);
}
