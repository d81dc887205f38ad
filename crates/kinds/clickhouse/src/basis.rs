//! What a plan for a cluster rests on: who its quorum consists of, and who leads it.

use plan::{Basis, Facts};

use crate::rules::coordination::quorum::{self, Quorum};
use crate::settings::Settings;

/// As far as the members tell; nothing where there is no quorum yet.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let quorum = Quorum::find(settings, facts);
    let mut basis = Vec::new();
    if let Some(leader) = quorum.leader() {
        basis.push(Basis::new("the leader of the quorum", &leader.name));
    }
    if let Some(mut members) = quorum::current(settings, &quorum, facts) {
        members.sort_unstable();
        basis.push(Basis::new("the members of the quorum", &members.join(", ")));
    }
    basis
}
