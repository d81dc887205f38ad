//! A sentinel, as it answers.

use std::collections::BTreeMap;
use std::str::FromStr;

use plan::{Facts, Unknown};
use protocol::facts::{RespFact, RespValue, UnitFact};
use types::HostName;

use super::engine::Endpoint;
use super::queries;
use crate::settings::Settings;
use kit::Probe;

/// What a sentinel says of a master that it does not watch.
const NO_SUCH_MASTER: &str = "No such master";

/// A sentinel that answers.
#[derive(Debug, Clone)]
pub(crate) struct Sentinel {
    /// The masters that it watches.
    pub(crate) masters: Vec<Instance>,
    /// The other sentinels of our master.
    pub(crate) others: Vec<Instance>,
    /// Our master's replicas.
    pub(crate) replicas: Vec<Instance>,
    /// CKQUORUM's answer; an error where there is no quorum.
    pub(crate) quorum: Result<String, String>,
}

/// A master, replica or sentinel, in the fields in which a sentinel shows it.
#[derive(Debug, Clone)]
pub(crate) struct Instance(BTreeMap<String, String>);

impl Sentinel {
    pub(super) fn ask(
        settings: &Settings,
        host: &HostName,
        unit: &Result<&UnitFact, Unknown>,
        facts: &Facts,
    ) -> Probe<Self> {
        let replies = match facts.get(host, &queries::sentinel(settings)) {
            Ok(RespFact::Replies { replies, .. }) => replies,
            Ok(RespFact::Denied(words)) => return Probe::Denied(words.clone()),
            Ok(RespFact::Down(silence)) => return Probe::silent(unit, silence),
            Err(unknown) => return Probe::Unknown(unknown.to_string()),
        };
        // One that does not know the question (SENTINEL REPLICAS came with Redis 5.0) still knows replicas.
        let is_refusal = |words: &&str| !words.contains(NO_SUCH_MASTER);
        let mut errors = replies.iter().take(3).filter_map(RespValue::as_error);
        if let Some(words) = errors.find(is_refusal) {
            return Probe::Denied(words.to_owned());
        }
        if replies.first().and_then(RespValue::as_list).is_none() {
            return Probe::Unknown("it does not list the masters that it watches".to_owned());
        }
        let list = |at: usize| -> Vec<Instance> {
            let items = replies.get(at).and_then(RespValue::as_list).unwrap_or_default();
            items.iter().map(Instance::read).collect()
        };
        Probe::Up(Self {
            masters: list(0),
            others: list(1),
            replicas: list(2),
            quorum: match replies.get(3) {
                Some(RespValue::Str(words)) => Ok(words.to_string()),
                Some(RespValue::Error(words)) => Err(words.clone()),
                other => Err(format!("{other:?}")),
            },
        })
    }

    /// Its replicas and the other sentinels.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &Instance> {
        self.replicas.iter().chain(&self.others)
    }
}

impl Instance {
    fn read(value: &RespValue) -> Self {
        let pairs = value.pairs().into_iter();
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// A field; empty where it is missing.
    pub(crate) fn get(&self, field: &str) -> &str {
        self.0.get(field).map_or("", String::as_str)
    }

    /// A field that is a number; 0 where it is missing.
    pub(crate) fn number<N: FromStr + Default>(&self, field: &str) -> N {
        self.get(field).parse().unwrap_or_default()
    }

    pub(crate) fn ip(&self) -> &str {
        self.get("ip")
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            address: self.ip().to_owned(),
            port: self.get("port").to_owned(),
        }
    }

    /// Its state, in Sentinel's words: `master,s_down`.
    pub(crate) fn flags(&self) -> &str {
        self.get("flags")
    }

    /// Whether the sentinel cannot reach it.
    pub(crate) fn is_down(&self) -> bool {
        let mut flags = self.flags().split(',');
        flags.any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"))
    }

    /// Whether it is a replica with a link to its master.
    pub(crate) fn is_linked_replica(&self) -> bool {
        !self.is_down() && self.get("master-link-status") == "ok"
    }
}
