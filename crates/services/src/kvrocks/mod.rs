//! A replicated store behind Redis Sentinel.

use std::collections::BTreeMap;

use config::ServiceDecl;

use crate::kind::{Kind, ReadCx, Service};

/// The kind.
pub struct Kvrocks;

impl Kind for Kvrocks {
    fn name(&self) -> &'static str {
        "kvrocks"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/kvrocks.toml")
    }

    fn steps(&self) -> &'static [&'static str] {
        &[]
    }

    fn read(&self, _decl: &ServiceDecl, _cx: &ReadCx<'_>) -> Option<Box<dyn Service>> {
        let _: BTreeMap<String, String> = BTreeMap::new();
        None
    }
}
