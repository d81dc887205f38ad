//! `cargo xtask dist --check-reproducible`: two builds of the agent, in different folders and from nothing, are the same
//! bytes. Who has the sources can therefore check what an agent on a host was made of.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use walkdir::WalkDir;

use super::{agent, sums};
use crate::say;

/// Builds the agent twice and compares.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir().context("cannot make a folder for the builds")?;
    let mut sums = Vec::new();
    // Paths of different lengths: what is written down of one shifts the rest.
    for folder in ["one", "another/folder"] {
        let began = Instant::now();
        let copy = scratch.path().join(folder);
        copy_sources(root, &copy)?;
        let program = agent::build(&copy)?;
        let bytes = std::fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
        let sum = sums::digest(&bytes);
        say(&format!(
            "{sum}  {folder} ({} bytes, {} s)",
            bytes.len(),
            began.elapsed().as_secs()
        ));
        for path in [scratch.path(), root] {
            let path = path.to_str().context("a folder is not UTF-8")?;
            ensure!(
                !bytes.windows(path.len()).any(|window| window == path.as_bytes()),
                "the agent holds {path}, a path of this machine"
            );
        }
        sums.push(sum);
    }
    ensure!(
        sums[0] == sums[1],
        "two builds of the same sources differ: compare the two programs with diffoscope, and look for a path, a time or \
         an order that is not fixed"
    );
    say("the same agent from both folders");
    Ok(())
}

/// Copies what a build reads: everything but what builds and git wrote.
fn copy_sources(root: &Path, to: &Path) -> anyhow::Result<()> {
    let sources = WalkDir::new(root)
        .into_iter()
        .filter_entry(|entry| entry.depth() != 1 || !is_left_out(&entry.file_name().to_string_lossy()));
    for entry in sources {
        let entry = entry.context("cannot list the sources")?;
        let path = to.join(entry.path().strip_prefix(root)?);
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(&path)
        } else {
            std::fs::copy(entry.path(), &path).map(drop)
        }
        .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn is_left_out(name: &str) -> bool {
    ["target", ".git", "secrets", "fuzz"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_copied_without_what_was_built() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for file in [
            "Cargo.toml",
            "crates/target/lib.rs",
            "target/debug/x",
            ".git/HEAD",
        ] {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let to = folder.path().join("a/b");
        copy_sources(&root, &to).unwrap();
        assert!(to.join("Cargo.toml").exists() && to.join("crates/target/lib.rs").exists());
        assert!(!to.join("target").exists() && !to.join(".git").exists());
    }
}
