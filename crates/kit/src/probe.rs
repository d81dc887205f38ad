//! What became of a question to a server.

use plan::Unknown;
use protocol::facts::{Silence, SilenceKind, UnitFact};

/// What became of a question to a server. Each kind asks in its own protocol, and each reason that there is no answer
/// means something else: a server that is down can be started, one that denies us runs, and of one that could not be
/// asked nothing is known.
///
/// In doubt the answer is against us, both ways: a server that is denied or unknown counts as in use where we would disrupt
/// it, and as not serving where we would disrupt another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe<T, D = String> {
    /// It answered.
    Up(T),
    /// It runs, and refuses us or the question: in its own words.
    Denied(D),
    /// It does not run, and why that is known: nobody listens, and systemd has no process of it.
    Down(String),
    /// It may run: it could not be asked, or it is silent while systemd runs it; and why.
    Unknown(String),
}

impl<T, D> Probe<T, D> {
    /// A server that did not answer, by what systemd says of its unit.
    ///
    /// Silence alone proves nothing: a server that boots, that listens at an address that we do not know of, or that speaks
    /// TLS only, is silent and in use. It is down only where the connection is refused and its unit has ended. A unit that
    /// systemd starts again and again (`auto-restart`) has not: it may be back at any moment.
    pub fn silent(unit: &Result<&UnitFact, Unknown>, silence: &Silence) -> Self {
        let unit = match unit {
            Ok(unit) => *unit,
            Err(unknown) => {
                return Self::Unknown(format!("{silence}; of its unit nothing is known: {unknown}"));
            }
        };
        let state = &unit.active;
        match (unit.has_ended(), silence.kind) {
            (true, SilenceKind::Refused) => Self::Down(silence.words.clone()),
            (true, SilenceKind::Foreign) => Self::Unknown(format!(
                "its unit is {state}, and somebody else listens: {silence}"
            )),
            (true, SilenceKind::NoAnswer) => {
                Self::Unknown(format!("its unit is {state}, and nothing answers: {silence}"))
            }
            (false, SilenceKind::Foreign) => Self::Unknown(format!(
                "its unit is {state}, and it speaks another protocol, TLS perhaps: {silence}"
            )),
            (false, SilenceKind::Refused | SilenceKind::NoAnswer) => {
                Self::Unknown(format!("its unit is {state}, and it does not answer: {silence}"))
            }
        }
    }

    /// The answer, where there is one.
    pub fn up(&self) -> Option<&T> {
        match self {
            Self::Up(answer) => Some(answer),
            Self::Denied(_) | Self::Down(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether it answered.
    pub fn is_up(&self) -> bool {
        self.up().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(active: &str, sub: &str) -> UnitFact {
        UnitFact {
            load: "loaded".to_owned(),
            active: active.to_owned(),
            sub: sub.to_owned(),
            enabled: "enabled".to_owned(),
            main_pid: 0,
            started_us: 1,
            invocation: String::new(),
            stale: false,
            started_with: Vec::new(),
        }
    }

    #[test]
    fn only_a_refusal_of_a_unit_that_has_ended_proves_that_a_server_is_down() {
        let silences = [
            Silence::refused(),
            Silence::foreign("it closed the connection"),
            Silence::no_answer("timed out"),
        ];
        let units = [
            ("active", "running"),
            ("reloading", "reload"),
            ("activating", "start"),
            ("activating", "auto-restart"),
            ("deactivating", "stop-sigterm"),
            ("inactive", "dead"),
            ("failed", "failed"),
        ];
        for silence in &silences {
            for (active, sub) in units {
                let unit = unit(active, sub);
                let probe = Probe::<(), String>::silent(&Ok(&unit), silence);
                let is_proven =
                    silence.kind == SilenceKind::Refused && ["inactive", "failed"].contains(&active);
                assert_eq!(
                    matches!(probe, Probe::Down(_)),
                    is_proven,
                    "{active} {sub}: {probe:?}"
                );
                assert!(is_proven || matches!(&probe, Probe::Unknown(why) if why.contains(&silence.words)));
            }
            let unknown = Unknown::NotAsked {
                host: "db1".parse().unwrap(),
            };
            let probe = Probe::<(), String>::silent(&Err(unknown), silence);
            assert!(matches!(probe, Probe::Unknown(_)), "{probe:?}");
        }
    }
}
