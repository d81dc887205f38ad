//! `cargo xtask test`: all tests, with what they need installed and built first.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;
use lab::{Lab, LabOptions, Suite as Debian};

use crate::dist::{self, Kind};
use crate::stage::Stages;
use crate::tally::{self, Tally};
use crate::{cargo, chdb, packages, say, standins};

/// The package of the end-to-end tests, and the name of their lab.
const E2E: &str = "e2e";

/// All crates but that one. Single targets are chosen out of these, and not by their package: cargo would choose other
/// features for the crates below a package alone, and build them all once more.
const ALL: [&str; 3] = ["--workspace", "--exclude", E2E];

/// How many seeds the simulation plays; thousands are for `cargo xtask simulate`.
const SEEDS: &str = "200";

/// Which tests.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Leave out the tests on real hosts, which need root
    #[arg(long)]
    no_e2e: bool,

    /// Only tests that have one of these in their names
    #[arg(last = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Does what the arguments say.
pub(crate) fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let mut suite = Suite {
        root: cargo::workspace()?,
        nextest: packages::find("cargo-nextest").is_some(),
        names: &args.names,
        stages: Stages::new(),
        total: Tally::default(),
    };
    suite
        .stages
        .run("Install what the tests need", packages::ensure)?;
    let parser = suite
        .stages
        .run("Install a parser of today's ClickHouse", || Ok(chdb::ensure()))?;
    let parser: Vec<(&str, &Path)> = parser
        .iter()
        .map(|python| ("CLUSTERCTL_TEST_CHDB", python.as_path()))
        .collect();
    suite.run(
        "Tests of the crates",
        &[&ALL[..], &["--tests"]].concat(),
        &parser,
        Usual,
    )?;
    suite.run_docs()?;
    if args.names.is_empty() {
        suite.play()?;
    }
    if !args.no_e2e {
        suite.run_on_hosts()?;
    }
    say(&suite.stages.summary());
    // The closing line, alone on its own, is what programs read.
    say(&format!(
        "\n{} passed, {} failed",
        suite.total.passed, suite.total.failed
    ));
    Ok(if suite.total.failed == 0 && suite.total.passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// How tests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Side by side, and told of where they fail.
    Usual,
    /// One after another, with all that they say: they take minutes.
    OneByOne,
    /// Only those that are left out otherwise, one after another.
    LeftOut,
}

use How::{LeftOut, OneByOne, Usual};

/// All that is tested.
struct Suite<'a> {
    root: PathBuf,
    nextest: bool,
    names: &'a [String],
    stages: Stages,
    total: Tally,
}

impl Suite<'_> {
    fn run(&mut self, what: &str, which: &[&str], env: &[(&str, &Path)], how: How) -> anyhow::Result<Tally> {
        let mut command = cargo::command(&self.root);
        if self.nextest {
            nextest(&mut command, which, self.names, how);
        } else {
            cargo_test(&mut command, which, self.names, how);
        }
        command.envs(env.iter().copied());
        let tally = self.stages.run(what, || tally::run(&mut command))?;
        self.total += tally;
        Ok(tally)
    }

    /// The examples in documentation, which nextest does not know.
    fn run_docs(&mut self) -> anyhow::Result<()> {
        let mut command = cargo::command(&self.root);
        command.args([
            "test",
            "--quiet",
            "--doc",
            "--no-fail-fast",
            "--workspace",
            "--exclude",
            E2E,
        ]);
        command.arg("--").args(self.names);
        self.total += self
            .stages
            .run("Examples in documentation", || tally::run(&mut command))?;
        Ok(())
    }

    /// The simulation, which counts as one test: what it finds is told with the command that plays it again.
    fn play(&mut self) -> anyhow::Result<()> {
        // As the tests were built: to build it fast takes longer than so few seeds save.
        let program = self.stages.run("Build the simulation", || {
            cargo::build(&self.root, "simulate", &ALL)
        })?;
        let what = format!("Play {SEEDS} seeds");
        let mut playing = Command::new(program);
        playing.args(["--seeds", SEEDS]);
        let is_sound = self.stages.run(&what, || Ok(playing.status()?.success()))?;
        self.total += Tally {
            passed: u64::from(is_sound),
            failed: u64::from(!is_sound),
        };
        Ok(())
    }

    fn run_on_hosts(&mut self) -> anyhow::Result<()> {
        let dist = self
            .stages
            .run("Build the programs", || dist::build(Kind::Development))?;
        let standins = self.stages.run("Build the stand-ins", standins::build)?;
        let agent = [("CLUSTERCTL_TEST_AGENT", dist.agent.as_path())];
        self.run(
            "Tests of the agent as it is shipped",
            &["--package", "agent"],
            &agent,
            Usual,
        )?;
        self.run(
            "Tests of the lab",
            &[&ALL[..], &["--test", "real"]].concat(),
            &[],
            LeftOut,
        )?;
        let programs = [
            ("CLUSTERCTL_BIN", dist.clusterctl.as_path()),
            ("CLUSTERCTL_STANDINS", standins.as_path()),
        ];
        let tally = self.run("End to end", &["--package", E2E], &programs, OneByOne)?;
        if tally.failed > 0 {
            say(&format!(
                "the hosts are left as the tests left them: cargo xtask lab --name {E2E} ssh HOST, or --name {E2E}-{}\n",
                Debian::Trixie
            ));
            return Ok(());
        }
        self.stages.run("Take the hosts down", || {
            for name in [E2E.to_owned(), format!("{E2E}-{}", Debian::Trixie)] {
                let options = LabOptions {
                    name,
                    ..LabOptions::default()
                };
                Lab::open(options)?.down(true)?;
            }
            Ok(())
        })
    }
}

fn nextest(command: &mut Command, which: &[&str], names: &[String], how: How) {
    // One stage may well have no test of a name that another has.
    command.args(["nextest", "run", "--no-fail-fast", "--no-tests", "pass"]);
    match how {
        Usual => command.args(["--status-level", "slow"]),
        OneByOne => command.args(["--test-threads", "1", "--no-capture"]),
        LeftOut => command.args(["--test-threads", "1", "--run-ignored", "only"]),
    };
    command.args(which).args(names);
}

fn cargo_test(command: &mut Command, which: &[&str], names: &[String], how: How) {
    command.args(["test", "--no-fail-fast"]).args(which).arg("--");
    match how {
        Usual => command.arg("--quiet"),
        OneByOne => command.args(["--test-threads", "1", "--no-capture"]),
        LeftOut => command.args(["--test-threads", "1", "--ignored"]),
    };
    command.args(names);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::typed;

    #[test]
    fn both_runners_get_what_they_understand() {
        let names = ["adopt".to_owned()];
        let mut one = Command::new("cargo");
        nextest(&mut one, &["--package", "e2e"], &names, OneByOne);
        assert_eq!(
            typed(&one),
            "cargo nextest run --no-fail-fast --no-tests pass --test-threads 1 --no-capture --package e2e adopt"
        );
        let mut other = Command::new("cargo");
        cargo_test(&mut other, &["--package", "e2e"], &names, OneByOne);
        assert_eq!(
            typed(&other),
            "cargo test --no-fail-fast --package e2e -- --test-threads 1 --no-capture adopt"
        );
    }
}
