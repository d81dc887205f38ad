//! What a plan for mirrors rests on: who follows whom, under which names.

use plan::{Basis, Facts};

use crate::observe::view::View;
use crate::settings::Settings;
use crate::steps::canary;

/// As far as the servers tell. The number of the last change goes into the canaries' values, and moves with each write.
pub(crate) fn basis(settings: &Settings, facts: &Facts) -> Vec<Basis> {
    let view = View::new(settings, facts);
    let mut basis = Vec::new();
    for node in &view.nodes {
        if let Some(info) = node.server.up() {
            let links = info.links.iter().map(|link| match link.id.as_str() {
                "" => link.at.clone(),
                id => format!("{} as {id}", link.at),
            });
            let mut links: Vec<String> = links.collect();
            links.sort_unstable();
            basis.push(Basis::new(
                format!("whom {} mirrors", node.host),
                &links.join(", "),
            ));
        }
        let mark = canary::mark(&view, node.host);
        basis.push(Basis::volatile(
            format!("the last change of {}", node.host),
            &mark,
        ));
    }
    basis
}
