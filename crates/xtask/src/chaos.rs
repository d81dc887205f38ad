//! `cargo xtask chaos`: what is left out of the tests because it takes minutes, on real services.
//!
//! The controller is killed at many points of a full apply; each time the next apply must end converged. Or, with
//! `--real-times`, at many points of MongoDB's, whose servers elect and stop as slowly as real ones. Or, with `--load`,
//! each service is changed while clients use it. The table is printed as it grows.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;

use crate::dist::{self, Kind};
use crate::stage::Stages;
use crate::{cargo, packages, standins};

/// How much.
#[derive(Debug, Args)]
pub(crate) struct ChaosArgs {
    /// At how many points of a full apply the controller is killed
    #[arg(long, default_value_t = 30)]
    kills: usize,

    /// Kill it right after these events instead, counted from 1
    #[arg(long, value_name = "EVENT", value_delimiter = ',', conflicts_with_all = ["kills", "real_times"])]
    after: Vec<usize>,

    /// Do so with MongoDB alone, at the pace of a real server: elections take 10 to 17 s, stops 15 s. Then kill a rolling
    /// change too, and remove the primary
    #[arg(long)]
    real_times: bool,

    /// At how many points of a rolling change the controller is killed then
    #[arg(long, default_value_t = 10, requires = "real_times")]
    rolling: usize,

    /// How often the primary is removed then
    #[arg(long, default_value_t = 10, requires = "real_times")]
    removals: usize,

    /// How many labs of four hosts do so at the same time
    #[arg(long, default_value_t = 3, requires = "real_times")]
    beds: usize,

    /// Change each service, or only this one, under the load of clients instead, and count what they notice: redis,
    /// mongodb, clickhouse, zookeeper, ssdb, rabbitmq, altcraft
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["kills", "after", "real_times"])]
    load: Option<String>,
}

/// Does what the arguments say.
pub(crate) fn run(args: &ChaosArgs) -> anyhow::Result<ExitCode> {
    let root = cargo::workspace()?;
    let mut stages = Stages::new();
    stages.run("Install what the lab needs", packages::ensure)?;
    let dist = stages.run("Build the programs", || dist::build(Kind::Development))?;
    let standins = stages.run("Build the stand-ins", standins::build)?;
    let mut command = cargo::command(&root);
    command
        .args(["test", "--quiet", "--package", "e2e", "--test"])
        .env("CLUSTERCTL_BIN", &dist.clusterctl)
        .env("CLUSTERCTL_STANDINS", &standins);
    let what = if let Some(only) = &args.load {
        command
            .args(["cluster_load", "--", "--nocapture", "each_service"])
            .env("CLUSTERCTL_LOAD_ONLY", only);
        "Change services under load"
    } else if args.real_times {
        command.args(["elections", "--", "--ignored", "--nocapture"]);
        let numbers = [
            ("POINTS", args.kills),
            ("ROLLING", args.rolling),
            ("REMOVALS", args.removals),
            ("BEDS", args.beds),
        ];
        for (what, number) in numbers {
            command.env(format!("CLUSTERCTL_ELECTIONS_{what}"), number.to_string());
        }
        "Kill the controller, and remove the primary"
    } else {
        command
            .args(["chaos", "--", "--ignored", "--nocapture"])
            .env("CLUSTERCTL_CHAOS_KILLS", args.kills.to_string());
        if !args.after.is_empty() {
            let events: Vec<String> = args.after.iter().map(usize::to_string).collect();
            command.env("CLUSTERCTL_CHAOS_AFTER", events.join(","));
        }
        "Kill the controller"
    };
    stages.run(what, || {
        let status = command.status()?;
        ensure!(status.success(), "a run did not end as it must: {status}");
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
