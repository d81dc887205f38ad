//! What the inventory may say, and what it is told where it is wrong.

use insta::assert_snapshot;

use super::*;
use crate::tests::errors;

#[test]
fn all_errors_are_reported_at_once() {
    let found = errors(&inventory(
        &DB,
        "cluster = \"a b\"\nlisten = [\"db1\"]\ncoordination = \"zookeper\"\ncoordination_hosts = [\"db9\"]\npasword = 1\n",
    ));
    assert_snapshot!(found.join("\n"));
    let found = errors(&inventory(
        &DB,
        "coordination = \"zookeeper\"\nserver_ids = { db1 = 1, db2 = 1, db4 = 2, db3 = 300 }\n\
         zookeeper = { heap = \"lots\", options = { clientPort = 1, \"a b\" = 2 } }\n",
    ));
    assert_snapshot!(found.join("\n"));
}

#[test]
fn an_even_quorum_is_warned_of() {
    let found = errors(&inventory(&DB, "coordination_hosts = [\"db1\", \"db2\"]\n"));
    assert_snapshot!(found.join("\n"));
}

#[test]
fn an_external_quorum_is_observed_and_not_changed() {
    let service = zookeeper("zookeeper = { nodes = [\"zk1\", \"zk2:2182\"] }");
    let queries = service.queries(&cases::host("db1"));
    let asked: Vec<String> = queries
        .iter()
        .filter_map(|query| match query {
            protocol::FactQuery::Words(query) => Some(format!("{}:{}", query.address, query.port)),
            _ => None,
        })
        .collect();
    assert_eq!(asked, ["zk1:2181", "zk2:2182"]);
    assert_eq!(service.vars()["zookeeper_package"], "");
}

#[test]
fn servers_serve_on_ipv6_alone_where_they_listen_there() {
    assert!(zookeeper("").lacks_ipv6().is_some());
    for listen in ["\"::\"", "\"127.0.0.1\", \"address\""] {
        assert_eq!(
            zookeeper(&format!("listen = [{listen}]")).lacks_ipv6(),
            None,
            "{listen}"
        );
    }
}
