//! What the end-to-end tests stand on: a lab of their own, the program as it is shipped, and what to compare.
//!
//! The tests run one after another, each on the lab of its Debian release: `e2e` and `e2e-trixie`, so that they never meet the
//! lab that somebody has open. `CLUSTERCTL_E2E_LAB` names others for who runs them beside somebody else.
//! Each begins with the hosts that it needs made fresh. The program is the one in `CLUSTERCTL_BIN`
//! (`cargo xtask test` builds it and sets that), the stand-ins those in `CLUSTERCTL_STANDINS` (likewise).

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a harness fails its test by panicking, like the test itself"
)]

mod applying;
mod host;
mod mongo;
mod ran;

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use lab::{HostSpec, Lab, LabOptions};
use tempfile::TempDir;

/// A lab, a folder with an inventory, and the program.
pub struct Bed {
    /// The lab.
    pub lab: Lab,
    suite: Suite,
    folder: PathBuf,
    /// Removes the folder with the bed; there is none where a later test may go on with it.
    _temporary: Option<TempDir>,
    /// None where the lab is one of several that a test has at the same time.
    _turn: Option<Turn>,
}

/// The right to test on the lab: tests share its hosts, so they take turns, whatever the test runner does. It ends with the
/// file, whose lock excludes others of this process too.
pub struct Turn(#[expect(dead_code, reason = "its lock ends with it")] File);

/// A host that only those tests have who ask for it.
const SPARE: &str = "db4";

/// The file beside the inventory that says that a test left its cluster to the next.
const STANDING: &str = "standing";

/// The hosts that run databases.
pub const DB: [&str; 3] = ["db1", "db2", "db3"];

impl Bed {
    /// [`Bed::of`] Debian 12.
    pub fn new(fresh: &[&str], services: &str) -> Self {
        Self::of(Suite::Bookworm, fresh, services)
    }

    /// Brings the lab of a Debian release up with these hosts fresh, and writes an inventory: the lab's hosts and SSH
    /// settings, and what is given.
    pub fn of(suite: Suite, fresh: &[&str], services: &str) -> Self {
        let bed = Self::on_lab(suite, fresh, |_| {
            let folder = TempDir::new().expect("a folder");
            (folder.path().to_owned(), Some(folder))
        });
        bed.write("inventory.toml", &format!("{}\n{services}", bed.hosts()));
        bed
    }

    /// One of several beds at the same time, each on a lab of its own, which has these of the hosts `db1` to `db4`, fresh.
    /// The caller has the [`Turn`].
    pub fn beside(number: usize, hosts: &[&str]) -> Self {
        let suite = Suite::default();
        let lab = open(&format!("{}-{number}", lab_name(suite)), suite, |hosts_there| {
            hosts_there.push(spare());
            hosts_there.retain(|host| hosts.contains(&host.name.as_str()));
        });
        lab.up().expect("the lab comes up");
        let folder = TempDir::new().expect("a folder");
        Self {
            lab,
            suite,
            folder: folder.path().to_owned(),
            _temporary: Some(folder),
            _turn: None,
        }
    }

    fn on_lab(suite: Suite, fresh: &[&str], folder: impl FnOnce(&Lab) -> (PathBuf, Option<TempDir>)) -> Self {
        let turn = Turn::take();
        let lab = open(&lab_name(suite), suite, |hosts| {
            if fresh.contains(&SPARE) {
                hosts.push(spare());
            }
        });
        lab.up().expect("the lab comes up");
        for host in fresh {
            lab.reset(host).expect("the host is made fresh");
        }
        let (folder, temporary) = folder(&lab);
        Self {
            lab,
            suite,
            folder,
            _temporary: temporary,
            _turn: Some(turn),
        }
    }

    /// Brings the lab up with all hosts fresh, and takes the inventory of the repository's root with the lab's overlay:
    /// the whole runbook. Secrets are in the inventory's folder.
    pub fn site() -> Self {
        Self::site_on(&["db1", "db2", "db3", "app1", "app2"])
    }

    /// The same on a lab that has one host more.
    pub fn site_with_spare() -> Self {
        Self::site_on(&["db1", "db2", "db3", SPARE, "app1", "app2"])
    }

    fn site_on(hosts: &[&str]) -> Self {
        let bed = Self::on_lab(Suite::default(), hosts, |lab| {
            let folder = site_folder(lab);
            if folder.exists() {
                std::fs::remove_dir_all(&folder).expect("the last site's folder goes");
            }
            (folder, None)
        });
        bed.describe_site();
        bed
    }

    /// Leaves the whole runbook's cluster to the next test, converged.
    pub fn leave_standing(&self) {
        self.write(STANDING, "");
    }

    /// The whole runbook's cluster, built and converged: the one that the last test left standing where it still is as
    /// described, else a new one. Building it takes longer than most of what is tested on it.
    pub fn standing_site() -> Self {
        let bed = Self::on_lab(Suite::default(), &[], |lab| (site_folder(lab), None));
        if std::fs::remove_file(bed.folder.join(STANDING)).is_ok() {
            bed.describe_site();
            let plan = bed.clusterctl("plan", &["--overlay", "lab.toml", "--detailed-exitcode"]);
            if plan.code == 0 {
                return bed;
            }
        }
        drop(bed);
        let bed = Self::site();
        let _ = bed
            .run(&["secrets", "init", "inventory.toml", "--overlay", "lab.toml"])
            .expect(0);
        let _ = bed
            .clusterctl("apply", &["--overlay", "lab.toml", "--yes"])
            .expect(0);
        bed
    }

    fn describe_site(&self) {
        let overlay = std::fs::read_to_string(self.lab.overlay()).expect("the lab has its overlay");
        let kept = format!("{}/secrets/", self.lab.dir().display());
        self.write("inventory.toml", include_str!("../../inventory.toml"));
        self.write("lab.toml", &overlay.replace(&kept, "secrets/"));
    }

    /// The part of an inventory that names the lab's hosts and how they are reached.
    pub fn hosts(&self) -> String {
        let dir = self.lab.dir().display();
        let hosts = self.lab.hosts().iter().map(|host| {
            let address = self
                .lab
                .address(&host.name)
                .expect("the lab's host has an address");
            format!("{} = \"{address}\"\n", host.name)
        });
        format!(
            "[ssh]\nuser = \"deploy\"\nbecome = \"sudo\"\nidentity_file = \"{dir}/id_ed25519\"\n\
             known_hosts = \"{dir}/known_hosts\"\n[hosts]\n{}",
            hosts.collect::<String>()
        )
    }

    /// Writes a file in the inventory's folder.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        std::fs::write(path, text).expect("the file is written");
    }

    /// Writes another value into a secret's file.
    pub fn write_secret(&self, name: &str, value: &str) {
        let name = format!("secrets/{name}");
        self.write(&name, &format!("{value}\n"));
        let owner = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.folder.join(name), owner).expect("the file is ours");
    }

    /// The inventory's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The Debian release that its hosts run.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Says something to whoever reads the test's output.
    pub fn tell(&self, text: &str) {
        tell(text);
    }

    /// The program with a subcommand and the inventory; more arguments may follow.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(words)
            .args(["--state-dir", "state"])
            .current_dir(&self.folder)
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, words: &[&str]) -> Ran {
        let output = self.command(words).output().expect("the program starts");
        Ran::new(words, output)
    }

    /// `clusterctl VERB inventory.toml --ssh-config none WORDS`.
    pub fn clusterctl(&self, verb: &str, words: &[&str]) -> Ran {
        let all = [&[verb, "inventory.toml", "--ssh-config", "none"], words].concat();
        self.run(&all)
    }

    /// Makes the secrets, applies, and expects that to succeed.
    pub fn build(&self) -> Ran {
        let _ = self.run(&["secrets", "init", "inventory.toml"]).expect(0);
        self.clusterctl("apply", &["--yes"]).expect(0)
    }

    /// Runs a script as root on a host, and expects it to succeed.
    pub fn on(&self, host: &str, script: &str) -> String {
        self.lab
            .check(host, script)
            .unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// What the value of a secret file is.
    pub fn secret(&self, name: &str) -> String {
        let path = self.folder.join("secrets").join(name);
        std::fs::read_to_string(path)
            .expect("the secret is there")
            .trim()
            .to_owned()
    }
}

/// Where the whole runbook's cluster is described, from test to test; it goes with the lab.
fn site_folder(lab: &Lab) -> PathBuf {
    lab.dir().join("site")
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Turn {
    /// Waits until nobody else tests on the labs of this name.
    pub fn take() -> Self {
        let path = std::env::temp_dir().join(format!("clusterctl-{}.lock", labs_name()));
        let file = File::create(path).expect("the lock's file is there");
        file.lock().expect("the lab is ours");
        Self(file)
    }
}

/// A failed test says on which release it ran, and where the hosts are as it left them.
impl Drop for Bed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ssh = self.lab.ssh_config().display();
            tell(&format!("this ran on Debian {}: ssh -F {ssh} HOST", self.suite));
        }
    }
}

fn labs_name() -> String {
    std::env::var("CLUSTERCTL_E2E_LAB").unwrap_or_else(|_| "e2e".to_owned())
}

fn lab_name(suite: Suite) -> String {
    match suite {
        Suite::Bookworm => labs_name(),
        Suite::Trixie => format!("{}-{suite}", labs_name()),
    }
}

fn open(name: &str, suite: Suite, choose: impl FnOnce(&mut Vec<HostSpec>)) -> Lab {
    let mut hosts = lab::default_hosts();
    choose(&mut hosts);
    let options = LabOptions {
        name: name.to_owned(),
        hosts: Some(hosts),
        suite: Some(suite),
        programs: std::env::var_os("CLUSTERCTL_STANDINS").map(|dir| lab::programs_in(Path::new(&dir))),
        progress: Arc::new(tell),
        ..LabOptions::default()
    };
    Lab::open(options).expect("the lab opens")
}

fn spare() -> HostSpec {
    HostSpec {
        name: SPARE.to_owned(),
        octet: 14,
    }
}

/// The program under test.
pub fn program() -> PathBuf {
    let path = std::env::var_os("CLUSTERCTL_BIN").map(PathBuf::from);
    path.expect("CLUSTERCTL_BIN says where the program is; `cargo xtask test` sets it")
}

/// Shows the lab's progress: with the test runner's capture, it is there when a test fails.
#[expect(
    clippy::print_stderr,
    reason = "a test's progress goes where the test runner captures it"
)]
fn tell(line: &str) {
    eprintln!("{line}");
}

pub use applying::{Applying, kill_points, tells};
pub use host::Snapshot;
pub use lab::Suite;
pub use mongo::MongoClient;
pub use ran::Ran;
