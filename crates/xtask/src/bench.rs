//! `cargo xtask bench`: what a no-op costs, beside the least that any tool over SSH costs.
//!
//! The plan of a converged cluster and a plain loop of `ssh HOST true` on the same hosts are timed in turn, since the
//! machine's speed drifts. The loop is the floor: one login a host and nothing else.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use lab::{Lab, LabOptions};

use crate::demo;
use crate::dist::{self, Kind};
use crate::{cargo, say};

/// The measurement, and how often it is taken.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The lab's name; `cargo xtask demo` has built its cluster
    #[arg(long, default_value = lab::DEFAULT_NAME)]
    name: String,

    /// How many times each is run, in turn, after one run that is not counted
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

/// Does what the arguments say.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let root = cargo::workspace()?;
    let dist = dist::build(Kind::Shipped)?;
    let lab = Lab::open(LabOptions {
        name: args.name.clone(),
        ..LabOptions::default()
    })?;
    let plan = || plan(&root, &dist.clusterctl, &lab);
    let logins = || logins(&lab);
    plan()?;
    logins()?;
    let mut ours = Vec::new();
    let mut floor = Vec::new();
    for _ in 0..args.rounds.max(1) {
        ours.push(plan()?);
        floor.push(logins()?);
    }
    say(&figures("clusterctl plan, no changes", &mut ours));
    say(&figures("ssh HOST true on every host at once", &mut floor));
    let ratio = median(&ours).as_secs_f64() / median(&floor).as_secs_f64();
    say(&format!("{:<38} {ratio:.2}", "ratio of the medians"));
    Ok(())
}

/// One plan without changes.
fn plan(root: &Path, program: &Path, lab: &Lab) -> anyhow::Result<Duration> {
    let words = ["--ssh-config", "none", "--detailed-exitcode"];
    let mut command = demo::clusterctl(root, program, &["plan"], &lab.overlay(), &words);
    let began = Instant::now();
    let output = command.output().context("clusterctl cannot be started")?;
    let took = began.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "the cluster does not match the inventory ({}); run `cargo xtask demo` first\n{said}",
            output.status
        );
    }
    Ok(took)
}

/// One login to every host, all at once, that runs `true`.
fn logins(lab: &Lab) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut children = Vec::new();
    for host in lab.hosts() {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F")
            .arg(lab.ssh_config())
            .args([&host.name, "true"])
            .stdin(Stdio::null());
        children.push(ssh.spawn().context("ssh cannot be started")?);
    }
    for mut child in children {
        let status = child.wait().context("ssh is lost")?;
        if !status.success() {
            bail!("a login failed ({status})");
        }
    }
    Ok(began.elapsed())
}

fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Sorts the times and shows them.
fn figures(what: &str, times: &mut [Duration]) -> String {
    times.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
    format!(
        "{what:<38} median {} ms, {} to {} ms, {} runs",
        median(times).as_millis(),
        ms(times.first()),
        ms(times.last()),
        times.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_sorted_times() {
        let mut times = [30, 10, 20].map(Duration::from_millis);
        assert_eq!(
            figures("x", &mut times)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            "x median 20 ms, 10 to 30 ms, 3 runs"
        );
    }
}
