//! ClickHouse with ZooKeeper, for real: from bare hosts to a cluster; a rolling restart under data; and a cluster that was
//! made by hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Bed, DB};
use serde_json::Value;

/// Users as the application needs them, and nobody else from outside.
const CLUSTER: &str = r#"
[services.clickhouse]
hosts = ["db1", "db2", "db3"]
coordination = "zookeeper"
password = { file = "secrets/clickhouse.password" }
restrict_default_user = true
"#;

const BY_HAND: &str = r#"
[services.clickhouse]
hosts = ["db1", "db2", "db3"]
coordination = "zookeeper"
"#;

/// A table on the whole cluster, and rows that are written on one member.
const TABLE: &str = "CREATE TABLE default.events ON CLUSTER altcraft (d Date, id UInt64) \
                     ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/events', '{replica}') \
                     PARTITION BY toYYYYMM(d) ORDER BY id";
const ROWS: &str = "INSERT INTO default.events SELECT today(), number FROM numbers(100000)";

fn sql(bed: &Bed, host: &str, sql: &str) -> String {
    let script = format!("clickhouse-client -m -n <<'END'\n{sql}\nEND");
    bed.on(host, &script).trim().to_owned()
}

/// Waits until every member has all rows.
fn rows_arrive(bed: &Bed) {
    for host in DB {
        bed.on(
            host,
            "for i in $(seq 300); do
                 [ \"$(clickhouse-client -q 'SELECT count() FROM default.events' 2>&1)\" = 100000 ] && exit 0
                 sleep 0.1
             done; exit 1",
        );
    }
}

fn invocations(bed: &Bed, unit: &str) -> Vec<String> {
    let script = format!("systemctl show -p InvocationID --value {unit}");
    DB.iter().map(|host| bed.on(host, &script)).collect()
}

#[test]
fn bare_hosts_become_a_cluster_that_keeps_its_data_through_a_rolling_restart() {
    let bed = Bed::new(&DB, CLUSTER);
    bed.build().says(&["Verified: no changes remain."]);
    bed.clusterctl("apply", &["--yes"])
        .expect(0)
        .says(&["No changes."]);
    bed.clusterctl("status", &[])
        .expect(0)
        .says(&["clickhouse (clickhouse): healthy", "leader", "follower"]);

    sql(&bed, "db1", TABLE);
    sql(&bed, "db1", ROWS);
    rows_arrive(&bed);
    who_may_log_in(&bed);
    what_reloads_does_not_restart(&bed);
    a_change_of_settings_rolls(&bed);
}

/// The application's user, from anywhere; the user without a password, from the cluster's own hosts alone.
fn who_may_log_in(bed: &Bed) {
    let password = bed.secret("clickhouse.password");
    let count = "SELECT count() FROM default.events";
    let ours = format!("clickhouse-client -h db1 -u altcraft --password '{password}' -q '{count}'");
    assert_eq!(bed.on("app1", &ours).trim(), "100000");
    let nobody = format!("! clickhouse-client -h db1 -q '{count}' 2>&1");
    bed.on("app1", &nobody);
    bed.on("db2", &format!("clickhouse-client -h db1 -q '{count}'"));
}

fn what_reloads_does_not_restart(bed: &Bed) {
    let before = invocations(bed, "clickhouse-server");
    bed.on(
        "db2",
        "sed -i 's#<shard>01#<shard>07#' /etc/clickhouse-server/config.d/macros.xml
         clickhouse-client -q 'SYSTEM RELOAD CONFIG'",
    );
    bed.clusterctl("apply", &["--yes"])
        .expect(0)
        .says(&["SYSTEM RELOAD CONFIG", "no changes remain"]);
    let shard = "SELECT substitution FROM system.macros WHERE macro = 'shard'";
    assert_eq!(sql(bed, "db2", shard), "01");
    assert_eq!(invocations(bed, "clickhouse-server"), before);
}

fn a_change_of_settings_rolls(bed: &Bed) {
    let servers = invocations(bed, "clickhouse-server");
    let quorum = invocations(bed, "zookeeper");
    let inventory = format!(
        "{}\n{CLUSTER}\nlisten = [\"127.0.0.1\", \"address\"]\n",
        bed.hosts()
    );
    bed.write("inventory.toml", &inventory);
    let applied = bed.clusterctl("apply", &["--yes", "--json"]).expect(0);
    for (before, after) in servers.iter().zip(invocations(bed, "clickhouse-server")) {
        assert_ne!(*before, after);
    }
    assert_eq!(invocations(bed, "zookeeper"), quorum);
    one_at_a_time(&applied.stdout);
    let password = bed.secret("clickhouse.password");
    for host in DB {
        let listens = bed.on(host, "ss -ltnH 'sport = :9000'");
        assert!(!listens.contains("0.0.0.0:9000"), "{listens}");
        let count = format!(
            "clickhouse-client -h {host} -u altcraft --password '{password}' -q 'SELECT count() FROM default.events'"
        );
        assert_eq!(bed.on("app1", &count).trim(), "100000");
    }
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
}

/// No restart begins before the one before it has passed its gate.
fn one_at_a_time(events: &str) {
    let mut running = 0;
    let mut seen = 0;
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let is_restart = event["node"]
            .as_str()
            .is_some_and(|node| node.contains("/restart@"));
        match event["event"].as_str() {
            Some("node-started") if is_restart => {
                running += 1;
                seen += 1;
                assert_eq!(running, 1, "{line}");
            }
            Some("node-finished") if is_restart => running -= 1,
            _ => {}
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn a_cluster_made_by_hand_is_adopted() {
    let bed = Bed::new(&DB, BY_HAND);
    for (id, host) in (1..).zip(DB) {
        bed.on(
            host,
            &format!(
                "sed -i 's#^dataDir=.*#dataDir=/var/lib/zookeeper#' /etc/zookeeper/conf/zoo.cfg
                 cat <<EOF >> /etc/zookeeper/conf/zoo.cfg
4lw.commands.whitelist=*
server.1=db1:2888:3888
server.2=db2:2888:3888
server.3=db3:2888:3888
EOF
                 echo {id} > /etc/zookeeper/conf/myid
                 systemctl enable -q zookeeper 2>&1
                 systemctl restart zookeeper"
            ),
        );
        bed.on(host, &runbook(host));
    }
    // A server that starts without a quorum dies where it has replicated tables: the quorum comes first.
    bed.on(
        "db3",
        "for i in $(seq 300); do
             (printf mntr; sleep 0.2) | nc -q1 127.0.0.1 2181 | grep -qE 'zk_server_state.(leader|follower)' && exit 0
             sleep 0.2
         done; exit 1",
    );
    for host in DB {
        bed.on(
            host,
            "systemctl enable -q --now clickhouse-server
             for i in $(seq 300); do clickhouse-client -q 'SELECT 1' >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1",
        );
    }
    sql(&bed, "db1", TABLE);
    sql(&bed, "db1", ROWS);
    rows_arrive(&bed);
    let before = (
        invocations(&bed, "clickhouse-server"),
        invocations(&bed, "zookeeper"),
    );
    let plan = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    plan.says(&["the user default has no password"]);
    let _ = bed.clusterctl("apply", &["--yes"]).expect(0);
    assert_eq!(
        (
            invocations(&bed, "clickhouse-server"),
            invocations(&bed, "zookeeper")
        ),
        before
    );
}

/// Servers and quorum listen at private addresses alone, the user `default` has a password, and every file has another name
/// than ours. Whatever the inventory knows of that, nothing restarts, and the quorum keeps its members and their ids.
#[test]
fn a_cluster_with_other_files_on_private_addresses_is_left_as_it_is() {
    let bed = Bed::new(&DB, BY_HAND);
    for (id, host) in (1..).zip(DB) {
        bed.on(host, &by_hand(&bed, id, host));
    }
    let ids = "cat /var/lib/zookeeper-by-hand/myid; grep -h ^server /etc/zookeeper/conf/zoo.cfg";
    let state = || {
        let ids = DB.map(|host| bed.on(host, ids));
        (
            invocations(&bed, "clickhouse-server"),
            invocations(&bed, "zookeeper"),
            ids,
        )
    };
    let before = state();
    // It cannot log in, and so it knows of nothing that is not in use.
    bed.clusterctl("plan", &[]).expect(1).says(&[
        "settings.xml is not created on db1",
        "the ZooKeeper on db1 does not get another data directory",
    ]);
    let _ = bed.clusterctl("apply", &["--yes"]).expect(3);
    assert_eq!(state(), before);
    // It can.
    bed.write_secret("by-hand", PASSWORD);
    let known = "user = \"default\"\npassword = { file = \"secrets/by-hand\" }\nlisten = [\"address\"]\n\
                 zookeeper.data_dir = \"/var/lib/zookeeper-by-hand\"\n";
    bed.write("inventory.toml", &format!("{}{BY_HAND}{known}", bed.hosts()));
    let _ = bed.clusterctl("apply", &["--yes"]).expect(0);
    assert_eq!(state(), before);
}

const PASSWORD: &str = "a-password-that-somebody-else-made-0123";

fn by_hand(bed: &Bed, id: u8, host: &str) -> String {
    let address = bed.lab.address(host).unwrap();
    let each = |one: fn(&str) -> String| DB.map(one).concat();
    let replicas = each(|host| {
        format!("<replica><host>{host}</host><port>9000</port><password>{PASSWORD}</password></replica>")
    });
    let nodes = each(|host| format!("<node><host>{host}</host><port>2181</port></node>"));
    format!(
        "install -d -o zookeeper -g zookeeper /var/lib/zookeeper-by-hand
         echo {id} > /var/lib/zookeeper-by-hand/myid
         sed -i -e 's#^dataDir=.*#dataDir=/var/lib/zookeeper-by-hand#' /etc/zookeeper/conf/zoo.cfg
         cat >> /etc/zookeeper/conf/zoo.cfg <<'END'
clientPortAddress={address}
4lw.commands.whitelist=*
server.1=db1:2888:3888
server.2=db2:2888:3888
server.3=db3:2888:3888
END
         systemctl enable -q zookeeper 2>&1; systemctl restart zookeeper
         mkdir -p /etc/clickhouse-server/config.d /etc/clickhouse-server/users.d
         cat > /etc/clickhouse-server/config.d/by-hand.xml <<'END'
<yandex>
<listen_host>{address}</listen_host>
<remote_servers><altcraft><shard><internal_replication>true</internal_replication>{replicas}</shard></altcraft></remote_servers>
<zookeeper>{nodes}</zookeeper>
<macros><cluster>altcraft</cluster><shard>01</shard><replica>{host}</replica></macros>
<distributed_ddl><path>/clickhouse/altcraft/task_queue/ddl</path></distributed_ddl>
</yandex>
END
         cat > /etc/clickhouse-server/users.d/by-hand.xml <<'END'
<yandex><users><default><password>{PASSWORD}</password></default></users></yandex>
END
         systemctl enable -q --now clickhouse-server
         for i in $(seq 300); do
             clickhouse-client -h {address} --password {PASSWORD} -q 'SELECT 1' > /dev/null 2>&1 && exit 0; sleep 0.1
         done; exit 1"
    )
}

/// The runbook's commands, with the root element of 18.16, and ZooKeeper in Keeper's place.
fn runbook(host: &str) -> String {
    let text = include_str!("../crates/kinds/clickhouse/src/tests/runbook.sh");
    let (before, rest) = text.split_once("<keeper_server>").unwrap();
    let (_, after) = rest.split_once("</keeper_server>\n\n").unwrap();
    format!("{before}{after}")
        .replace("clickhouse>", "yandex>")
        .replace("<port>9181</port>", "<port>2181</port>")
        .replace("<replica>db1</replica>", &format!("<replica>{host}</replica>"))
}
