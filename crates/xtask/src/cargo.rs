//! Running cargo on this workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use cargo_metadata::Message;
use cargo_metadata::camino::Utf8PathBuf;

/// What runs on hosts of any make is linked statically, for they may have another C library than this machine.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// The flags that link statically.
pub(crate) const STATIC_FLAGS: &str = "-Ctarget-feature=+crt-static";

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

/// A program that was built, and all that was compiled for it.
pub(crate) struct Built {
    /// Where it is.
    pub(crate) program: Utf8PathBuf,
    /// Each package with the features that it was compiled with.
    pub(crate) packages: BTreeMap<String, Vec<String>>,
}

/// Builds one program as this workspace's tests have it.
pub(crate) fn build(root: &Path, bin: &str, more: &[&str]) -> anyhow::Result<Utf8PathBuf> {
    Ok(built(command(root), bin, more)?.program)
}

/// Builds one program as it is shipped: of its own package alone, with what Cargo.lock says, and without a path of this
/// machine in it.
///
/// It has a target directory of its own: with other flags cargo would build everything in the usual one anew.
pub(crate) fn build_shipped(
    root: &Path,
    package: &str,
    bin: &str,
    profile: &str,
    is_static: bool,
) -> anyhow::Result<Built> {
    let mut cargo = command(root);
    let remaps = remaps(root)?;
    let flags = is_static.then(|| STATIC_FLAGS.to_owned()).into_iter().chain(
        remaps
            .iter()
            .map(|(from, to)| format!("--remap-path-prefix={from}={to}")),
    );
    // The same for what is compiled of C; there a space would end the flag.
    let c_flags = remaps
        .iter()
        .filter(|(from, _)| !from.contains(' '))
        .map(|(from, to)| format!("-ffile-prefix-map={from}={to}"));
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.collect::<Vec<_>>().join("\x1f"))
        .env("CFLAGS", c_flags.collect::<Vec<_>>().join(" "))
        .env("CARGO_TARGET_DIR", root.join("target").join(package))
        .env_remove("RUSTFLAGS");
    let target = ["--target", STATIC_TARGET];
    built(
        cargo,
        bin,
        &[&["--package", package, "--profile", profile], &target[..]].concat(),
    )
}

/// The paths of this machine that a compiler writes into programs, and what stands there instead. Of several that fit,
/// the last one holds.
fn remaps(root: &Path) -> anyhow::Result<Vec<(String, &'static str)>> {
    let home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir()
            .context("there is no home directory, nor CARGO_HOME: set it to the folder of cargo's registry")?
            .join(".cargo"),
    };
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(root)
        .output()
        .context("cannot run rustc")?;
    ensure!(
        sysroot.status.success(),
        "rustc does not tell its sysroot: {}",
        String::from_utf8_lossy(&sysroot.stderr).trim()
    );
    let sysroot = String::from_utf8(sysroot.stdout).context("the compiler's path is not UTF-8")?;
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .with_context(|| format!("{} is not UTF-8: build in another folder", path.display()))
    };
    Ok(vec![
        (text(root)?, "/clusterctl"),
        (text(&home)?, "/cargo"),
        (sysroot.trim().to_owned(), "/rust"),
    ])
}

fn built(mut cargo: Command, bin: &str, more: &[&str]) -> anyhow::Result<Built> {
    let mut child = cargo
        .args(["build", "--quiet", "--locked"])
        .args(["--message-format", "json-render-diagnostics", "--bin", bin])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let Some(stdout) = child.stdout.take() else {
        bail!("cargo has no standard output");
    };
    let mut program = None;
    let mut packages = BTreeMap::new();
    for message in Message::parse_stream(std::io::BufReader::new(stdout)) {
        let Message::CompilerArtifact(artifact) = message.context("cannot read what cargo says")? else {
            continue;
        };
        packages.insert(package_name(&artifact.package_id.repr), artifact.features.clone());
        if artifact.target.name == bin && artifact.executable.is_some() {
            program = artifact.executable;
        }
    }
    ensure!(child.wait()?.success(), "{bin} does not build");
    Ok(Built {
        program: program.with_context(|| format!("cargo does not say where it put {bin}"))?,
        packages,
    })
}

/// The name in a package's id: `path+file:///x/crates/agent#0.1.0`, or `registry+https://...#serde@1.0.0`.
fn package_name(id: &str) -> String {
    let (source, rest) = id.rsplit_once('#').unwrap_or(("", id));
    match rest.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => source.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packages_id_tells_its_name() {
        for (id, name) in [
            ("path+file:///work/crates/agent#0.1.0", "agent"),
            ("path+file:///work/tests#e2e@0.1.0", "e2e"),
            ("registry+https://example.com/index#serde@1.0.0", "serde"),
        ] {
            assert_eq!(package_name(id), name);
        }
    }
}
