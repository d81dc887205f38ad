//! What all hosts of a lab are made from.

use std::path::PathBuf;

use crate::Programs;
use crate::range::Range;
use crate::spec::HostSpec;

/// What all hosts of a lab have in common when they start.
#[derive(Debug)]
pub(crate) struct Seed<'a> {
    pub(crate) range: Range,
    pub(crate) hosts: &'a [HostSpec],
    pub(crate) programs: &'a Programs,
    pub(crate) public_key: String,
    pub(crate) image: PathBuf,
    pub(crate) supervisor: PathBuf,
}

impl Seed<'_> {
    /// `/etc/hosts` of every host: no 127.0.1.1, which would hide a host's own address from its services.
    pub(super) fn hosts_file(&self) -> String {
        let line = |host: &HostSpec| format!("{} {}\n", self.range.address(host.octet), host.name);
        std::iter::once("127.0.0.1 localhost\n".to_owned())
            .chain(self.hosts.iter().map(line))
            .collect()
    }
}
