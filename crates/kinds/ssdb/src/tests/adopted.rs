//! Mirrors that an operator made by hand: by address, with ids of their own, on private addresses only.

use super::{built, plan, service};
use crate::tests::hosts::Rig as _;
use cases::render;
use fakes::ssdb::Cluster;

const MEMBERS: [&str; 3] = ["db1", "db2", "db3"];

/// Mirrors with other words in their files.
fn with(change: impl Fn(&str) -> String) -> Cluster {
    let mut cluster = built(&*service(3, ""));
    cluster.set("db1", "user", Some("data"));
    for name in MEMBERS {
        let text = change(&cluster.text(name));
        cluster.put_file(name, &text);
        cluster.stop(name);
    }
    for name in MEMBERS {
        cluster.start(name);
    }
    fakes::FakeCluster::advance(&mut cluster, 100_000_000);
    cluster
}

#[test]
fn mirrors_that_are_named_by_address_are_left_alone() {
    let cluster = with(|text| {
        (1..=3).fold(text.to_owned(), |text, at| {
            text.replace(&format!("host: db{at}\n"), &format!("host: 10.0.0.{at}\n"))
        })
    });
    let plan = plan(&*service(3, ""), &cluster, &[]);
    assert_eq!(render(&plan), "");
}

/// An id keys the position of a link: another one is a copy of everything.
#[test]
fn ids_of_an_operators_own_stay() {
    let cluster = with(|text| {
        (1..=3).fold(text.to_owned(), |text, at| {
            text.replace(&format!("host: db{at}\n"), &format!("host: 10.0.0.{at}\n"))
                .replace(&format!("id: db{at}\n"), &format!("id: svc_{at}\n"))
        })
    });
    let plan = plan(&*service(3, ""), &cluster, &[]);
    assert_eq!(render(&plan), "");
}
