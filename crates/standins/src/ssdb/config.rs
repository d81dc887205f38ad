//! The configuration file, read as the real server reads it (`util/config.cpp`): to the letter, and no more kindly.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file that the server does not start with.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("'{}' is not a file or not exists!", .0.display())]
    Absent(PathBuf),
    /// A line is not of the format: the server tells the mistake on its standard output.
    #[error("error loading conf file: '{}'", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The mistake.
        what: String,
    },
    /// There is no such directory.
    #[error("'{}' is not a directory or not exists!", .0.display())]
    WorkDir(PathBuf),
}

/// A master to copy from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// The name under which positions are remembered.
    pub id: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is a mirror.
    pub is_mirror: bool,
    /// The password to show.
    pub auth: String,
    /// Seconds without a word after which it is connected to again.
    pub recv_timeout: u64,
}

/// What the file says.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where data are kept.
    pub work_dir: PathBuf,
    /// Where the process's number is written.
    pub pid_file: Option<PathBuf>,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The password; `None` where there is none, and an empty one is one.
    pub auth: Option<String>,
    /// How many changes are kept.
    pub capacity: u64,
    /// Whether changes are kept at all.
    pub has_binlog: bool,
    /// The masters.
    pub masters: Vec<Master>,
    /// The file of the log; `None` for standard output.
    pub log: Option<PathBuf>,
    /// Whether the log tells everything, passwords included.
    pub is_debug: bool,
}

/// How many changes are kept unless the file says otherwise.
const CAPACITY: u64 = 20_000_000;
/// Seconds without a word unless the file says otherwise.
const RECV_TIMEOUT: u64 = 30;
/// The shortest password.
pub(super) const SHORTEST: usize = 32;

struct Node {
    key: String,
    value: String,
    children: Vec<Node>,
}

impl Config {
    /// Reads a file, and checks what the server checks before it starts.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(path).map_err(|_| ConfigError::Absent(path.to_owned()))?;
        let root = parse(&String::from_utf8_lossy(&bytes)).map_err(|what| ConfigError::Line {
            path: path.to_owned(),
            what,
        })?;
        // Relative paths start at the file's own directory.
        let real = path
            .canonicalize()
            .map_err(|_| ConfigError::Absent(path.to_owned()))?;
        let dir = real.parent().unwrap_or(Path::new("/"));
        let place = |key| {
            root.text(&[key])
                .filter(|text| !text.is_empty())
                .map(|text| dir.join(text))
        };
        let config = Self {
            work_dir: place("work_dir").unwrap_or_else(|| dir.to_owned()),
            pid_file: place("pidfile"),
            listen: listen(&root),
            auth: root.text(&["server", "auth"]).map(str::to_owned),
            capacity: root
                .number(&["replication", "binlog", "capacity"])
                .filter(|&n| n > 0)
                .unwrap_or(CAPACITY),
            has_binlog: root.text(&["replication", "binlog"]) != Some("no"),
            masters: root.masters(),
            log: root
                .text(&["logger", "output"])
                .filter(|name| !name.is_empty() && *name != "stdout")
                .map(|name| dir.join(name)),
            is_debug: matches!(
                root.text(&["logger", "level"]),
                None | Some("" | "debug" | "trace")
            ),
        };
        if !config.work_dir.is_dir() {
            return Err(ConfigError::WorkDir(config.work_dir));
        }
        Ok(config)
    }
}

/// Where it listens: what is no address means all of them (`net/link.cpp`; seen).
fn listen(root: &Node) -> SocketAddr {
    let ip = root
        .text(&["server", "ip"])
        .filter(|ip| !ip.is_empty())
        .unwrap_or("127.0.0.1");
    let ip = ip.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
    let port = root.number(&["server", "port"]).unwrap_or(8888);
    (ip, u16::try_from(port).unwrap_or_default()).into()
}

impl Node {
    /// The last child of a key: the one that holds.
    fn child(&self, key: &str) -> Option<&Node> {
        self.children.iter().rfind(|child| child.key == key)
    }

    fn text(&self, path: &[&str]) -> Option<&str> {
        let found = path.iter().try_fold(self, |node, key| node.child(key));
        found.map(|node| node.value.as_str())
    }

    /// A number as C reads it: what is none is 0.
    fn number(&self, path: &[&str]) -> Option<u64> {
        let text = self.text(path)?;
        let end = text
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len());
        Some(text[..end].parse().unwrap_or_default())
    }

    fn masters(&self) -> Vec<Master> {
        let Some(replication) = self.child("replication") else {
            return Vec::new();
        };
        let slaveofs = replication.children.iter().filter(|child| child.key == "slaveof");
        slaveofs.filter_map(Node::master).collect()
    }

    fn master(&self) -> Option<Master> {
        let host = self
            .text(&["host"])
            .filter(|host| !host.is_empty())
            .or_else(|| self.text(&["ip"]))?;
        let port = self
            .number(&["port"])
            .and_then(|port| u16::try_from(port).ok())
            .filter(|&port| port > 0)?;
        let id = self.text(&["id"]).filter(|id| !id.is_empty());
        Some(Master {
            id: id.map_or_else(|| format!("{host}|{port}"), str::to_owned),
            host: host.to_owned(),
            port,
            is_mirror: self.text(&["type"]) == Some("mirror"),
            auth: self.text(&["auth"]).unwrap_or_default().to_owned(),
            recv_timeout: self
                .number(&["recv_timeout"])
                .filter(|&n| n > 0)
                .unwrap_or(RECV_TIMEOUT),
        })
    }
}

fn parse(text: &str) -> Result<Node, String> {
    // The way down to the line that was read last: the root first.
    let mut open = vec![Node {
        key: String::new(),
        value: String::new(),
        children: Vec::new(),
    }];
    for (at, line) in text.split_inclusive('\n').enumerate() {
        // The last character goes, whatever it is: a line without a newline loses one of its own.
        let line = &line[..line.floor_char_boundary(line.len() - 1)];
        let error = |what| format!("invalid line({}): {what}", at + 1);
        if line.trim().is_empty() {
            continue;
        }
        let rest = line.trim_start_matches('\t');
        let indent = line.len() - rest.len();
        if rest.starts_with('#') {
            continue;
        }
        if rest.starts_with(char::is_whitespace) {
            return Err(error("unexpected whitespace char ' '"));
        }
        if indent + 1 > open.len() {
            return Err(format!("invalid indent line({})", at + 1));
        }
        let (key, value) = rest
            .split_once([':', '='])
            .ok_or_else(|| error("(null), expecting ':' or '='"))?;
        close(&mut open, indent + 1);
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        open.push(Node {
            key,
            value,
            children: Vec::new(),
        });
    }
    close(&mut open, 1);
    open.pop().ok_or_else(|| "empty".to_owned())
}

/// Puts lines that are complete into their parents until so many are open.
fn close(open: &mut Vec<Node>, depth: usize) {
    while open.len() > depth {
        if let Some(node) = open.pop()
            && let Some(parent) = open.last_mut()
        {
            parent.children.push(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "0123456789abcdef0123456789abcdef";

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("var")).unwrap();
        let path = dir.path().join("ssdb.conf");
        std::fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn the_file_of_the_runbook_means_less_than_it_says() {
        let text = "work_dir = ./var\nserver:\n\tip: 127.0.0.1\n\tport: 4420\nreplication:\n\tbinlog: yes\n\tcapacity: 5\n\tslaveof:\n\t\tid: db2\n\t\ttype: mirror\n\t\thost: db2\n\t\tport: 4420\n";
        let config = load(text).unwrap();
        assert_eq!(config.capacity, CAPACITY);
        assert_eq!(
            (config.masters[0].id.as_str(), config.masters[0].recv_timeout),
            ("db2", RECV_TIMEOUT)
        );
        let config = load(&text.replace("\tcapacity", "\t\tcapacity")).unwrap();
        assert_eq!(config.capacity, 5);
    }

    #[test]
    fn it_does_not_start_with_a_space_or_without_its_directory() {
        let says = |text: &str| load(text).unwrap_err().to_string();
        let told = load("work_dir = ./var\nserver:\n port: 1\n").unwrap_err();
        assert!(
            matches!(told, ConfigError::Line { what, .. } if what == "invalid line(3): unexpected whitespace char ' '")
        );
        assert!(says("work_dir = ./none\n").ends_with("is not a directory or not exists!"));
        assert_eq!(
            load("work_dir = ./var\nserver:\n\tauth:\n")
                .unwrap()
                .auth
                .as_deref(),
            Some("")
        );
    }

    #[test]
    fn a_last_line_without_a_newline_loses_a_character() {
        let config = load(&format!("work_dir = ./var\nserver:\n\tauth: {PASSWORD}x")).unwrap();
        assert_eq!(config.auth.as_deref(), Some(PASSWORD));
    }
}
