//! Mistakes in the inventory are told at their place.

use insta::assert_snapshot;

use super::{AUTH, THREE, inventory};
use crate::tests::errors;

fn wrong(more: &str) -> String {
    errors(&inventory(&THREE, more)).join("\n")
}

#[test]
fn contradictions() {
    let all = [
        "keyfile = { file = \"key\" }\n",
        "admin = { password = { file = \"admin\" } }\n",
        "users.altcraft = { password = { file = \"x\" } }\n",
        "admin = { user = \"root\" }\nsecurity = \"kept\"\n",
        "security = \"kept\"\nkeyfile = { file = \"key\" }\nadmin = { password = { file = \"admin\" } }\n",
        "config.storage.journal.enabled = true\n",
        "config.net.port = 1\nconfig.\"security.keyFile\" = \"x\"\n",
        "config.net.compression = [1]\n",
        "config.security.javascriptEnabled = \"yes\"\n",
        "members.db9.priority = 1\n",
        "members.db1 = { hidden = true, priority = 1 }\nmembers.db2 = { arbiter = true, votes = 0 }\nmembers.db3.priority = 2000\n",
        "members.db1.votes = 0\nmembers.db2.hidden = true\nmembers.db3.arbiter = true\n",
        "keyfile = { file = \"key\" }\nadmin = { password = { file = \"admin\" } }\nbind = [\"host\"]\n",
        "replicaset = \"rs1\"\n",
        "config.net.ipv6 = true\nabsent = [\"net.ipv6\", \"net\", \"security.keyFile\", \"a = b\", \"storage.journal.enabled\"]\n",
        "absent = [\"storage.dbPath\", \"storage\", \"processManagement.fork\"]\n",
        "config.net.ipv6 = true\nconfig.setParameter.a = 1\nabsent = [\"setParameter\", \"net.ipv6.x\"]\n",
    ];
    let all = all.map(|more| format!("{}\n{}", more.trim_end(), wrong(more)));
    assert_snapshot!(all.join("\n\n"));
}

#[test]
fn two_members_are_a_warning_and_eight_voters_an_error() {
    let two = errors(&inventory(&["db1", "db2"], AUTH)).join("\n");
    assert!(two.contains("mongodb has 2 voting members"), "{two}");
    assert_eq!(wrong(AUTH), "");
}

#[test]
fn a_set_serves_on_ipv6_alone_where_mongod_is_told_to() {
    assert!(super::service("").lacks_ipv6().is_some());
    assert_eq!(super::service("config.net.ipv6 = true\n").lacks_ipv6(), None);
}
