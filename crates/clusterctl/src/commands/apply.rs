//! `clusterctl apply` and `restart`: plans, and executes the plan once it is approved.

use std::path::Path;

use planner::ROUNDS;
use report::ColourChoice;

use super::apply_saved;
use super::execution::Execution;
use super::plan::options;
use crate::cli::ApplyArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;
use crate::saved;

pub(crate) async fn run(
    args: &ApplyArgs,
    restarts: bool,
    state_dir: Option<&Path>,
    colours: ColourChoice,
) -> Result<Exit, Error> {
    if let Some(saved) = saved::open(&args.target.source.inventory)? {
        return apply_saved::run(args, &saved, state_dir, colours).await;
    }
    let loaded = project::load(&args.target)?;
    loaded.warn(colours)?;
    let connections = loaded.connections(&args.target, args.parallel)?;
    let facts = loaded.observe(&connections).await;
    let options = options(&args.consent, restarts, &facts);
    let graph = loaded.project.plan(&facts, &loaded.scope, &options)?;
    let execution = Execution {
        args,
        loaded: &loaded,
        connections,
        options: &options,
        rounds: ROUNDS,
        patience: args.lock_timeout,
        colours,
    };
    execution.carry_out(graph, state_dir).await
}
