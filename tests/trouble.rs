//! What goes wrong with hosts, keys, names and input: a clear error with the way out, and the healthy hosts done.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Bed, DB, Suite};

const RABBITMQ: &str = r#"
[services.rabbitmq]
hosts = ["db1", "db2", "db3"]
cookie = { file = "secrets/rabbitmq.cookie" }
"#;

/// Generic steps on all database hosts: quick, and enough to see who is done and who is not.
const MARK: &str = r#"
title = "a mark on each host"
hosts = ["db1", "db2", "db3"]

[[steps]]
uses = "file"
with = { path = "/etc/mark-{{ host }}", content = "{{ address }}\n", mode = "0644", owner = "root", group = "root" }
"#;

fn bed(suite: Suite) -> Bed {
    let bed = Bed::of(suite, &DB, RABBITMQ);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    bed.write("mark.toml", MARK);
    bed
}

#[test]
fn hosts_that_cannot_be_reached_keep_no_other_from_being_done() {
    let bed = bed(Suite::default());

    // db1 has another key than the one that is recorded, db3 is down.
    let known = std::fs::read_to_string(bed.lab.dir().join("known_hosts")).unwrap();
    let other = known.lines().find(|line| line.starts_with("db2,")).unwrap();
    let key = other.split_once(' ').unwrap().1;
    let address = bed.lab.address("db1").unwrap();
    let forged: Vec<String> = known
        .lines()
        .map(|line| {
            if line.starts_with("db1,") {
                format!("db1,{address} {key}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    bed.write("known_hosts", &(forged.join("\n") + "\n"));
    bed.write("overlay.toml", "[ssh]\nknown_hosts = \"known_hosts\"\n");
    bed.lab.stop("db3").unwrap();

    let words = ["--playbook", "mark.toml", "--overlay", "overlay.toml", "--yes"];
    let ran = bed.clusterctl("apply", &words).expect(3);
    ran.says(&["the host key of", "has CHANGED", "db3 cannot be reached"]);
    assert_eq!(
        bed.on("db2", "cat /etc/mark-db2").trim(),
        bed.lab.address("db2").unwrap().to_string()
    );
    bed.lab.start("db3").unwrap();
    assert_eq!(
        bed.on("db1", "ls /etc/mark-db1 2>&1 || true").trim(),
        "ls: cannot access '/etc/mark-db1': No such file or directory"
    );
    let _ = bed
        .clusterctl("apply", &["--playbook", "mark.toml", "--yes"])
        .expect(0);
    let _ = bed
        .clusterctl("plan", &["--playbook", "mark.toml", "--detailed-exitcode"])
        .expect(0);
}

#[test]
fn an_unknown_key_is_shown_and_recorded_only_when_asked() {
    Suite::ALL.into_iter().for_each(an_unknown_key);
}

fn an_unknown_key(suite: Suite) {
    let bed = bed(suite);
    bed.write("empty", "");
    bed.write("overlay.toml", "[ssh]\nknown_hosts = \"empty\"\n");
    let words = ["--playbook", "mark.toml", "--overlay", "overlay.toml"];
    bed.clusterctl("plan", &words)
        .expect(1)
        .says(&["SHA256:", "--accept-new-host-keys"]);
    let accepting = [&words[..], &["--accept-new-host-keys"]].concat();
    let _ = bed.clusterctl("plan", &accepting).expect(0);
    let _ = bed.clusterctl("plan", &words).expect(0);
}

#[test]
fn a_user_without_sudo_is_told_what_is_missing() {
    Suite::ALL.into_iter().for_each(a_user_without_sudo);
}

fn a_user_without_sudo(suite: Suite) {
    let bed = bed(suite);
    bed.on(
        "db1",
        "useradd -m -s /bin/bash plain && install -d -m 700 -o plain -g plain /home/plain/.ssh \
         && install -m 600 -o plain -g plain /home/deploy/.ssh/authorized_keys /home/plain/.ssh/authorized_keys",
    );
    bed.write(
        "overlay.toml",
        "[hosts.db1.ssh]\nuser = \"plain\"\n[hosts.db1]\naddress = \"ADDRESS\"\n",
    );
    let address = bed.lab.address("db1").unwrap();
    bed.write(
        "overlay.toml",
        &format!("[hosts.db1]\naddress = \"{address}\"\nssh = {{ user = \"plain\" }}\n"),
    );
    let words = ["--playbook", "mark.toml", "--overlay", "overlay.toml"];
    bed.clusterctl("plan", &words)
        .expect(1)
        .says(&["db1 cannot be reached", "sudo"]);
}

#[test]
fn a_name_that_does_not_resolve_is_refused_with_the_way_out() {
    let bed = bed(Suite::default());
    bed.on("db2", "sed -i '/db3/d' /etc/hosts");
    let ran = bed.clusterctl("plan", &[]).expect(1);
    ran.says(&["db3", "manage_hosts_file = true"]);
    // What does not depend on it is planned all the same.
    ran.says(&["change /var/lib/rabbitmq/.erlang.cookie"]);
    bed.write("overlay.toml", "manage_hosts_file = true\n");
    let words = ["--overlay", "overlay.toml"];
    bed.clusterctl("plan", &[&words[..], &["--detailed-exitcode"]].concat())
        .expect(2)
        .says(&["/etc/hosts"]);
}

#[test]
fn mistakes_in_the_inventory_are_told_at_their_place_before_any_host_is_asked() {
    let bed = Bed::new(
        &[],
        "[services.rabbitmq]\nhosts = [\"db1\"]\ncokie = { file = \"secrets/c\" }\n",
    );
    bed.clusterctl("plan", &[]).expect(1).says(&[
        "unknown key \"cokie\"",
        "did you mean \"cookie\"?",
        "inventory.toml:",
    ]);
    let bed = {
        drop(bed);
        Bed::new(&[], RABBITMQ)
    };
    bed.write("secrets/rabbitmq.cookie", "short\n");
    bed.run(&["secrets", "init", "inventory.toml"])
        .expect(0)
        .says(&["all secret files of the inventory exist"]);
    let chmod = std::process::Command::new("chmod")
        .args(["-R", "go=", "secrets"])
        .current_dir(bed.folder())
        .status();
    assert!(chmod.unwrap().success());
    bed.clusterctl("plan", &[])
        .expect(1)
        .says(&["it has 5 characters, and needs 32"]);
}

#[test]
fn a_node_that_holds_a_queue_is_not_reset_to_join() {
    let bed = bed(Suite::default());
    let cookie = bed.secret("rabbitmq.cookie");
    for host in DB {
        bed.on(
            host,
            &format!(
                "install -o rabbitmq -g rabbitmq -m 0600 /dev/null /var/lib/rabbitmq/.erlang.cookie
                 printf '%s' {cookie} > /var/lib/rabbitmq/.erlang.cookie
                 chmod 400 /var/lib/rabbitmq/.erlang.cookie
                 systemctl enable -q --now rabbitmq-server && rabbitmqctl -q await_startup"
            ),
        );
    }
    bed.on(
        "db2",
        r#"rabbitmqctl -q eval 'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"orders">>), true, false, [], none, <<"test">>).'"#,
    );
    let ran = bed.clusterctl("apply", &["--yes"]).expect(3);
    ran.says(&["it holds the queue \"orders\"", "--allow rabbitmq.reset=db2"]);
    // db3, which holds nothing, has joined; db2 still has its queue.
    let members = bed.on(
        "db1",
        "rabbitmqctl -q eval 'lists:sort(rabbit_mnesia:cluster_nodes(running)).'",
    );
    assert_eq!(members.trim(), "[rabbit@db1,rabbit@db3]");
    assert!(
        bed.on("db2", "rabbitmqctl -q list_queues name")
            .contains("orders")
    );
    // With consent it joins, and the loss is what was consented to.
    let _ = bed
        .clusterctl("apply", &["--yes", "--allow", "rabbitmq.reset=db2"])
        .expect(0);
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
}
