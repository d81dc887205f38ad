//! What a saved plan for mirrors rests on.

use super::{built, service};
use crate::ssdb::world::World;
use crate::testing::basis;

#[test]
fn mirrors_say_whom_they_follow_and_how_far_they_are() {
    let service = service(3, "");
    let bare = World::bare(3);
    let found = basis(&*service, &bare.facts(&*service));
    assert!(found.iter().all(|line| line.starts_with('~')), "{found:?}");
    insta::assert_debug_snapshot!(basis(&*service, &built(&*service).facts(&*service)));
}
