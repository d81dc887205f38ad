//! `clusterctl secrets`: the secrets that an inventory names.

use crate::cli::SourceArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;

pub(crate) fn init(args: &SourceArgs) -> Result<Exit, Error> {
    let made = project::init_secrets(args)?;
    let text = match made.as_slice() {
        [] => "every secret file of the inventory is there".to_owned(),
        made => made
            .iter()
            .map(|path| format!("made {}\n", path.display()))
            .collect(),
    };
    report::out::result(&text)?;
    Ok(Exit::Success)
}
