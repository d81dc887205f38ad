//! Saved plans on real hosts: run as they are, or refused with what changed since.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use e2e::{Bed, DB};

const SSDB: &str = r#"
[services.hbsupp]
kind = "ssdb"
hosts = ["db1", "db2", "db3"]
password = { file = "secrets/hbsupp.password" }
canary_timeout = 5
"#;

/// Where the mirrors keep their settings, and a password that is none of ours.
const CONF: &str = "/usr/local/ssdb/ssdb-hbsupp.conf";
const FOREIGN: &str = "a-password-that-is-nobody-elses-business";

/// `clusterctl apply FILE`: nothing but how hosts are reached.
const APPLY: [&str; 6] = ["apply", "plan.json", "--ssh-config", "none", "--yes", "--json"];

fn text(bed: &Bed) -> String {
    std::fs::read_to_string(bed.folder().join("plan.json")).unwrap()
}

#[test]
fn a_saved_plan_is_run_as_it_is_or_refused_with_what_changed() {
    let bed = Bed::new(&DB, SSDB);
    let _ = bed.run(&["secrets", "init", "inventory.toml"]).expect(0);
    let save = ["--out", "plan.json"];
    bed.clusterctl("plan", &save)
        .expect(0)
        .says(&["Saved the plan to plan.json.", "clusterctl apply plan.json"]);
    no_secret(&bed);
    bed.run(&APPLY).expect(0).says(&["no changes remain"]);
    // Nothing of it is left.
    bed.run(&APPLY)
        .expect(6)
        .says(&["plan.json", "was not executed", "No changes of it remain"]);

    a_file_that_somebody_edits(&bed);
    writes_go_on(&bed);
    the_project_changes(&bed);
}

/// What is planned for a file that somebody edits meanwhile is not done.
fn a_file_that_somebody_edits(bed: &Bed) {
    bed.write("capacity.toml", "[services.hbsupp]\ncapacity = 20\n");
    let save = ["--overlay", "capacity.toml", "--out", "plan.json"];
    bed.on(
        "db2",
        &format!("printf 'other:\\n\\tauth: {FOREIGN}\\n' >> {CONF}"),
    );
    bed.clusterctl("plan", &save).says(&["in place of an older one"]);
    no_secret(bed);
    bed.on("db2", &format!("echo '# by hand' >> {CONF}"));
    let before = DB.map(|host| bed.on(host, &format!("sha256sum {CONF}")));
    bed.run(&APPLY)
        .expect(6)
        .says(&["Files on hosts", &format!("db2: {CONF}: was SHA-256")]);
    assert_eq!(before, DB.map(|host| bed.on(host, &format!("sha256sum {CONF}"))));
    // The plan's own options are not to be had twice.
    bed.run(&[&APPLY[..], &["--service", "hbsupp"]].concat())
        .expect(64)
        .says(&["cannot change a saved plan"]);
    let _ = bed.clusterctl("plan", &save).expect(0);
}

/// Clients that write while a plan lies about do not make it another one.
fn writes_go_on(bed: &Bed) {
    let password = bed.secret("hbsupp.password");
    bed.on(
        "db1",
        &format!("echo set user data | /usr/local/ssdb/tools/ssdb-cli -h db1 -p 4420 -a {password}; sleep 1"),
    );
    bed.run(&APPLY).expect(0).says(&["no changes remain"]);
}

/// A plan is of the project as it was.
fn the_project_changes(bed: &Bed) {
    bed.write("capacity.toml", "[services.hbsupp]\ncapacity = 30\n");
    let save = ["--overlay", "capacity.toml", "--out", "plan.json"];
    let _ = bed.clusterctl("plan", &save).expect(0);
    bed.write("capacity.toml", "[services.hbsupp]\ncapacity = 40\n");
    bed.run(&APPLY)
        .expect(6)
        .says(&["The project", "capacity.toml changed"]);
}

/// Neither our passwords nor those that were found on hosts are in the file, and nobody else reads it.
fn no_secret(bed: &Bed) {
    use std::os::unix::fs::PermissionsExt as _;
    let text = text(bed);
    let secrets = std::fs::read_dir(bed.folder().join("secrets")).unwrap();
    let mut values = vec![FOREIGN.to_owned()];
    values.extend(secrets.map(|file| {
        let value = std::fs::read_to_string(file.unwrap().path()).unwrap();
        value.trim().to_owned()
    }));
    assert!(
        values.len() > 1 && text.contains("⟪secret:"),
        "the plan writes a secret"
    );
    for value in values {
        assert!(!text.contains(&value), "the plan holds a secret");
    }
    let plan = std::fs::metadata(bed.folder().join("plan.json")).unwrap();
    assert_eq!(plan.permissions().mode() & 0o777, 0o600);
}
