//! What running servers answer: an engine, and a sentinel.

use std::collections::BTreeMap;

use plan::Facts;
use protocol::Fact;
use protocol::facts::{RespFact, RespValue};
use types::HostName;

use crate::observe::queries;
use crate::settings::Settings;
use formats::directives::normal;

/// What came of a conversation with a server.
#[derive(Debug, Clone)]
pub(crate) enum Talk<T> {
    /// Nobody listens, or nobody was asked.
    Down(String),
    /// It refuses our password.
    Denied(String),
    /// It answered.
    Up(T),
}

/// An engine that answers.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    /// Where it was found.
    pub(crate) at: (String, u16),
    /// Whether it asked for our password.
    pub(crate) authenticated: bool,
    info: BTreeMap<String, String>,
    /// What it holds.
    pub(crate) content: Content,
    /// Whether it can be asked for its role in a form that an action can depend on.
    pub(crate) tells_role: bool,
    /// Live values; a directive that it does not know is missing.
    config: BTreeMap<String, Vec<String>>,
}

/// What an engine holds, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing for certain: neither a count nor a scan finds a key.
    Nothing,
    /// So many keys; none where only a scan finds some.
    Keys(i64),
    /// Namespaces of Kvrocks, whose keys nobody can count without their tokens.
    Namespaces,
    /// It does not tell.
    Unknown,
}

/// A sentinel that answers.
#[derive(Debug, Clone)]
pub(crate) struct Sentinel {
    /// Fields of each master that it watches.
    pub(crate) masters: Vec<Fields>,
    /// Fields of the other sentinels of our master.
    pub(crate) others: Vec<Fields>,
    /// Fields of our master's replicas.
    pub(crate) replicas: Vec<Fields>,
    /// What CKQUORUM says: its words, as an error where there is no quorum.
    pub(crate) quorum: Result<String, String>,
}

/// Fields of a master, replica or sentinel as a sentinel shows them.
pub(crate) type Fields = BTreeMap<String, String>;

impl<T> Talk<T> {
    /// Who answered.
    pub(crate) fn up(&self) -> Option<&T> {
        match self {
            Self::Up(up) => Some(up),
            _ => None,
        }
    }
}

impl Engine {
    /// A field of INFO; empty where it is missing.
    pub(crate) fn info(&self, field: &str) -> &str {
        self.info.get(field).map_or("", String::as_str)
    }

    /// A number of INFO.
    pub(crate) fn number(&self, field: &str) -> Option<i64> {
        self.info(field).parse().ok()
    }

    /// Whether it lets everybody in although `requirepass` is set, for a `user default` line of its file says so.
    pub(crate) fn has_open_user(&self, settings: &Settings) -> bool {
        let ours = protocol::Text::secret(&settings.password);
        let requirepass = self.config("requirepass").unwrap_or_default();
        !self.authenticated && requirepass.first().is_some_and(|live| live == ours.as_str())
    }

    /// Whether it takes itself for a master.
    pub(crate) fn is_master(&self) -> bool {
        self.info("role") == "master"
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

    /// Whether it holds nothing for certain.
    pub(crate) fn is_empty(&self) -> bool {
        self.content == Content::Nothing
    }

    /// How far it has come in its stream of changes.
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
        self.config.get(key).map(Vec::as_slice)
    }
}

/// A field, empty where it is missing.
pub(crate) fn field<'f>(fields: &'f Fields, name: &str) -> &'f str {
    fields.get(name).map_or("", String::as_str)
}

/// Whether a sentinel's flags of an instance (`master,s_down`) say that it is out of reach.
pub(crate) fn is_flagged_down(fields: &Fields) -> bool {
    field(fields, "flags")
        .split(',')
        .any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"))
}

pub(crate) fn read_engine(
    settings: &Settings,
    at: (String, u16),
    authenticated: bool,
    replies: &[RespValue],
) -> Engine {
    let mut info = BTreeMap::new();
    for text in replies.iter().take(4).filter_map(RespValue::as_str) {
        let pairs = text.lines().filter_map(|line| line.trim().split_once(':'));
        info.extend(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())));
    }
    let counted = match replies.get(4) {
        Some(RespValue::Int(keys)) => Some(*keys),
        _ => None,
    };
    // `db0:keys=12,expires=0,avg_ttl=0`
    let in_databases: i64 = info
        .iter()
        .filter(|(name, _)| {
            name.strip_prefix("db")
                .is_some_and(|rest| rest.parse::<u32>().is_ok())
        })
        .filter_map(|(_, value)| {
            value
                .strip_prefix("keys=")?
                .split(',')
                .next()?
                .parse::<i64>()
                .ok()
        })
        .fold(0, i64::saturating_add);
    let scan = replies.get(5).and_then(RespValue::as_list).unwrap_or_default();
    let scan_finds_nothing =
        matches!(scan, [cursor, RespValue::List(keys)] if cursor.as_str() == Some("0") && keys.is_empty());
    let role = replies.get(6).and_then(RespValue::as_str);
    let before_keys = queries::before_keys(settings.engine);
    // Names and tokens in turn; the default namespace is always there.
    let namespaces = replies.get(7).and_then(RespValue::as_list).unwrap_or_default();
    let content = match counted.map(|counted| counted.max(in_databases)) {
        _ if before_keys > 7 && namespaces.len() > 2 => Content::Namespaces,
        None => Content::Unknown,
        Some(0) if scan_finds_nothing => Content::Nothing,
        Some(keys) => Content::Keys(keys),
    };
    let keys = queries::live_keys(settings);
    let values = keys.into_iter().zip(replies.iter().skip(before_keys));
    let config = values.filter_map(|(key, reply)| {
        let pairs = reply.pairs();
        let values: Vec<String> = pairs.iter().map(|(_, value)| (*value).to_owned()).collect();
        (!values.is_empty()).then_some((key, values))
    });
    Engine {
        at,
        authenticated,
        content,
        tells_role: role.is_some_and(|role| role == "master" || role == "slave"),
        config: config.collect(),
        info,
    }
}

pub(crate) fn read_sentinel(settings: &Settings, host: &HostName, facts: &Facts) -> Talk<Sentinel> {
    let replies = match facts.get(host, &queries::sentinel(settings)) {
        Ok(RespFact::Replies { replies, .. }) => replies,
        Ok(RespFact::Denied(words)) => return Talk::Denied(words.clone()),
        Ok(RespFact::Down(words)) => return Talk::Down(words.clone()),
        Err(unknown) => return Talk::Down(unknown.to_string()),
    };
    let list = |at: usize| -> Vec<Fields> {
        let items = replies.get(at).and_then(RespValue::as_list).unwrap_or_default();
        items.iter().map(fields).collect()
    };
    let quorum = match replies.get(3) {
        Some(RespValue::Str(words)) => Ok(words.to_string()),
        Some(RespValue::Error(words)) => Err(words.clone()),
        other => Err(format!("{other:?}")),
    };
    Talk::Up(Sentinel {
        masters: list(0),
        others: list(1),
        replicas: list(2),
        quorum,
    })
}

fn fields(value: &RespValue) -> Fields {
    let pairs = value.pairs().into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The live value of a directive in one way of writing: a directive of several lines is one string live.
pub(crate) fn live_value(values: &[String]) -> String {
    normal(&values.join(" "))
}

/// A reply list with a single string: what a precondition expects.
pub(crate) fn replies(authenticated: bool, replies: Vec<RespValue>) -> Fact {
    Fact::Resp(RespFact::Replies {
        authenticated,
        replies,
    })
}
