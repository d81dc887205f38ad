//! The files of a project: the inventory, what is laid over it, its playbooks and their templates.
//!
//! The pure crates open no file; this module does, and passes texts on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use planner::{PlaybookText, builtin_playbooks, templates};
use types::{Diagnostic, SourceId, Sources};

use crate::cli::SourceArgs;
use crate::operator_files::{FileError, Rule, read_text};

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
    /// Files that could not be read, or that another user could have written.
    pub(crate) errors: Vec<Diagnostic>,
    /// The files and folders that were named for the latter.
    untrusted: BTreeSet<PathBuf>,
}

impl Files {
    /// Reads the inventory and its overlays, with the built-in playbooks.
    fn inventory(args: &SourceArgs) -> Self {
        let mut sources = Sources::new();
        let mut errors = Vec::new();
        let mut untrusted = BTreeSet::new();
        let mut read = |path: &PathBuf| {
            let text = read_text(path, Rule::Own).unwrap_or_else(|error| {
                errors.extend(unusable(path, &error, &mut untrusted));
                String::new()
            });
            sources.add(path.display().to_string(), text)
        };
        let inventory = read(&args.inventory);
        let overlays = args.overlay.iter().map(read).collect();
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
            untrusted,
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
            let text = read_text(path, Rule::Own).unwrap_or_else(|error| {
                let found = unusable(path, &error, &mut files.untrusted);
                files.errors.extend(found);
                String::new()
            });
            let source = files.sources.add(path.display().to_string(), text);
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
            match read_text(&path, Rule::Own) {
                // The built-in ones lie in a folder of that name in the source tree; a copy of one is no override.
                Ok(text) if Some(&text) == builtin.as_ref() => {}
                Ok(text) => {
                    let source = files.sources.add(path.display().to_string(), text);
                    files.playbooks[at].source = source;
                    files.playbooks[at].overrides = true;
                    files.read_templates(source, &folder);
                }
                Err(FileError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => files.errors.extend(unusable(&path, &error, &mut files.untrusted)),
            }
        }
        files
    }

    fn read_templates(&mut self, playbook: SourceId, folder: &Path) {
        for (name, span) in templates(&self.sources, playbook) {
            let path = folder.join(&name);
            match read_text(&path, Rule::Own) {
                Ok(text) => {
                    let source = self.sources.add(path.display().to_string(), text);
                    self.templates.insert(name, source);
                }
                Err(error) => {
                    let found = unusable(&path, &error, &mut self.untrusted);
                    self.errors
                        .extend(found.map(|error| error.at(span, "named here")));
                }
            }
        }
    }
}

/// Why a file is not used; `None` where the same folder was named already.
fn unusable(path: &Path, error: &FileError, named: &mut BTreeSet<PathBuf>) -> Option<Diagnostic> {
    let path = path.display();
    match error {
        FileError::Io(error) => Some(Diagnostic::error(format!("{path} cannot be read: {error}"))),
        FileError::Untrusted(why) => named
            .insert(why.path().to_path_buf())
            .then(|| Diagnostic::error(format!("{path} is not used: {}", why.what())).hint(why.remedy())),
    }
}
