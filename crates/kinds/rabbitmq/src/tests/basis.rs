//! What a saved plan for a cluster rests on.

use super::{INVENTORY, alone, facts, fresh, member};
use crate::tests::service;
use cases::basis;

#[test]
fn a_cluster_says_who_belongs_to_it() {
    let service = service(INVENTORY);
    let of = |hosts| basis(&*service, &facts(hosts));
    assert!(of([fresh(), fresh(), fresh()]).is_empty());
    assert_eq!(
        of([member(), member(), member()]),
        ["the members of the cluster: rabbit@db1, rabbit@db2, rabbit@db3"]
    );
    assert_eq!(
        of([alone("rabbit@db1"), alone("rabbit@db2"), fresh()]),
        ["the members of the cluster: rabbit@db1; and apart rabbit@db2"]
    );
}
