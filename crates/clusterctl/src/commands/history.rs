//! `clusterctl history`: past runs, newest first.

use std::path::Path;

use report::{Clock, ColourChoice, RunLine, Screen};
use state::RunSummary;

use crate::cli::HistoryArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::journal;

pub(crate) fn run(
    args: &HistoryArgs,
    state_dir: Option<&Path>,
    colours: ColourChoice,
) -> Result<Exit, Error> {
    let runs = journal::open(state_dir)?.runs(args.limit)?;
    let lines: Vec<RunLine> = runs.into_iter().map(line).collect();
    report::output::result(report::render_history(
        &lines,
        &Clock::system(),
        &Screen::of_stdout(colours),
    ))?;
    Ok(Exit::Success)
}

fn line(run: RunSummary) -> RunLine {
    RunLine {
        run: run.run,
        started_us: run.started_us,
        who: run.who,
        command: run.command,
        inventory: run.inventory,
        nodes: run.nodes,
        last_us: run.last_us,
        end: run.end.map(|end| (end.at_us, end.outcome)),
    }
}
