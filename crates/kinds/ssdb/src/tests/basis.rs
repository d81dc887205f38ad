//! What a saved plan for mirrors rests on.

use super::{built, service};
use crate::tests::hosts::Rig as _;
use cases::basis;
use fakes::ssdb::Cluster;

#[test]
fn mirrors_say_whom_they_follow_and_how_far_they_are() {
    let service = service(3, "");
    let bare = Cluster::bare(3);
    let found = basis(&*service, &bare.facts(&*service));
    assert!(found.iter().all(|line| line.starts_with('~')), "{found:?}");
    insta::assert_debug_snapshot!(basis(&*service, &built(&*service).facts(&*service)));
}
