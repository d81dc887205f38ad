//! A setting with which no process starts costs one member a restart: the old file is put back, no other member gets the new
//! one, and with the old inventory there is nothing left to do.

use std::thread::sleep;
use std::time::Duration;

use e2e::{Applying, Bed, DB, kill_points};
use serde_json::Value;

const REDIS: &str = r#"
[services.duplicates]
kind = "kvrocks"
engine = "redis"
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/duplicates.password" }
"#;

const OTHERS: &str = r#"
[services.rabbitmq]
hosts = ["db1", "db2", "db3"]
cookie = { file = "secrets/rabbitmq.cookie" }

[services.mongodb]
hosts = ["db1", "db2", "db3"]

[services.clickhouse]
hosts = ["db1", "db2", "db3"]
coordination = "zookeeper"
"#;

/// An address that no host has: who is to listen on it does not start.
const NOBODYS: &str = "203.0.113.7";

/// Nothing but a start shows that it is bad.
const NO_SOCKET: &str = "unixsocket = \"/no/such/directory/socket\"";

/// A bad setting of one service.
struct Bad {
    overlay: String,
    service: &'static str,
    unit: &'static str,
    file: &'static str,
}

fn all() -> Vec<Bad> {
    let redis = |directive: &str| Bad {
        overlay: format!("[services.duplicates.directives]\n{directive}\n"),
        service: "duplicates",
        unit: "redis-server",
        file: "/etc/redis/redis.conf",
    };
    vec![
        redis("databases = \"abc\""),
        redis(NO_SOCKET),
        Bad {
            overlay: "[services.rabbitmq.config]\n\"listeners.tcp.default\" = \"abc\"\n".to_owned(),
            service: "rabbitmq",
            unit: "rabbitmq-server",
            file: "/etc/rabbitmq/rabbitmq.conf",
        },
        Bad {
            overlay: format!("[services.mongodb]\nbind = [\"127.0.0.1\", \"host\", \"{NOBODYS}\"]\n"),
            service: "mongodb",
            unit: "mongod",
            file: "/etc/mongod.conf",
        },
        Bad {
            overlay: format!("[services.clickhouse]\nlisten = [\"127.0.0.1\", \"address\", \"{NOBODYS}\"]\n"),
            service: "clickhouse",
            unit: "clickhouse-server",
            file: "/etc/clickhouse-server/config.d/settings.xml",
        },
        Bad {
            overlay: "[services.clickhouse.zookeeper]\noptions = { tickTime = \"abc\" }\n".to_owned(),
            service: "clickhouse",
            unit: "zookeeper",
            file: "/etc/zookeeper/conf/zoo.cfg",
        },
    ]
}

/// What a script prints on each host that has the service.
fn on_each(bed: &Bed, script: &str) -> [String; 3] {
    DB.map(|host| bed.on(host, script))
}

#[test]
fn a_bad_setting_costs_one_member_a_restart_and_stands_on_no_host() {
    let bed = Bed::new(&DB, &format!("{REDIS}{OTHERS}"));
    let _ = bed.build();
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    for bad in all() {
        println!("{}", bad.overlay);
        bed.write("overlay.toml", &bad.overlay);
        let content = format!("(sha256sum {0}; stat -c '%a %U %G' {0}) 2>&1 || true", bad.file);
        let started = format!("systemctl show -p InvocationID --value {}", bad.unit);
        let (files, starts) = (on_each(&bed, &content), on_each(&bed, &started));
        let words = ["--overlay", "overlay.toml", "--service", bad.service, "--yes"];
        let ran = bed.clusterctl("apply", &words).expect(3);
        ran.says(&["Failed", bad.file]);
        assert_eq!(on_each(&bed, &content), files, "the bad file stands on a host");
        let changed = on_each(&bed, &started);
        let restarted = changed
            .iter()
            .zip(&starts)
            .filter(|(now, then)| now != then)
            .count();
        assert!(restarted <= 1, "{restarted} members were restarted");
        let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
        let _ = bed.clusterctl("status", &[]).expect(0);
    }
    let backups = bed.on(
        "db1",
        "ls /var/backups/clusterctl/etc/redis /var/backups/clusterctl/etc/mongod.conf* | wc -l",
    );
    assert_ne!(backups.trim(), "0", "what was replaced is kept");
}

/// Where the controller is killed in an apply of a bad setting.
const KILLS: usize = 10;

#[test]
fn wherever_a_rollback_is_killed_one_apply_mends_it_and_one_host_has_the_file_at_most() {
    // A key that the good inventory has too: one that it does not name would stay in the file, as an operator's own does.
    let good = format!("{REDIS}directives.unixsocket = \"/run/redis/socket\"\n");
    let bed = Bed::new(&DB, &good);
    let _ = bed.build();
    let bad = ["--overlay", "overlay.toml"];
    bed.write(
        "overlay.toml",
        &format!("[services.duplicates.directives]\n{NO_SOCKET}\n"),
    );
    let (events, code) = Applying::start(&bed, &bad).end();
    assert_eq!(code, Some(3));
    let told = |event: &Value| event.to_string().contains("rolled-back");
    assert!(events.iter().any(told), "{events:?}");
    // At each event, right then and a moment later.
    for point in kill_points(2 * events.len(), KILLS) {
        let mut applying = Applying::start(&bed, &bad);
        let told: Vec<Value> = applying.by_ref().take(point.div_ceil(2)).collect();
        sleep(Duration::from_millis(if point % 2 == 0 { 300 } else { 0 }));
        applying.kill();
        let with_it = on_each(&bed, "grep -c no/such/directory /etc/redis/redis.conf || true");
        let with_it = with_it.iter().filter(|count| count.trim() != "0").count();
        assert!(with_it <= 1, "{with_it} hosts have the bad file, {told:?}");
        let _ = bed
            .clusterctl("apply", &["--lock-timeout", "5min", "--yes"])
            .expect(0);
        let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    }
}
