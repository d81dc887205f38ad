//! From bare hosts to a running, verified cluster; and then nothing, because there is nothing to do.

use e2e::{Bed, DB, Ran, Snapshot};

/// The root's inventory as it stands, on the lab.
const SITE: [&str; 2] = ["--overlay", "lab.toml"];

fn on_site(bed: &Bed, verb: &str, words: &[&str]) -> Ran {
    bed.clusterctl(verb, &[&SITE, words].concat())
}

fn snapshots(bed: &Bed) -> Vec<Snapshot> {
    DB.iter()
        .chain(&["app1", "app2"])
        .map(|host| Snapshot::of(bed, host))
        .collect()
}

/// The address of the master that a host's sentinel names.
fn master(bed: &Bed, host: &str) -> String {
    let script = "redis-cli -p 26379 sentinel get-master-addr-by-name altcraft | head -1";
    bed.on(host, script).trim().to_owned()
}

#[test]
fn bare_hosts_become_a_cluster_that_a_second_apply_leaves_alone() {
    let bed = Bed::site();
    let _ = bed
        .run(&["secrets", "init", "inventory.toml", "--overlay", "lab.toml"])
        .expect(0);
    let first = on_site(&bed, "apply", &["--yes"]).expect(0);
    first.says(&["Verified: no changes remain."]);

    // The services themselves say that they are what was asked for.
    for host in DB {
        let members = bed.on(
            host,
            "rabbitmqctl -q eval 'lists:sort(rabbit_mnesia:cluster_nodes(running)).'",
        );
        assert_eq!(members.trim(), "[rabbit@db1,rabbit@db2,rabbit@db3]");
        let policies = bed.on(host, "rabbitmqctl -q list_policies");
        assert!(policies.contains("ha-all"), "{policies}");
        let quorum = bed.on(host, "redis-cli -p 26379 sentinel ckquorum altcraft");
        assert!(quorum.starts_with("OK 3 usable Sentinels"), "{quorum}");
    }
    let password = bed.secret("duplicates.password");
    let replication = bed.on(
        "db1",
        &format!("REDISCLI_AUTH={password} redis-cli -p 6666 info replication"),
    );
    assert!(
        replication.contains("role:master") && replication.contains("connected_slaves:2"),
        "{replication}"
    );

    // No value of a secret is in anything that was said or kept.
    let journal = std::fs::read(bed.folder().join("state/journal.db")).unwrap();
    for file in std::fs::read_dir(bed.folder().join("secrets")).unwrap() {
        let secret = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let secret = secret.trim();
        assert!(!first.stdout.contains(secret) && !first.stderr.contains(secret));
        assert!(
            !journal
                .windows(secret.len())
                .any(|part| part == secret.as_bytes())
        );
    }

    let before = snapshots(&bed);
    let second = on_site(&bed, "apply", &["--yes"]).expect(0);
    second.says(&["No changes."]);
    let _ = on_site(&bed, "plan", &["--detailed-exitcode"]).expect(0);
    assert_eq!(snapshots(&bed), before);

    on_site(&bed, "status", &[])
        .expect(0)
        .says(&["7 of 7 services healthy."]);
    bed.run(&["history"]).expect(0).says(&["steps done"]);

    after_a_failover_the_new_master_stays(&bed);
    a_later_virtual_host_gets_the_policy(&bed);
    bed.leave_standing();
}

fn after_a_failover_the_new_master_stays(bed: &Bed) {
    let old = master(bed, "db1");
    bed.on("db1", "redis-cli -p 26379 sentinel failover altcraft");
    // Sentinel is done when all three name another master and its replicas follow it.
    let password = bed.secret("duplicates.password");
    bed.on(
        "db1",
        &format!(
            "export REDISCLI_AUTH={password}
             for i in $(seq 300); do
                 new=$(redis-cli --no-auth-warning -p 26379 sentinel get-master-addr-by-name altcraft 2>/dev/null | head -1)
                 [ \"$new\" != {old} ] && redis-cli -h $new -p 6666 info replication | grep -q connected_slaves:2 && exit 0
                 sleep 0.2
             done; exit 1"
        ),
    );
    let new = master(bed, "db2");
    assert_ne!(new, old);
    let _ = on_site(bed, "plan", &["--detailed-exitcode"]).expect(0);
    on_site(bed, "apply", &["--yes"]).expect(0).says(&["No changes."]);
    assert_eq!(master(bed, "db3"), new);
}

fn a_later_virtual_host_gets_the_policy(bed: &Bed) {
    bed.on("db2", "rabbitmqctl -q add_vhost orders");
    on_site(bed, "plan", &["--detailed-exitcode"])
        .expect(2)
        .says(&["set the policy ha-all in the virtual host orders"]);
    let _ = on_site(bed, "apply", &["--yes", "--service", "rabbitmq"]).expect(0);
    let policies = bed.on("db3", "rabbitmqctl -q list_policies -p orders");
    assert!(policies.contains("ha-all"), "{policies}");
}
