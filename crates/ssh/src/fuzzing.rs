//! What the fuzz targets call: the readers of OpenSSH's files. They are private to this crate; nothing but tests uses this
//! module.

use std::path::Path;

use crate::{config, known_hosts};

/// A `known_hosts` file: the keys that are recorded for a host, as text. A key that is not recorded is never known.
pub fn known_hosts(text: &str) -> Vec<String> {
    known_hosts::recorded(text, Path::new("known_hosts"))
}

/// What `ssh -G` prints. Whether it can be followed.
pub fn ssh_config(text: &str) -> bool {
    config::follows(text)
}
