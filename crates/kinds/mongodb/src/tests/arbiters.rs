//! Voters without data: they count in every majority, and acknowledge no write.

use super::{AUTH, Cluster, built, inventory, plan, shown};
use cases::render;
use kit::Service;

fn of(hosts: &[&str], more: &str) -> Box<dyn Service> {
    crate::tests::service_with_warnings(&inventory(hosts, &format!("{AUTH}{more}")))
}

const FOUR: [&str; 4] = ["db1", "db2", "db3", "db4"];
const FIVE: [&str; 5] = ["db1", "db2", "db3", "db4", "db5"];

/// What a roll over a set says of writes.
fn rolled(hosts: &[&str], arbiter: &str) -> String {
    let members = format!("members.{arbiter}.arbiter = true\n");
    let cluster: Cluster = built(&*of(hosts, &members));
    let service = of(
        hosts,
        &format!("{members}config.net.maxIncomingConnections = 500\n"),
    );
    shown(&*service, &cluster)
}

/// As 4.9 counts: `writeMajorityCount` is 3 of the 4 voters in "status with arbiter" of the recorded replies, and a restart
/// of one member with data stopped such writes for 9.6 s.
#[test]
fn a_roll_says_that_majority_writes_wait() {
    let stalls = "while a member restarts, writes with { w: \"majority\" } wait: ";
    let found = rolled(&FOUR, "db4");
    assert!(
        found.contains(&format!(
            "{stalls}3 of 4 voting members must have them, and 3 hold data"
        )),
        "{found}"
    );
    let found = rolled(&["db1", "db2", "db3"], "db3");
    assert!(
        found.contains(&format!(
            "{stalls}2 of 3 voting members must have them, and 2 hold data"
        )),
        "{found}"
    );
    assert!(!rolled(&FIVE, "db5").contains(stalls));
}

/// The server's own default: a majority where it can be had without one of the members with data, else the primary alone.
#[test]
fn the_write_concern_before_an_arbiter_is_the_servers_own_default() {
    for (before, after, w, is_stalled) in [
        (&FOUR[..2], &FOUR[..3], "1", true),
        (&FOUR[..3], &FOUR[..], "1", true),
        (&FIVE[..4], &FIVE[..], "\"majority\"", false),
    ] {
        let mut cluster = built(&*of(before, ""));
        for node in &mut cluster.nodes[before.len()..] {
            node.disk.data.databases.clear();
        }
        let arbiter = after[after.len() - 1];
        let joins = plan(
            &*of(after, &format!("members.{arbiter}.arbiter = true\n")),
            &cluster,
        );
        let found = render(&joins);
        assert!(
            found.contains(&format!("defaultWriteConcern: {{ w: {w} }}")),
            "{found}"
        );
        assert_eq!(
            found.contains("with the arbiter, writes with { w: \"majority\" } wait"),
            is_stalled,
            "{found}"
        );
    }
}
