//! MongoDB replica sets that were made by hand: adopted without a restart, and with the members that they have.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use e2e::{Bed, DB, MongoClient, Ran};
use protocol::facts::{Bson, MongoCommand};

const SET: &str = "[services.mongodb]\nhosts = [\"db1\", \"db2\", \"db3\"]\n";

/// The file of the package.
const FILE: &str = "/etc/mongod.conf";

fn rewrite(bed: &Bed, services: &str) {
    bed.write("inventory.toml", &format!("{}\n{services}", bed.hosts()));
}

/// Makes a set as the runbook does: where its settings are, where each server listens, and the name that it has in the set.
fn made_by_hand(
    bed: &Bed,
    file: &str,
    bind: impl Fn(&str) -> String,
    name: impl Fn(&str) -> String,
) -> MongoClient {
    for host in DB {
        let bind = bind(host);
        // The runbook's file, indented; `journal` is what this version does not take any more.
        bed.on(
            host,
            &format!(
                "cat > {file} <<'END'
storage:
  dbPath: /var/lib/mongodb
  wiredTiger:
    engineConfig:
      directoryForIndexes: true

replication:
  replSetName: rs0

systemLog:
  destination: file
  logAppend: true
  logRotate: reopen
  path: /var/log/mongodb/mongod.log

net:
  port: 27017
  bindIp: \"{bind}\"
END
                sed -i 's#/etc/mongod.conf#{file}#' /etc/systemd/system/mongod.service
                systemctl daemon-reload
                systemctl enable -q --now mongod
                for i in $(seq 100); do ss -ltn | grep -q :27017 && exit 0; sleep 0.1; done; exit 1"
            ),
        );
    }
    let client = MongoClient::new(bed, None);
    let members = DB.iter().zip(0..).map(|(host, id)| {
        Bson::doc([
            ("_id", Bson::from(id)),
            ("host", format!("{}:27017", name(host)).into()),
        ])
    });
    let config = Bson::doc([
        ("_id", "rs0".into()),
        ("version", 1.into()),
        ("members", Bson::Array(members.collect())),
    ]);
    client
        .send("db1", MongoCommand::new("replSetInitiate", config))
        .unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    while bed.clusterctl("status", &[]).code != 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(500));
    }
    client
}

/// Plans and applies; whatever is said, the configuration of the set and the processes are the same afterwards.
fn leaves_the_set_alone(bed: &Bed, client: &MongoClient) -> [Ran; 2] {
    let state = || {
        let config = client
            .ask("db1", MongoCommand::new("replSetGetConfig", 1))
            .unwrap();
        let ran = DB.map(|host| bed.on(host, "systemctl show -p InvocationID --value mongod"));
        (config.get("config").cloned(), ran)
    };
    let before = state();
    let ran = [
        bed.clusterctl("plan", &["--detailed-exitcode"]),
        bed.clusterctl("apply", &["--yes"]),
    ];
    assert_eq!(state(), before);
    ran
}

#[test]
fn a_set_on_private_addresses_that_is_named_by_them_is_adopted() {
    let bed = Bed::new(&DB, SET);
    let address = |host: &str| bed.lab.address(host).unwrap().to_string();
    let client = made_by_hand(&bed, FILE, address, address);
    let _ = leaves_the_set_alone(&bed, &client).map(|ran| ran.expect(0));
}

/// The names in the set are others than the inventory's, and nothing reads the file that the inventory means.
#[test]
fn a_set_named_by_fqdn_with_another_file_is_adopted_or_refused() {
    let bed = Bed::new(&DB, SET);
    let address = |host: &str| bed.lab.address(host).unwrap().to_string();
    let names = DB.map(|host| format!("{} {host}.example.org", address(host)));
    for host in DB {
        bed.on(
            host,
            &format!(
                "printf '%s\\n' {} >> /etc/hosts",
                names.each_ref().map(|line| format!("'{line}'")).join(" ")
            ),
        );
    }
    let other = "/etc/replica-set.conf";
    let client = made_by_hand(&bed, other, address, |host| format!("{host}.example.org"));
    let [plan, apply] = leaves_the_set_alone(&bed, &client);
    plan.expect(1)
        .says(&["its server was started with the file /etc/replica-set.conf"]);
    let _ = apply.expect(3);

    rewrite(&bed, &format!("{SET}config_path = \"{other}\"\n"));
    let _ = leaves_the_set_alone(&bed, &client).map(|ran| ran.expect(0));
}

#[test]
fn a_set_made_by_hand_from_the_runbook_is_adopted() {
    let bed = Bed::new(&DB, SET);
    let client = made_by_hand(&bed, FILE, |host| format!("127.0.0.1,{host}"), str::to_owned);
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    client.insert(client.primary(&DB).unwrap(), 1).unwrap();

    // Access control is not switched on under its clients.
    rewrite(
        &bed,
        &format!(
            "{SET}keyfile = {{ file = \"secrets/mongodb.keyfile\" }}\n\
             admin = {{ password = {{ file = \"secrets/mongodb.admin\" }} }}\n"
        ),
    );
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    bed.clusterctl("plan", &[])
        .expect(1)
        .says(&["access control is not switched on", "transitionToAuth"]);

    // A file that mongod would not read is left as it is.
    rewrite(&bed, SET);
    bed.on("db2", "cp /etc/mongod.conf /root/kept && sed -i 's/^  port:/\\tport:/' /etc/mongod.conf && cp /etc/mongod.conf /root/broken");
    bed.clusterctl("apply", &["--yes"])
        .says(&["/etc/mongod.conf is not changed on db2", "line 17, column 1"]);
    bed.on(
        "db2",
        "cmp /etc/mongod.conf /root/broken && cat /root/kept > /etc/mongod.conf",
    );
    let _ = bed.clusterctl("plan", &["--detailed-exitcode"]).expect(0);
    assert!(client.ids("db3").contains(&1));
}
