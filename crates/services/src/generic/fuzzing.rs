//! Templates and the edits of `ini` steps, for the fuzz targets.

use std::collections::BTreeMap;

use types::{Diagnostic, SecretId, SourceId};

use super::ini::Setting;
use super::render::{Place, render};
use crate::fuzzing::Edited;

/// A template, rendered with a variable and a secret.
pub fn template(text: &str, source: SourceId, secret: SecretId) -> Result<String, Box<Diagnostic>> {
    let vars = BTreeMap::from([("host".to_owned(), "db1".to_owned())]);
    let secrets = BTreeMap::from([("k".to_owned(), secret)]);
    render(text, &vars, Some(&secrets), Place::File(source))
}

/// A key is set in a section. `None` where it stands there more than once.
pub fn ini(text: &str) -> Option<Edited> {
    let setting = Setting::new(Some("mysqld"), "port", "3306", " = ");
    let edit = |text: &str| match setting.edit(text) {
        Ok(None) => Some(text.to_owned()),
        Ok(Some((edited, _))) => Some(edited),
        Err(_) => None,
    };
    let once = edit(text)?;
    Some(Edited {
        is_set: matches!(setting.edit(&once), Ok(None)),
        twice: edit(&once),
        once,
    })
}
