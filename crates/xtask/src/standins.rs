//! Building the stand-ins for programs that no registry has, so that they run on any host of the lab.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Linked statically: a host may have another C library than this machine.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds all stand-ins, and returns the directory where they stand under their names.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // A directory of its own: with other flags cargo would build everything in the usual one anew, each time.
    let dir = workspace.canonicalize()?.join("target/standins");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "standins",
            "--bins",
            "--target",
            TARGET,
        ])
        .args(["--config", "profile.dev.strip = true"])
        .current_dir(&workspace)
        .env("CARGO_TARGET_DIR", &dir)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the stand-ins do not build");
    Ok(dir.join(TARGET).join("debug"))
}
