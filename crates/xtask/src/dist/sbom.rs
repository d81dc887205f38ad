//! The contents of the programs, in the form of `CycloneDX`: beside each program, a list of the crates that it is made of.
//!
//! `cargo cyclonedx` makes the lists from the manifests and Cargo.lock. It writes into the folders of all our crates; what
//! it wrote there is taken away.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::{cargo, say, tools};

/// The programs, and the folders of their crates.
const PROGRAMS: [(&str, &str); 2] = [
    ("clusterctl", "crates/clusterctl"),
    ("clusterctl-agent", "crates/agent"),
];

/// Writes a list for each program into a folder.
pub(crate) fn write(root: &Path, into: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let tool = tools::ensure(root, "cargo-cyclonedx")?;
    let status = Command::new(&tool)
        .args([
            "cyclonedx",
            "--quiet",
            "--format",
            "json",
            "--spec-version",
            "1.5",
        ])
        .args(["--describe", "binaries", "--target", cargo::STATIC_TARGET])
        // Without it the time and a random number would be in the lists.
        .env("SOURCE_DATE_EPOCH", committed(root))
        .current_dir(root)
        .status()
        .with_context(|| format!("cannot run {}", tool.display()))?;
    let written = take(root);
    ensure!(status.success(), "cargo-cyclonedx failed: {status}");
    let mut files = Vec::new();
    for (program, folder) in PROGRAMS {
        let name = Path::new(folder).join(format!("{program}_bin.cdx.json"));
        let text = written
            .iter()
            .find(|(path, _)| *path == name)
            .map(|(_, text)| text)
            .with_context(|| format!("cargo-cyclonedx made no list of what is in {program}"))?;
        let path = into.join(format!("{program}.cdx.json"));
        // Where it was built is nobody's business.
        let text = text.replace(&root.display().to_string(), "/clusterctl");
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        say(&format!("  {}", path.display()));
        files.push(path);
    }
    Ok(files)
}

/// When the sources were committed; 1970 where they are not in git.
fn committed(root: &Path) -> String {
    let output = Command::new("git")
        .args(["log", "-1", "--format=%ct"])
        .current_dir(root)
        .output();
    let time = output.ok().filter(|output| output.status.success());
    let time = time.and_then(|output| String::from_utf8(output.stdout).ok());
    time.map_or_else(|| "0".to_owned(), |time| time.trim().to_owned())
}

/// Reads and removes all lists in our crates' folders, by their paths from the root.
fn take(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let folders = ["crates", "tests"].map(|folder| walkdir::WalkDir::new(root.join(folder)).max_depth(2));
    for entry in folders.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy();
        if !name.ends_with(".cdx.json") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path());
        let removed = std::fs::remove_file(entry.path());
        if let (Ok(text), Ok(()), Ok(path)) = (text, removed, entry.path().strip_prefix(root)) {
            found.push((path.to_owned(), text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_tool_is_left_in_the_crates() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("crates/agent");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("clusterctl-agent_bin.cdx.json"), "{}").unwrap();
        std::fs::write(folder.join("Cargo.toml"), "").unwrap();
        let taken = take(root.path());
        assert_eq!(
            taken,
            [(
                "crates/agent/clusterctl-agent_bin.cdx.json".into(),
                "{}".to_owned()
            )]
        );
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }
}
