//! `cargo xtask simulate`: builds the simulation to be fast, and plays seeds.
//!
//! What it can be told is the simulation's own matter: `cargo xtask simulate --help` asks it.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::cargo;

/// What the simulation is told.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SimulateArgs {
    /// `--help` tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Does what the arguments say.
pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let from = ["--package", "simulation", "--profile", "simulate"];
    let program = cargo::build(&cargo::workspace()?, "simulate", &from)?;
    let status = std::process::Command::new(&program)
        .args(&args.words)
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
