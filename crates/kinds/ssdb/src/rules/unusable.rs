//! Hosts on which nothing can be planned: no unit, a file that is not the server's, or a server that could not be asked.

use plan::Refusal;

use crate::observe::{Member, View};
use kit::Probe;

/// Why nothing can be planned for a host; `None` where it can.
pub(crate) fn unusable(view: &View<'_>, member: &Member<'_>) -> Option<Refusal> {
    let (settings, host) = (view.settings, member.host);
    let refuse = |why: String, resolve: &str| {
        Some(Refusal::new(format!("nothing is changed on {host}"), why, resolve).on(host))
    };
    if member.unit.as_ref().is_ok_and(|unit| !unit.exists()) {
        let resolve = format!(
            "install SSDB and make a unit that runs `ssdb-server {}` in the foreground, or name the unit that exists: \
             unit = \"...\"",
            settings.config
        );
        return refuse(format!("there is no unit {}", settings.unit), &resolve);
    }
    if let (Probe::Unknown(why), None) = (&member.server, member.unreachable) {
        let told = |key: &str| Some(format!("{key} {}", member.conf()?.get(&["server", key])?));
        let told: Vec<String> = ["ip", "port", "deny"]
            .iter()
            .filter_map(|key| told(key))
            .collect();
        let told = match told.as_slice() {
            [] => String::new(),
            told => format!("; {} says {}", settings.config, told.join(", ")),
        };
        let why = format!(
            "{} may serve, and could not be asked on port {} ({why}){told}",
            settings.unit, settings.port
        );
        let resolve = "if it is starting, plan again once it answers; if it listens elsewhere, let the inventory and its file \
                       name the same port; if it hangs, restart it by hand";
        return refuse(why, resolve).map(Refusal::passing);
    }
    match (&member.conf, member.file.as_ref().map(|file| file.meta())) {
        (Some(Err(error)), _) => {
            let resolve = "put one TAB a level, and plan again; a server that is started with this file exits with status 1";
            return refuse(format!("{}: {error}", settings.config), resolve);
        }
        (None, Ok(Some(meta))) => {
            return match meta.obstacle() {
                Some(obstacle) => refuse(format!("{}: {obstacle}", settings.config), &obstacle.resolve()),
                None => refuse(format!("{} is not a text file", settings.config), "look at it"),
            };
        }
        _ => {}
    }
    let told = member.work_dir(settings);
    if settings.is_work_dir_named && told != settings.work_dir {
        let why = format!(
            "{} keeps its data in {told}, and the inventory says {}",
            settings.config, settings.work_dir
        );
        let resolve = "name the directory that is in use, or stop the server, move its data and change the file by hand";
        return refuse(why, resolve);
    }
    None
}
