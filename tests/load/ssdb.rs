//! A client of SSDB mirrors: any of them takes writes, and the others get them some time later.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::members::{Group, Rule};
use crate::net::{Turn, Wire};
use crate::run::{Client, Service, missing};

/// One service of mirrors.
pub(crate) struct Ssdb {
    pub(crate) members: Vec<IpAddr>,
    pub(crate) port: u16,
    pub(crate) password: String,
}

/// Sends a command, and returns the answer without its status, which must be one of these.
fn ask(wire: &mut Wire, words: &[&str], good: &[&str]) -> Result<Vec<String>, String> {
    let items: Vec<String> = words
        .iter()
        .map(|word| format!("{}\n{word}\n", word.len()))
        .collect();
    let mut items = wire.ask(format!("{}\n", items.concat()).as_bytes(), parse)?;
    match items.first() {
        Some(status) if good.contains(&status.as_str()) => Ok(items.split_off(1)),
        _ => Err(items.join(": ")),
    }
}

/// The items of a message: each a line with its length, then itself; an empty line ends them.
fn parse(bytes: &[u8]) -> Result<Option<(Vec<String>, usize)>, String> {
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..)
        && let Some(end) = rest.iter().position(|&byte| byte == b'\n')
    {
        let length = String::from_utf8_lossy(&rest[..end]).into_owned();
        at += end + 1;
        if length.is_empty() {
            return Ok(Some((items, at)));
        }
        let length: usize = length.parse().map_err(|_| "no SSDB".to_owned())?;
        let Some(item) = bytes.get(at..at + length) else {
            break;
        };
        items.push(String::from_utf8_lossy(item).into_owned());
        at += length + 1;
    }
    Ok(None)
}

fn open(address: IpAddr, port: u16, password: &str) -> Result<Wire, String> {
    let mut wire = Wire::open(address, port)?;
    ask(&mut wire, &["auth", password], &["ok"])?;
    Ok(wire)
}

struct Mirrors {
    members: Vec<IpAddr>,
    port: u16,
    password: String,
    mirror: Turn<Wire>,
}

impl Mirrors {
    fn with<T>(&mut self, request: impl FnOnce(&mut Wire) -> Result<T, String>) -> Result<T, String> {
        let Self {
            members,
            port,
            password,
            mirror,
        } = self;
        mirror.with(|at| open(members[at % members.len()], *port, password), request)
    }
}

impl Client for Mirrors {
    fn write(&mut self, number: u64) -> Result<(), String> {
        let key = format!("load:{number:09}");
        self.with(|mirror| ask(mirror, &["set", &key, "x"], &["ok"]).map(drop))
    }

    fn read(&mut self, number: u64) -> Result<(), String> {
        let key = format!("load:{number:09}");
        self.with(|mirror| ask(mirror, &["get", &key], &["ok", "not_found"]).map(drop))
    }
}

impl Service for Ssdb {
    fn groups(&self) -> Vec<Group> {
        let probes = self.members.iter().map(|&address| {
            let (port, password) = (self.port, self.password.clone());
            Box::new(move || open(address, port, &password).is_ok()) as _
        });
        vec![Group {
            what: "mirrors",
            rule: Rule::AtLeast(2),
            probes: probes.collect(),
        }]
    }

    fn client(&self, first: usize) -> Box<dyn Client> {
        Box::new(Mirrors {
            members: self.members.clone(),
            port: self.port,
            password: self.password.clone(),
            mirror: Turn::new(first),
        })
    }

    fn lost(&self, acknowledged: &BTreeSet<u64>) -> Option<BTreeSet<u64>> {
        Some(missing(&self.members, acknowledged, |&address| {
            let mut mirror = open(address, self.port, &self.password)?;
            let keys = ask(&mut mirror, &["keys", "load:", "load:~", "1000000"], &["ok"])?;
            let number = |key: &String| key.strip_prefix("load:")?.parse().ok();
            Ok(keys.iter().filter_map(number).collect())
        }))
    }
}
