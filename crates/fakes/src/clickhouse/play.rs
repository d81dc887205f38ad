//! The clusters that the simulation plays.

use std::fmt::Write as _;

use super::cluster::Cluster;
use crate::Play;

/// A new server, with Keeper in it.
pub const KEEPER: Play = Play {
    kind: "clickhouse",
    inventory: |hosts, turn| inventory(hosts, turn, "keeper"),
    number: None,
    world: |hosts, pace| Box::new(Cluster::with_pace(hosts, MODERN, pace)),
};

/// Debian's server, with `ZooKeeper` beside it.
pub const ZOOKEEPER: Play = Play {
    kind: "clickhouse",
    inventory: |hosts, turn| inventory(hosts, turn, "zookeeper"),
    number: None,
    world: |hosts, pace| Box::new(Cluster::with_pace(hosts, DEBIAN, pace)),
};

/// A version as Debian has it.
pub const DEBIAN: &str = "18.16.1+ds-7.3+b2";
/// One with everything.
pub const MODERN: &str = "24.8.4.13";

/// The queue's path is read at the server's start only; the heap at ZooKeeper's.
fn inventory(hosts: &[&str], turn: u32, coordination: &str) -> String {
    let list: Vec<String> = hosts.iter().map(|host| format!("{host:?}")).collect();
    let mut text = format!(
        "[services.clickhouse]\nkind = \"clickhouse\"\nhosts = [{}]\ncoordination = {coordination:?}\n\
         password = {{ file = \"clickhouse.password\" }}\nddl_path = \"/clickhouse/turn-{turn}/ddl\"\n",
        list.join(", ")
    );
    if coordination == "zookeeper" {
        let _ = writeln!(text, "zookeeper = {{ heap = \"{}m\" }}", 512 + turn);
    }
    text
}
