//! The project's own chores: `cargo xtask CHORE`.
//!
//! Each chore is one module with clap's arguments and a `run`; this file only lists them and prints for them, so
//! that everything a developer needs is found by `cargo xtask --help` and works without any other tool.

mod bench;
mod cargo;
mod chaos;
mod chdb;
mod demo;
mod dist;
mod fuzz;
mod lab;
mod packages;
mod simulate;
mod stage;
mod standins;
mod tally;
mod terminal;
mod test;
mod tidy;
mod tools;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub(crate) use terminal::say;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// A cluster of containers on this machine, for demos and end-to-end tests
    Lab(lab::LabArgs),
    /// Set up a cluster on a lab from scratch, and explain each step
    Demo(demo::DemoArgs),
    /// Build the release programs into target/dist, with SBOMs and checksums
    Dist(dist::DistArgs),
    /// Time a no-op plan beside a plain loop of logins, on the demo's lab
    Bench(bench::BenchArgs),
    /// Kill the controller at many points of a full apply on a lab
    Chaos(chaos::ChaosArgs),
    /// Check the house rules: imports, circles, rooms of kinds, purity, sizes, registered kinds
    Tidy(tidy::TidyArgs),
    /// Play plans and runs on services in memory, in simulated time, from seeds
    Simulate(simulate::SimulateArgs),
    /// Fuzz every decoder and reader for some seconds each
    Fuzz(fuzz::FuzzArgs),
    /// Run all tests, including those on real hosts
    Test(test::TestArgs),
}

fn main() -> ExitCode {
    let done = match Args::parse().chore {
        Chore::Lab(args) => lab::run(args),
        Chore::Demo(args) => demo::run(&args).map(|()| ExitCode::SUCCESS),
        Chore::Bench(args) => bench::run(&args).map(|()| ExitCode::SUCCESS),
        Chore::Chaos(args) => chaos::run(&args),
        Chore::Simulate(args) => simulate::run(&args),
        Chore::Fuzz(args) => fuzz::run(&args),
        Chore::Test(args) => test::run(&args),
        Chore::Tidy(args) => tidy::run(&args).map(|()| ExitCode::SUCCESS),
        Chore::Dist(args) => dist::run(&args).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
