//! What a plan for the platform rests on: where the masters run.

use plan::{Basis, Facts};

use super::settings::Settings;
use super::view::View;

/// As far as the processes say in their logs.
pub(super) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let processes = settings.processes.iter().map(|process| {
        let runs = view.nodes.iter().flat_map(|node| {
            let runs = node.runs.iter().filter(|run| run.process.name == process.name);
            runs.map(move |run| (node.host, run))
        });
        let masters: Vec<&str> = runs
            .filter(|(_, run)| run.says_master() == Some(true))
            .map(|(host, _)| host.as_str())
            .collect();
        (process.name, masters.join(", "))
    });
    processes
        .filter(|(_, masters)| !masters.is_empty())
        .map(|(name, masters)| Basis::new(format!("where {name} is the master"), &masters))
        .collect()
}
