//! `clusterctl plan`: a dry run.

use std::path::Path;

use ::plan::{Facts, RunningUnits, StepGraph};
use planner::{Options, Project, Scope};
use report::{ColourChoice, PlanView, Screen};

use crate::cli::{ConsentArgs, PlanArgs};
use crate::error::Error;
use crate::exit::Exit;
use crate::files::Files;
use crate::project;
use crate::saved::{self, SavedPlan};

pub(crate) async fn run(args: &PlanArgs, colours: ColourChoice) -> Result<Exit, Error> {
    let mut target = args.target.clone();
    if args.out.is_some() {
        target.source = saved::absolute(&target.source)?;
    }
    let files = Files::read(&target.source);
    let texts = saved::texts(&files.sources);
    let loaded = project::load_from(files, &target)?;
    loaded.warn(colours)?;
    let connections = loaded.connections(&target, WIDTH)?;
    let facts = loaded.observe(&connections).await;
    let options = options(&args.consent, args.restart, &facts);
    let graph = loaded.project.plan(&facts, &loaded.scope, &options)?;
    if args.json {
        report::output::result(report::plan_json(&graph))?;
    } else {
        report::output::result(report::render_plan(
            &graph,
            &view(&loaded.project, &loaded.scope, colours),
        ))?;
    }
    let exit = exit_of(&graph, args.detailed_exitcode);
    if let Some(path) = &args.out {
        let saved = SavedPlan::new(&target.source, texts, loaded.scope, options, graph)?;
        announce(path, saved::write(path, &saved)?)?;
    }
    Ok(exit)
}

/// Reports the plan's file, and how to apply it.
fn announce(path: &Path, replaced: bool) -> Result<(), Error> {
    let path = path.display();
    let done = if replaced {
        format!("Saved the plan to {path}, in place of an older one.")
    } else {
        format!("Saved the plan to {path}.")
    };
    Ok(report::output::message(format!(
        "{done} To apply it: clusterctl apply {path}"
    ))?)
}

/// The options of a plan; a requested restart is about the units that run by these facts.
pub(crate) fn options(args: &ConsentArgs, restarts: bool, facts: &Facts) -> Options {
    Options {
        consents: args.allow.iter().cloned().collect(),
        restart: restarts.then(|| RunningUnits::of(facts)),
        max_unavailable: args.max_unavailable,
    }
}

/// How many connections are opened at once, unless the command line sets it.
pub(crate) const WIDTH: usize = 50;

/// How a plan of this project is shown.
pub(crate) fn view(project: &Project, scope: &Scope, colours: ColourChoice) -> PlanView {
    let (services, hosts) = project.extent(scope);
    PlanView {
        screen: Screen::of_stdout(colours),
        diff: true,
        services,
        hosts,
    }
}

fn exit_of(graph: &StepGraph, detailed: bool) -> Exit {
    if !graph.refusals.is_empty() || !graph.unplanned.is_empty() {
        Exit::Failure
    } else if detailed && !graph.nodes().is_empty() {
        Exit::Changes
    } else {
        Exit::Success
    }
}
