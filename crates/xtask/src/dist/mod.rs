//! `cargo xtask dist`: the two programs as they are shipped, side by side in target/dist, with what is in them.
//!
//! The controller looks for the agent beside itself, so whatever runs the controller from there needs to say nothing.
//! Tests and the demo have a controller of their own in target/dist-dev: it shares what tests have compiled.

mod agent;
mod alone;
mod reproducible;
mod sbom;
mod sums;
mod toolchain;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;

use crate::{cargo, say};

/// What to build.
#[derive(Debug, Clone, Args)]
pub(crate) struct DistArgs {
    /// Build the agent twice instead, in two fresh folders, and compare the programs byte for byte
    #[arg(long)]
    check_reproducible: bool,
}

/// What programs are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For people: optimised, of the product alone.
    Shipped,
    /// For tests and the demo: the controller is built soon instead of fast, and has what tests have.
    Development,
}

impl Kind {
    /// Where they are put, from the workspace's root.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Shipped => "target/dist",
            Self::Development => "target/dist-dev",
        }
    }
}

/// Where the programs are.
pub(crate) struct Dist {
    /// The controller.
    pub(crate) clusterctl: PathBuf,
    /// What it sends to hosts.
    pub(crate) agent: PathBuf,
}

/// Does what the arguments say.
pub(crate) fn run(args: &DistArgs) -> anyhow::Result<()> {
    let root = cargo::workspace()?;
    toolchain::require_pinned(&root)?;
    if args.check_reproducible {
        return reproducible::check(&root);
    }
    let dist = build(Kind::Shipped)?;
    let mut files = vec![dist.clusterctl, dist.agent];
    files.extend(sbom::write(&root, &root.join("target/dist"))?);
    let sums = sums::write(&root.join("target/dist"), &files)?;
    say(&format!("  {}", sums.display()));
    Ok(())
}

/// Builds both programs and puts them side by side, each whole at every moment.
pub(crate) fn build(kind: Kind) -> anyhow::Result<Dist> {
    let root = cargo::workspace()?;
    let dir = root.join(kind.folder());
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;

    let began = Instant::now();
    let built = match kind {
        Kind::Shipped => {
            say("building clusterctl (profile release)");
            let built = cargo::build_shipped(&root, "clusterctl", "clusterctl", "release", false)?;
            alone::require(&built)?;
            built.program
        }
        // With the same profile and, since the whole workspace is chosen, the same features as tests: what they have built
        // is not built again.
        Kind::Development => {
            say("building clusterctl (profile dev)");
            let all = ["--workspace", "--exclude", "e2e", "--profile", "dev"];
            cargo::build(&root, "clusterctl", &all)?
        }
    };
    let clusterctl = place(built.as_std_path(), &dir)?;
    tell(&clusterctl, began);

    let began = Instant::now();
    say("building clusterctl-agent (static, small)");
    let built = agent::build(&root)?;
    let agent = place(&built, &dir)?;
    tell(&agent, began);
    Ok(Dist { clusterctl, agent })
}

/// Puts a copy of the file into the directory, by a rename: who runs the former one goes on running it.
fn place(file: &Path, dir: &Path) -> anyhow::Result<PathBuf> {
    let name = file.file_name().context("a program without a name")?;
    let to = dir.join(name);
    let new = tempfile::NamedTempFile::new_in(dir).context("cannot make a file beside the programs")?;
    std::fs::copy(file, new.path()).with_context(|| format!("cannot copy {}", file.display()))?;
    new.persist(&to)
        .with_context(|| format!("cannot write {}", to.display()))?;
    Ok(to)
}

fn tell(path: &Path, began: Instant) {
    let size = path.metadata().map_or(0, |found| found.len());
    say(&format!(
        "  {} ({}.{} MB, {} s)",
        path.display(),
        size / 1_000_000,
        size / 100_000 % 10,
        began.elapsed().as_secs()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_replaced_and_nothing_else_left() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("dist");
        std::fs::create_dir(&to).unwrap();
        let file = dir.path().join("program");
        for text in ["one", "two"] {
            std::fs::write(&file, text).unwrap();
            let placed = place(&file, &to).unwrap();
            assert_eq!(std::fs::read_to_string(placed).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(&to).unwrap().count(), 1);
    }
}
