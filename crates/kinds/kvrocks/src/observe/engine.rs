//! An engine, as it answers.

use std::collections::BTreeMap;
use std::fmt;

use protocol::Text;
use protocol::facts::RespValue;

use super::queries;
use crate::settings::Settings;

/// The master that a Kvrocks is given which is to take no more writes: nobody listens there.
pub(crate) const NOBODY: (&str, &str) = ("127.0.0.1", "1");

/// An engine that answers.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    /// Address and port at which it answered.
    pub(crate) at: (String, u16),
    /// Whether it asked for our password.
    pub(crate) authenticated: bool,
    info: BTreeMap<String, String>,
    /// Its keys.
    pub(crate) content: Content,
    /// Whether it can be asked for its role in a form that an action can depend on.
    pub(crate) tells_role: bool,
    /// Live values, each with the reply to CONFIG GET; a directive that it does not know is missing.
    config: BTreeMap<String, (Vec<String>, RespValue)>,
}

/// The keys of an engine, as far as it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// None for certain: neither a count nor a scan finds a key.
    Nothing,
    /// So many; 0 where only a scan finds some.
    Keys(i64),
    /// Namespaces of Kvrocks, whose keys cannot be counted without their tokens.
    Namespaces,
    /// It does not tell.
    Unknown,
}

/// An engine as others name it: address and port, in their words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) address: String,
    pub(crate) port: String,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, port } = self;
        if address.contains(':') {
            write!(f, "[{address}]:{port}")
        } else {
            write!(f, "{address}:{port}")
        }
    }
}

impl Engine {
    /// Decodes the replies to [`queries::engines`]. One that does not tell its role is starting (INFO of Kvrocks is empty
    /// while it restores a copy, seen), or does not let us ask: of its data nothing is known then.
    pub(super) fn read(
        settings: &Settings,
        at: (String, u16),
        authenticated: bool,
        replies: &[RespValue],
    ) -> Result<Self, String> {
        let mut info = BTreeMap::new();
        for text in replies.iter().take(4).filter_map(RespValue::as_str) {
            let pairs = text.lines().filter_map(|line| line.trim().split_once(':'));
            info.extend(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())));
        }
        if !info.contains_key("role") {
            let error = replies.iter().find_map(RespValue::as_error);
            let why = error.map_or(String::new(), |words| format!(": {words}"));
            return Err(format!("it does not tell its role{why}"));
        }
        let fixed = queries::before_keys(settings.engine);
        let keys = queries::live_keys(settings).into_iter();
        let config = keys.zip(replies.iter().skip(fixed)).filter_map(|(key, reply)| {
            let values = live(reply);
            (!values.is_empty()).then(|| (key, (values, reply.clone())))
        });
        Ok(Self {
            at,
            authenticated,
            content: content(&info, &replies[..fixed.min(replies.len())]),
            tells_role: matches!(
                replies.get(6).and_then(RespValue::as_str),
                Some("master" | "slave")
            ),
            config: config.collect(),
            info,
        })
    }

    /// A field of INFO; empty where it is missing.
    pub(crate) fn info(&self, field: &str) -> &str {
        self.info.get(field).map_or("", String::as_str)
    }

    /// A number of INFO.
    pub(crate) fn number(&self, field: &str) -> Option<i64> {
        self.info(field).parse().ok()
    }

    /// Whether it accepts everybody although `requirepass` is set, because a `user default` line of its file says so.
    pub(crate) fn has_open_user(&self, settings: &Settings) -> bool {
        let ours = Text::secret(&settings.password);
        let requirepass = self.config("requirepass").unwrap_or_default();
        !self.authenticated && requirepass.first().is_some_and(|live| live == ours.as_str())
    }

    /// Whether it reports the role master.
    pub(crate) fn is_master(&self) -> bool {
        self.info("role") == "master"
    }

    /// The master that it follows.
    pub(crate) fn follows(&self) -> Endpoint {
        Endpoint {
            address: self.info("master_host").to_owned(),
            port: self.info("master_port").to_owned(),
        }
    }

    /// Whether it was made a replica of nobody, and nobody has gone on from there.
    pub(crate) fn follows_nobody(&self) -> bool {
        let Endpoint { address, port } = self.follows();
        !self.is_master() && (address.as_str(), port.as_str()) == NOBODY
    }

    /// Whether it is a replica whose link to its master is up.
    pub(crate) fn has_link(&self) -> bool {
        !self.is_master() && self.info("master_link_status") == "up"
    }

    /// Whether it still reads its data in, or is being sent a copy.
    pub(crate) fn is_loading(&self) -> bool {
        ["loading", "async_loading", "master_sync_in_progress"]
            .iter()
            .any(|field| self.info(field) == "1")
    }

    /// Whether it has no keys for certain.
    pub(crate) fn is_empty(&self) -> bool {
        self.content == Content::Nothing
    }

    /// Its offset in the replication stream.
    pub(crate) fn offset(&self) -> Option<i64> {
        let field = if self.is_master() {
            "master_repl_offset"
        } else {
            "slave_repl_offset"
        };
        self.number(field)
    }

    /// The live values of a directive; `None` where the engine does not know it.
    pub(crate) fn config(&self, key: &str) -> Option<&[String]> {
        self.config.get(key).map(|(values, _)| values.as_slice())
    }

    /// The reply that tells the live values of a directive.
    pub(crate) fn config_reply(&self, key: &str) -> Option<&RespValue> {
        self.config.get(key).map(|(_, reply)| reply)
    }
}

/// The values in a reply to CONFIG GET, names and values in turn. What is empty is nil for Kvrocks (recorded, 2.6).
fn live(reply: &RespValue) -> Vec<String> {
    let items = reply.as_list().unwrap_or_default();
    let value = |value: &RespValue| match value {
        RespValue::Nil => Some(String::new()),
        value => value.as_str().map(str::to_owned),
    };
    items.chunks_exact(2).filter_map(|pair| value(&pair[1])).collect()
}

/// Its keys, by INFO and by the fixed replies.
fn content(info: &BTreeMap<String, String>, replies: &[RespValue]) -> Content {
    let list = |at: usize| replies.get(at).and_then(RespValue::as_list).unwrap_or_default();
    // Names and tokens in turn; the default namespace is always there.
    if list(7).len() > 2 {
        return Content::Namespaces;
    }
    let Some(RespValue::Int(counted)) = replies.get(4) else {
        return Content::Unknown;
    };
    // One that refuses to tell of its other databases or namespaces may have some.
    if replies.get(3).and_then(RespValue::as_str).is_none()
        || replies.get(7).and_then(RespValue::as_error).is_some()
    {
        return Content::Unknown;
    }
    let is_database = |name: &str| {
        name.strip_prefix("db")
            .is_some_and(|rest| rest.parse::<u32>().is_ok())
    };
    // `db0:keys=12,expires=0,avg_ttl=0`
    let keys = |value: &str| {
        value
            .strip_prefix("keys=")?
            .split(',')
            .next()?
            .parse::<i64>()
            .ok()
    };
    let databases = info.iter().filter(|(name, _)| is_database(name));
    let in_databases = databases
        .filter_map(|(_, value)| keys(value))
        .fold(0, i64::saturating_add);
    let scan_finds_nothing =
        matches!(list(5), [cursor, RespValue::List(keys)] if cursor.as_str() == Some("0") && keys.is_empty());
    match in_databases.max(*counted) {
        0 if scan_finds_nothing => Content::Nothing,
        keys => Content::Keys(keys),
    }
}
