//! Servers as processes of their own, on loopback addresses of their own.

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use standins::ssdb::message;
use tempfile::TempDir;

pub(super) const PASSWORD: &str = "0123456789abcdef0123456789abcdef";

/// Servers that mirror each other, each in a directory of its own.
pub(super) struct Mirrors {
    pub(super) home: TempDir,
    pub(super) ports: Vec<u16>,
    pub(super) running: Vec<Option<Child>>,
}

impl Mirrors {
    pub(super) fn new(count: usize) -> Self {
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

    pub(super) fn dir(&self, at: usize) -> PathBuf {
        self.home.path().join(format!("db{at}"))
    }

    /// Writes the file of a server, which shows its masters this password.
    pub(super) fn write(&self, at: usize, capacity: u64, shown: &str) {
        let mut text = format!(
            "work_dir = ./db{at}\nserver:\n\tip: 127.0.0.1\n\tport: {}\n\tauth: {PASSWORD}\n\
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

    /// Gives a server a pid file, which stops its next start where it is left.
    pub(super) fn write_pid_file(&self, at: usize) {
        let path = self.home.path().join(format!("db{at}.conf"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("pidfile = ./db{at}/ssdb.pid\n{text}")).unwrap();
    }

    pub(super) fn command(&self, at: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssdb-server"));
        command.arg(self.home.path().join(format!("db{at}.conf")));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(super) fn start(&mut self, at: usize) {
        self.running[at] = Some(self.command(at).spawn().unwrap());
        until("it answers", || {
            TcpStream::connect(("127.0.0.1", self.ports[at])).is_ok()
        });
    }

    pub(super) fn kill(&mut self, at: usize) {
        let mut child = self.running[at].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(super) fn ask(&self, at: usize, words: &[&str]) -> Vec<String> {
        ask(self.ports[at], Some(PASSWORD), words)
    }

    /// The block of `info` that is about one master.
    pub(super) fn link(&self, at: usize, to: usize) -> String {
        let info = self.ask(at, &["info"]);
        let wanted = format!("slaveof 127.0.0.1:{}\n", self.ports[to]);
        info.into_iter().find(|item| item.starts_with(&wanted)).unwrap()
    }

    pub(super) fn until_status(&self, at: usize, to: usize, status: &str) {
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

pub(super) fn ask(port: u16, password: Option<&str>, words: &[&str]) -> Vec<String> {
    ask_often(port, password, words, 1)
}

/// The last answer of many.
pub(super) fn ask_often(port: u16, password: Option<&str>, words: &[&str], times: usize) -> Vec<String> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    let mut talk = |words: &[&str]| {
        message::write(stream.get_mut(), words).unwrap();
        stream.get_mut().flush().unwrap();
        message::read(&mut stream).unwrap().unwrap()
    };
    if let Some(password) = password {
        talk(&["auth", password]);
    }
    for _ in 1..times {
        talk(words);
    }
    talk(words)
        .into_iter()
        .map(|item| String::from_utf8(item).unwrap())
        .collect()
}

pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
