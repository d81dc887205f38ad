//! The agent as it is shipped: small, of the product alone, and static.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use object::LittleEndian;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::alone;
use crate::cargo;

/// Builds the agent of the workspace at a path. It is the same for every kind of programs.
pub(super) fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let built = cargo::build_shipped(root, "agent", "clusterctl-agent", "agent", true)?;
    alone::require(&built)?;
    require_static(built.program.as_std_path())?;
    Ok(built.program.into())
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
}
