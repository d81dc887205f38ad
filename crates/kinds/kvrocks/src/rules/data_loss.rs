//! Whether a member has data, and whether the master has lost its own.

use crate::observe::{Engine, Member, View};
use formats::directives::unquoted;
use kit::Probe;

/// Whether an engine that does not answer has no data for certain: nothing exists where its package keeps data, and its
/// file does not put them elsewhere.
pub(crate) fn has_no_data(view: &View<'_>, member: &Member<'_>) -> bool {
    let says = |key: &str, value: &str| {
        let directives = member.directives.as_ref();
        let said = directives.and_then(|directives| directives.last(key));
        said.is_none_or(|said| unquoted(said) == value)
    };
    member.has_no_data_files
        && says("dir", view.settings.engine.defaults().data_dir)
        && says("dbfilename", "dump.rdb")
        && says("appenddirname", "appendonlydir")
}

/// Why the master seems to have come back without its data while others still have theirs: a disk that was replaced, a
/// host that was rebuilt. It must not be started, nor followed.
pub(crate) fn lost_its_data(view: &View<'_>, master: &Member<'_>) -> Option<String> {
    if master.unreachable.is_some() {
        return None;
    }
    let members = view.members.listed.iter();
    let mut others = members.filter(|member| member.host != master.host);
    let has_keys = |engine: &Engine| !engine.is_empty();
    match &master.engine {
        Probe::Up(engine) if engine.is_master() && engine.is_empty() => {
            let is_cut_off = |engine: &Engine| has_keys(engine) && !engine.is_master() && !engine.has_link();
            let holder = others.find(|member| member.engine.up().is_some_and(is_cut_off))?;
            Some(format!("it is empty, and its replica {} is not", holder.host))
        }
        Probe::Down(_) | Probe::Unknown(_) if has_no_data(view, master) && !master.is_active() => {
            let holder = others.find(|member| match member.engine.up() {
                Some(engine) => has_keys(engine),
                None => member.unreachable.is_none() && !member.has_no_data_files,
            })?;
            Some(format!("it has no data on disk, and {} has", holder.host))
        }
        _ => None,
    }
}
