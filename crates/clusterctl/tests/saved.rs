//! What a saved plan names is not run before the operator has seen it, and not at all where others could have written it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder with an inventory that keeps its secret with a command; the command leaves a mark when it is run. Its host
/// answers nobody, and a plan for it says so.
struct Rig {
    home: TempDir,
}

impl Rig {
    fn new() -> Self {
        let rig = Self {
            home: tempfile::tempdir().unwrap(),
        };
        rig.mode("", 0o755);
        let mark = rig.path("mark");
        let inventory = format!(
            "before_disruption = [\"./agree\", \"all\"]\n\n[hosts]\ndb1 = \"127.0.0.1\"\n\n[ssh]\n\
             port = 1\nconnect_timeout = 1\n\n[services.mq]\nkind = \"rabbitmq\"\nhosts = [\"db1\"]\ncookie = {{ command = [\"sh\", \"-c\", \"touch {}; printf %048d 7\"] }}\n",
            mark.display()
        );
        rig.write("inventory.toml", &inventory);
        rig.write("agent", "no agent");
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.mode(name, 0o644);
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_clusterctl"))
            .args(words)
            .args(["--ssh-config", "none", "--agent", "agent", "--color", "never"])
            .current_dir(self.home.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [stdout, stderr].concat();
        (status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// A saved plan; the mark that making it left is gone.
    fn saved() -> Self {
        let rig = Self::new();
        let (_, said) = rig.run(&["plan", "inventory.toml", "--out", "plan.json"]);
        assert!(rig.was_run() && rig.path("plan.json").exists(), "{said}");
        rig
    }

    /// Whether the secret's command was run since it was last asked.
    fn was_run(&self) -> bool {
        fs::remove_file(self.path("mark")).is_ok()
    }
}

#[test]
fn nothing_that_a_saved_plan_names_is_run_before_it_was_shown_and_agreed_to() {
    let rig = Rig::saved();
    // There is no terminal to agree on.
    let (code, said) = rig.run(&["apply", "plan.json"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(!rig.was_run(), "{said}");
    let inventory = rig.path("inventory.toml");
    for shown in [
        inventory.to_str().unwrap(),
        "secret by",
        "before_disruption",
        "./agree all",
        "touch",
        "no secret was read",
    ] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    let (_, said) = rig.run(&["apply", "plan.json", "--yes"]);
    assert!(rig.was_run(), "{said}");
}

#[test]
fn a_saved_plan_that_others_could_have_written_runs_nothing() {
    let rig = Rig::saved();
    rig.mode("plan.json", 0o666);
    let (code, said) = rig.run(&["apply", "plan.json", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("chmod go-w") && !rig.was_run(), "{said}");
}

#[test]
fn an_inventory_that_others_could_have_written_runs_nothing() {
    let rig = Rig::new();
    for (file, folder) in [(0o666, 0o755), (0o644, 0o777)] {
        rig.mode("inventory.toml", file);
        rig.mode("", folder);
        let (code, said) = rig.run(&["plan", "inventory.toml"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("chmod go-w") && !rig.was_run(), "{said}");
    }
}

#[test]
fn an_agent_that_others_could_have_written_is_sent_to_no_host() {
    let rig = Rig::new();
    rig.mode("agent", 0o666);
    let (code, said) = rig.run(&["plan", "inventory.toml"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("it would run as root on the hosts"), "{said}");
}

#[test]
fn a_time_that_no_clock_can_hold_is_told_and_ends_nothing_in_the_middle() {
    let rig = Rig::new();
    for option in ["--lock-timeout", "--pause-between"] {
        let (code, said) = rig.run(&["apply", "inventory.toml", option, "9000000000000000000s"]);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("168h"), "{said}");
    }
}
