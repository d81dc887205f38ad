//! What a plan says beside its nodes: notes, refusals, and what could not be planned.

use serde::{Deserialize, Serialize};
use types::{HostName, ServiceName};

/// How long an apply waits for what may pass by itself, from the last progress on, in milliseconds.
pub const PATIENCE: u64 = 120_000;

/// How much a note asks for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know: the leader now, the playbook in force.
    Info,
    /// It needs the operator's attention.
    Warning,
}

/// Something that the operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How much it asks for attention.
    pub level: Level,
    /// The service it is about.
    pub service: Option<ServiceName>,
    /// The host it is about.
    pub host: Option<HostName>,
    /// One or two sentences.
    pub text: String,
}

/// A host or a service at which nothing is done because the operator said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// The service, where all of it is paused.
    pub service: Option<ServiceName>,
    /// The host, where that is.
    pub host: Option<HostName>,
    /// Why.
    pub reason: String,
    /// Until when, in RFC 3339; `None` where it lasts until its key is removed.
    pub until: Option<String>,
}

/// Something dangerous or impossible that was not planned. What depends on it is not planned either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The service it protects.
    pub service: Option<ServiceName>,
    /// The host it is about.
    pub host: Option<HostName>,
    /// What is not done: `db2 does not join the cluster`.
    pub what: String,
    /// The proof that failed: `it holds the queue "orders" in the virtual host "/"`.
    pub why: String,
    /// How to resolve it.
    #[serde(rename = "way_out")]
    pub resolve: String,
    /// The consent that would allow it, where one can.
    pub consent: Option<Consent>,
    /// Whether it may pass by itself within moments, without any change of the plan: a member that starts, a quorum that
    /// elects. An apply waits for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

impl Refusal {
    /// A refusal: what is not done, why, and what the operator can do.
    pub fn new(what: impl Into<String>, why: impl Into<String>, resolve: impl Into<String>) -> Self {
        Self {
            service: None,
            host: None,
            what: what.into(),
            why: why.into(),
            resolve: resolve.into(),
            consent: None,
            passing: false,
        }
    }

    /// It may pass by itself: see [`Self::passing`].
    #[must_use]
    pub fn passing(self) -> Self {
        Self {
            passing: true,
            ..self
        }
    }

    /// It is about a host, and stops the later steps there only.
    #[must_use]
    pub fn on(mut self, host: &HostName) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// The operator may consent to the action on that host.
    #[must_use]
    pub fn unless_allowed(mut self, action: &str, host: &HostName) -> Self {
        self.consent = Some(Consent {
            action: action.to_owned(),
            host: host.clone(),
        });
        self
    }
}

/// The operator's consent to one destructive action on one host: `--allow rabbitmq.reset=db2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Consent {
    /// The action, `kind.verb`.
    pub action: String,
    /// The host.
    pub host: HostName,
}

/// Work that may be needed but could not be planned, because what it depends on is unreachable or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unplanned {
    /// The service.
    pub service: Option<ServiceName>,
    /// Which steps of its playbook.
    #[serde(rename = "step")]
    pub steps: SkippedSteps,
    /// The host.
    pub host: HostName,
    /// Why.
    pub why: String,
    /// Whether that may pass by itself, as of a [`Refusal`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

/// Something refused or not planned that may pass by itself: where, and why it is not done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passing<'a> {
    /// The service.
    pub service: Option<&'a ServiceName>,
    /// The host.
    pub host: Option<&'a HostName>,
    /// Why it is not planned yet.
    pub why: &'a str,
}

/// The steps that are not planned on a host. Written down as a step's name, or as `every step`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SkippedSteps {
    /// All of them.
    All,
    /// One, by its name.
    One(String),
}

const EVERY_STEP: &str = "every step";

impl From<String> for SkippedSteps {
    fn from(text: String) -> Self {
        if text == EVERY_STEP {
            Self::All
        } else {
            Self::One(text)
        }
    }
}

impl From<SkippedSteps> for String {
    fn from(steps: SkippedSteps) -> Self {
        match steps {
            SkippedSteps::All => EVERY_STEP.to_owned(),
            SkippedSteps::One(name) => name,
        }
    }
}

/// `paused until 2026-12-24T08:00:00Z: its disk is replaced`.
impl std::fmt::Display for Paused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.until {
            Some(until) => write!(f, "paused until {until}: {}", self.reason),
            None => write!(f, "paused: {}", self.reason),
        }
    }
}

impl std::fmt::Display for Consent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.action, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_steps_are_written_as_they_were_released() {
        for (steps, written) in [
            (SkippedSteps::All, "\"every step\""),
            (SkippedSteps::One("config".to_owned()), "\"config\""),
        ] {
            assert_eq!(serde_json::to_string(&steps).unwrap(), written);
            assert_eq!(serde_json::from_str::<SkippedSteps>(written).unwrap(), steps);
        }
    }
}
