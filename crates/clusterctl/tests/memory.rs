//! Nobody but root reads this process's memory while it works: its files in /proc belong to root.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// An account that is not root and has nothing.
const NOBODY: u32 = 65_534;
/// How long a test waits for what comes at once.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program as somebody other than root runs it: what root runs has files that belong to root in any case.
struct Rig {
    home: TempDir,
    program: PathBuf,
}

/// A process that is waiting; it does not outlive the test.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Rig {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // A program that its user cannot read is not dumpable in any case.
        let program = home.path().join("clusterctl");
        fs::copy(env!("CARGO_BIN_EXE_clusterctl"), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { home, program }
    }

    /// An inventory that never says its end: the program waits for it, with everything before it done. It is handed over as
    /// an open descriptor, for the program opens no file that is none.
    fn endless_inventory(&self) -> File {
        let path = self.home.path().join("inventory.toml");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
        if is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        File::options().read(true).write(true).open(&path).unwrap()
    }

    fn start(&self, words: &[&str], inventory: File) -> Waiting {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .arg("/dev/stdin")
            .current_dir(self.home.path())
            .stdin(inventory)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        Waiting(command.spawn().unwrap())
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Waits until the kernel keeps the process's memory and environment from its own user.
fn assert_hidden(process: &mut Waiting) {
    let until = Instant::now() + PATIENCE;
    let files = ["mem", "environ"].map(|name| format!("/proc/{}/{name}", process.0.id()));
    loop {
        let owners = files
            .clone()
            .map(|file| fs::metadata(file).map(|meta| meta.uid()));
        if owners.iter().all(|owner| matches!(owner, Ok(0))) {
            return;
        }
        if let Some(status) = process.0.try_wait().unwrap() {
            panic!("it ended with {status}");
        }
        assert!(Instant::now() < until, "its memory is in the open: {owners:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_memory_of_a_plan_is_hidden_from_other_processes_of_its_user() {
    let rig = Rig::new();
    let inventory = rig.endless_inventory();
    assert_hidden(&mut rig.start(&["plan"], inventory));
}

#[test]
fn the_memory_of_secrets_init_is_hidden_from_other_processes_of_its_user() {
    let rig = Rig::new();
    let inventory = rig.endless_inventory();
    assert_hidden(&mut rig.start(&["secrets", "init"], inventory));
}
