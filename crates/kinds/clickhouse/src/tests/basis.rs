//! What a saved plan for a cluster rests on.

use super::{built, keeper, packaged, zookeeper};
use crate::tests::rig::Rig as _;
use cases::basis;

#[test]
fn a_cluster_says_who_leads_the_quorum_and_who_belongs_to_it() {
    let fresh = packaged(&["db1", "db2", "db3"], "23.8.2.7");
    assert!(basis(&*keeper(""), &fresh.facts(&*keeper(""))).is_empty());
    for (service, version) in [(keeper(""), "23.8.2.7"), (zookeeper(""), "18.16.1")] {
        let world = built(&*service, version);
        let found = basis(&*service, &world.facts(&*service));
        assert!(found[0].starts_with("the leader of the quorum: db"), "{found:?}");
        assert_eq!(found[1], "the members of the quorum: db1, db2, db3");
    }
}
