//! Whether a member has data, and whether the master has lost its own.

use crate::observe::{Engine, Member, View};
use formats::directives::unquoted;
use kit::Probe;

/// Whether an engine that does not run has no data for certain: nothing exists where its package keeps data, and its
/// file says that they are there. Without `dir` they are where it was started, and an included file may say so, too.
pub(crate) fn has_no_data(view: &View<'_>, member: &Member<'_>) -> bool {
    let is_there = match (&member.file, &member.directives) {
        (Ok(_), Some(file)) => {
            let says = |key: &str, value: &str| file.last(key).is_some_and(|said| unquoted(said) == value);
            let is_packaged = |key: &str, value: &str| file.last(key).is_none() || says(key, value);
            says("dir", view.settings.engine.defaults().data_dir)
                && is_packaged("dbfilename", "dump.rdb")
                && is_packaged("appenddirname", "appendonlydir")
                && file.last("include").is_none()
        }
        (Ok(file), None) => file.meta().is_none(),
        (Err(_), _) => false,
    };
    member.has_no_data_files && is_there
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
        Probe::Down(_) if has_no_data(view, master) => {
            let holder = others.find(|member| match member.engine.up() {
                Some(engine) => has_keys(engine),
                None => member.unreachable.is_none() && !member.has_no_data_files,
            })?;
            Some(format!("it has no data on disk, and {} has", holder.host))
        }
        _ => None,
    }
}
