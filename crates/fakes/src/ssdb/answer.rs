//! What the agents answer.

use protocol::facts::{Silence, SsdbFact, SsdbQuery, SsdbReply, THIS_HOST, TcpFact};
use protocol::{Fact, FactQuery, Text};

use super::server::{Disk, Link, Process, Status};
use super::{CONFIG, Cluster, DIR, Node, OURS, UNIT};

impl Cluster {
    pub(super) fn fact(&self, at: usize, query: &FactQuery) -> Option<Fact> {
        let node = &self.nodes[at];
        Some(match query {
            FactQuery::Unit(query) if query.name == UNIT => Fact::Unit(node.machine.unit_fact(UNIT)),
            FactQuery::File(query) if query.path == CONFIG || query.path.starts_with(DIR) => {
                Fact::File(node.machine.file_fact(query))
            }
            FactQuery::Tcp(query) => Fact::Tcp(match self.listener(at, &query.host, query.port) {
                Ok(_) => TcpFact::Open,
                Err(silence) => TcpFact::Closed(silence),
            }),
            FactQuery::Ssdb(query) => Fact::Ssdb(self.ask(at, query)),
            _ => return None,
        })
    }

    /// The server that listens at an address, as seen from a host, and why nobody does.
    pub(super) fn server(&self, from: usize, address: &str, port: u16) -> Result<usize, SsdbFact> {
        let at = self.listener(from, address, port);
        let at = at.map_err(SsdbFact::Down)?;
        let auth = self.nodes[at]
            .process
            .as_ref()
            .and_then(|process| process.auth.as_ref());
        if auth.is_some_and(|auth| auth != OURS) {
            return Err(SsdbFact::Denied("error: invalid password".to_owned()));
        }
        Ok(at)
    }

    /// Who accepts connections at an address, as seen from a host; else what a connection ends with.
    fn listener(&self, from: usize, address: &str, port: u16) -> Result<usize, Silence> {
        let at = match address {
            "127.0.0.1" | THIS_HOST => from,
            other => self.find(other).ok_or_else(Silence::refused)?,
        };
        if !self.reaches(from, at) {
            return Err(Silence::no_answer("timed out"));
        }
        let process = self.nodes[at].process.as_ref().filter(|_| self.answers(at));
        let process = process.ok_or_else(Silence::refused)?;
        let listens = process.ip == "0.0.0.0"
            || address == THIS_HOST
            || process.ip == address
            || self.nodes[at].name.as_str() == address && process.ip == self.nodes[at].address;
        if listens && process.port == port.to_string() {
            Ok(at)
        } else {
            Err(Silence::refused())
        }
    }

    /// The rows of the mirrors that a master is connected with: of a connection that it lost with its power it does not know.
    fn clients_of(&self, master: usize) -> Vec<String> {
        let max = self.nodes[master].disk.as_ref().map_or(0, |disk| disk.log.len());
        let mut clients = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let links = node.process.iter().flat_map(|process| &process.links);
            let is_known = |link: &&Link| {
                let is_dead = link.silence.is_some_and(|silence| silence.is_dead);
                link.is_connected() && !is_dead && self.find(link.goal()) == Some(master)
            };
            let rows = links.filter(is_known).enumerate();
            clients.extend(rows.map(|(number, link)| {
                let address = node.comes_from.as_ref().unwrap_or(&node.address);
                let port = 40_000 + 100 * at + number;
                let last_seq = match (link.status, &node.disk) {
                    (Status::OutOfSync, Some(disk)) => disk.position(&link.id),
                    _ => max,
                };
                format!(
                    "client {address}:{port}\n    type     : mirror\n    status   : {}\n    last_seq : {last_seq}",
                    link.status.word()
                )
            }));
        }
        clients
    }

    fn ask(&self, from: usize, query: &SsdbQuery) -> SsdbFact {
        let at = match self.server(from, &query.address, query.port) {
            Ok(at) => at,
            Err(fact) => return fact,
        };
        let node = &self.nodes[at];
        let (Some(process), Some(disk)) = (&node.process, &node.disk) else {
            return SsdbFact::Down(Silence::refused());
        };
        let replies = query.commands.iter().map(|command| {
            let words: Vec<&str> = command.args.iter().map(Text::as_str).collect();
            match words.as_slice() {
                ["info"] => ok(info(process, disk, self.clients_of(at))),
                _ => reply(node, disk, &words),
            }
        });
        SsdbFact::Replies {
            asks_password: process.auth.is_some(),
            replies: replies.collect(),
        }
    }
}

fn ok(items: Vec<String>) -> SsdbReply {
    SsdbReply {
        status: "ok".to_owned(),
        items: items.into_iter().map(Text::new).collect(),
    }
}

fn reply(node: &Node, disk: &Disk, words: &[&str]) -> SsdbReply {
    match words {
        ["keys", _, _, limit] => {
            let limit = limit.parse().unwrap_or(usize::MAX);
            ok(disk.data.keys().take(limit).cloned().collect())
        }
        ["qlist", _, _, limit] => {
            let limit = limit.parse().unwrap_or(usize::MAX);
            ok(disk.queues.keys().take(limit).cloned().collect())
        }
        ["hlist" | "zlist", ..] => ok(Vec::new()),
        ["get", key] => match disk.data.get(*key) {
            Some(value) => ok(vec![value.clone()]),
            None => SsdbReply {
                status: "not_found".to_owned(),
                items: Vec::new(),
            },
        },
        other => panic!("{} is asked {other:?}, which this world does not know", node.name),
    }
}

fn info(process: &Process, disk: &Disk, clients: Vec<String>) -> Vec<String> {
    let (min, max) = (disk.oldest, disk.log.len());
    let binlogs = format!(
        "    capacity : {}\n    min_seq  : {min}\n    max_seq  : {max}",
        process.capacity
    );
    let mut items: Vec<String> = [
        "ssdb-server",
        "version",
        "1.9.8",
        "links",
        "1",
        "binlogs",
        &binlogs,
    ]
    .map(str::to_owned)
    .into();
    for client in clients {
        items.extend(["replication".to_owned(), client]);
    }
    for link in &process.links {
        items.push("replication".to_owned());
        items.push(format!(
            "slaveof {}:{}\n    id         : {}\n    type       : mirror\n    status     : {}\n    last_seq   : {}\n    \
             copy_count : 0\n    sync_count : 0",
            link.host,
            link.port,
            link.id,
            link.status.word(),
            disk.position(&link.id),
        ));
    }
    items
}
