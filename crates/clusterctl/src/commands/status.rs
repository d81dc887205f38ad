//! `clusterctl status`: the health of each service.

use ::plan::Health;
use report::{ColourChoice, Page, Screen};

use super::plan::WIDTH;
use crate::cli::StatusArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;

pub(crate) async fn run(args: &StatusArgs, colours: ColourChoice) -> Result<Exit, Error> {
    let loaded = project::load(&args.target)?;
    loaded.warn(colours)?;
    let connections = loaded.connections(&args.target, WIDTH)?;
    let facts = loaded.observe(&connections).await;
    let services = loaded.project.status(&facts, &loaded.scope);
    let paused = loaded.project.paused(&loaded.scope);
    let text: Page = if args.json {
        report::status_json(&services, &paused).into()
    } else {
        let screen = Screen::of_stdout(colours);
        report::render_status(&services, &paused, &report::Clock::system(), &screen)
    };
    report::output::result(text)?;
    let all_healthy = services.iter().all(|service| service.health == Health::Healthy);
    Ok(if all_healthy { Exit::Success } else { Exit::Failure })
}
