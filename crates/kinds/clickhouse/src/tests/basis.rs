//! What a saved plan for a cluster rests on.

use super::{built, keeper, packaged, zookeeper};
use crate::tests::rig::Rig as _;
use cases::basis;

#[test]
fn a_plan_rests_on_the_leader_and_the_members_of_the_quorum() {
    let fresh = packaged(&["db1", "db2", "db3"], "23.8.2.7");
    assert!(basis(&*keeper(""), &fresh.facts(&*keeper(""))).is_empty());
    for (service, version) in [(keeper(""), "23.8.2.7"), (zookeeper(""), "18.16.1")] {
        let cluster = built(&*service, version);
        let found = basis(&*service, &cluster.facts(&*service));
        assert!(found[0].starts_with("the leader of the quorum: db"), "{found:?}");
        assert_eq!(found[1], "the members of the quorum: db1, db2, db3");
    }
}
