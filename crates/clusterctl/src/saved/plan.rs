//! A saved plan: what it was made from, and the plan.

use std::collections::BTreeSet;
use std::path::Path;

use plan::StepGraph;
use planner::{Options, Scope};
use report::TextChanges;
use serde::{Deserialize, Serialize};

use super::error::SavedError;
use super::format::{FORMAT, VERSION};
use super::texts::{self, Text};
use crate::cli::{ApplyArgs, ConsentArgs, SourceArgs, TargetArgs};
use crate::clock::{now_text, operator};
use crate::files::Files;

/// A saved plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedPlan {
    pub(super) format: String,
    pub(super) version: u32,
    pub(crate) made: Made,
    pub(crate) source: Source,
    pub(crate) texts: Vec<Text>,
    pub(crate) scope: Scope,
    pub(crate) options: Options,
    pub(crate) plan: StepGraph,
}

/// The author of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    /// `user@controller`.
    pub(crate) by: String,
    /// In RFC 3339.
    pub(crate) at: String,
    /// The version of clusterctl.
    pub(crate) with: String,
}

/// What was read, by absolute paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(super) inventory: String,
    pub(super) overlays: Vec<String>,
    pub(super) playbook: Option<String>,
    pub(super) playbooks: Option<String>,
}

impl SavedPlan {
    /// A plan that was just made from a project whose paths are absolute.
    pub(crate) fn new(
        source: &SourceArgs,
        texts: Vec<Text>,
        scope: Scope,
        options: Options,
        plan: StepGraph,
    ) -> Result<Self, SavedError> {
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            made: Made {
                by: operator(),
                at: now_text(),
                with: env!("CARGO_PKG_VERSION").to_owned(),
            },
            source: Source::new(source)?,
            texts,
            scope,
            options,
            plan,
        })
    }

    /// The command line that makes the same plan again. How hosts are reached is this run's own affair.
    pub(crate) fn args(&self, args: &ApplyArgs) -> ApplyArgs {
        ApplyArgs {
            target: TargetArgs {
                source: self.source.args(),
                service: self.scope.services.iter().cloned().collect(),
                host: self.scope.hosts.iter().cloned().collect(),
                ssh: args.target.ssh.clone(),
            },
            ..args.clone()
        }
    }

    /// Its time and author.
    pub(crate) fn made_by(&self) -> String {
        format!("{} by {}", self.made.at, self.made.by)
    }

    /// All that it names beside the plan: what is read and run because of it, and the options that it was made with.
    pub(crate) fn names(&self, commands: BTreeSet<String>) -> Vec<(&'static str, String)> {
        let Source {
            inventory,
            overlays,
            playbook,
            playbooks,
        } = &self.source;
        let Scope { services, hosts } = &self.scope;
        let Options {
            consents,
            restart,
            max_unavailable,
        } = &self.options;
        let mut names = vec![("inventory", inventory.clone())];
        names.extend(overlays.iter().map(|path| ("--overlay", path.clone())));
        names.extend(playbook.iter().map(|path| ("--playbook", path.clone())));
        names.extend(playbooks.iter().map(|path| ("--playbooks", path.clone())));
        names.extend(services.iter().map(|name| ("--service", name.to_string())));
        names.extend(hosts.iter().map(|name| ("--host", name.to_string())));
        names.extend(consents.iter().map(|consent| ("--allow", consent.to_string())));
        names.extend(
            max_unavailable
                .iter()
                .map(|most| ("--max-unavailable", most.to_string())),
        );
        names.extend(
            restart
                .iter()
                .map(|_| ("--restart", "what ran when the plan was made".to_owned())),
        );
        names.extend(commands.into_iter().map(|command| ("secret by", command)));
        names
    }

    /// Which of the texts changed since.
    pub(crate) fn changed_texts(&self, files: &Files) -> TextChanges {
        texts::changes(&self.texts, &texts::of(&files.sources))
    }
}

/// Paths that mean the same from every folder.
pub(crate) fn absolute(source: &SourceArgs) -> Result<SourceArgs, SavedError> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| SavedError::Path {
            path: path.to_path_buf(),
            error,
        })
    };
    Ok(SourceArgs {
        inventory: absolute(&source.inventory)?,
        overlay: source
            .overlay
            .iter()
            .map(|path| absolute(path))
            .collect::<Result<_, _>>()?,
        playbook: source.playbook.as_deref().map(absolute).transpose()?,
        playbooks: source.playbooks.as_deref().map(absolute).transpose()?,
    })
}

/// The options of a command line that a saved plan has already.
///
/// Every option is named here, so that a new one cannot be forgotten.
pub(crate) fn contradictions(args: &ApplyArgs) -> Vec<&'static str> {
    let ApplyArgs {
        target,
        consent: ConsentArgs {
            allow,
            max_unavailable,
        },
        // How it is run, not what.
        yes: _,
        fail_fast: _,
        parallel: _,
        pause_between: _,
        lock_timeout: _,
        json: _,
    } = args;
    let TargetArgs {
        source,
        service,
        host,
        ssh: _,
    } = target;
    let SourceArgs {
        inventory: _,
        overlay,
        playbook,
        playbooks,
    } = source;
    let said = [
        ("--overlay", !overlay.is_empty()),
        ("--playbook", playbook.is_some()),
        ("--playbooks", playbooks.is_some()),
        ("--service", !service.is_empty()),
        ("--host", !host.is_empty()),
        ("--allow", !allow.is_empty()),
        ("--max-unavailable", max_unavailable.is_some()),
    ];
    said.into_iter()
        .filter_map(|(option, is_said)| is_said.then_some(option))
        .collect()
}

impl Source {
    pub(super) fn new(source: &SourceArgs) -> Result<Self, SavedError> {
        let text = |path: &Path| {
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| SavedError::NotText(path.to_path_buf()))
        };
        Ok(Self {
            inventory: text(&source.inventory)?,
            overlays: source
                .overlay
                .iter()
                .map(|path| text(path))
                .collect::<Result<_, _>>()?,
            playbook: source.playbook.as_deref().map(text).transpose()?,
            playbooks: source.playbooks.as_deref().map(text).transpose()?,
        })
    }

    fn args(&self) -> SourceArgs {
        SourceArgs {
            inventory: self.inventory.clone().into(),
            overlay: self.overlays.iter().map(Into::into).collect(),
            playbook: self.playbook.as_ref().map(Into::into),
            playbooks: self.playbooks.as_ref().map(Into::into),
        }
    }
}
