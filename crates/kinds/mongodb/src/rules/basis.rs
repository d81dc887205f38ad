//! What a plan for a replica set rests on: its configuration in force, and who leads in which term.

use plan::{Basis, Facts};
use protocol::facts::Bson;

use crate::observe::view::View;
use crate::settings::Settings;

/// As far as the members tell; nothing where there is no set yet.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let mut basis = Vec::new();
    if let Some((primary, _)) = view.primary() {
        basis.push(Basis::new("the primary", primary.host));
    }
    let terms = view
        .members()
        .filter_map(|(_, up)| up.status().ok()?.get("term").and_then(Bson::as_int));
    basis.extend(
        terms
            .max()
            .map(|term| Basis::new("the term of the replica set", &term)),
    );
    if let Some(config) = view.config() {
        let mut members: Vec<String> = config
            .members()
            .iter()
            .map(|member| member.name().to_owned())
            .collect();
        members.sort_unstable();
        basis.push(Basis::new("the version of its configuration", &config.version()));
        basis.push(Basis::new("its members", &members.join(", ")));
    }
    basis
}
