//! The block in /etc/hosts.

use insta::assert_snapshot;

use super::*;

const MANAGED: &str = "
    manage_hosts_file = true
    [hosts]
    \"a.example.com\" = \"10.0.0.3\"
    db1 = \"10.0.0.1\"
    db2 = \"10.0.0.2\"
    db3 = \"elsewhere.example.com\"
    \"10.0.0.9\" = \"10.0.0.9\"
";

fn hosts_file(inventory: &str) -> Vec<Box<dyn Step>> {
    let read = read(inventory, super::super::HOSTS_PLAYBOOK, &[], None);
    assert_eq!(read.errors, "");
    read.steps
}

fn comes_to(text: &str) -> String {
    render(
        &World::default()
            .file("/etc/hosts", text)
            .plan(&hosts_file(MANAGED)),
    )
}

/// The file after a run, which leaves nothing to do.
fn edited(text: &str) -> String {
    let steps = hosts_file(MANAGED);
    let mut world = World::default().file("/etc/hosts", text);
    let plan = world.plan(&steps);
    world.apply(&plan);
    assert_eq!(world.plan(&steps), StepPlan::nothing());
    world.files["/etc/hosts"].text.as_ref().unwrap().to_string()
}

const BLOCK: &str =
    "# BEGIN clusterctl\n10.0.0.3 a.example.com a\n10.0.0.1 db1\n10.0.0.2 db2\n# END clusterctl\n";

#[test]
fn all_hosts_are_named_in_a_block_of_our_own() {
    assert_eq!(
        edited("127.0.0.1 localhost"),
        format!("127.0.0.1 localhost\n{BLOCK}")
    );
    assert_eq!(comes_to(BLOCK), "");
    let old = BLOCK
        .replace("10.0.0.2 db2", "10.0.0.7 db2")
        .replace("10.0.0.1 db1\n", "");
    assert_eq!(edited(&format!("a\n{old}b\n")), format!("a\n{BLOCK}b\n"));
    assert_snapshot!(comes_to(&old));
}

#[test]
fn names_that_the_operator_gives_rightly_are_left_to_them() {
    let by_hand = "10.0.0.3 a.example.com\ta # x\n10.0.0.1 db1\n10.0.0.2 other db2\n";
    assert_eq!(comes_to(by_hand), "");
    assert_eq!(edited(&format!("{by_hand}{BLOCK}")), by_hand);
}

#[test]
fn what_would_win_over_the_block_is_refused() {
    let wrong = comes_to("10.0.0.7 db2\n");
    let misled = comes_to("127.0.1.1 db2\n");
    let broken = comes_to("# BEGIN clusterctl\n");
    let twice = comes_to(&format!("{BLOCK}{BLOCK}"));
    assert_snapshot!([wrong, misled, broken, twice].join("\n"));
    // Debian's own line, and another family of addresses: the check of names tells what follows from them.
    assert_eq!(
        edited("127.0.1.1 db1\n::2 db2\n"),
        format!("127.0.1.1 db1\n::2 db2\n{BLOCK}")
    );
}

#[test]
fn the_file_is_the_operators_unless_the_inventory_says_otherwise() {
    assert!(hosts_file(INVENTORY)[0].queries(&host("db1")).is_empty());
    assert_eq!(render(&World::default().plan(&hosts_file(INVENTORY))), "");
}
