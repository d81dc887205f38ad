//! Shipped programs are built with the compiler that rust-toolchain.toml pins: another one makes another program.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

const FILE: &str = "rust-toolchain.toml";

/// Refuses another compiler, however it was chosen: `RUSTUP_TOOLCHAIN`, `cargo +stable`, or a machine without rustup.
pub(crate) fn require_pinned(root: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let output = Command::new("rustc")
        .arg("--version")
        .current_dir(root)
        .output()
        .context("cannot run rustc")?;
    let found = String::from_utf8_lossy(&output.stdout);
    require(&text, &found)
}

fn require(file: &str, found: &str) -> anyhow::Result<()> {
    let file: toml::Table = file.parse().with_context(|| format!("{FILE} is not TOML"))?;
    let pinned = file
        .get("toolchain")
        .and_then(|table| table.get("channel"))
        .and_then(toml::Value::as_str)
        .with_context(|| format!("{FILE} has no channel"))?;
    let version = found.split(' ').nth(1).unwrap_or_default();
    ensure!(
        version == pinned,
        "this is Rust {version}, and programs are shipped with {pinned} ({FILE}): install it with `rustup toolchain \
         install {pinned}`, and unset RUSTUP_TOOLCHAIN"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_compiler_than_the_pinned_one_is_refused() {
        let file = "[toolchain]\nchannel = \"1.95.0\"\n";
        require(file, "rustc 1.95.0 (59807616e 2026-04-14)\n").unwrap();
        for other in ["rustc 1.95.1 (x)", "rustc 1.97.0-nightly (x)", ""] {
            let error = require(file, other).unwrap_err().to_string();
            assert!(error.contains("rustup toolchain install 1.95.0"), "{error}");
        }
    }
}
