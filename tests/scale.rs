//! A host joins every service of the runbook, and another leaves: the lists of the inventory are the whole request. The
//! data is where it was, and the plan is empty at the end.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use e2e::{Bed, MongoClient, Ran};

const OVERLAYS: [&str; 4] = ["--overlay", "lab.toml", "--overlay", "members.toml"];

fn on_site(bed: &Bed, verb: &str, words: &[&str]) -> Ran {
    bed.clusterctl(verb, &[&OVERLAYS, words].concat())
}

/// The databases' hosts from now on.
fn members(bed: &Bed, hosts: &[&str]) {
    bed.write("members.toml", &format!("[groups.db]\nhosts = {hosts:?}\n"));
}

/// Applies, nothing is left to do, and every service is healthy.
fn converges(bed: &Bed) {
    let _ = on_site(bed, "apply", &["--yes"]).expect(0);
    let _ = on_site(bed, "plan", &["--detailed-exitcode"]).expect(0);
    let _ = on_site(bed, "status", &[]).expect(0);
}

/// What clients have written into each service.
struct Data {
    mongo: MongoClient,
    redis: String,
    ssdb: [(u16, String); 2],
    clickhouse: String,
}

impl Data {
    fn write(bed: &Bed) -> Self {
        let data = Self {
            mongo: MongoClient::new(bed, Some(("altcraft", &bed.secret("mongodb.altcraft")))),
            redis: bed.secret("duplicates.password"),
            ssdb: [
                (4420, bed.secret("hbsupp.password")),
                (4430, bed.secret("notify.password")),
            ],
            clickhouse: bed.secret("clickhouse.password"),
        };
        for id in 1..=50 {
            data.mongo
                .insert("db1", id)
                .expect("db1 is the primary of a new set");
        }
        let master = master(bed, "db1");
        bed.on(
            "db1",
            &format!(
                "export REDISCLI_AUTH={}
                 for i in $(seq 50); do echo SET key$i $i; done | redis-cli --no-auth-warning -h {master} -p 6666 > /dev/null",
                data.redis
            ),
        );
        for (port, password) in &data.ssdb {
            bed.on(
                "db1",
                &format!(
                    "for i in $(seq 50); do echo set key$i $i; done \
                     | /usr/local/ssdb/tools/ssdb-cli -h db1 -p {port} -a {password} > /dev/null"
                ),
            );
        }
        bed.on(
            "db1",
            "rabbitmqctl -q eval 'rabbit_amqqueue:declare(rabbit_misc:r(<<\"/\">>, queue, <<\"orders\">>), true, false, [], \
             none, <<\"test\">>).'",
        );
        data.make_table(bed);
        data.sql(
            bed,
            "db1",
            "INSERT INTO default.events SELECT today(), number FROM numbers(1000)",
        );
        data
    }

    /// Makes the table on the whole cluster, once: a new replica gets it from us.
    fn make_table(&self, bed: &Bed) {
        self.sql(
            bed,
            "db1",
            "CREATE TABLE IF NOT EXISTS default.events ON CLUSTER '{cluster}' (d Date, id UInt64) \
             ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/events', '{replica}') \
             PARTITION BY toYYYYMM(d) ORDER BY id",
        );
    }

    fn sql(&self, bed: &Bed, host: &str, sql: &str) -> String {
        let password = &self.clickhouse;
        let script = format!(
            "clickhouse-client -h {host} -u altcraft --password '{password}' -m -n <<'END'\n{sql}\nEND"
        );
        bed.on(host, &script).trim().to_owned()
    }

    /// All of it is on a host.
    fn is_on(&self, bed: &Bed, host: &str) {
        let wanted: BTreeSet<i64> = (1..=50).collect();
        let found = self.mongo.ids(host);
        assert!(wanted.is_subset(&found), "mongodb on {host}: {found:?}");
        let count = format!(
            "REDISCLI_AUTH={} redis-cli --no-auth-warning -h {host} -p 6666 dbsize",
            self.redis
        );
        assert_eq!(bed.on(host, &count).trim(), "50", "redis on {host}");
        for (port, password) in &self.ssdb {
            let last =
                format!("echo get key50 | /usr/local/ssdb/tools/ssdb-cli -h {host} -p {port} -a {password}");
            let found = bed.on(host, &last);
            assert!(found.contains("50"), "ssdb {port} on {host}: {found}");
        }
        let queues = bed.on(host, "rabbitmqctl -q list_queues name");
        assert!(queues.contains("orders"), "rabbitmq on {host}: {queues}");
        // A new replica fetches what the others have.
        let rows = format!(
            "for i in $(seq 300); do \
                 [ \"$(clickhouse-client -h {host} -u altcraft --password '{}' -q 'SELECT count() FROM default.events')\" = 1000 ] \
                 && exit 0; sleep 0.2; done; exit 1",
            self.clickhouse
        );
        bed.on(host, &rows);
    }
}

fn master(bed: &Bed, host: &str) -> String {
    let script = "redis-cli -p 26379 sentinel get-master-addr-by-name altcraft | head -1";
    bed.on(host, script).trim().to_owned()
}

#[test]
fn a_host_joins_every_service_and_another_leaves() {
    let bed = Bed::site_with_spare();
    members(&bed, &["db1", "db2", "db3"]);
    let init = [&["secrets", "init", "inventory.toml"][..], &OVERLAYS].concat();
    let _ = bed.run(&init).expect(0);
    converges(&bed);
    let data = Data::write(&bed);

    members(&bed, &["db1", "db2", "db3", "db4"]);
    converges(&bed);
    data.is_on(&bed, "db4");

    // db1 led wherever somebody leads: it hands over before it goes.
    members(&bed, &["db2", "db3", "db4"]);
    converges(&bed);
    for host in ["db2", "db3", "db4"] {
        data.is_on(&bed, host);
    }
    for app in ["app1", "app2"] {
        let text = bed.on(app, "cat /opt/akd/config/main.json");
        let address = bed
            .lab
            .address("db1")
            .expect("db1 is one of the lab's hosts")
            .to_string();
        assert!(
            !text.contains("\"db1") && !text.contains(&address),
            "{app} still knows db1"
        );
    }
    for unit in [
        "mongod",
        "redis-server",
        "redis-sentinel",
        "rabbitmq-server",
        "clickhouse-server",
    ] {
        let state = bed.on("db1", &format!("systemctl is-active {unit} || true"));
        assert_ne!(state.trim(), "active", "{unit} of db1 goes on by itself");
    }
}
