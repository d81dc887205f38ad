//! Tools of cargo that chores need and that are not on every machine: found, or installed below target/.

use std::path::{Path, PathBuf};

use crate::{cargo, packages, say, stage};

/// Where a program of that name is. One that is missing is built from the registry, into target/tools: nothing is
/// installed for anybody else.
pub(crate) fn ensure(root: &Path, name: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = packages::find(name) {
        return Ok(path);
    }
    let folder = root.join("target/tools");
    let path = folder.join("bin").join(name);
    if !path.exists() {
        say(&format!("installing {name} into {}", folder.display()));
        let mut install = cargo::command(root);
        // Not optimised: it does little itself.
        install
            .args(["install", name, "--locked", "--debug", "--root"])
            .arg(&folder);
        stage::run(&mut install)?;
    }
    Ok(path)
}
