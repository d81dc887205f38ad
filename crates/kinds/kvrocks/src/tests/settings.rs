//! What the inventory may say.

use insta::assert_snapshot;

use super::inventory;
use crate::tests::errors;

fn wrong(more: &str) -> String {
    errors(&inventory("redis", 3, more)).join("\n")
}

#[test]
fn what_is_managed_is_no_directive() {
    let found = wrong(
        "directives = { port = 1, requirepass = \"x\", bind = \"*\", replicaof = \"a 1\", include = \"/x\", dir = {} }\n",
    );
    assert_snapshot!(found);
}

#[test]
fn a_quorum_of_more_than_all() {
    assert_snapshot!(wrong("[services.cache.sentinel]\nquorum = 4\n"), @"quorum is 4, and there are 3 sentinels: never reached; a majority is 2");
}

#[test]
fn two_hosts_are_few() {
    assert_snapshot!(
        errors(&inventory("redis", 2, "")).join("\n"),
        @"cache has 2 hosts: fewer than three sentinels cannot outvote a lost one; three hosts survive the loss of one"
    );
}

#[test]
fn a_name_that_sentinel_does_not_take() {
    assert_snapshot!(
        wrong("[services.cache.sentinel]\nmaster_name = \"a b\"\n"),
        @r#""a b" is not a name of a master: letters, digits, dots, hyphens and underscores"#
    );
}

#[test]
fn unknown_keys() {
    assert_snapshot!(wrong("prot = 6666\n[services.cache.sentinel]\nquorom = 2\n"), @r#"
    unknown key "quorom": not a setting of sentinel; did you mean "quorum"?
    unknown key "prot": not a setting of kvrocks; did you mean "port"?
    "#);
}

#[test]
fn the_password_is_required() {
    let text = inventory("redis", 3, "").replace("password = { file = \"pw\" }\n", "");
    assert_snapshot!(
        errors(&text).join("\n"),
        @r#"password is missing: needs password; password = { file = "secrets/kvrocks.password" }"#
    );
}

#[test]
fn an_ipv6_address_is_refused() {
    let inventory = inventory("redis", 3, "").replacen("10.0.0.2", "fd00::2", 1);
    assert_snapshot!(
        errors(&inventory).join("\n"),
        @"db2 of cache has an IPv6 address, and its processes are set up for IPv4: its members are named by addresses; give the host an IPv4 address under [hosts]"
    );
}
