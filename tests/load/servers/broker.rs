//! A RabbitMQ cluster.

use std::sync::Arc;

use e2e::Suite;

use super::{ALL, FIRST, Story, THEN};
use crate::rabbitmq;

/// Of these hosts, with more settings. What a queue's copies are depends on the version: mirrors, or members of quorum queues.
fn services(suite: Suite, hosts: &[&str], heartbeat: u32, more: &str) -> String {
    let copies = match suite {
        Suite::Bookworm => "",
        Suite::Trixie => "policies = {}\nconfig.default_queue_type = \"quorum\"\ngrow_quorum_queues = true\n",
    };
    format!(
        "[services.rabbitmq]\nhosts = {hosts:?}\ncookie = {{ file = \"secrets/rabbitmq.cookie\" }}\n\
         config.heartbeat = {heartbeat}\n{copies}\
         users.altcraft = {{ password = {{ file = \"secrets/rabbitmq.altcraft\" }}, permissions = {{ altcraft = \".*\" }} }}\n{more}"
    )
}

const READER: &str = "users.reader = { password = { file = \"secrets/rabbitmq.reader\" }, \
                      permissions = { altcraft = { read = \".*\" } }, tags = [\"monitoring\"] }\n";

pub(super) fn lives_through_every_change(suite: Suite) {
    let with = |hosts: &[&str], heartbeat, more: &str| services(suite, hosts, heartbeat, more);
    let mut story = Story::begin(suite, &with(&FIRST, 30, ""));
    story.killed("bare hosts", 40);
    logs_in(&story, "db3", "altcraft");

    story.describe(&with(&FIRST, 31, ""));
    story.under_load("rabbitmq: a key of rabbitmq.conf", &load(&story));
    the_queue_has_copies(&story, suite);
    story.describe(&with(&FIRST, 33, ""));
    story.killed("a key of rabbitmq.conf", 70);
    users_and_passwords_change(&mut story, &with(&FIRST, 33, READER));
    let mut more = String::new();
    for vhosts in [&["reports"][..], &["reports", "letters"]] {
        more = format!("{READER}vhosts = {vhosts:?}\n");
        story.describe(&with(&FIRST, 33, &more));
        story.killed("a virtual host", 50);
    }
    for (what, hosts, percent) in [("a host joins", &ALL[..], 60), ("a host leaves", &THEN, 60)] {
        story.describe(&with(hosts, 33, &more));
        story.killed(what, percent);
    }
    a_rebuilt_host_joins_again(&mut story);
    assert_eq!(story.kills, 10);
}

/// What the clients declared has a copy on every member.
fn the_queue_has_copies(story: &Story, suite: Suite) {
    let ask = match suite {
        Suite::Bookworm => {
            "rabbitmqctl -q list_queues -p altcraft slave_pids | tail -1 | grep -o '<' | wc -l"
        }
        Suite::Trixie => "rabbitmqctl -q list_queues -p altcraft members | tail -1 | grep -o rabbit@ | wc -l",
    };
    let wanted = match suite {
        Suite::Bookworm => "2",
        Suite::Trixie => "3",
    };
    assert_eq!(story.bed.on("db1", ask).trim(), wanted);
}

fn load(story: &Story) -> rabbitmq::Rabbit {
    rabbitmq::Rabbit {
        members: story.addresses(&FIRST),
        password: story.bed.secret("rabbitmq.altcraft"),
        consumed: Arc::default(),
    }
}

fn logs_in(story: &Story, host: &str, user: &str) {
    let password = story.bed.secret(&format!("rabbitmq.{user}"));
    story
        .bed
        .on(host, &format!("rabbitmqctl authenticate_user {user} {password}"));
}

fn users_and_passwords_change(story: &mut Story, services: &str) {
    story.describe(services);
    let _ = story.bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    story.killed("a user more", 30);
    logs_in(story, "db1", "reader");
    let tags = story.bed.on("db2", "rabbitmqctl list_users");
    assert!(tags.contains("[monitoring]"), "{tags}");

    story
        .bed
        .write_secret("rabbitmq.altcraft", "another-password-of-32-characters-0123");
    story.killed("a password", 50);
    logs_in(story, "db2", "altcraft");
    // What somebody else did to it is put right.
    story.bed.on(
        "db3",
        "rabbitmqctl set_permissions -p altcraft reader '.*' '.*' '.*' && rabbitmqctl set_user_tags reader administrator",
    );
    story.killed("permissions and tags", 50);
    let permissions = story.bed.on("db1", "rabbitmqctl -q list_user_permissions reader");
    assert!(
        !permissions.lines().any(|line| line.matches(".*").count() > 1),
        "{permissions}"
    );
}

/// It comes back without anything, under the name that the others count.
fn a_rebuilt_host_joins_again(story: &mut Story) {
    story.bed.lab.reset("db3").unwrap();
    story.killed("a host is rebuilt", 50);
    let members = "rabbitmqctl -q eval 'lists:sort(rabbit_mnesia:cluster_nodes(running)).'";
    for host in THEN {
        assert_eq!(
            story.bed.on(host, members).trim(),
            "[rabbit@db2,rabbit@db3,rabbit@db4]"
        );
    }
}
