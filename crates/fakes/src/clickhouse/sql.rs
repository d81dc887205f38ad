//! SQL that the servers answer and carry out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use protocol::facts::{HttpEndpoint, HttpFact, HttpQuery, HttpRequest, Silence};
use protocol::{ActionError, Encoding, Text};

use super::cluster::{Cluster, Ddl, failed, unheard};
use super::node::{Node, Process};
use super::paths::{TABLE, USERS_D};
use formats::xml;

/// The table with which it is checked that statements reach every server.
const CHECK_TABLE: &str = "clusterctl_check";
/// The table that a new replica has until it has those of the others.
const JOINING_TABLE: &str = "clusterctl_joining";

fn exception(code: u16, text: &str) -> HttpFact {
    HttpFact::Reply {
        status: 500,
        body: Text::new(format!("Code: {code}, e.displayText() = DB::Exception: {text}")),
    }
}

impl Cluster {
    /// Why a server does not answer an account.
    fn refuses(&self, at: usize, endpoint: &HttpEndpoint) -> Option<HttpFact> {
        let node = &self.nodes[at];
        let server = node.server.as_ref().filter(|server| server.is_ready);
        let Some(server) = server.filter(|server| listens(server)) else {
            return Some(HttpFact::Down(Silence::refused()));
        };
        let (user, given) = match &endpoint.account {
            Some(account) => (account.user.as_str(), account.password.as_ref()),
            None => ("default", None),
        };
        let wrong = |code: u16, text: String| {
            if self.is_old() {
                return exception(code, &text);
            }
            let text = format!(
                "{user}: Authentication failed: password is incorrect, or there is no user with such name."
            );
            HttpFact::Reply {
                status: 403,
                body: Text::new(format!(
                    "Code: 516. DB::Exception: {text} (AUTHENTICATION_FAILED)"
                )),
            }
        };
        let Some(password) = password(server, user) else {
            return Some(wrong(192, format!("Unknown user {user}")));
        };
        let given = given.map(|id| Text::secret_in(Encoding::Cdata, id).to_string());
        (given.unwrap_or_default() != password).then(|| wrong(193, format!("Wrong password for user {user}")))
    }

    pub fn http(&self, at: usize, query: &HttpQuery) -> HttpFact {
        if let Some(refused) = self.refuses(at, &query.at) {
            return refused;
        }
        let node = &self.nodes[at];
        let sql = query.request.body.as_str();
        let has_session = self.has_session(node);
        let tree = self.tree_of(node).filter(|_| has_session);
        let body = if sql.contains("FROM system.zookeeper WHERE path IN") {
            if self.is_old() {
                return exception(
                    36,
                    "SELECT from system.zookeeper table must contain condition like path = 'path'",
                );
            }
            let Some(tree) = tree else {
                return exception(999, "Coordination::Exception: Session expired");
            };
            let names = tree.registered.iter().filter(|_| node.table.is_some());
            names.fold(String::new(), |mut text, name| {
                let _ = writeln!(text, "/clickhouse/tables/01/{TABLE}/replicas\t{name}");
                text
            })
        } else if sql.contains("FROM system.zookeeper") {
            match tree {
                Some(_) => "1\n".to_owned(),
                None => return exception(999, "Coordination::Exception: Session expired"),
            }
        } else if sql.starts_with("SELECT 'version'") {
            self.state(node)
        } else if sql.starts_with("SELECT 'database'") {
            if self.is_old() && sql.contains("show_table_uuid_in_table_create_query_if_not_nil") {
                return exception(
                    115,
                    "Unknown setting show_table_uuid_in_table_create_query_if_not_nil",
                );
            }
            self.schema(node)
        } else if sql.starts_with("SELECT database, name, engine_full") {
            match &node.table {
                Some(_) => format!(
                    "default\t{TABLE}\tReplicatedMergeTree(\\'/clickhouse/tables/{{shard}}/{TABLE}\\', \\'{{replica}}\\') ORDER BY id\n"
                ),
                None => String::new(),
            }
        } else if sql.contains("FROM system.tables WHERE database != 'system'") {
            node.local_table.clone().unwrap_or_default()
        } else if sql.starts_with("SELECT total_replicas") {
            let registered = tree.map_or(0, |tree| tree.registered.len());
            format!("{registered}\t{}\n", self.active())
        } else if sql.starts_with("SELECT database, table, is_readonly") {
            match &node.table {
                Some(_) => self.row(node),
                None => String::new(),
            }
        } else {
            unheard(sql)
        };
        HttpFact::Reply {
            status: 200,
            body: Text::new(body),
        }
    }

    /// Databases and tables, as 18.16 told of them, and later ones with their UUIDs.
    fn schema(&self, node: &Node) -> String {
        let (engine, uuid) = if self.is_old() {
            ("Ordinary", "")
        } else {
            ("Atomic", " UUID \\'6a1f4c52-6d1e-4b8a-9d6e-3f0f8a2c7b11\\'")
        };
        let table = format!(
            "table\tdefault\t{TABLE}\tReplicatedMergeTree\tCREATE TABLE default.{TABLE}{uuid} ( id UInt64) ENGINE = \
             ReplicatedMergeTree(\\'/clickhouse/tables/{{shard}}/{TABLE}\\', \\'{{replica}}\\') ORDER BY id\n"
        );
        let tables = node.table.as_ref().map_or("", |_| &table);
        format!("{tables}database\tdefault\t\t{engine}\t\n")
    }

    /// The parts of a `UNION ALL` come in any order: 18.16 began with another than the first in 8 of 400 answers.
    fn state(&self, node: &Node) -> String {
        let version = self.version.split('+').next().unwrap_or_default();
        let mut out = String::new();
        for (host, port) in node.cluster() {
            let _ = writeln!(out, "replica\t{host}\t{port}\t1");
        }
        for (name, value) in node.macros() {
            let _ = writeln!(out, "macro\t{name}\t{value}\t");
        }
        if node.has_check_table {
            let _ = writeln!(out, "check\t{CHECK_TABLE}\t\t");
        }
        if node.has_joining_table {
            let _ = writeln!(out, "check\t{JOINING_TABLE}\t\t");
        }
        let _ = writeln!(out, "version\t{version}\t\t");
        out
    }

    pub fn execute(
        &mut self,
        at: usize,
        endpoint: &HttpEndpoint,
        request: &HttpRequest,
    ) -> Result<(), ActionError> {
        match self.refuses(at, endpoint) {
            Some(HttpFact::Reply { body, .. }) => return Err(failed(body.as_str())),
            Some(HttpFact::Down(silence)) => return Err(failed(silence.words)),
            None => {}
        }
        let sql = request.body.as_str();
        if sql == "SYSTEM RELOAD CONFIG" {
            self.reload(at, true);
            Ok(())
        } else if let Some(rest) = sql.strip_prefix("SYSTEM DROP REPLICA '") {
            self.drop_replica(at, rest.split('\'').next().unwrap_or_default())
        } else if sql.starts_with(&format!("INSERT INTO default.{CHECK_TABLE}")) {
            self.insert_check(at, &request.path)
        } else if sql.contains(JOINING_TABLE) {
            self.nodes[at].has_joining_table = sql.starts_with("CREATE");
            Ok(())
        } else if sql.starts_with("CREATE DATABASE IF NOT EXISTS `default`") {
            Ok(())
        } else if sql.starts_with(&format!("CREATE TABLE IF NOT EXISTS default.{TABLE} ")) {
            self.make_table(at)
        } else if sql.contains(CHECK_TABLE) && sql.contains(" ON CLUSTER ") {
            self.everywhere(at, sql.starts_with("CREATE TABLE"))
        } else {
            unheard(sql)
        }
    }

    /// A row is acknowledged once as many replicas have it as the request says; one that has no session fetches nothing.
    fn insert_check(&self, at: usize, path: &str) -> Result<(), ActionError> {
        let wanted = path
            .split_once("insert_quorum=")
            .and_then(|(_, rest)| rest.split('&').next());
        let wanted: usize = wanted.and_then(|number| number.parse().ok()).unwrap_or(0);
        let has_it = |other: &usize| {
            let node = &self.nodes[*other];
            node.has_check_table && self.has_session(node) && self.are_linked(at, *other)
        };
        if (0..self.nodes.len()).filter(has_it).count() >= wanted {
            return Ok(());
        }
        // TOO_FEW_LIVE_REPLICAS
        Err(failed(
            "Code: 285, e.displayText() = DB::Exception: Number of alive replicas is less than requested quorum",
        ))
    }

    /// The server drops what is registered of a replica that is not active, and knows no such statement before 20.5.
    fn drop_replica(&mut self, at: usize, replica: &str) -> Result<(), ActionError> {
        if self.is_old() {
            return Err(failed("Code: 62, e.displayText() = DB::Exception: Syntax error"));
        }
        let owner = self.at(replica).map(|at| &self.nodes[at]);
        if owner.is_some_and(|owner| owner.table.is_some() && self.has_session(owner)) {
            return Err(failed(format!(
                "Code: 305. DB::Exception: Can't drop replica: {replica}, because it's active"
            )));
        }
        if !self.has_session(&self.nodes[at]) {
            return Err(failed("Code: 999. Coordination::Exception: Session expired"));
        }
        // Rows that no other server has are gone with it.
        let has = |node: &&Node, part: u64| node.name() != replica && node.parts().any(|known| known == part);
        let lost = owner
            .into_iter()
            .flat_map(Node::parts)
            .find(|&part| !self.nodes.iter().any(|node| has(&node, part)));
        if let Some(part) = lost {
            self.report(format!(
                "the replica {replica} was dropped, and nobody else has {part}"
            ));
        }
        self.commit(|tree| {
            tree.registered.remove(replica);
        });
        Ok(())
    }

    /// A statement on the whole cluster: the server waits for all, and goes on in the background where one does not answer.
    fn everywhere(&mut self, at: usize, creates: bool) -> Result<(), ActionError> {
        let node = &self.nodes[at];
        if !self.has_session(node) {
            return Err(failed(
                "Code: 999, e.displayText() = Coordination::Exception: Session expired",
            ));
        }
        let left: BTreeSet<String> = node.cluster().iter().map(|(host, _)| host.clone()).collect();
        if left.is_empty() {
            return Err(failed(
                "Code: 170, e.displayText() = DB::Exception: Requested cluster not found",
            ));
        }
        self.ddl.push(Ddl { creates, left });
        self.carry_out();
        match self.ddl.last() {
            None => Ok(()),
            Some(ddl) => Err(failed(format!(
                "Code: 159, e.displayText() = DB::Exception: Watching task is executing longer than \
                 distributed_ddl_task_timeout (=180) seconds. There are {} unfinished hosts",
                ddl.left.len()
            ))),
        }
    }

    /// Each server does what is in the queue for it, in order.
    pub fn carry_out(&mut self) {
        for at in 0..self.nodes.len() {
            if !self.has_session(&self.nodes[at]) {
                continue;
            }
            let name = self.nodes[at].name().to_owned();
            for ddl in &mut self.ddl {
                if ddl.left.remove(&name) {
                    self.nodes[at].has_check_table = ddl.creates;
                }
            }
        }
        self.ddl.retain(|ddl| !ddl.left.is_empty());
    }
}

/// Whether a server listens on its HTTP port: a configuration without that port, and with one for TLS, has no other.
fn listens(server: &Process) -> bool {
    server.merged.child("http_port").is_some() || server.merged.child("https_port").is_none()
}

/// The password of a user, as a reference; `None` where the server knows no such user. `default` has none unless a file
/// says so.
fn password(server: &Process, user: &str) -> Option<String> {
    let ours = server.loaded.iter().filter(|(path, _)| path.starts_with(USERS_D));
    let roots = ours.filter_map(|(_, text)| xml::parse(text).ok());
    let mut found = roots.filter_map(|root| Some(root.text_at(&["users", user, "password"])?.to_owned()));
    found.next().or_else(|| (user == "default").then(String::new))
}
