//! `clusterctl apply FILE` of a saved plan: runs exactly that plan, or says what changed since.
//!
//! The hosts are observed, and the same plan is made again. Where it comes out as another one, nothing is run: an
//! operator said yes to what is in the file, and to nothing else.

use std::path::Path;
use std::time::Duration;

use plan::{Standing, standing};
use report::{ColourChoice, Look, StalePlan, Texts};

use super::apply::{self, Apply};
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
        return refuse(saved, file, &texts, &Standing::Same, colours);
    }
    let loaded = project::load_from(files, &args.target)?;
    loaded.warn(colours)?;
    let connections = loaded.connections(&args.target, args.parallel)?;
    let now = apply::observe_and_plan(&loaded, &connections, &saved.options).await?;
    match standing(&saved.plan, &now) {
        Standing::Same => {}
        stale => return refuse(saved, file, &texts, &stale, colours),
    }
    let apply = Apply {
        args: &args,
        loaded: &loaded,
        connections,
        options: &saved.options,
        // Exactly this plan, and no other that the hosts would need by then.
        rounds: 1,
        patience: Duration::ZERO,
        colours,
    };
    apply.carry_out(saved.plan.clone(), state_dir).await
}

fn refuse(
    saved: &SavedPlan,
    file: &Path,
    texts: &Texts,
    standing: &Standing,
    colours: ColourChoice,
) -> Result<Exit, Error> {
    let stale = StalePlan {
        file: &file.display().to_string(),
        made: &format!("{} by {}", saved.made.at, saved.made.by),
        texts,
        standing,
    };
    report::out::message(&report::render_stale(&stale, &Look::of_stderr(colours)))?;
    Ok(Exit::Stale)
}
