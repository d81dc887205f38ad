//! A RabbitMQ cluster.

use std::collections::BTreeMap;

use config::ServiceDecl;

use crate::kind::{Kind, ReadCx, Service};

/// The kind.
pub struct RabbitMq;

impl Kind for RabbitMq {
    fn name(&self) -> &'static str {
        "rabbitmq"
    }

    fn playbook(&self) -> &'static str {
        include_str!("../../../../playbooks/rabbitmq.toml")
    }

    fn steps(&self) -> &'static [&'static str] {
        &[]
    }

    fn read(&self, _decl: &ServiceDecl, _cx: &ReadCx<'_>) -> Option<Box<dyn Service>> {
        let _: BTreeMap<String, String> = BTreeMap::new();
        None
    }
}
