//! Notes on engines, and the refusal of a changed password.

use plan::{Level, Refusal};

use crate::observe::{Engine, Member};
use crate::rules::drift::{Drift, drifts, unknown_keys};
use crate::rules::file_drift::file_drifts;
use crate::rules::roles::Roles;
use formats::directives::same_value;
use formats::engine::Engine as Kind;
use kit::{Probe, StepPlan};

pub(super) fn check(roles: &Roles, member: &Member<'_>, all: &mut StepPlan) {
    all.refusals.extend(denied(member));
    match &member.engine {
        Probe::Up(engine) => check_running(roles, member, engine, all),
        Probe::Unknown(why) => all.refusals.push(silent(member, why)),
        Probe::Down(_) | Probe::Denied(_) => {}
    }
}

/// It runs, or may run, and could not be asked: it counts as in use.
fn silent(member: &Member<'_>, why: &str) -> Refusal {
    let (settings, host) = (member.settings, member.host);
    let told = member.listens_by_file();
    let told = match told.as_slice() {
        [] => String::new(),
        told => format!("; {} says {}", settings.config, told.join(", ")),
    };
    let refusal = Refusal::new(
        format!("nothing is changed on {host}"),
        format!(
            "{} may serve, and could not be asked on port {} ({why}), so its role and its data are not known{told}",
            settings.unit, settings.port
        ),
        "if it is starting, plan again once it answers; if it listens elsewhere, or to TLS alone, let the inventory and its \
         file name the same port, without TLS; if it hangs, restart it by hand",
    );
    let refusal = refusal.on(host);
    if member.has_foreign_engine {
        refusal
    } else {
        refusal.passing()
    }
}

/// Our password is refused, and no restart is pending that would change that.
fn denied(member: &Member<'_>) -> Option<Refusal> {
    let (settings, host) = (member.settings, member.host);
    let words = member.denial()?;
    let refusal = Refusal::new(
        format!("nothing is changed on {host}"),
        format!(
            "{} there refuses the password of the inventory ({words}), so its role and its data are not known",
            settings.engine.name()
        ),
        format!(
            "if the inventory is wrong, name the secret that is in force; to change the password, do it by hand in this \
             order: on every member CONFIG SET masterauth, then CONFIG SET requirepass, then SENTINEL SET {} auth-pass on \
             every sentinel, then CONFIG REWRITE; and plan again",
            settings.sentinel.master_name
        ),
    );
    Some(refusal.on(host))
}

fn check_running(roles: &Roles, member: &Member<'_>, engine: &Engine, all: &mut StepPlan) {
    let settings = member.settings;
    let name = settings.engine.name();
    let mut warn = |text: String| all.note(Level::Warning, Some(member.host), text);
    for key in unknown_keys(settings, engine) {
        let path = &settings.config;
        warn(format!(
            "{name} does not know {key}: the line in {path} has no effect"
        ));
    }
    if settings.engine == Kind::Kvrocks && engine.config("use-rsid-psync").is_none() {
        let text = "this Kvrocks does not know use-rsid-psync: a restarted old master can keep writes that no other member \
                    has";
        warn(text.to_owned());
    }
    for drift in file_drifts(member, engine) {
        if !settings.manages(&drift.key) {
            warn(drift.describe(&settings.config));
        }
    }
    let Some(master) = roles.known() else {
        return;
    };
    // What a process that is younger than its file does not run with, it will never run with.
    if !member.has_newer_file() {
        let found = drifts(member, engine).unwrap_or_default();
        // An open user line is the file's fault, and is removed.
        let is_ignored =
            |drift: &&Drift| !drift.is_settable && drift.key() != "requirepass" && is_written(member, drift);
        for drift in found.iter().filter(is_ignored) {
            let found = drift.describe();
            warn(format!(
                "{found}, although it was started after its file was written: the engine ignores it"
            ));
        }
    }
    if master != member.host && !engine.is_master() && !engine.has_link() {
        warn(format!("its link to its master {} is down", engine.follows()));
    }
}

/// Whether the file has the desired value already.
fn is_written(member: &Member<'_>, drift: &Drift) -> bool {
    let Some(file) = &member.directives else {
        return false;
    };
    let lines = file.all(drift.key());
    let Some(last) = lines.last() else {
        return false;
    };
    same_value(&lines.join(" "), &drift.desired.values.join(" ")) || same_value(last, &drift.argument())
}
