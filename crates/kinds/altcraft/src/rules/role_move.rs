//! Whether the master's role moves from one host to another.

use std::collections::BTreeSet;

use super::membership::all;
use crate::observe::{Member, Run, View};
use crate::settings::Program;

/// Whether the role moves. Then no main.json is written before its host's turn: a process that is started meanwhile, by
/// systemd or a boot, must not find itself a second master there.
pub(crate) fn role_moves(view: &View<'_>) -> bool {
    !old_masters(view).is_empty() || is_promoted(view)
}

/// Whether the next master does not run as one, or its main.json names another.
pub(crate) fn is_promoted(view: &View<'_>) -> bool {
    let wanted = &view.settings.master;
    let names_another = |member: &Member<'_>, program: Program| {
        let named = member.named_masters(program);
        named.iter().any(|named| *named != wanted.as_str())
    };
    view.members.listed(wanted).is_some_and(|member| {
        Program::ALL.into_iter().any(|program| {
            let run = member.run(program);
            run.logged_master() == Some(false) || names_another(member, program)
        })
    })
}

/// The hosts, beside the next master, that run as master, would run as it, or are named as it by a main.json.
pub(crate) fn old_masters(view: &View<'_>) -> BTreeSet<String> {
    let holders = all(view).filter(|member| has_role(member));
    let mut masters: BTreeSet<String> = holders.map(|member| member.host.to_string()).collect();
    for member in &view.members.listed {
        let named = Program::ALL
            .into_iter()
            .flat_map(|program| member.named_masters(program));
        // A host that the inventory does not have any more, or that cannot be asked for its role.
        let gone = named.filter(|named| {
            let is_listed = view.settings.hosts.iter().any(|host| host.as_str() == *named);
            !is_listed && view.observed_other(named).is_none()
        });
        masters.extend(gone.map(str::to_owned));
    }
    masters.remove(view.settings.master.as_str());
    masters
}

/// Whether a host runs as master, or would: where a process has not logged its role, main.json decides.
fn has_role(member: &Member<'_>) -> bool {
    let is_named = Program::ALL
        .into_iter()
        .any(|program| member.names_itself_master(program));
    let mut logged = member.runs.iter().map(Run::logged_master);
    logged.clone().any(|role| role == Some(true))
        || member.may_run() && is_named && logged.any(|role| role.is_none())
}
