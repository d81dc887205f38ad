//! Reads a project and reaches its hosts, as every command does first.

use std::collections::BTreeSet;
use std::path::PathBuf;

use config::{Findings, SecretRef, SecretSource};
use executor::{Connections, gather};
use plan::Facts;
use planner::{Input, Project, Scope};
use report::{ColourChoice, Screen};
use types::{Diagnostic, Secret, SecretId, Sources};

use crate::cli::{SourceArgs, TargetArgs};
use crate::clock::now_us;
use crate::error::Error;
use crate::files::Files;
use crate::{hosts, secrets};

/// A project that was read, with its secrets.
pub(crate) struct LoadedProject {
    pub(crate) project: Project,
    pub(crate) scope: Scope,
    pub(crate) secrets: Vec<(SecretId, Secret)>,
    pub(crate) folder: PathBuf,
    /// Findings that do not stop the command.
    pub(crate) warnings: (Sources, Vec<Diagnostic>),
}

/// A project that was read; none of its secrets was fetched, and nothing that it names was run.
pub(crate) struct ReadProject {
    pub(crate) project: Project,
    pub(crate) scope: Scope,
    refs: Vec<SecretRef>,
    folder: PathBuf,
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
}

/// Reads a project and fetches its secrets. All its errors are reported at once.
pub(crate) fn load(args: &TargetArgs) -> Result<LoadedProject, Error> {
    load_from(Files::read(&args.source), args)
}

/// The same with files that were read already.
pub(crate) fn load_from(files: Files, args: &TargetArgs) -> Result<LoadedProject, Error> {
    read_from(files, args)?.fetch()
}

/// Reads a project without its secrets.
pub(crate) fn read_from(files: Files, args: &TargetArgs) -> Result<ReadProject, Error> {
    let findings = Findings::default();
    let project = read(&files, &findings);
    let (found, refs) = findings.into_parts();
    let mut diagnostics: Vec<Diagnostic> = files.errors.into_iter().chain(found).collect();
    let scope = Scope {
        services: args.service.iter().cloned().collect(),
        hosts: args.host.iter().cloned().collect(),
    };
    if !diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.extend(project.check_scope(&scope));
    }
    let read = ReadProject {
        project,
        scope,
        refs,
        folder: files.folder,
        sources: files.sources,
        diagnostics,
    };
    if read.diagnostics.iter().any(Diagnostic::is_error) {
        return Err(read.into_error());
    }
    Ok(read)
}

impl ReadProject {
    /// Fetches the secrets from where the inventory names them, which may run commands.
    pub(crate) fn fetch(mut self) -> Result<LoadedProject, Error> {
        let is_weak_allowed = self.project.inventory.allow_weak_secrets;
        match secrets::fetch(&self.refs, &self.folder, is_weak_allowed) {
            Ok(secrets) => Ok(LoadedProject {
                project: self.project,
                scope: self.scope,
                secrets,
                folder: self.folder,
                warnings: (self.sources, self.diagnostics),
            }),
            Err(errors) => {
                self.diagnostics.extend(errors);
                Err(self.into_error())
            }
        }
    }

    /// The commands that fetching the secrets runs, as they are written.
    pub(crate) fn commands(&self) -> BTreeSet<String> {
        let sources = self.refs.iter().map(|secret| &secret.source);
        sources
            .filter_map(|source| match source {
                SecretSource::Command(words) => Some(words.join(" ")),
                SecretSource::Age(path) => Some(format!("age --decrypt {path}")),
                SecretSource::Env(_) | SecretSource::File(_) => None,
            })
            .collect()
    }

    fn into_error(self) -> Error {
        Error::Input {
            sources: self.sources,
            diagnostics: self.diagnostics,
        }
    }
}

/// Creates the missing secret files that an inventory and its playbooks name; their paths.
pub(crate) fn init_secrets(args: &SourceArgs) -> Result<Vec<PathBuf>, Error> {
    let files = Files::read(args);
    let findings = Findings::default();
    read(&files, &findings);
    let (found, refs) = findings.into_parts();
    let diagnostics: Vec<Diagnostic> = files.errors.into_iter().chain(found).collect();
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Error::Input {
            sources: files.sources,
            diagnostics,
        });
    }
    Ok(secrets::init(&refs, &files.folder)?)
}

fn read(files: &Files, findings: &Findings) -> Project {
    let input = Input {
        sources: &files.sources,
        inventory: files.inventory,
        overlays: files.overlays.clone(),
        playbooks: files.playbooks.clone(),
        only: files.only.clone(),
        templates: files.templates.clone(),
        now_us: now_us(),
    };
    Project::read(&input, findings)
}

impl LoadedProject {
    /// Shows the warnings.
    pub(crate) fn warn(&self, colours: ColourChoice) -> Result<(), Error> {
        let (sources, diagnostics) = &self.warnings;
        if !diagnostics.is_empty() {
            report::output::message(report::render_diagnostics(
                sources,
                diagnostics,
                &Screen::of_stderr(colours),
            ))?;
        }
        Ok(())
    }

    /// Observes all that the project needs to know.
    pub(crate) async fn observe(&self, connections: &Connections) -> Facts {
        let mut facts = gather(connections, self.project.queries(&self.scope)).await;
        let further = self.project.further(&self.scope, &mut facts);
        if !further.is_empty() {
            facts.extend(gather(connections, further).await);
        }
        facts
    }

    /// Connections to the hosts in scope, none of them opened yet.
    pub(crate) fn connections(&self, args: &TargetArgs, width: usize) -> Result<Connections, Error> {
        let transport = hosts::transport(&args.ssh, &self.project.inventory, &self.folder)?;
        let hosts = self.project.queries(&self.scope).into_keys();
        Ok(Connections::new(transport, hosts, self.secrets.clone(), width))
    }
}
