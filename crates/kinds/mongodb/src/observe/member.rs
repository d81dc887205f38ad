//! One host: its unit, its files and its server.

use formats::mongod_conf::{BadConf, Conf};
use kit::Probe;
use plan::{Facts, Unknown};
use protocol::facts::{FileFact, MongoError, MongoFact, SilenceKind, UnitFact, UnitQuery};
use serde_json::Value;
use types::HostName;

use super::queries;
use super::server::{Membership, Server, release};
use crate::settings::Settings;

const DATA_DIR: &str = "storage.dbPath";

/// Options of mongod's command line, and the keys of its file that they override
/// (<https://www.mongodb.com/docs/manual/reference/configuration-file-settings-command-line-options-mapping/>).
const OPTIONS: [(&str, &str); 6] = [
    ("--port", "net.port"),
    ("--bind_ip", "net.bindIp"),
    ("--bind_ip_all", "net.bindIpAll"),
    ("--dbpath", DATA_DIR),
    ("--replSet", "replication.replSetName"),
    ("--keyFile", "security.keyFile"),
];

/// One host, a listed member or one that may be a former member.
pub(crate) struct Member<'a> {
    pub(crate) host: &'a HostName,
    pub(crate) unreachable: Option<&'a str>,
    pub(crate) unit: Result<&'a UnitFact, Unknown>,
    pub(crate) conf_file: Result<&'a FileFact, Unknown>,
    /// Its mongod.conf; `None` where there is none, or it could not be read.
    pub(crate) conf: Option<Result<Conf, BadConf>>,
    /// The keys of mongod.conf that its unit's command line overrides.
    pub(crate) overridden: Vec<(&'static str, Value)>,
    /// The program that its unit starts with mongod.conf and no other option, where it is such a one.
    pub(crate) program: Option<String>,
    /// The file that was written when its database was made.
    pub(crate) wired_tiger: Result<&'a FileFact, Unknown>,
    /// The key file, where there is one to manage.
    pub(crate) keyfile: Option<Result<&'a FileFact, Unknown>>,
    pub(crate) server: Probe<Server, MongoError>,
    /// Whether somebody listens on its port and speaks another protocol.
    pub(crate) is_foreign: bool,
    /// The addresses to which it resolves its own name.
    pub(crate) addresses: &'a [String],
    /// The version of the installed program, where it was asked for.
    pub(crate) installed: Option<(u32, u32)>,
    /// Whether its file or its command line names another data directory than the inventory, or may: it was not told.
    pub(crate) stores_elsewhere: bool,
    lock: Result<&'a FileFact, Unknown>,
}

impl kit::Member for Member<'_> {
    fn host(&self) -> &HostName {
        self.host
    }
}

impl<'a> Member<'a> {
    pub(crate) fn observe(settings: &'a Settings, host: &'a HostName, facts: &'a Facts) -> Self {
        let keyfile = settings.keyfile.as_ref();
        let conf_file = facts.get(host, &queries::conf(settings));
        let text = conf_file.as_ref().ok().and_then(|file| file.text());
        let conf = text.map(|text| Conf::parse(text.as_str()));
        let command_line = facts.get(host, &queries::command_line(settings));
        let command_line = command_line.ok().filter(|output| output.status == 0);
        let overridden = command_line.map_or_else(Vec::new, |output| overridden(&output.stdout));
        let data_dir = match (overridden.iter().find(|(path, _)| *path == DATA_DIR), &conf) {
            (Some((_, path)), _) => path.as_str(),
            (None, Some(Ok(conf))) => conf.get(DATA_DIR).and_then(Value::as_str),
            _ => None,
        };
        let is_other = |path: &str| path.trim_end_matches('/') != settings.data_dir.trim_end_matches('/');
        let unit = facts.get(host, &UnitQuery::new(&settings.unit));
        Self {
            host,
            unreachable: facts.unreachable(host),
            stores_elsewhere: command_line.is_none() || data_dir.is_some_and(is_other),
            conf_file,
            conf,
            overridden,
            program: command_line.and_then(|output| started_with(&output.stdout, &settings.config_path)),
            wired_tiger: facts.get(host, &queries::wired_tiger(settings)),
            keyfile: keyfile.map(|file| facts.get(host, &queries::keyfile(file))),
            server: Server::probe(settings, host, &unit, facts),
            is_foreign: matches!(
                facts.get(host, &queries::server(settings, settings.port)),
                Ok(MongoFact::Down(silence)) if silence.kind == SilenceKind::Foreign
            ),
            addresses: facts
                .get(host, &queries::resolved(host))
                .map_or(&[], |fact| fact.addresses.as_slice()),
            unit,
            installed: installed(host, facts),
            lock: facts.get(host, &queries::lock(settings)),
        }
    }

    /// The set that its server belongs to, where it answers.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        Some(&self.server.up()?.membership)
    }

    /// The name by which the set knows it, where its server tells.
    pub(crate) fn own_name(&self) -> Option<&str> {
        self.server.up()?.own_name.as_deref()
    }

    /// Whether its server does its part in the set: as primary, secondary or arbiter.
    pub(crate) fn has_role(&self) -> bool {
        self.server.up().is_some_and(|server| server.role.is_some())
    }

    /// Whether systemd has no process of it, and starts none by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.unit.as_ref().is_ok_and(|unit| unit.has_ended())
    }

    /// The version, as its server tells it or its installed program, where either was asked.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        let running = self.server.up().and_then(|server| server.version);
        running.or(self.installed)
    }

    /// Whether the server never ran where the inventory says that its data are: then it is in no set, and holds nothing.
    pub(crate) fn never_ran(&self) -> bool {
        !self.stores_elsewhere && self.lock.as_ref().is_ok_and(|lock| lock.meta().is_none())
    }
}

/// `ExecStart={ path=/usr/bin/mongod ; argv[]=/usr/bin/mongod --config /etc/mongod.conf --port 27018 ; ignore_errors=no ; ...`
fn words(shown: &str) -> impl Iterator<Item = &str> {
    let argv = shown.split_once("argv[]=").map_or("", |(_, rest)| rest);
    let argv = argv.split_once(" ; ").map_or(argv, |(argv, _)| argv);
    argv.split_whitespace()
}

/// The program of a command line that names the file and nothing else.
fn started_with(shown: &str, config_path: &str) -> Option<String> {
    let words: Vec<&str> = words(shown).collect();
    match words.as_slice() {
        [program, "--config" | "-f", path] if *path == config_path => Some((*program).to_owned()),
        _ => None,
    }
}

fn overridden(shown: &str) -> Vec<(&'static str, Value)> {
    let mut words = words(shown);
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let (name, given) = word
            .split_once('=')
            .map_or((word, None), |(name, value)| (name, Some(value)));
        if let Some((_, path)) = OPTIONS.iter().find(|(option, _)| *option == name) {
            let value = match name {
                "--bind_ip_all" => Some(Value::Bool(true)),
                _ => given.or_else(|| words.next()).map(Value::from),
            };
            found.extend(value.map(|value| (*path, value)));
        }
    }
    found
}

/// `db version v7.0.14`
fn installed(host: &HostName, facts: &Facts) -> Option<(u32, u32)> {
    let output = facts.get(host, &queries::installed()).ok()?;
    let mut lines = output.stdout.lines();
    release(lines.find_map(|line| line.strip_prefix("db version v"))?)
}
