//! A client of Redis that asks Sentinel for the master.
//!
//! A write counts as acknowledged when a replica has it too (`WAIT 1`): what only a master has is nobody's promise.

use std::collections::BTreeSet;
use std::net::IpAddr;

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame as _};

use crate::members::{Group, Rule};
use crate::net::{Turn, Wire, said};
use crate::run::{Client, Service, missing};

const PORT: u16 = 6666;
const SENTINEL: u16 = 26379;

/// The store of duplicates.
pub(crate) struct Redis {
    pub(crate) members: Vec<IpAddr>,
    pub(crate) password: String,
}

/// Sends a command; an error of the server is an error.
fn ask(wire: &mut Wire, words: &[&str]) -> Result<OwnedFrame, String> {
    let items: Vec<String> = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()))
        .collect();
    let request = format!("*{}\r\n{}", words.len(), items.concat());
    let parse = |bytes: &[u8]| decode(bytes).map_err(said);
    match wire.ask(request.as_bytes(), parse)? {
        OwnedFrame::Error(said) => Err(said),
        frame => Ok(frame),
    }
}

fn text(frame: &OwnedFrame) -> &str {
    frame.as_str().unwrap_or_default()
}

fn open(address: IpAddr, password: &str) -> Result<Wire, String> {
    let mut wire = Wire::open(address, PORT)?;
    ask(&mut wire, &["AUTH", password])?;
    Ok(wire)
}

/// Connects to the master that a sentinel names.
fn open_master(sentinel: IpAddr, password: &str) -> Result<Wire, String> {
    let mut sentinel = Wire::open(sentinel, SENTINEL)?;
    let named = ask(
        &mut sentinel,
        &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "altcraft"],
    )?;
    let OwnedFrame::Array(named) = named else {
        return Err("the sentinel knows no master".to_owned());
    };
    let address = named.first().map(text).and_then(|address| address.parse().ok());
    open(address.ok_or("the sentinel names no address")?, password)
}

struct Named {
    members: Vec<IpAddr>,
    password: String,
    master: Turn<Wire>,
}

impl Named {
    fn with<T>(&mut self, request: impl FnOnce(&mut Wire) -> Result<T, String>) -> Result<T, String> {
        let Self {
            members,
            password,
            master,
        } = self;
        master.with(|at| open_master(members[at % members.len()], password), request)
    }
}

impl Client for Named {
    fn write(&mut self, number: u64) -> Result<(), String> {
        self.with(|master| {
            ask(master, &["SET", &format!("load:{number}"), "x"])?;
            match ask(master, &["WAIT", "1", "1000"])? {
                OwnedFrame::Integer(1..) => Ok(()),
                _ => Err("no replica has it".to_owned()),
            }
        })
    }

    fn read(&mut self, number: u64) -> Result<(), String> {
        self.with(|master| ask(master, &["GET", &format!("load:{number}")]).map(drop))
    }
}

impl Service for Redis {
    fn groups(&self) -> Vec<Group> {
        let servers = self.members.iter().map(|&address| {
            let password = self.password.clone();
            let ping = move || open(address, &password).and_then(|mut wire| ask(&mut wire, &["PING"]));
            Box::new(move || ping().is_ok()) as _
        });
        let sentinels = self.members.iter().map(|&address| {
            let ping = move || Wire::open(address, SENTINEL).and_then(|mut wire| ask(&mut wire, &["PING"]));
            Box::new(move || ping().is_ok()) as _
        });
        vec![
            Group {
                what: "servers",
                rule: Rule::AtLeast(2),
                probes: servers.collect(),
            },
            Group {
                what: "sentinels",
                rule: Rule::AtLeast(2),
                probes: sentinels.collect(),
            },
        ]
    }

    fn client(&self, first: usize) -> Box<dyn Client> {
        Box::new(Named {
            members: self.members.clone(),
            password: self.password.clone(),
            master: Turn::new(first),
        })
    }

    fn lost(&self, acknowledged: &BTreeSet<u64>) -> Option<BTreeSet<u64>> {
        Some(missing(&self.members, acknowledged, |&address| {
            let keys = ask(&mut open(address, &self.password)?, &["KEYS", "load:*"])?;
            let OwnedFrame::Array(keys) = keys else {
                return Err("no list".to_owned());
            };
            let number = |key: &OwnedFrame| text(key).strip_prefix("load:")?.parse().ok();
            Ok(keys.iter().filter_map(number).collect())
        }))
    }
}
