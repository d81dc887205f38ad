//! The built-in playbooks, and the kinds that they are of.

use config::{Findings, Playbook};
use services::KINDS;
use types::Sources;

#[test]
fn built_in_playbooks_use_the_steps_that_there_are() {
    let of_kinds = KINDS.all().map(|kind| (Some(kind), kind.playbook()));
    for (kind, text) in of_kinds.chain([(None, generic::HOSTS_PLAYBOOK)]) {
        let mut sources = Sources::new();
        let id = sources.add("built-in.toml", text);
        let findings = Findings::default();
        let playbook = Playbook::read(&sources, id, &findings);
        assert_eq!(findings.into_parts().0, []);
        for uses in playbook.steps.iter().map(|step| step.uses.as_str()) {
            let is_there = match uses.split_once('.') {
                None => generic::names().any(|name| name == uses),
                Some((of, step)) => {
                    kind.is_some_and(|kind| kind.name() == of && kind.steps().contains(&step))
                }
            };
            assert!(is_there, "{uses}");
        }
    }
}
