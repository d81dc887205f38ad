//! SSDB mirrors: every member takes writes, and copies those of all others.
//!
//! Sources: the runbook ("SSDB Replication Configuration"), the server's own documentation
//! (<https://ideawu.github.io/ssdb-docs/replication.html>) and source (<https://github.com/ideawu/ssdb>), and what was
//! seen on a running one. The need of each host is decided in `rules::need`; the step
//! `canary` proves that changes flow.

mod checks;
mod observe;
mod rules;
mod settings;
mod status;
mod steps;
#[cfg(test)]
mod tests;

use kit::{Cx, Identity, Kind, KindTable, Offer, PlanStep, Special, StepPlan, Steps};

use settings::Settings;

/// The kind.
pub const KIND: &dyn Kind = &TABLE;

static TABLE: KindTable<Settings> = KindTable {
    name: "ssdb",
    playbook: include_str!("../../../../playbooks/ssdb.toml"),
    steps: Steps::new(&[
        ("check", steps::check::plan),
        ("directory", |settings, cx| {
            unless_refused(settings, cx, steps::directory::plan)
        }),
        ("config", |settings, cx| {
            unless_refused(settings, cx, steps::config::plan)
        }),
        ("start", |settings, cx| {
            unless_refused(settings, cx, steps::start::plan)
        }),
        ("link", |settings, cx| {
            unless_refused(settings, cx, steps::link::plan)
        }),
        ("restart", |settings, cx| {
            unless_refused(settings, cx, steps::restart::plan)
        }),
        ("canary", |settings, cx| {
            unless_refused(settings, cx, steps::canary::plan)
        }),
        ("leave", |settings, cx| {
            unless_refused(settings, cx, steps::leave::plan)
        }),
        ("forget", |settings, cx| {
            unless_refused(settings, cx, steps::forget::plan)
        }),
    ]),
    read: settings::read,
    identity: |settings| Identity {
        name: &settings.name,
        hosts: &settings.hosts,
        others: &settings.others,
    },
    vars: |settings| {
        vec![
            ("unit", settings.unit.clone()),
            ("config", settings.config.clone()),
        ]
    },
    names: |settings| settings.hosts.clone(),
    queries: observe::queries::all,
    judge: checks::judge,
    unavailable: status::unavailable,
    basis: status::basis,
    status: status::status,
    special: Special {
        offer: Some(|settings| Offer::shared(&settings.hosts, settings.port, &settings.password)),
        budget: Some(status::budget),
        ..Special::none()
    },
};

/// Plans a step, unless the check refuses all of them.
fn unless_refused(settings: &Settings, cx: &Cx<'_>, plan: PlanStep<Settings>) -> StepPlan {
    if steps::check::refuses_all(settings, cx) {
        return StepPlan::nothing();
    }
    plan(settings, cx)
}
