//! What a host's server holds, and what proves that it holds nothing.
//!
//! A server that waits for a set's configuration shows its databases to nobody, and a set's other members lose all that they
//! hold to an initial sync. So "nothing was found" is never taken for "there is nothing": a host is empty only where
//! something proves it, and of all others it is said that they may hold data.

use plan::{Consent, Refusal};
use protocol::facts::{Bson, Login};
use types::HostName;

use crate::observe::queries::Ask;
use crate::observe::view::{Node, Place, Server, Up};
use crate::settings::Settings;
use crate::steps::check::refusal;
use kit::Cx;

/// The consent to replace what a host may hold by the set's data.
pub(crate) const DISCARD: &str = "mongodb.discard";

/// The databases that every server has for itself.
const OWN: [&str; 3] = ["admin", "config", "local"];

/// What a host holds that an initial sync would destroy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holding {
    /// It is proven that there is nothing.
    Nothing,
    /// Something, in words: `the database "app"`.
    Something(String),
    /// There is no proof either way, and why.
    Unknown(String),
}

impl Node<'_> {
    /// What the host's server holds.
    pub(crate) fn holding(&self, settings: &Settings) -> Holding {
        let unknown = |why: &str| Holding::Unknown(why.to_owned());
        match &self.server {
            Server::Up(up) => match up.databases().or_else(|| up.collections()) {
                Some(holding) => holding,
                None if self.has_always_waited(settings) => Holding::Nothing,
                None => unknown(
                    "its server shows no databases, and may have taken writes before it waited for a set's configuration",
                ),
            },
            _ if self.never_ran(settings) => Holding::Nothing,
            Server::Denied(error) => Holding::Unknown(format!("its server refuses the admin: {error}")),
            Server::Down(why) | Server::Unknown(why) => {
                Holding::Unknown(format!("its server has run before, and does not answer: {why}"))
            }
        }
    }

    /// What it is known to hold.
    pub(crate) fn held(&self, settings: &Settings) -> Option<String> {
        match self.holding(settings) {
            Holding::Something(what) => Some(what),
            Holding::Nothing | Holding::Unknown(_) => None,
        }
    }

    /// Whether no process that took writes can have run on the data directory: the one that made it runs still, and waits
    /// for a set's configuration; or it was made after the last change of a file by which every process waits for one.
    ///
    /// WiredTiger writes the file `WiredTiger` when it makes a database, and never again (`__conn_single` in its source).
    fn has_always_waited(&self, settings: &Settings) -> bool {
        let (Ok(unit), Ok(made), Ok(file), Some(Ok(conf))) =
            (&self.unit, &self.made, &self.file, self.conf())
        else {
            return false;
        };
        let (Some(made), Some(file)) = (made.meta(), file.meta()) else {
            return false;
        };
        let is_blank = self.place(settings) == Some(Place::Blank);
        let by_this_process = unit.is_active() && unit.started_us > 0 && made.modified_us >= unit.started_us;
        let since_the_file =
            conf.get("replication.replSetName").is_some() && made.modified_us >= file.modified_us;
        is_blank && !self.stores_elsewhere(settings) && (by_this_process || since_the_file)
    }
}

impl Up {
    /// By its databases; `None` where it does not show all of them.
    fn databases(&self) -> Option<Holding> {
        let reply = self.reply(Ask::Databases).ok()?;
        // The localhost exception answers with an empty list (seen on 4.9).
        if self.login != Login::Accepted && self.asks_for_login() != Some(false) {
            return None;
        }
        let databases = reply.get("databases")?.items();
        let mut names = databases
            .iter()
            .filter_map(|database| database.get("name")?.as_str());
        Some(match names.find(|name| !OWN.contains(name)) {
            Some(name) => Holding::Something(format!("the database {name:?}")),
            None => Holding::Nothing,
        })
    }

    /// By the number of its users' collections, which servers since 5.1 tell before they know their set.
    fn collections(&self) -> Option<Holding> {
        let reply = self.reply(Ask::Catalog).ok()?;
        let count = reply.get("catalogStats.collections").and_then(Bson::as_int)?;
        Some(if count > 0 {
            Holding::Something(format!("{count} collections"))
        } else {
            Holding::Nothing
        })
    }
}

/// A host whose data would be replaced by the set's, and of which nobody knows what it holds. The operator may.
pub(crate) fn unproven(host: &HostName, why: &str, cx: &Cx<'_>) -> Option<Refusal> {
    if cx.is_allowed(DISCARD, host) {
        return None;
    }
    Some(Refusal {
        consent: Some(Consent {
            action: DISCARD.to_owned(),
            host: host.clone(),
        }),
        ..refusal(
            Some(host),
            format!("{host} does not join the set"),
            format!("it may hold data, which the set's would replace: {why}"),
            "start mongod there without replication.replSetName and look with show dbs; if nothing is to be kept, empty \
             its data directory, or override with the consent",
        )
    })
}
