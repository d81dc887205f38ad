//! `cargo xtask dist`: the two programs as they are shipped, side by side in target/dist.
//!
//! The controller looks for the agent beside itself, so whatever runs the controller from there needs to say nothing.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use object::LittleEndian;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::{cargo, say};

/// How it is built.
#[derive(Debug, Clone, Args)]
pub(crate) struct DistArgs {
    /// Build the controller to be fast instead of soon: for measurements, and for daily use
    #[arg(long)]
    pub(crate) release: bool,
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
    build(args).map(drop)
}

/// Builds both programs and puts them into target/dist, each whole at every moment.
pub(crate) fn build(args: &DistArgs) -> anyhow::Result<Dist> {
    let root = cargo::workspace()?;
    let dir = root.join("target/dist");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;

    // Tests are built with the same profile and, since the whole workspace is chosen, with the same features: what they
    // have built of it is not built again. What is shipped has only what it asks for.
    let (profile, from) = if args.release {
        ("release", &["--package", "clusterctl"][..])
    } else {
        ("dev", &["--workspace", "--exclude", "e2e"][..])
    };
    let began = Instant::now();
    say(&format!("building clusterctl (profile {profile})"));
    let built = cargo::build(&root, "clusterctl", &[from, &["--profile", profile]].concat())?;
    let clusterctl = place(built.as_std_path(), &dir)?;
    tell(&clusterctl, began);

    let began = Instant::now();
    say("building clusterctl-agent (static, small)");
    let built = cargo::build_static(&root, "agent", "clusterctl-agent", "agent")?;
    require_static(built.as_std_path())?;
    let agent = place(built.as_std_path(), &dir)?;
    tell(&agent, began);
    Ok(Dist { clusterctl, agent })
}

/// Puts a copy of the file into the directory, by a rename: who runs the former one goes on running it.
fn place(file: &Path, dir: &Path) -> anyhow::Result<PathBuf> {
    let name = file.file_name().context("a program without a name")?;
    let to = dir.join(name);
    let new = tempfile::NamedTempFile::new_in(dir).context("cannot make a file in target/dist")?;
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

/// Refuses a program that asks for a dynamic linker: it would start only where the same C library is.
fn require_static(path: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if asks_for_linker(&bytes).with_context(|| format!("{} is no program", path.display()))? {
        bail!(
            "{} is linked dynamically: it would not start on hosts with another C library",
            path.display()
        );
    }
    Ok(())
}

fn asks_for_linker(bytes: &[u8]) -> object::read::Result<bool> {
    let file = FileHeader64::<LittleEndian>::parse(bytes)?;
    let endian = file.endian()?;
    let segments = file.program_headers(endian, bytes)?;
    Ok(segments.iter().any(|segment| segment.p_type(endian) == PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_the_systems_linker_is_refused() {
        // This very test is one.
        let error = require_static(&std::env::current_exe().unwrap()).unwrap_err();
        assert!(error.to_string().contains("linked dynamically"), "{error}");
    }

    #[test]
    fn what_is_no_program_is_not_called_static() {
        asks_for_linker(b"#!/bin/sh\n").unwrap_err();
    }

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
