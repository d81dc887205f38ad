//! What stands in the way of a change of a file: a link, a directory, a device.

use plan::{Facts, HostFacts, Refusal};
use protocol::facts::{FileFact, Obstacle};
use protocol::{DirectoryState, Fact, FactQuery, FileChange, FileState, Operation};
use types::HostName;

use crate::step::StepPlan;

impl StepPlan {
    /// Refuses what would be written where something else than a file stands, or a directory made where none can be: a link
    /// in its place would lead root's work to any file of the system. The agent refuses as well; here the operator learns
    /// of it before anything is done. Nothing else of the step is done on that host.
    #[must_use]
    pub fn without_obstacles(mut self, facts: &Facts) -> Self {
        let refusals: Vec<Refusal> = self
            .tasks
            .iter()
            .filter_map(|task| {
                let operation = &task.action.as_ref()?.operation;
                let (path, obstacle) = obstacle(&task.host, operation, facts)?;
                Some(obstructed(&task.host, path, &obstacle))
            })
            .collect();
        let is_refused = |host: &HostName| refusals.iter().any(|one| one.host.as_ref() == Some(host));
        self.tasks.retain(|task| !is_refused(&task.host));
        for refusal in refusals {
            if !self.refusals.contains(&refusal) {
                self.refusals.push(refusal);
            }
        }
        self
    }
}

/// Refuses a change of what is no file to read and write.
pub fn obstructed(host: &HostName, path: &str, obstacle: &Obstacle) -> Refusal {
    Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("{path} is not changed on {host}"),
        why: obstacle.to_string(),
        resolve: obstacle.resolve(),
        consent: None,
        passing: false,
    }
}

/// What stands in the way of an operation, and where.
fn obstacle<'o>(host: &HostName, operation: &'o Operation, facts: &Facts) -> Option<(&'o str, Obstacle)> {
    if let Some((path, was)) = operation.file() {
        if let Some(FileState::Obstructed(obstacle)) = was {
            return Some((path, obstacle.clone()));
        }
        return seen(host, path, facts).find_map(|fact| match fact.state() {
            FileState::Obstructed(obstacle) => Some((path, obstacle)),
            _ => None,
        });
    }
    let directories: Vec<&str> = match operation {
        Operation::MakeDirectory { path, .. } => vec![path],
        Operation::UnitFiles { files, .. } => {
            let directory = |change: &'o FileChange| match change {
                FileChange::Remove { .. } => None,
                change => Some(change.path()),
            };
            files.iter().filter_map(directory).collect()
        }
        _ => Vec::new(),
    };
    directories.into_iter().find_map(|path| {
        let found = seen(host, path, facts).find_map(|fact| match fact.directory_state() {
            DirectoryState::Obstructed(obstacle) => Some(obstacle),
            _ => None,
        });
        found.map(|obstacle| (path, obstacle))
    })
}

/// What was observed at a path, whatever was asked of it.
fn seen<'f>(host: &HostName, path: &str, facts: &'f Facts) -> impl Iterator<Item = &'f FileFact> {
    let observed = facts.hosts().filter(move |(known, _)| *known == host);
    let answers = observed.flat_map(|(_, facts)| match facts {
        HostFacts::Observed(answers) => answers.as_slice(),
        HostFacts::Unreachable(_) => &[],
    });
    answers.filter_map(move |(query, answer)| match (query, answer) {
        (FactQuery::File(query), Ok(Fact::File(fact))) if query.path == path => Some(fact),
        _ => None,
    })
}
