//! The platform on its hosts: main.json merged and nothing else in it touched, rolled one host at a time, never two masters.

use e2e::{Bed, Snapshot};

const APPS: [&str; 2] = ["app1", "app2"];

/// The databases are only named: the platform's stand-in asks none of them.
const SERVICES: &str = r#"
[services.hbsupp]
kind = "ssdb"
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/hbsupp.password" }

[services.notify]
kind = "ssdb"
hosts = ["db1", "db2", "db3"]
port = 4430
password = { file = "secrets/notify.password" }

[services.rabbitmq]
hosts = ["db1", "db2", "db3"]
cookie = { file = "secrets/rabbitmq.cookie" }
users = { altcraft = { password = { file = "secrets/rabbitmq.password" } } }

[services.duplicates]
kind = "kvrocks"
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/duplicates.password" }

[services.altcraft]
hosts = ["app1", "app2"]
"#;

const MAIN: &str = "/opt/akd/config/main.json";

/// Lines of the lab's main.json that are nobody's of the inventory, with their odd spaces.
const FOREIGN: [&str; 8] = [
    "  \"BASEDIR\": \"/opt/akd\",\n",
    "  \"FILEDB_ENABLE\"  :  true,\n",
    "  \"INSTALLATION_ID\": 12345678901234567890123,\n  \"SAMPLING\": 1.50e-3,\n\t\"AUDIT_LOG_TTL\":90,\n\n",
    "    \"HOST\": \"127.0.0.1\", \"PORT\": 9000,\n",
    "  \"PROCWORKFLOW_DISTRIBUTED_CACHE_DB\": {\"MODE\":\"standalone\",\"PASSWORD\":\"change-me-cache-of-this-host-here\",\
     \"NODES\":[{\"HOST\":\"127.0.0.1\",\"PORT\":6666}]},\n",
    "  \"LOCALES\": [\"en\",\"ru\", \"de\" ],\n",
    "  \"GREETING\": \"Привет \\u2014 \\\"hello\\\"\",\n",
    "  \"WORKERS\": { \"MAIL\": 6,\n               \"PUSH\": 2 }",
];

fn apply(bed: &Bed, overlay: &str) -> e2e::Ran {
    bed.clusterctl("apply", &with(overlay, &["--yes"]))
}

fn with<'a>(overlay: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["--service", "altcraft"];
    if !overlay.is_empty() {
        words.extend(["--overlay", overlay]);
    }
    words.extend(more);
    words
}

fn nothing_is_left(bed: &Bed, overlay: &str) {
    let before = APPS.map(|host| Snapshot::of(bed, host));
    apply(bed, overlay).expect(0).says(&["No changes."]);
    assert_eq!(APPS.map(|host| Snapshot::of(bed, host)), before);
}

/// The start lines of the processes that run on a host, as they say it.
fn roles(bed: &Bed, host: &str) -> Vec<bool> {
    let line = |name: &str| {
        let script = format!(
            "grep \"\\\"pid\\\":$(systemctl show -p MainPID --value {name}),\" /opt/akd/var/log/{name}.log | tail -n 1"
        );
        bed.on(host, &script)
    };
    let (task, workflow) = (line("proctask"), line("procworkflow"));
    vec![
        task.contains("is master true"),
        workflow.contains("is_primary: true"),
    ]
}

/// When a host's processes were started, in microseconds since its kernel was.
fn started(bed: &Bed, host: &str) -> Vec<u64> {
    let script = "systemctl show -p ExecMainStartTimestampMonotonic --value proctask procworkflow";
    bed.on(host, script)
        .split_whitespace()
        .filter_map(|time| time.parse().ok())
        .collect()
}

#[test]
fn main_json_is_merged_and_the_platform_rolled() {
    let bed = Bed::new(&APPS, SERVICES);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    let first = apply(&bed, "").expect(0);
    first.says(&["Verified: no changes remain."]);
    for host in APPS {
        let main = bed.on(host, &format!("cat {MAIN}"));
        for foreign in FOREIGN {
            assert!(main.contains(foreign), "{host} lost {foreign:?}:\n{main}");
        }
        let said: serde_json::Value = serde_json::from_str(&main).unwrap();
        assert_eq!(said["CLUSTER"]["HOST_ID"], host);
        assert_eq!(said["SSDB_NOTIFY"][2]["PORT"], 4430);
        assert_eq!(
            said["SSDB_NOTIFY"][2]["PASS"],
            bed.secret("notify.password").as_str()
        );
        assert_eq!(said["RABBITMQ_CLUSTER"]["HOSTS"][1]["WEIGHT"], 2);
        assert_eq!(said["CAMP_DUPLICATESDB"]["SENTINEL"]["MASTER_NAME"], "altcraft");
        // Owner and mode are those of the file that was there.
        assert_eq!(
            bed.on(host, &format!("stat -c '%a %U %G' {MAIN}")).trim(),
            "640 altcraft altcraft"
        );
        assert_eq!(roles(&bed, host), [host == "app1"; 2]);
    }
    for secret in [
        "hbsupp.password",
        "notify.password",
        "rabbitmq.password",
        "duplicates.password",
    ] {
        let value = bed.secret(secret);
        assert!(!first.stdout.contains(&value) && !first.stderr.contains(&value));
    }
    // Neither do passwords that are none of ours.
    assert!(!first.stdout.contains("change-me"), "{}", first.stdout);
    nothing_is_left(&bed, "");
    bed.clusterctl("status", &["--service", "altcraft"])
        .expect(0)
        .says(&[
            "altcraft (altcraft): healthy",
            "2 of 2 serve, proctask master app1, procworkflow master app1",
        ]);

    a_changed_port_rolls_the_master_last(&bed);
    a_run_that_died_before_the_restart_is_finished(&bed);
    the_master_moves_and_there_are_never_two(&bed);
    reader_groups(&bed);
}

fn a_changed_port_rolls_the_master_last(bed: &Bed) {
    bed.write("port.toml", "[services.notify]\nport = 4431\n");
    let before = APPS.map(|host| started(bed, host));
    let _ = apply(bed, "port.toml").expect(0);
    let after = APPS.map(|host| started(bed, host));
    for host in 0..2 {
        assert!((0..2).all(|process| after[host][process] > before[host][process]));
    }
    // The hosts of the lab share one kernel, and so one clock.
    assert!(
        after[1].iter().max() < after[0].iter().min(),
        "app2 before app1: {after:?}"
    );
    nothing_is_left(bed, "port.toml");
}

fn a_run_that_died_before_the_restart_is_finished(bed: &Bed) {
    // The same content at another time is what the processes were started with.
    bed.on("app2", &format!("touch {MAIN}"));
    nothing_is_left(bed, "port.toml");
    bed.on("app2", &format!("echo >> {MAIN}"));
    bed.clusterctl("plan", &with("port.toml", &["--detailed-exitcode"]))
        .expect(2)
        .says(&[
            "restart proctask.service",
            "main.json differs from what its process was started with",
        ]);
    let _ = apply(bed, "port.toml").expect(0);
    nothing_is_left(bed, "port.toml");
}

fn the_master_moves_and_there_are_never_two(bed: &Bed) {
    bed.write(
        "master.toml",
        "[services.notify]\nport = 4431\n[services.altcraft]\nmaster = \"app2\"\n",
    );
    let _ = apply(bed, "master.toml").expect(0);
    let after = APPS.map(|host| started(bed, host));
    assert!(
        after[0].iter().max() < after[1].iter().min(),
        "the old master gave up first: {after:?}"
    );
    assert_eq!([roles(bed, "app1"), roles(bed, "app2")], [[false; 2], [true; 2]]);
    nothing_is_left(bed, "master.toml");
    // Half of it alone would leave none, or two.
    bed.clusterctl("plan", &with("port.toml", &["--host", "app1"]))
        .says(&[
            "the master does not move to app1",
            "app2 cannot be observed or changed by this plan",
        ]);
    let _ = apply(bed, "port.toml").expect(0);
}

/// The runbook's example, and the same without its exclusion.
fn reader_groups(bed: &Bed) {
    let groups = "[services.notify]\nport = 4431\n[services.altcraft.readers]\napp2 = \"acc2\"\n\
                  [services.altcraft.reader_groups]\nacc2 = { include = \"2\" }\n";
    bed.write(
        "groups.toml",
        &format!("{groups}acc1-5 = {{ include = \"1-5\", exclude = \"2\" }}\n"),
    );
    bed.write(
        "overlap.toml",
        &format!("{groups}acc1-5 = {{ include = \"1-5\" }}\n"),
    );
    bed.clusterctl("plan", &with("overlap.toml", &[]))
        .expect(1)
        .says(&[
            "account 2 is in two reader groups: acc2 and acc1-5",
            "overlap.toml:7",
        ]);
    let _ = apply(bed, "groups.toml").expect(0);
    let main = bed.on("app2", &format!("cat {MAIN}"));
    let said: serde_json::Value = serde_json::from_str(&main).unwrap_or_default();
    let workflow = &said["CLUSTER"]["PROC_WORKFLOW"];
    assert_eq!(workflow[0]["READERS_GROUPS"]["acc1-5"]["EXCLUDE"], "2");
    assert_eq!(workflow[1]["READERS_GROUP"], "acc2");
    nothing_is_left(bed, "groups.toml");
}

#[test]
fn a_main_json_that_cannot_be_read_is_refused_and_stays() {
    let bed = Bed::new(&APPS, SERVICES);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    bed.on("app2", &format!("sed -i '4s/,$//' {MAIN}"));
    let broken = bed.on("app2", &format!("sha256sum {MAIN}; stat -c %Y.%i {MAIN}"));
    let ran = apply(&bed, "");
    assert_ne!(ran.code, 0);
    ran.says(&[
        "nothing is changed on app2",
        "main.json is not JSON: line 5, column 3: expected `,` or `}`",
    ]);
    assert_eq!(
        bed.on("app2", &format!("sha256sum {MAIN}; stat -c %Y.%i {MAIN}")),
        broken
    );
    // The other is done.
    assert_eq!(roles(&bed, "app1"), [true; 2]);
    bed.on("app2", &format!("sed -i '4s/$/,/' {MAIN}"));
    let _ = apply(&bed, "").expect(0);
    assert_eq!(roles(&bed, "app2"), [false; 2]);
}

#[test]
fn a_platform_that_was_clustered_by_hand_is_adopted() {
    let bed = Bed::new(&APPS, SERVICES);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    let secret = |name: &str| bed.secret(&format!("{name}.password"));
    let list = |name: &str, port: u16, more: &str| {
        let entry = |host: &str| format!("{{\"{name}\": \"{host}\", \"PORT\": {port}{more}}}");
        ["db1", "db2", "db3"].map(entry).join(", ")
    };
    let pass = |name: &str| format!(", \"PASS\": \"{}\"", secret(name));
    for host in APPS {
        let process = |key: &str, port: u16| {
            let member = |member: &str| {
                let is_master = member == "app1";
                format!(
                    "{{ \"RPC_PORT\": {port}, \"HOST_ID\": \"{member}\", \"RPC_HOST\": \"0.0.0.0\", \"NOTE\": \"by hand\", \
                     \"RPC_HOST_CLI\": \"{member}\", \"FORCE_MASTER_ROLE\": {is_master} }}"
                )
            };
            format!("\"{key}\": [{}, {}]", member("app1"), member("app2"))
        };
        let mut weights = 0;
        let weighted = ["db1", "db2", "db3"].map(|host| {
            weights += 1;
            format!("{{\"HOST\": \"{host}\", \"PORT\": 5672, \"WEIGHT\": {weights}}}")
        });
        let main = format!(
            "{{\n\"CLUSTER\": {{\"HOST_ID\": \"{host}\", {}, {}}},\n\"CAMP_DUPLICATESDB\": {{\"SENTINEL\": {{\"MASTER_NAME\": \
             \"altcraft\"}}, \"MODE\": \"sentinel_replica\", \"PASSWORD\": \"{}\", \"NODES\": [{}]}},\n\"SSDB_HBSUPP\": \
             [{}],\n\"SSDB_NOTIFY\": [{}],\n\"RABBITMQ_CLUSTER\": {{\"USER\": \"altcraft\", \"PASSWORD\": \"{}\", \
             \"FAIL_MODE\": \"failover\", \"STRATEGY\": \"in_order\", \"RECONNECT_TIME_PERIOD\": 5, \"HOSTS\": [{}]}}\n}}\n",
            process("PROC_TASKS", 8962),
            process("PROC_WORKFLOW", 7962),
            secret("duplicates"),
            list("HOST", 26379, ""),
            list("IP", 4420, &pass("hbsupp")),
            list("IP", 4430, &pass("notify")),
            secret("rabbitmq"),
            weighted.join(", "),
        );
        bed.on(
            host,
            &format!(
                "cat > {MAIN} <<'END'\n{main}END\nsleep 0.1; systemctl enable --now proctask procworkflow"
            ),
        );
    }
    // The first look leaves the agent in the caches; what comes after leaves nothing.
    let _ = bed
        .clusterctl("plan", &with("", &["--detailed-exitcode"]))
        .expect(0);
    nothing_is_left(&bed, "");
}
