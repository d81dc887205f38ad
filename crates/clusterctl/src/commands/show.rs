//! `clusterctl show`: one run.

use std::path::Path;

use report::{Clock, ColourChoice, Label, Labels, RunLine, RunView, Screen};
use state::RunRecord;

use crate::cli::ShowArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::journal;

pub(crate) fn run(args: &ShowArgs, state_dir: Option<&Path>, colours: ColourChoice) -> Result<Exit, Error> {
    let record = journal::open(state_dir)?.run(&args.run)?;
    report::output::result(report::render_run(
        &view(record),
        &Clock::system(),
        &Screen::of_stdout(colours),
    ))?;
    Ok(Exit::Success)
}

fn view(record: RunRecord) -> RunView {
    let RunRecord { info, events, end } = record;
    let line = RunLine {
        run: info.run,
        started_us: info.started_us,
        who: info.who,
        command: info.command,
        inventory: info.inventory,
        nodes: info.nodes.len(),
        last_us: events.last().map_or(info.started_us, |(at, _)| *at),
        end: end.map(|end| (end.at_us, end.outcome)),
    };
    let labels = info.nodes.into_iter().map(|node| Label {
        node: node.node,
        host: node.host,
        title: node.title,
        needs: node.needs,
        disrupts: node.disrupts,
    });
    RunView {
        line,
        labels: labels.collect::<Labels>(),
        events,
    }
}
