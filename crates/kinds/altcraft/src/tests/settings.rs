//! What is wrong with an inventory, at its line, before anything is touched.

use insta::assert_snapshot;

use super::INVENTORY;
use crate::tests::{errors, service};

fn errors_with(lines: &str) -> String {
    let text = INVENTORY.replace(
        "[services.altcraft]\n",
        &format!("[services.altcraft]\n{lines}\n"),
    );
    errors(&text).join("\n")
}

#[test]
fn the_runbooks_groups_are_accepted() {
    let groups = "reader_groups = { acc2 = { include = \"2\", exclude = \"\" }, acc1-5 = { include = \"1-5\", exclude = \"2\" } }\n\
                  readers = { app2 = \"acc2\" }";
    assert_eq!(errors_with(groups), "");
}

#[test]
fn the_runbooks_groups_without_the_exclusion_are_an_error() {
    let groups = "reader_groups = { acc2 = { include = \"2\" }, acc1-5 = { include = \"1-5\" } }";
    assert_snapshot!(errors_with(groups));
}

#[test]
fn groups_that_say_nothing_sensible_are_errors() {
    assert_snapshot!(errors_with(
        "reader_groups = { a = { include = \"5-1\" }, b = { include = \"3\", exclude = \"1-4\" }, default = { include = \"9\" }, \
         c = { includes = \"1\" }, d = \"1\", e = { include = \"x\" } }\n\
         readers = { app2 = \"f\", app9 = \"a\", app1 = 1 }"
    ));
}

#[test]
fn a_master_or_a_port_that_cannot_be_is_an_error() {
    assert_snapshot!(errors_with(
        "master = \"app3\"\nproctask = { port = 7962 }\nconfig = \"main.json\"\nmain = { SMTP_PASS = \"x\" }\nreaders = {}"
    ));
}

#[test]
fn services_that_are_not_what_they_should_be_are_errors() {
    assert_snapshot!(errors_with(
        "ssdb_notify = \"duplicates\"\nclickhouse = \"clickhose\"\nrabbitmq = \"none\""
    ));
    let ambiguous = INVENTORY.replace("[services.ssdb-notify]", "[services.queue]");
    assert_snapshot!(errors(&ambiguous).join("\n"));
}

#[test]
fn a_service_that_does_not_know_the_user_is_an_error() {
    assert_snapshot!(errors_with("user = \"platform\""));
}

#[test]
fn it_uses_what_the_inventory_has() {
    let names: Vec<String> = service(INVENTORY)
        .uses()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        names,
        [
            "clickhouse",
            "ssdb-hbsupp",
            "ssdb-notify",
            "rabbitmq",
            "duplicates"
        ]
    );
}
