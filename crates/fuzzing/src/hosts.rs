//! Targets of files that stand on hosts and on the operator's machine, and that the controller reads or edits.

use crate::editors::{self, Edited};

/// ClickHouse's configuration.
pub(crate) fn xml(input: &[u8]) -> bool {
    std::str::from_utf8(input).is_ok_and(editors::xml)
}

/// ZooKeeper's configuration.
pub(crate) fn zoo_cfg(input: &[u8]) -> bool {
    edits(input, |text| Some(editors::zoo_cfg(text)))
}

/// The configuration of Redis, Valkey, Kvrocks and Sentinel.
pub(crate) fn directives(input: &[u8]) -> bool {
    edits(input, |text| Some(editors::directives(text)))
}

/// MongoDB's configuration.
pub(crate) fn mongod_conf(input: &[u8]) -> bool {
    edits(input, editors::mongod_conf)
}

/// SSDB's configuration.
pub(crate) fn ssdb_conf(input: &[u8]) -> bool {
    edits(input, editors::ssdb_conf)
}

/// RabbitMQ's configuration.
pub(crate) fn rabbitmq_conf(input: &[u8]) -> bool {
    edits(input, |text| Some(editors::rabbitmq_conf(text)))
}

/// The platform's configuration.
pub(crate) fn main_json(input: &[u8]) -> bool {
    edits(input, editors::main_json)
}

/// A file that a playbook's step `ini` edits.
pub(crate) fn ini(input: &[u8]) -> bool {
    edits(input, editors::ini)
}

/// The keys of hosts that the operator knows.
pub(crate) fn known_hosts(input: &[u8]) -> bool {
    !ssh::fuzzing::known_hosts(&String::from_utf8_lossy(input)).is_empty()
}

/// What `ssh -G` prints.
pub(crate) fn ssh_config(input: &[u8]) -> bool {
    std::str::from_utf8(input).is_ok_and(ssh::fuzzing::ssh_config)
}

/// Edits a file twice. What was edited has our settings, and the same edit leaves it alone: the next plan is empty.
fn edits(input: &[u8], edit: impl Fn(&str) -> Option<Edited>) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    let Some(Edited { once, twice, is_set }) = edit(text) else {
        return false;
    };
    assert!(is_set, "the settings are not in the edited file: {once:?}");
    assert_eq!(
        twice.as_ref(),
        Some(&once),
        "the same edit changes the edited file"
    );
    true
}
