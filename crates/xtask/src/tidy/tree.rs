//! The workspace as the rules see it: crates, sources, and a few other files. It is read once; no rule opens a file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};
use walkdir::WalkDir;

/// Where the map is shown to people.
pub(crate) const ARCHITECTURE: &str = "docs/architecture.md";

/// Everything that rules look at.
#[derive(Default)]
pub(crate) struct Tree {
    /// Our crates.
    pub(crate) crates: Vec<Krate>,
    /// All Rust sources.
    pub(crate) sources: Vec<Source>,
    /// Manifests, playbooks and the map's page, by their paths from the root.
    pub(crate) texts: BTreeMap<String, String>,
}

/// A crate of the workspace.
#[derive(Debug)]
pub(crate) struct Krate {
    /// The package's name.
    pub(crate) name: String,
    /// Its folder, from the root.
    pub(crate) folder: String,
    /// What it depends on.
    pub(crate) needs: Vec<Need>,
    /// The first files of what is built of it.
    pub(crate) roots: Vec<Root>,
}

impl Krate {
    /// Its manifest, from the root.
    pub(crate) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

/// A dependency.
#[derive(Debug)]
pub(crate) struct Need {
    /// The package's name.
    pub(crate) name: String,
    /// Whether only tests have it.
    pub(crate) for_tests: bool,
    /// Whether it is a crate of this workspace.
    pub(crate) own: bool,
}

/// A target's first file.
#[derive(Debug)]
pub(crate) struct Root {
    /// Its path from the workspace's root.
    pub(crate) path: String,
    /// Whether only tests are built from it.
    pub(crate) test: bool,
}

/// What a source is compiled into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Programs and libraries.
    Product,
    /// Tests only.
    Test,
    /// Nothing at all.
    Nothing,
}

/// A Rust source.
pub(crate) struct Source {
    /// Its path from the workspace's root.
    pub(crate) path: String,
    /// The crate in whose folder it is.
    pub(crate) krate: String,
    /// Its text.
    pub(crate) text: String,
    /// Its syntax; what is wrong with it is a problem of its own.
    pub(crate) syntax: Result<syn::File, syn::Error>,
    /// What it is compiled into.
    pub(crate) part: Part,
}

impl Tree {
    /// Reads the workspace.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(root)
            .no_deps()
            .exec()
            .context("cargo does not describe the workspace")?;
        let mut tree = Self::default();
        for package in &metadata.packages {
            tree.crates.push(krate(package, root)?);
        }
        for krate in &tree.crates {
            let found = files(root, &krate.folder, "rs")?;
            tree.sources.extend(
                found
                    .into_iter()
                    .map(|(path, text)| source(&krate.name, path, text)),
            );
            tree.texts
                .insert(krate.manifest(), read(root, &krate.manifest())?);
        }
        tree.texts.extend(files(root, "playbooks", "toml")?);
        // Its absence is a rule's business.
        if root.join(ARCHITECTURE).is_file() {
            tree.texts
                .insert(ARCHITECTURE.to_owned(), read(root, ARCHITECTURE)?);
        }
        Ok(tree)
    }

    /// The sources of a part.
    pub(crate) fn of_part(&self, part: Part) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(move |source| source.part == part)
    }
}

/// Reads the syntax of a source; what it is compiled into is found later.
fn source(krate: &str, path: String, text: String) -> Source {
    Source {
        krate: krate.to_owned(),
        syntax: syn::parse_file(&text),
        path,
        text,
        part: Part::Nothing,
    }
}

fn krate(package: &Package, root: &Path) -> anyhow::Result<Krate> {
    let folder = package
        .manifest_path
        .parent()
        .context("a manifest without a folder")?;
    let needs = package.dependencies.iter().map(|need| Need {
        name: need.name.clone(),
        for_tests: need.kind == DependencyKind::Development,
        own: need.path.is_some(),
    });
    let mut roots = Vec::new();
    for target in &package.targets {
        let test = [TargetKind::Test, TargetKind::Bench, TargetKind::Example]
            .iter()
            .any(|kind| target.kind.contains(kind));
        let path = relative(target.src_path.as_std_path(), root)?;
        roots.push(Root { path, test });
    }
    Ok(Krate {
        name: package.name.to_string(),
        folder: relative(folder.as_std_path(), root)?,
        needs: needs.collect(),
        roots,
    })
}

fn files(root: &Path, folder: &str, extension: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in WalkDir::new(root.join(folder)).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot look through {folder}"))?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|own| own == extension) {
            let path = relative(entry.path(), root)?;
            let text = read(root, &path)?;
            found.push((path, text));
        }
    }
    Ok(found)
}

fn read(root: &Path, path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
}

fn relative(path: &Path, root: &Path) -> anyhow::Result<String> {
    match path.strip_prefix(root).ok().and_then(Path::to_str) {
        Some(path) => Ok(path.to_owned()),
        None => bail!("{} is not below {}", path.display(), root.display()),
    }
}

/// Workspaces written in tests of rules.
#[cfg(test)]
impl Tree {
    /// A crate in the usual place, with `src/lib.rs` as its root.
    pub(crate) fn with_crate(mut self, name: &str, needs: &[Need]) -> Self {
        let folder = format!("crates/{name}");
        self.texts.insert(
            format!("{folder}/Cargo.toml"),
            "[lints]\nworkspace = true\n".to_owned(),
        );
        self.crates.push(Krate {
            name: name.to_owned(),
            roots: vec![Root {
                path: format!("{folder}/src/lib.rs"),
                test: false,
            }],
            needs: needs.iter().map(Need::again).collect(),
            folder,
        });
        self
    }

    /// A source of the crate in whose folder it is.
    pub(crate) fn with_source(mut self, path: &str, text: &str) -> Self {
        let krate = path
            .strip_prefix("crates/")
            .unwrap()
            .split("/src/")
            .next()
            .unwrap();
        self.sources.push(source(krate, path.to_owned(), text.to_owned()));
        super::reach::mark(&mut self);
        self
    }

    /// Any other file.
    pub(crate) fn with_text(mut self, path: &str, text: &str) -> Self {
        self.texts.insert(path.to_owned(), text.to_owned());
        self
    }
}

#[cfg(test)]
impl Need {
    /// A dependency on a crate of this workspace.
    pub(crate) fn own(name: &str, for_tests: bool) -> Self {
        Self {
            name: name.to_owned(),
            for_tests,
            own: true,
        }
    }

    /// A dependency on somebody else's crate.
    pub(crate) fn foreign(name: &str, for_tests: bool) -> Self {
        Self {
            name: name.to_owned(),
            for_tests,
            own: false,
        }
    }

    fn again(&self) -> Self {
        Self {
            name: self.name.clone(),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_workspace_can_be_read() {
        let root = crate::cargo::workspace().unwrap();
        let mut tree = Tree::read(&root).unwrap();
        crate::tidy::reach::mark(&mut tree);
        let xtask = tree.crates.iter().find(|krate| krate.name == "xtask").unwrap();
        assert_eq!(xtask.folder, "crates/xtask");
        assert!(xtask.needs.iter().any(|need| need.name == "lab" && need.own));
        let this = tree
            .sources
            .iter()
            .find(|source| source.path.ends_with("tidy/tree.rs"))
            .unwrap();
        assert_eq!((this.krate.as_str(), this.part), ("xtask", Part::Product));
    }
}
