//! The trial of a file for Redis, by the script of the kind: with the real server, and with one that hangs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice;

use protocol::{Action, ActionError, Change, FileState, Operation, Trial};
use tempfile::TempDir;

use crate::Client;
use crate::client::{files_below, until, write_file};

const SCRIPT: &str = include_str!("../../../kinds/kvrocks/src/steps/trial.sh");

/// As a member's file has it: nothing of this may touch what runs.
const FILE: &str = "port 6666\nbind 127.0.0.1 10.0.0.1\nappendonly yes\nsave 3600 1\nlogfile /nowhere.log\n\
                    pidfile /nowhere.pid\nrequirepass \"geheim\"\nreplicaof 127.0.0.1 1\nrename-command PING \"\"\n";

struct Bed {
    client: Client,
    programs: TempDir,
    path: PathBuf,
}

impl Bed {
    /// A host whose unit starts this server.
    fn with(server: &Path) -> Self {
        let programs = tempfile::tempdir().unwrap();
        let show = format!(
            "echo '{{ path={} ; argv[]=redis-server /etc/redis/redis.conf ; ignore_errors=no ; pid=0 }}'",
            server.display()
        );
        program(&programs.path().join("systemctl"), &show);
        // What it leaves behind is found here.
        let made = "exec /usr/bin/mktemp -d \"$(dirname \"$0\")/left.XXXXXX\"";
        program(&programs.path().join("mktemp"), made);
        let client = Client::start_with(|command| {
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", programs.path().display()));
        });
        let path = client.home.path().join("redis.conf");
        fs::write(&path, "old\n").unwrap();
        Self {
            client,
            programs,
            path,
        }
    }

    fn write(&mut self, text: &str, limit_ms: u64) -> Result<Change, ActionError> {
        let mut operation = write_file(&self.path, text, FileState::Any);
        if let Operation::WriteFile {
            trial, owner, group, ..
        } = &mut operation
        {
            let names = "[^ ]*(pass)[^ ]*|user";
            let words = [
                "sh",
                "-c",
                SCRIPT,
                "sh",
                "%s",
                "redis-server.service",
                owner,
                group,
                names,
            ];
            let argv = words.map(str::to_owned).to_vec();
            *trial = Some(Trial { argv });
        }
        self.client.perform(Action {
            only_if: Vec::new(),
            operation,
            limit_ms,
        })
    }

    /// Why a file is not taken; the one that stands there is left, and nothing of the trial is.
    fn refuses(&mut self, line: &str) -> String {
        let error = self.write(&format!("{FILE}{line}\n"), 30_000).unwrap_err();
        assert_eq!(fs::read_to_string(&self.path).unwrap(), "old\n", "{line}");
        self.assert_nothing_is_left();
        error.to_string()
    }

    fn assert_nothing_is_left(&self) {
        let left = fs::read_dir(self.programs.path()).unwrap();
        let left = left.filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_str().unwrap().starts_with("left")
        });
        assert_eq!(left.count(), 0);
        assert_eq!(files_below(self.client.home.path()), slice::from_ref(&self.path));
    }
}

fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn redis() -> PathBuf {
    let output = Command::new("sh")
        .args(["-c", "command -v redis-server"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "redis-server is installed: apt-get install redis-server"
    );
    String::from_utf8(output.stdout).unwrap().trim().into()
}

/// What Redis 7.0.15 says.
#[test]
fn redis_refuses_a_file_with_which_it_does_not_start() {
    let mut bed = Bed::with(&redis());
    for (line, said) in [
        (
            "databases abc",
            ">>> 'databases abc'\nargument couldn't be parsed into an integer",
        ),
        (
            "databases 0",
            "argument must be between 1 and 2147483647 inclusive",
        ),
        ("maxmemory 100xb", "argument must be a memory value"),
        (
            "nosuch 1",
            ">>> 'nosuch 1'\nBad directive or wrong number of arguments",
        ),
        ("dir /nowhere", "No such file or directory"),
        ("loadmodule /nowhere.so", "Can't load module from /nowhere.so"),
        ("aclfile /nowhere", "Error loading ACLs, opening file '/nowhere'"),
        // What an operator wrote by hand is no secret that the agent knows.
        (
            "requirepass geheim more",
            ">>> 'requirepass ...'\nwrong number of arguments",
        ),
        ("user default on <geheim", "Error in user declaration 'default'"),
    ] {
        let error = bed.refuses(line);
        assert!(error.contains(said), "{line}: {error}");
        assert!(!error.contains("geheim"), "{error}");
    }
}

#[test]
fn redis_takes_a_file_whatever_it_says_of_addresses_roles_and_data() {
    for line in [
        "",
        "tls-port 7777",
        "unixsocket /nowhere/s",
        "loglevel warning",
        "cluster-enabled no",
    ] {
        let mut bed = Bed::with(&redis());
        let text = format!("{FILE}{line}\n");
        bed.write(&text, 30_000).unwrap();
        assert_eq!(fs::read_to_string(&bed.path).unwrap(), text);
        let backup = files_below(&bed.client.home.path().join("backups"));
        fs::remove_file(&backup[0]).unwrap();
        bed.assert_nothing_is_left();
    }
}

/// It says what a build of Redis 7.0 without TLS does (`config.c`: `tls-port` is behind `USE_OPENSSL`).
#[test]
fn a_server_without_tls_is_started_without_its_port() {
    let home = tempfile::tempdir().unwrap();
    let server = home.path().join("redis-server");
    program(
        &server,
        &format!(
            "case \"$*\" in *tls-port*) echo \">>> 'tls-port \\\"0\\\"'\"; exit 1;; esac\nexec {} \"$@\"",
            redis().display()
        ),
    );
    fs::copy(redis().with_file_name("redis-cli"), home.path().join("redis-cli")).unwrap();
    let mut bed = Bed::with(&server);
    let error = bed.refuses("databases abc");
    assert!(error.contains(">>> 'databases abc'"), "{error}");
    bed.write(FILE, 30_000).unwrap();
}

#[test]
fn a_server_that_hangs_is_ended_at_the_time_limit() {
    let home = tempfile::tempdir().unwrap();
    let server = home.path().join("redis-server");
    program(
        &server,
        "trap '' TERM\necho $$ > \"$(dirname \"$0\")/pid\"\nwhile :; do sleep 1; done",
    );
    program(&home.path().join("redis-cli"), "exit 1");
    let mut bed = Bed::with(&server);
    let error = bed.write(FILE, 1_000).unwrap_err();
    assert!(matches!(error, ActionError::TimedOut { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&bed.path).unwrap(), "old\n");
    bed.assert_nothing_is_left();
    let pid = fs::read_to_string(home.path().join("pid")).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    until("the server is gone", || !process.exists());
}

#[test]
fn a_host_without_the_program_tries_nothing() {
    let mut bed = Bed::with(Path::new("/nowhere/redis-server"));
    bed.write("databases abc\n", 30_000).unwrap();
    assert_eq!(fs::read_to_string(&bed.path).unwrap(), "databases abc\n");
}
