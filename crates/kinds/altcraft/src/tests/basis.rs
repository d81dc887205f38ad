//! What a saved plan for the platform rests on.

use super::{INVENTORY, converged, facts, fresh};
use crate::tests::service;
use cases::basis;

#[test]
fn a_platform_says_where_its_masters_run() {
    let service = service(INVENTORY);
    let of = |hosts: &[_]| basis(&*service, &facts(INVENTORY, hosts));
    assert!(of(&[("app1", fresh()), ("app2", fresh())]).is_empty());
    let hosts = ["app1", "app2"].map(|name| (name, converged(INVENTORY, name)));
    assert_eq!(
        of(&hosts),
        [
            "where proctask is the master: app1",
            "where procworkflow is the master: app1"
        ]
    );
}
