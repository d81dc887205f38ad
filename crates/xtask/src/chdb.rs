//! A parser of today's ClickHouse for the tests: `PyPI`'s chdb-core, in a virtual environment beside the lab's images.
//!
//! Debian has ClickHouse 18.16 only. That a new server takes the files that we write is proven with the engine of one
//! that comes as a Python module.

use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;
use lab::LabOptions;

use crate::{say, stage};

/// The module, with the version that the tests were written with.
const MODULE: &str = "chdb-core==26.9.0";

/// The Python that has the module. `None` where there is no Python, or no registry within reach: then the test of it is
/// left out, which is said.
pub(crate) fn ensure() -> Option<PathBuf> {
    let dir = LabOptions::default().cache.join("chdb");
    let python = dir.join("bin/python");
    // Written last: an installation that was cut off has none.
    let whole = dir.join(MODULE);
    if !whole.exists()
        && let Err(error) = install(&dir, &python).and_then(|()| Ok(std::fs::write(&whole, "")?))
    {
        say(&format!(
            "no parser of today's ClickHouse, and its test is left out: {error:#}"
        ));
        return None;
    }
    Some(python)
}

fn install(dir: &std::path::Path, python: &std::path::Path) -> anyhow::Result<()> {
    stage::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir))?;
    // Without its dependencies, which are for data frames.
    let words = ["-m", "pip", "install", "--quiet", "--no-deps", MODULE];
    stage::run(Command::new(python).args(words))?;
    ensure!(python.exists(), "there is no {}", python.display());
    Ok(())
}
