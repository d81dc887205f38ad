//! SHA256SUMS, as `sha256sum --check` reads it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

/// Writes the sums of files that are in the folder.
pub(crate) fn write(folder: &Path, files: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let mut lines: Vec<String> = files
        .iter()
        .map(|file| {
            let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.file_name().and_then(|name| name.to_str());
            let name = name.with_context(|| format!("{} has no name", file.display()))?;
            Ok(format!("{}  {name}\n", digest(&bytes)))
        })
        .collect::<anyhow::Result<_>>()?;
    lines.sort_by(|one, other| one.split(' ').next_back().cmp(&other.split(' ').next_back()));
    let path = folder.join("SHA256SUMS");
    std::fs::write(&path, lines.concat()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The SHA-256 of bytes, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_what_sha256sum_checks() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("b"), folder.path().join("a")];
        for file in &files {
            std::fs::write(file, "x").unwrap();
        }
        write(folder.path(), &files).unwrap();
        let check = || {
            let mut command = std::process::Command::new("sha256sum");
            command.args(["--check", "--strict", "SHA256SUMS"]);
            command.current_dir(folder.path()).output().unwrap()
        };
        let output = check();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a: OK\nb: OK\n");
        std::fs::write(&files[0], "y").unwrap();
        assert!(!check().status.success());
    }
}
