//! Clusters that were made by hand, from the runbook's commands: adopted without a change that is not due.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Bed, DB, Suite};

const RABBITMQ: &str = r#"
[services.rabbitmq]
hosts = ["db1", "db2", "db3"]
cookie = { file = "secrets/rabbitmq.cookie" }
"#;

/// Each release's engines.
const STORES: [(Suite, &str); 3] = [
    (Suite::Bookworm, "redis"),
    (Suite::Trixie, "redis"),
    (Suite::Trixie, "valkey"),
];

#[test]
fn a_rabbitmq_cluster_made_by_hand_is_adopted() {
    let bed = Bed::new(&DB, RABBITMQ);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    let cookie = bed.secret("rabbitmq.cookie");
    for host in DB {
        bed.on(
            host,
            &format!(
                "systemctl stop rabbitmq-server
                 install -o rabbitmq -g rabbitmq -m 0600 /dev/null /var/lib/rabbitmq/.erlang.cookie
                 printf '%s' {cookie} > /var/lib/rabbitmq/.erlang.cookie
                 chmod 400 /var/lib/rabbitmq/.erlang.cookie
                 systemctl enable -q --now rabbitmq-server"
            ),
        );
    }
    for host in ["db2", "db3"] {
        bed.on(
            host,
            "rabbitmqctl -q stop_app && rabbitmqctl -q reset && rabbitmqctl -q join_cluster rabbit@db1 \
             && rabbitmqctl -q start_app",
        );
    }
    // The runbook's script, word for word.
    bed.on(
        "db1",
        r#"vhosts=($(rabbitmqctl list_vhosts -q)); for item in "${vhosts[@]}"; do rabbitmqctl set_policy -p "$item" ha-all ".*" '{"ha-mode":"all","ha-sync-mode":"automatic"}'; done"#,
    );
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
}

/// A store behind sentinels as the runbook makes it, or one whose engines and sentinels listen at the host's own address alone.
fn store_made_by_hand(suite: Suite, engine: &str, is_private: bool) -> Bed {
    let services = format!(
        "[services.duplicates]\nkind = \"kvrocks\"\nengine = {engine:?}\nhosts = {DB:?}\n\
         password = {{ file = \"secrets/duplicates.password\" }}\n"
    );
    let bed = Bed::of(suite, &DB, &services);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    let password = bed.secret("duplicates.password");
    let first = bed.lab.address("db1").unwrap();
    for host in DB {
        let address = bed.lab.address(host).unwrap();
        let (bind, sentinel) = if is_private {
            (address.to_string(), address.to_string())
        } else {
            (format!("127.0.0.1 {address}"), "0.0.0.0".to_owned())
        };
        let role = if host == "db1" {
            String::new()
        } else {
            format!("replicaof {first} 6666")
        };
        bed.on(
            host,
            &format!(
                "sed -i -E 's/^port .*/port 6666/; s/^bind .*/bind {bind}/' /etc/{engine}/{engine}.conf
                 cat >> /etc/{engine}/{engine}.conf <<'END'
requirepass {password}
masterauth {password}
{role}
END
                 cat > /etc/{engine}/sentinel.conf <<'END'
bind {sentinel}
port 26379

daemonize yes
pidfile \"/var/run/sentinel/{engine}-sentinel.pid\"
logfile \"/var/log/{engine}/{engine}-sentinel.log\"

sentinel deny-scripts-reconfig yes
sentinel resolve-hostnames yes

dir \"/var/lib/{engine}\"

sentinel monitor altcraft db1 6666 2
sentinel auth-pass altcraft {password}
END
                 systemctl enable -q --now {engine}-server {engine}-sentinel"
            ),
        );
    }
    let address = bed.lab.address("db3").unwrap();
    bed.on(
        "db3",
        &format!("for i in $(seq 600); do
             redis-cli -h {address} -p 26379 sentinel ckquorum altcraft | grep -q 'OK 3 usable' \\
             && redis-cli -h {address} -p 26379 sentinel master altcraft | grep -A1 '^num-slaves$' | grep -q '^2$' && exit 0
             sleep 0.1
         done; exit 1"),
    );
    bed
}

#[test]
fn a_store_behind_sentinel_made_by_hand_is_adopted() {
    for (suite, engine) in STORES {
        let bed = store_made_by_hand(suite, engine, false);
        let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    }
}

#[test]
fn a_store_on_private_addresses_only_is_adopted_without_a_restart() {
    for (suite, engine) in STORES {
        let bed = store_made_by_hand(suite, engine, true);
        let ask = format!("systemctl show -p InvocationID --value {engine}-server {engine}-sentinel");
        let ran = || DB.map(|host| bed.on(host, &ask));
        let before = ran();
        let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
        let _ = bed.clusterctl("apply", &["--yes"]).expect(0);
        assert_eq!(ran(), before);
    }
}
