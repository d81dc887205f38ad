//! `clusterctl apply FILE` of a saved plan: executes exactly that plan, or reports what changed since.
//!
//! - The file names an inventory, which may name commands that print secrets. So what it names is shown first, with its
//!   plan, and nothing is run before the operator approves.
//! - Then the hosts are observed and the plan is made again, to compare it with the saved one. Where the two differ,
//!   nothing is done.

use std::path::Path;
use std::time::Duration;

use plan::{Comparison, compare};
use report::{ColourChoice, SavedPlanHeader, Screen, StalePlan, TextChanges};

use super::execution::{Execution, confirmed, show_page};
use super::plan::view;
use crate::cli::ApplyArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::files::Files;
use crate::project;
use crate::saved::{SavedError, SavedPlan, contradictions};

pub(crate) async fn run(
    args: &ApplyArgs,
    saved: &SavedPlan,
    state_dir: Option<&Path>,
    colours: ColourChoice,
) -> Result<Exit, Error> {
    let said = contradictions(args);
    if !said.is_empty() {
        return Err(SavedError::Contradiction(said).into());
    }
    let file = &args.target.source.inventory;
    let args = saved.args(args);
    let files = Files::read(&args.target.source);
    let texts = saved.changed_texts(&files);
    if !texts.is_empty() {
        return refuse(saved, file, &texts, &Comparison::Same, colours);
    }
    let read = project::read_from(files, &args.target)?;
    let view = view(&read.project, &read.scope, colours);
    let mut names = saved.names(read.commands());
    let hook = read.project.inventory.before_disruption.iter();
    names.extend(hook.map(|words| ("before_disruption", words.join(" "))));
    let head = SavedPlanHeader {
        file: &file.display().to_string(),
        made: &saved.made_by(),
        names,
    };
    let shown = report::render_plan(&saved.plan, &view);
    show_page(&args, report::render_saved_plan_header(&head, &view.screen))?;
    show_page(&args, shown.clone())?;
    if !args.yes && !confirmed().await? {
        report::output::message("Nothing was changed.")?;
        return Ok(Exit::Failure);
    }
    let loaded = read.fetch()?;
    loaded.warn(colours)?;
    let connections = loaded.connections(&args.target, args.parallel)?;
    let mut execution = Execution {
        args: &args,
        loaded: &loaded,
        connections,
        options: &saved.options,
        // Exactly this plan, and no other that the hosts may need by then.
        rounds: 1,
        patience: Duration::ZERO,
        colours,
    };
    let now = execution.settle_unless(&saved.plan).await?;
    match compare(&saved.plan, &now) {
        Comparison::Same => {}
        changed => return refuse(saved, file, &texts, &changed, colours),
    }
    // The same steps for other reasons, or with another volatile value: the operator sees those that are run.
    if now.nodes().is_empty() || report::render_plan(&now, &view) != shown {
        report::output::message("New plan, with the same steps:\n")?;
        if let Some(exit) = execution.approve(&now).await? {
            return Ok(exit);
        }
    }
    let locked = execution.lock(&now, state_dir).await?;
    match &locked.comparison {
        Comparison::Same => execution.run(locked).await,
        changed => refuse(saved, file, &texts, changed, colours),
    }
}

fn refuse(
    saved: &SavedPlan,
    file: &Path,
    texts: &TextChanges,
    comparison: &Comparison,
    colours: ColourChoice,
) -> Result<Exit, Error> {
    let stale = StalePlan {
        file: &file.display().to_string(),
        made: &saved.made_by(),
        texts,
        comparison,
    };
    report::output::message(report::render_stale(&stale, &Screen::of_stderr(colours)))?;
    Ok(Exit::Stale)
}
