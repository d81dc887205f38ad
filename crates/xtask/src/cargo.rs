//! Running cargo on this workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use cargo_metadata::Message;
use cargo_metadata::camino::Utf8PathBuf;

/// What runs on hosts of any make is linked statically, for they may have another C library than this machine.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// The flags that link statically.
pub(crate) const STATIC_FLAGS: &str = "-C target-feature=+crt-static";

/// The workspace's root.
pub(crate) fn workspace() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize()
        .context("the workspace that this program was built in is gone")
}

/// A command of cargo, run at the workspace's root.
pub(crate) fn command(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).stdin(Stdio::null());
    command
}

/// Builds one program, and returns where it is.
pub(crate) fn build(root: &Path, bin: &str, more: &[&str]) -> anyhow::Result<Utf8PathBuf> {
    built(command(root), bin, more)
}

/// Builds one program for hosts of any make, and returns where it is.
///
/// It has a target directory of its own: with other flags cargo would build everything in the usual one anew.
pub(crate) fn build_static(
    root: &Path,
    package: &str,
    bin: &str,
    profile: &str,
) -> anyhow::Result<Utf8PathBuf> {
    let mut cargo = command(root);
    cargo
        .env("RUSTFLAGS", STATIC_FLAGS)
        .env("CARGO_TARGET_DIR", root.join("target").join(package));
    built(
        cargo,
        bin,
        &[
            "--package",
            package,
            "--profile",
            profile,
            "--target",
            STATIC_TARGET,
        ],
    )
}

fn built(mut cargo: Command, bin: &str, more: &[&str]) -> anyhow::Result<Utf8PathBuf> {
    let mut child = cargo
        .args(["build", "--quiet", "--message-format", "json-render-diagnostics"])
        .args(["--bin", bin])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let Some(stdout) = child.stdout.take() else {
        bail!("cargo has no standard output");
    };
    let mut found = None;
    for message in Message::parse_stream(std::io::BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message.context("cannot read what cargo says")?
            && artifact.target.name == bin
            && artifact.executable.is_some()
        {
            found = artifact.executable;
        }
    }
    ensure!(child.wait()?.success(), "{bin} does not build");
    found.with_context(|| format!("cargo does not say where it put {bin}"))
}
