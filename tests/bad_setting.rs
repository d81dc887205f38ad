//! A setting with which no process starts costs one member a restart: the old file is put back, no other member gets the new
//! one, and with the old inventory there is nothing left to do.

use e2e::{Bed, DB};

const SERVICES: &str = r#"
[services.duplicates]
kind = "kvrocks"
engine = "redis"
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/duplicates.password" }

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
        // Nothing but a start shows it.
        redis("unixsocket = \"/no/such/directory/socket\""),
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
    let bed = Bed::new(&DB, SERVICES);
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
