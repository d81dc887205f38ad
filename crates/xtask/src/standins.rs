//! Building the stand-ins for programs that no registry has, so that they run on any host of the lab.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use crate::cargo;

/// Builds all stand-ins, and returns the directory where they stand under their names.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let root = cargo::workspace()?;
    // A directory of its own: with other flags cargo would build everything in the usual one anew, each time.
    let dir = root.join("target/standins");
    let status = cargo::command(&root)
        .args(["build", "--quiet", "--package", "standins", "--bins"])
        .args(["--target", cargo::STATIC_TARGET])
        .args(["--config", "profile.dev.strip = true"])
        .env("CARGO_TARGET_DIR", &dir)
        .env("RUSTFLAGS", cargo::STATIC_FLAGS)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the stand-ins do not build");
    Ok(dir.join(cargo::STATIC_TARGET).join("debug"))
}
