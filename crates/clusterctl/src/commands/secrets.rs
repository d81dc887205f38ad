//! `clusterctl secrets`: the secrets that an inventory names.

use crate::cli::InventoryArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;

pub(crate) fn init(args: &InventoryArgs) -> Result<Exit, Error> {
    let made = project::init_secrets(args)?;
    let mut text = String::new();
    for path in &made {
        text.push_str(&format!("made {}\n", path.display()));
    }
    if made.is_empty() {
        text.push_str("every secret file of the inventory is there\n");
    }
    report::out::result(&text)?;
    Ok(Exit::Success)
}
