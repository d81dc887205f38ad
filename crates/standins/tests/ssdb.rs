//! The stand-in of SSDB as processes of their own, on loopback addresses of their own.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use standins::ssdb::message;
use tempfile::TempDir;

const PASSWORD: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

/// Servers that mirror each other, each in a directory of its own.
struct Mirrors {
    home: TempDir,
    ports: Vec<u16>,
    running: Vec<Option<Child>>,
}

impl Mirrors {
    fn new(count: usize) -> Self {
        let listeners: Vec<TcpListener> = (0..count)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports = listeners
            .iter()
            .map(|listener| listener.local_addr().unwrap().port());
        let mirrors = Self {
            home: tempfile::tempdir().unwrap(),
            ports: ports.collect(),
            running: (0..count).map(|_| None).collect(),
        };
        for at in 0..count {
            std::fs::create_dir(mirrors.dir(at)).unwrap();
            mirrors.write(at, 1000, PASSWORD);
        }
        mirrors
    }

    fn dir(&self, at: usize) -> PathBuf {
        self.home.path().join(format!("db{at}"))
    }

    /// Writes the file of a server, which shows its masters this password.
    fn write(&self, at: usize, capacity: u64, shown: &str) {
        let mut text = format!(
            "work_dir = ./db{at}\npidfile = ./db{at}/ssdb.pid\nserver:\n\tip: 127.0.0.1\n\tport: {}\n\tauth: {PASSWORD}\n\
             replication:\n\tbinlog: yes\n\t\tcapacity: {capacity}\n",
            self.ports[at]
        );
        for (peer, port) in self.ports.iter().enumerate().filter(|(peer, _)| *peer != at) {
            write!(
                text,
                "\tslaveof:\n\t\tid: db{peer}\n\t\ttype: mirror\n\t\thost: 127.0.0.1\n\t\tport: {port}\n\t\tauth: {shown}\n"
            )
            .unwrap();
        }
        write!(text, "logger:\n\tlevel: info\n\toutput: db{at}/log.txt\n").unwrap();
        std::fs::write(self.home.path().join(format!("db{at}.conf")), text).unwrap();
    }

    fn command(&self, at: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssdb-server"));
        command.arg(self.home.path().join(format!("db{at}.conf")));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start(&mut self, at: usize) {
        self.running[at] = Some(self.command(at).spawn().unwrap());
        until("it answers", || {
            TcpStream::connect(("127.0.0.1", self.ports[at])).is_ok()
        });
    }

    fn kill(&mut self, at: usize) {
        let mut child = self.running[at].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn ask(&self, at: usize, words: &[&str]) -> Vec<String> {
        ask(self.ports[at], Some(PASSWORD), words)
    }

    /// The block of `info` that is about one master.
    fn link(&self, at: usize, to: usize) -> String {
        let info = self.ask(at, &["info"]);
        let wanted = format!("slaveof 127.0.0.1:{}\n", self.ports[to]);
        info.into_iter().find(|item| item.starts_with(&wanted)).unwrap()
    }

    fn until_status(&self, at: usize, to: usize, status: &str) {
        let wanted = format!("status     : {status}\n");
        until(&format!("{at} to {to}: {status}"), || {
            self.link(at, to).contains(&wanted)
        });
    }
}

impl Drop for Mirrors {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn ask(port: u16, password: Option<&str>, words: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    let mut talk = |words: &[&str]| {
        message::write(stream.get_mut(), words).unwrap();
        stream.get_mut().flush().unwrap();
        message::read(&mut stream).unwrap().unwrap()
    };
    if let Some(password) = password {
        talk(&["auth", password]);
    }
    talk(words)
        .into_iter()
        .map(|item| String::from_utf8(item).unwrap())
        .collect()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_written_on_one_is_on_all_once_and_survives_a_kill() {
    let mut mirrors = Mirrors::new(3);
    for at in 0..3 {
        mirrors.start(at);
    }
    for at in 0..3 {
        for to in (0..3).filter(|to| *to != at) {
            mirrors.until_status(at, to, "SYNC");
        }
    }
    assert_eq!(mirrors.ask(0, &["set", "a", "1"]), ["ok", "1"]);
    until("it is everywhere", || {
        (1..3).all(|at| mirrors.ask(at, &["get", "a"]) == ["ok", "1"])
    });
    // Before a mirror was told where it stands, it would copy everything again, and not see what was deleted.
    until("all know where they stand", || {
        (0..3).all(|at| (0..3).all(|to| at == to || mirrors.link(at, to).contains("last_seq   : 1\n")))
    });
    mirrors.kill(2);
    mirrors.ask(0, &["set", "b", "2"]);
    mirrors.ask(1, &["del", "a"]);
    mirrors.start(2);
    until("it has what it missed", || {
        mirrors.ask(2, &["get", "b"]) == ["ok", "2"]
    });
    until("and what was deleted", || {
        mirrors.ask(2, &["get", "a"]) == ["not_found"]
    });
    std::thread::sleep(Duration::from_secs(1));
    // Three changes, and none of them went round in circles.
    for at in 0..3 {
        let info = mirrors.ask(at, &["info"]).concat();
        assert!(info.contains("min_seq  : 0\n    max_seq  : 3"), "{info}");
    }
}

#[test]
fn a_wrong_password_stays_at_init_and_a_lost_master_is_disconnected() {
    let mut mirrors = Mirrors::new(2);
    mirrors.write(1, 1000, OTHER);
    mirrors.start(0);
    mirrors.start(1);
    mirrors.until_status(0, 1, "SYNC");
    mirrors.until_status(1, 0, "INIT");
    mirrors.kill(1);
    mirrors.until_status(0, 1, "DISCONNECTED");
    let port = mirrors.ports[0];
    assert_eq!(
        ask(port, None, &["get", "a"]),
        ["noauth", "authentication required"]
    );
    assert_eq!(ask(port, None, &["auth", OTHER]), ["error", "invalid password"]);
    assert_eq!(mirrors.ask(0, &["nonsense"])[0], "client_error");
}

#[test]
fn a_mirror_whose_position_is_not_in_the_binlog_is_out_of_sync() {
    let mut mirrors = Mirrors::new(2);
    mirrors.write(0, 5, PASSWORD);
    mirrors.start(0);
    mirrors.start(1);
    mirrors.until_status(1, 0, "SYNC");
    mirrors.ask(0, &["set", "a", "1"]);
    until("it came", || mirrors.link(1, 0).contains("last_seq   : 1\n"));
    mirrors.kill(1);
    for _ in 0..20 {
        mirrors.ask(0, &["set", "a", "2"]);
    }
    mirrors.start(1);
    mirrors.until_status(1, 0, "OUT_OF_SYNC");
    // One that was emptied knows of fewer changes than its mirrors remember of it.
    mirrors.ask(1, &["set", "b", "1"]);
    mirrors.kill(0);
    std::fs::remove_dir_all(mirrors.dir(0)).unwrap();
    std::fs::create_dir(mirrors.dir(0)).unwrap();
    mirrors.kill(1);
    mirrors.start(0);
    mirrors.start(1);
    mirrors.until_status(1, 0, "OUT_OF_SYNC");
}

#[test]
fn it_stalls_when_it_is_told_to_until_it_connects_again() {
    let mut mirrors = Mirrors::new(2);
    mirrors.start(0);
    mirrors.start(1);
    mirrors.until_status(1, 0, "SYNC");
    let control = mirrors.dir(1).join("stall");
    std::fs::write(&control, "db0").unwrap();
    until("it has begun", || !control.exists());
    mirrors.ask(0, &["set", "a", "1"]);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(mirrors.ask(1, &["get", "a"]), ["not_found"]);
    mirrors.until_status(1, 0, "SYNC");
    mirrors.kill(1);
    mirrors.start(1);
    until("it came", || mirrors.ask(1, &["get", "a"]) == ["ok", "1"]);
}

#[test]
fn with_d_it_says_0_before_it_can_fail_and_a_pid_file_stops_it() {
    let mirrors = Mirrors::new(1);
    let taken = TcpListener::bind(("127.0.0.1", mirrors.ports[0])).unwrap();
    let daemon = || -> ExitStatus { mirrors.command(0).arg("-d").status().unwrap() };
    assert!(daemon().success(), "its port is taken, and it says 0");
    // The child has come as far as its port when its data are there.
    until("it failed", || mirrors.dir(0).join("meta").exists());
    std::thread::sleep(Duration::from_millis(500));
    drop(taken);
    let pid_file = mirrors.dir(0).join("ssdb.pid");
    std::fs::write(&pid_file, "1").unwrap();
    assert_eq!(daemon().code(), Some(1));
    std::fs::remove_file(&pid_file).unwrap();
    assert!(daemon().success());
    until("it answers", || {
        TcpStream::connect(("127.0.0.1", mirrors.ports[0])).is_ok()
    });
    until("it wrote its number", || pid_file.exists());
    assert!(
        mirrors
            .command(0)
            .args(["-s", "stop"])
            .status()
            .unwrap()
            .success()
    );
    assert!(!pid_file.exists());
}
