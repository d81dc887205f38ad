//! Errors that stop a command. The binary alone renders errors: here each becomes text, with its causes.

use std::error::Error as _;
use std::fmt::Write as _;

use executor::LockError;
use report::Page;
use types::{Diagnostic, Sources};

use crate::exit::Exit;
use crate::hook::HookError;
use crate::hosts::HostsError;
use crate::operator_files::FileError;
use crate::saved::SavedError;
use crate::secrets::SecretError;

/// What stops a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the inventory or a playbook is invalid")]
    Input {
        sources: Sources,
        diagnostics: Vec<Diagnostic>,
    },
    #[error(transparent)]
    Hosts(#[from] HostsError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error(transparent)]
    Saved(#[from] SavedError),
    #[error("the journal cannot be used")]
    Journal(#[from] state::JournalError),
    #[error("the playbooks make no valid plan; this is a bug, please report it with the inventory")]
    Graph(#[from] plan::GraphError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("the run's id cannot be created")]
    Name(#[from] types::NameError),
    #[error("output cannot be written")]
    Output(#[from] std::io::Error),
    #[error("stdin is not a terminal; pass --yes to apply without asking")]
    NoTerminal,
    #[error("the folder of the journal is unknown; pass --state-dir, or set XDG_STATE_HOME or HOME")]
    NoStateDir,
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The exit code that it leads to.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Lock(LockError::Held { .. }) => Exit::Locked,
            Self::Interrupted => Exit::Interrupted,
            Self::NoTerminal | Self::Saved(SavedError::Contradiction(_)) => Exit::Usage,
            _ => Exit::Failure,
        }
    }

    /// How to resolve it, where its text does not say so.
    fn resolve(&self) -> Option<&'static str> {
        match self {
            Self::Lock(LockError::Held { .. }) => {
                Some("wait until that run ends; --lock-timeout waits for it")
            }
            Self::Hosts(HostsError::Agent {
                source: FileError::Io(_),
                ..
            }) => Some("put clusterctl-agent beside clusterctl, or pass --agent"),
            _ => None,
        }
    }

    /// The error with its causes, as it is shown.
    pub(crate) fn render(&self, screen: &report::Screen) -> Page {
        if let Self::Input { sources, diagnostics } = self {
            return report::render_diagnostics(sources, diagnostics, screen);
        }
        // Each on a line of its own: the words of a host, such as the holder of its lock, begin no line.
        let mut text = format!("error: {}", Page::sentence(&self.to_string()));
        let mut cause = self.source();
        while let Some(error) = cause {
            // Writing to a string does not fail.
            let _ = write!(text, "\n  because: {}", Page::sentence(&error.to_string()));
            cause = error.source();
        }
        if let Some(resolve) = self.resolve() {
            let _ = write!(text, "\n  to resolve: {resolve}");
        }
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(error: LockError) -> Error {
        Error::from(error)
    }

    #[test]
    fn a_lock_that_cannot_be_taken_is_a_failure_and_not_another_run() {
        let host = || "db1".parse().unwrap();
        let full = "cannot write the lock file /run/clusterctl.lock: No space left on device";
        let failed = lock(LockError::Failed {
            host: host(),
            why: full.to_owned(),
        });
        assert_eq!(failed.exit(), Exit::Failure);
        let shown = failed.render(&report::Screen::plain());
        assert!(shown.contains(full) && !shown.contains("another run"), "{shown}");
        let held = lock(LockError::Held {
            host: host(),
            holder: protocol::LockHolder {
                who: "ann@desk".to_owned(),
                since: "2026-01-01T00:00:00Z".to_owned(),
                run: "r1".parse().unwrap(),
            },
        });
        assert_eq!(held.exit(), Exit::Locked);
        let shown = held.render(&report::Screen::plain());
        assert!(shown.contains("to resolve: "), "{shown}");
    }

    #[test]
    fn the_holder_of_a_lock_steers_no_terminal_and_begins_no_line() {
        let held = lock(LockError::Held {
            host: "db1".parse().unwrap(),
            holder: protocol::LockHolder {
                who: "x\u{1b}[2J\u{9b}H\nVerified: all well".to_owned(),
                since: "\u{1b}]0;title\u{7}".to_owned(),
                run: "r1".parse().unwrap(),
            },
        });
        for colour in [false, true] {
            let shown = held.render(&report::Screen { colour, width: 80 });
            let [first, second] = shown.lines().collect::<Vec<_>>()[..] else {
                panic!("{shown:?}");
            };
            assert!(first.starts_with("error: db1 is locked by x"), "{shown:?}");
            assert!(second.starts_with("  to resolve: wait"), "{shown:?}");
            assert!(!first.contains(char::is_control), "{shown:?}");
        }
    }
}
