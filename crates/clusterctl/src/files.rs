//! The files of a project: the inventory, what is laid over it, its playbooks and their templates.
//!
//! The crates that make sense of them open no file; this module does, and hands texts on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use planner::{PlaybookText, builtin_playbooks, templates};
use types::{Diagnostic, SourceId, Sources};

use crate::cli::SourceArgs;

/// The texts of a project.
pub(crate) struct Files {
    pub(crate) sources: Sources,
    pub(crate) inventory: SourceId,
    pub(crate) overlays: Vec<SourceId>,
    pub(crate) playbooks: Vec<PlaybookText>,
    pub(crate) only: Option<PlaybookText>,
    pub(crate) templates: BTreeMap<String, SourceId>,
    /// The folder that the inventory is in; relative paths in it start there.
    pub(crate) folder: PathBuf,
    /// Files that could not be read.
    pub(crate) errors: Vec<Diagnostic>,
}

impl Files {
    /// Reads the inventory and its overlays, with the built-in playbooks.
    fn inventory(args: &SourceArgs) -> Self {
        let mut sources = Sources::new();
        let mut errors = Vec::new();
        let inventory = read(&args.inventory, &mut sources, &mut errors);
        let overlays = args
            .overlay
            .iter()
            .map(|path| read(path, &mut sources, &mut errors))
            .collect();
        let folder = args.inventory.parent().unwrap_or(Path::new("")).to_path_buf();
        let mut files = Self {
            sources,
            inventory,
            overlays,
            playbooks: Vec::new(),
            only: None,
            templates: BTreeMap::new(),
            folder,
            errors,
        };
        for (name, text) in builtin_playbooks() {
            let source = files.sources.add(format!("<built-in>/{name}.toml"), text);
            files.playbooks.push(PlaybookText {
                name: name.to_owned(),
                source,
                overrides: false,
            });
        }
        files
    }

    /// Reads all that a command needs.
    pub(crate) fn read(args: &SourceArgs) -> Self {
        let mut files = Self::inventory(args);
        let folder = args
            .playbooks
            .clone()
            .unwrap_or_else(|| files.folder.join("playbooks"));
        if let Some(path) = &args.playbook {
            let source = read(path, &mut files.sources, &mut files.errors);
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.read_templates(source, path.parent().unwrap_or(Path::new("")));
            files.only = Some(PlaybookText {
                name,
                source,
                overrides: false,
            });
        }
        for at in 0..files.playbooks.len() {
            let PlaybookText { name, source, .. } = &files.playbooks[at];
            let path = folder.join(format!("{name}.toml"));
            let builtin = files.sources.get(*source).map(|source| source.text.clone());
            match std::fs::read_to_string(&path) {
                // The built-in ones lie in a folder of that name in the source tree; a copy of one is no override.
                Ok(text) if Some(&text) == builtin.as_ref() => {}
                Ok(text) => {
                    let source = files.sources.add(path.display().to_string(), text);
                    files.playbooks[at].source = source;
                    files.playbooks[at].overrides = true;
                    files.read_templates(source, &folder);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => files.errors.push(unreadable(&path, &error)),
            }
        }
        files
    }

    fn read_templates(&mut self, playbook: SourceId, folder: &Path) {
        for (name, span) in templates(&self.sources, playbook) {
            let path = folder.join(&name);
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let source = self.sources.add(path.display().to_string(), text);
                    self.templates.insert(name, source);
                }
                Err(error) => self.errors.push(unreadable(&path, &error).at(span, "named here")),
            }
        }
    }
}

fn read(path: &Path, sources: &mut Sources, errors: &mut Vec<Diagnostic>) -> SourceId {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        errors.push(unreadable(path, &error));
        String::new()
    });
    sources.add(path.display().to_string(), text)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(format!("{} cannot be read: {error}", path.display()))
}
