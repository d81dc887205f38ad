//! What a running server says of itself.
//!
//! `info` answers a list: the program's name, then names and values in turn. A value may be a block of lines
//! (`serv.cpp`, `slave.cpp`; seen): `binlogs` with `capacity`, `min_seq` and `max_seq`; `replication`, once for each
//! connected mirror (`client HOST:PORT`) and each master (`slaveof HOST:PORT`), with `type`, `status` and `last_seq`.

use std::collections::BTreeMap;

use protocol::facts::SsdbReply;
use types::HostName;

use super::queries::BEFORE_FAREWELL;
use crate::settings::Settings;

/// A running server.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Info {
    /// The address at which it was asked.
    pub(crate) address: String,
    /// Whether it asks for a password.
    pub(crate) asks_password: bool,
    pub(crate) version: String,
    /// How many changes its binlog keeps.
    pub(crate) capacity: Option<u64>,
    /// The number of the oldest change in its binlog.
    pub(crate) min_seq: u64,
    /// The number of its last change.
    pub(crate) max_seq: u64,
    /// The addresses of the mirrors that are connected to it.
    pub(crate) clients: Vec<String>,
    /// The masters that it mirrors.
    pub(crate) links: Vec<Link>,
    /// Whether it holds anything but canaries; `None` where it does not tell.
    pub(crate) has_data: Option<bool>,
    /// Whether it holds queues; `None` where it does not tell.
    pub(crate) has_queues: Option<bool>,
    /// The canaries that it holds, by the host that they were written on.
    pub(crate) canaries: BTreeMap<HostName, String>,
    /// The farewell of a member that leaves.
    pub(crate) farewell: Option<String>,
}

/// A master, as its mirror sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Link {
    /// `HOST:PORT` as the file has it.
    pub(crate) at: String,
    /// The name under which the mirror remembers how far it is.
    pub(crate) id: String,
    /// Whether it is a mirror's, and not one that copies in one direction.
    pub(crate) is_mirror: bool,
    /// `DISCONNECTED`, `INIT`, `COPY`, `SYNC` or `OUT_OF_SYNC`.
    pub(crate) status: String,
    /// The number of the last change that came from there.
    pub(crate) last_seq: u64,
}

/// Reads the replies to the commands of `queries`.
pub(crate) fn read(settings: &Settings, address: &str, asks_password: bool, replies: &[SsdbReply]) -> Info {
    let mut info = Info {
        address: address.to_owned(),
        asks_password,
        ..Info::default()
    };
    let words: Vec<&str> = replies
        .first()
        .map(|reply| reply.items.iter().map(protocol::Text::as_str).collect())
        .unwrap_or_default();
    // Some versions put more than its name before the pairs, so known names are looked for.
    for pair in words.windows(2) {
        match pair {
            ["version", version] => (*version).clone_into(&mut info.version),
            ["binlogs", block] => {
                let fields = fields(block);
                info.capacity = fields.get("capacity").and_then(|text| text.parse().ok());
                info.min_seq = number(&fields, "min_seq");
                info.max_seq = number(&fields, "max_seq");
            }
            ["replication", block] => {
                info.clients.extend(client(block));
                info.links.extend(link(block));
            }
            _ => {}
        }
    }
    let value = |reply: &SsdbReply| reply.items.first().map(ToString::to_string).unwrap_or_default();
    let farewell = replies.get(BEFORE_FAREWELL).filter(|reply| reply.is_ok());
    info.farewell = farewell.map(value);
    info.canaries = settings
        .hosts
        .iter()
        .zip(replies.iter().skip(BEFORE_FAREWELL + 1))
        .filter(|(_, reply)| reply.is_ok())
        .map(|(host, reply)| (host.clone(), value(reply)))
        .collect();
    let ours = info.canaries.len() + usize::from(info.farewell.is_some());
    let lists: Vec<Option<usize>> = (1..BEFORE_FAREWELL).map(|at| count(replies.get(at))).collect();
    // A server that does not know a list has none of that sort; one that does not know keys tells nothing.
    info.has_data =
        lists[0].map(|keys| keys > ours || lists[1..].iter().any(|list| list.is_some_and(|items| items > 0)));
    info.has_queues = match replies.get(BEFORE_FAREWELL - 1) {
        Some(reply) if reply.status == "client_error" => Some(false),
        _ => lists[3].map(|queues| queues > 0),
    };
    info
}

fn count(reply: Option<&SsdbReply>) -> Option<usize> {
    reply.filter(|reply| reply.is_ok()).map(|reply| reply.items.len())
}

/// The address of `client 10.0.0.2:41234`, a connected mirror; one that is gone stays for some seconds (seen).
fn client(block: &str) -> Option<String> {
    let at = block.lines().next()?.trim().strip_prefix("client ")?;
    let (address, _) = at.rsplit_once(':')?;
    (fields(block).get("type") == Some(&"mirror")).then(|| address.to_owned())
}

/// `slaveof db2:4420` and its fields; `None` for a connected mirror.
fn link(block: &str) -> Option<Link> {
    let at = block.lines().next()?.trim().strip_prefix("slaveof ")?;
    let fields = fields(block);
    let text = |name: &str| fields.get(name).copied().unwrap_or_default().to_owned();
    Some(Link {
        at: at.trim().to_owned(),
        id: text("id"),
        is_mirror: text("type") == "mirror",
        status: text("status"),
        last_seq: number(&fields, "last_seq"),
    })
}

/// The lines `name : value` of a block.
fn fields(block: &str) -> BTreeMap<&str, &str> {
    let pairs = block
        .lines()
        .filter_map(|line| line.split_once(" : ").or_else(|| line.split_once(':')));
    pairs.map(|(name, value)| (name.trim(), value.trim())).collect()
}

fn number(fields: &BTreeMap<&str, &str>, name: &str) -> u64 {
    fields
        .get(name)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
