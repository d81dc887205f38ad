//! What a member holds, as far as it can be told without asking it, and whether a master has lost its data.

use crate::observe::replies::Talk;
use crate::observe::view::{Member, View};
use formats::directives::unquoted;

/// Why the master seems to have come back without its data while others still have theirs: a disk that was replaced, a
/// host that was rebuilt. It must not be helped to serve.
pub(crate) fn lost_its_data(view: &View<'_>, master: &Member<'_>) -> Option<String> {
    if master.unreachable.is_some() {
        return None;
    }
    let mut others = view.members.iter().filter(|member| member.host != master.host);
    match &master.engine {
        Talk::Up(engine) if engine.is_master() && engine.is_empty() => {
            let holder = others.find(|member| {
                let engine = member.engine.up();
                engine.is_some_and(|engine| !engine.is_empty() && !engine.is_master() && !engine.has_link())
            })?;
            Some(format!("it is empty, and its replica {} is not", holder.host))
        }
        Talk::Down(_) if holds_nothing(view, master) && !master.is_active() => {
            let holder = others.find(|member| {
                member.unreachable.is_none() && !member.has_no_data_files && member.engine.up().is_none()
                    || member.engine.up().is_some_and(|engine| !engine.is_empty())
            })?;
            Some(format!("it has no data on disk, and {} has", holder.host))
        }
        _ => None,
    }
}

/// Whether an engine that does not answer holds no data for certain: nothing is where its package keeps it, and its file
/// does not put it elsewhere.
pub(crate) fn holds_nothing(view: &View<'_>, member: &Member<'_>) -> bool {
    let packaged = view.settings.engine.defaults().data_dir;
    let says = |key: &str, value: &str| {
        let directives = member.directives(view.settings);
        let said = directives.as_ref().and_then(|directives| directives.last(key));
        said.is_none_or(|said| unquoted(said) == value)
    };
    member.has_no_data_files
        && says("dir", packaged)
        && says("dbfilename", "dump.rdb")
        && says("appenddirname", "appendonlydir")
}
