//! `clusterctl secrets`: the secrets that an inventory names.

use crate::cli::SourceArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;

pub(crate) fn init(args: &SourceArgs) -> Result<Exit, Error> {
    let made = project::init_secrets(args)?;
    let lines: Vec<String> = made
        .iter()
        .map(|path| format!("made {}", path.display()))
        .collect();
    let text = match lines.as_slice() {
        [] => "every secret file of the inventory is there".to_owned(),
        lines => lines.join("\n"),
    };
    report::output::result(text)?;
    Ok(Exit::Success)
}
