//! The project that the operator has: an inventory for the hosts and the turn at hand, and the built-in playbooks.

use std::collections::BTreeMap;

use config::Findings;
use fakes::Play;
use planner::{Input, PlaybookText, Project, builtin_playbooks};
use types::{Diagnostic, Secret, SecretId, Sources};

use crate::secrecy;

/// The inventory of some services on some hosts of a site.
pub(crate) fn inventory(plays: &[Play], site: &[&str], members: &[&str], turn: u32) -> String {
    let hosts = site
        .iter()
        .enumerate()
        .map(|(at, host)| format!("{host} = \"10.0.0.{}\"\n", at + 1));
    let services = plays.iter().map(|play| (play.inventory)(members, turn));
    format!(
        "[hosts]\n{}\n{}",
        hosts.collect::<String>(),
        services.collect::<Vec<_>>().join("\n")
    )
}

/// What stands for a number that is none.
pub(crate) const NO_NUMBER: &str = "no-number";

/// The same inventory with a setting of the first service with which none of its processes starts.
pub(crate) fn with_bad_setting(inventory: &str, play: &Play) -> String {
    let found = play
        .number
        .and_then(|before| Some((inventory.find(before)? + before.len(), before)));
    let Some((at, _)) = found else {
        return inventory.to_owned();
    };
    let (head, tail) = inventory.split_at(at);
    let rest = tail.trim_start_matches(|digit: char| digit.is_ascii_digit());
    format!("{head}{NO_NUMBER:?}{rest}")
}

/// A project, and the values of its secrets.
pub(crate) struct Read {
    pub(crate) project: Project,
    pub(crate) secrets: Vec<(SecretId, Secret)>,
    /// What each must be like.
    #[cfg(test)]
    pub(crate) rules: Vec<config::SecretRef>,
}

/// Reads it; what is wrong with it is a defect of a play.
pub(crate) fn read(inventory: &str) -> Result<Read, String> {
    let mut sources = Sources::new();
    let id = sources.add("inventory.toml", inventory);
    let playbooks = builtin_playbooks().into_iter().map(|(name, text)| PlaybookText {
        name: name.to_owned(),
        source: sources.add(format!("playbooks/{name}.toml"), text),
        overrides: false,
    });
    let playbooks = playbooks.collect();
    let input = Input {
        sources: &sources,
        inventory: id,
        overlays: Vec::new(),
        playbooks,
        only: None,
        templates: BTreeMap::new(),
        now_us: 0,
    };
    let findings = Findings::default();
    let project = Project::read(&input, &findings);
    let (found, refs) = findings.into_parts();
    match found.iter().find(|found| found.is_error()) {
        Some(Diagnostic { message, label, .. }) => {
            Err(format!("the inventory is wrong: {message}: {label}\n{inventory}"))
        }
        None => Ok(Read {
            project,
            #[cfg(test)]
            rules: refs.clone(),
            secrets: refs
                .into_iter()
                .map(|secret| (secret.id.clone(), secrecy::value(&secret.id)))
                .collect(),
        }),
    }
}
