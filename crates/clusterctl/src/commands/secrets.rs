//! `clusterctl secrets`: the secrets that an inventory names.

use crate::cli::SourceArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;

pub(crate) fn init(args: &SourceArgs) -> Result<Exit, Error> {
    let created = project::init_secrets(args)?;
    let lines: Vec<String> = created
        .iter()
        .map(|path| format!("created {}", path.display()))
        .collect();
    let text = match lines.as_slice() {
        [] => "all secret files of the inventory exist".to_owned(),
        lines => lines.join("\n"),
    };
    report::output::result(text)?;
    Ok(Exit::Success)
}
