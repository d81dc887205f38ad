//! What a plan for a replicated store rests on: who is the master, and since which failover.

use plan::{Basis, Facts};

use super::roles::Roles;
use super::servers::field;
use super::settings::Settings;
use super::view::View;

/// As far as engines and sentinels tell; nothing where nobody has a role yet.
pub(super) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let mut basis = Vec::new();
    if let Roles::Known { master, .. } = Roles::find(&view) {
        basis.push(Basis::new("the master", &master));
    }
    // Each failover has a new epoch, and the sentinels agree on it
    // (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>, "Configuration epochs").
    let epochs = view
        .watching()
        .into_iter()
        .filter_map(|(_, _, master)| field(master, "config-epoch").parse::<u64>().ok());
    basis.extend(epochs.max().map(|epoch| Basis::new("Sentinel's epoch", &epoch)));
    basis
}
