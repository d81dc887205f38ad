//! The step `check`: what stands in the way of everything, and what is worth knowing before anything is touched.

use plan::{Level, Refusal};

use crate::observe::replies::{Talk, field, is_flagged_down};
use crate::observe::view::{Member, View};
use crate::rules::drift::{drifts, unknown_keys};
use crate::rules::member_removal::LEAVE;
use crate::rules::roles::{Roles, Source, endpoint};
use crate::settings::Settings;
use formats::engine::Engine as EngineKind;
use kit::{Cx, StepPlan};

/// Plans the step: it has no tasks.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let view = View::new(settings, cx.facts);
    let roles = Roles::find(&view);
    let mut all = StepPlan::nothing();
    match &roles {
        Roles::Refused(refusal) => {
            all.refusals.push((**refusal).clone());
            return all;
        }
        Roles::Known { master, source } => note_master(&view, master.as_str(), *source, &mut all),
        Roles::First(master) => all.note(
            Level::Info,
            None,
            format!("no member has a role yet: {master}, the first of the inventory, becomes the master"),
        ),
        Roles::Unknown(_) => {}
    }
    for host in cx.hosts {
        let Some(member) = view.member(host) else {
            continue;
        };
        check_password(settings, member, &mut all);
        check_engine(settings, &roles, member, cx, &mut all);
    }
    check_sentinels(&view, &mut all);
    all
}

/// Says who is the master, and who would be elected in its place.
fn note_master(view: &View<'_>, master: &str, source: Source, all: &mut StepPlan) {
    let who = match source {
        Source::Sentinel => "the sentinels say",
        Source::Replication => "the replication that runs says",
        Source::Files => "nothing runs that would know; the files say",
    };
    let next = next_master(view).map_or(String::new(), |next| {
        format!("; {next} would be elected in its place")
    });
    all.note(
        Level::Info,
        None,
        format!("{who} that {master} is the master{next}"),
    );
}

/// The replica that Sentinel would take: the smallest priority that is not 0, then the greatest offset, then the
/// smallest run id (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>).
fn next_master(view: &View<'_>) -> Option<String> {
    let watching = view.watching();
    let (_, sentinel, _) = watching.first()?;
    let rows = sentinel.replicas.iter().filter(|row| {
        !is_flagged_down(row)
            && field(row, "master-link-status") == "ok"
            && field(row, "slave-priority") != "0"
    });
    let best = rows.min_by_key(|row| {
        let number = |name| field(row, name).parse::<i64>().unwrap_or(0);
        (
            number("slave-priority"),
            -number("slave-repl-offset"),
            field(row, "runid").to_owned(),
        )
    })?;
    let address = field(best, "ip");
    Some(
        view.at(address)
            .map_or(address.to_owned(), |member| member.host.to_string()),
    )
}

/// Our password is refused, and no restart is pending that would change that.
fn check_password(settings: &Settings, member: &Member<'_>, all: &mut StepPlan) {
    let Talk::Denied(words) = &member.engine else {
        return;
    };
    if !member.is_denied() {
        return;
    }
    let host = member.host;
    let others = format!(
        "on every member CONFIG SET masterauth, then CONFIG SET requirepass, then SENTINEL SET {} auth-pass on every \
         sentinel, then CONFIG REWRITE",
        settings.sentinel.master_name
    );
    all.refusals.push(Refusal {
        service: None,
        host: Some(host.clone()),
        what: format!("nothing is changed on {host}"),
        why: format!(
            "{} there refuses the password of the inventory ({words}), so its role and its data are not known",
            settings.engine.name()
        ),
        way_out: format!(
            "if the inventory is wrong, name the secret that is in force; to change the password, do it by hand in this \
             order: {others}; and plan again"
        ),
        consent: None,
    });
}

fn check_engine(settings: &Settings, roles: &Roles, member: &Member<'_>, cx: &Cx<'_>, all: &mut StepPlan) {
    let host = member.host;
    let Some(engine) = member.engine.up() else {
        if let Talk::Down(why) = &member.engine
            && member.is_active()
            && !member.has_newer_file()
        {
            let text = format!(
                "{} runs and does not answer on port {}: {why}",
                settings.unit, settings.port
            );
            all.note(Level::Warning, Some(host), text);
        }
        return;
    };
    for key in unknown_keys(settings, engine) {
        let text = format!(
            "{} does not know {key}: the line in {} has no effect",
            settings.engine.name(),
            settings.config
        );
        all.note(Level::Warning, Some(host), text);
    }
    if settings.engine == EngineKind::Kvrocks && engine.config("use-rsid-psync").is_none() {
        all.note(
            Level::Warning,
            Some(host),
            "this Kvrocks does not know use-rsid-psync: a restarted old master can keep writes that nobody else has",
        );
    }
    // What a process that is younger than its file does not run with, it will never run with.
    if !member.has_newer_file() && matches!(roles, Roles::Known { .. }) {
        let found = drifts(settings, member, engine).unwrap_or_default();
        let in_file = |key: &str| {
            member
                .directives(settings)
                .is_some_and(|file| file.last(key).is_some())
        };
        for drift in found.iter().filter(|drift| {
            // An open user line is the file's fault, and goes.
            !drift.is_settable
                && drift.wanted.key != "requirepass"
                && in_file(&drift.wanted.key)
                && is_written(settings, member, drift)
        }) {
            let text = format!(
                "{}, although it was started after its file was written: the engine does not take it",
                drift.describe()
            );
            all.note(Level::Warning, Some(host), text);
        }
    }
    let known = matches!(roles, Roles::Known { master, .. } if master != host);
    if known && !engine.is_master() && !engine.has_link() && !cx.hosts.is_empty() {
        let master = endpoint(engine.info("master_host"), engine.info("master_port"));
        let text = format!("its link to its master {master} is down");
        all.note(Level::Warning, Some(host), text);
    }
}

/// Whether the file says what is wanted already.
fn is_written(settings: &Settings, member: &Member<'_>, drift: &crate::rules::drift::Drift) -> bool {
    member.directives(settings).is_some_and(|file| {
        let lines = file.all(&drift.wanted.key);
        formats::directives::same_value(&lines.join(" "), &drift.wanted.values.join(" "))
            || lines
                .last()
                .is_some_and(|line| formats::directives::same_value(line, &drift.argument()))
    })
}

fn check_sentinels(view: &View<'_>, all: &mut StepPlan) {
    let watching = view.watching();
    for (member, sentinel, master) in &watching {
        let host = member.host;
        if is_flagged_down(master) {
            let text = format!("its sentinel says that the master is {}", field(master, "flags"));
            all.note(Level::Warning, Some(host), text);
        }
        for row in sentinel.replicas.iter().filter(|row| is_flagged_down(row)) {
            let address = field(row, "ip");
            let text = match view.at(address) {
                Some(replica) => format!(
                    "its sentinel says that {} is {}",
                    replica.host,
                    field(row, "flags")
                ),
                None => format!(
                    "its sentinel remembers a replica {} that is no host of this service; once it is gone for good, \
                     --allow {LEAVE}={address} lets them forget it",
                    endpoint(address, field(row, "port")),
                ),
            };
            all.note(Level::Warning, Some(host), text);
        }
        if let Err(words) = &sentinel.quorum
            && watching.len() == view.members.len()
        {
            all.note(
                Level::Warning,
                Some(host),
                format!("its sentinel sees no quorum: {words}"),
            );
        }
        let others = sentinel.others.len();
        if others + 1 > view.members.len() + view.former().len() {
            let text = format!(
                "its sentinel knows {others} others, and the service has {} hosts: a majority is counted among all of them",
                view.members.len()
            );
            all.note(Level::Warning, Some(host), text);
        }
    }
    for member in &view.members {
        if let Talk::Denied(words) = &member.sentinel {
            let text = format!("its sentinel asks for a password, which is not supported: {words}");
            all.note(Level::Warning, Some(member.host), text);
        }
    }
}
