//! Judges checks by the facts.

use formats::replset::MemberConfig;
use kit::Probe;
use kit::checks::until;
use plan::{Facts, Verdict};
use types::HostName;

use super::check::Check;
use crate::observe::{Member, Membership, Role, View};
use crate::rules::availability::{answering, available, is_seen_available, voters};
use crate::rules::doubt::is_for_now;
use crate::rules::stored_data::{StoredData, stored_data};
use crate::settings::Settings;

/// Judges a check by the facts.
pub(crate) fn judge(settings: &Settings, check: &str, host: Option<&HostName>, facts: &Facts) -> Verdict {
    let view = View::new(settings, facts);
    let member = host.and_then(|host| view.members.any(host));
    let of_member = |judge: fn(&View<'_>, &Member<'_>) -> Verdict| match member {
        // With time nothing comes of it.
        Some(Member {
            host,
            server: Probe::Denied(error),
            ..
        }) if !is_for_now(error) => Verdict::Fail(format!("{host} refuses the admin: {error}")),
        Some(member) => judge(&view, member),
        None => Verdict::Fail(format!("{check:?} is about no host of {}", settings.name)),
    };
    // systemd has no process of it, and starts none by itself.
    let of_running = |judge| match member {
        Some(Member {
            host,
            server: Probe::Down(_),
            ..
        }) => Verdict::Fail(kit::checks::has_ended(&settings.unit, host)),
        _ => of_member(judge),
    };
    kit::checks::judge(check, |check| match check {
        Check::Answers => of_running(|view, member| until(answers(view, member))),
        Check::Primary => of_running(|_, member| until(is_primary(member))),
        Check::Available => of_running(|view, member| until(available(view, member))),
        Check::HasData => of_member(|view, member| match copies_nothing(view, member) {
            Some(why) => Verdict::Fail(why),
            None => until(available(view, member)),
        }),
        Check::Committed(version) => until(committed(&view, version)),
        Check::SteppedDown => of_running(|view, member| until(stepped_down(view, member))),
        Check::Spared(name) => until(spared(&view, &name)),
        Check::NothingToLose => of_member(nothing_to_lose),
    })
}

fn answers(view: &View<'_>, member: &Member<'_>) -> Result<(), String> {
    let (host, server) = (member.host, answering(member)?);
    if server.port != view.settings.port {
        return Err(format!("{host} listens on port {}", server.port));
    }
    if server.membership == Membership::Standalone {
        return Err(format!("{host} does not replicate"));
    }
    Ok(())
}

fn is_primary(member: &Member<'_>) -> Result<(), String> {
    if answering(member)?.is_primary() {
        return Ok(());
    }
    Err(format!("{} is not the primary yet", member.host))
}

/// Why a joining member, which may copy for a day, copies nothing until the next plan has started a server.
fn copies_nothing(view: &View<'_>, member: &Member<'_>) -> Option<String> {
    if member.has_ended() {
        return Some(format!("{}: its server has ended", member.host));
    }
    let mut others = view.listed().iter().chain(view.former_members());
    let ended = others.find(|other| !view.has_primary() && other.has_ended())?;
    Some(format!(
        "there is no primary, and the server on {} has ended",
        ended.host
    ))
}

fn committed(view: &View<'_>, version: i64) -> Result<(), String> {
    let (_, primary) = view.primary().ok_or("there is no primary")?;
    match primary.committed {
        Some((now, true)) if now >= version => Ok(()),
        Some((now, _)) if now >= version => Err(format!("no majority has version {now} yet")),
        Some((now, _)) => Err(format!("the version is {now}")),
        None => Err("the primary does not tell its configuration".to_owned()),
    }
}

/// A joining host's data are replaced by the set's.
fn nothing_to_lose(view: &View<'_>, member: &Member<'_>) -> Verdict {
    let host = member.host;
    let Some(server) = member.server.up() else {
        return match copies_nothing(view, member) {
            Some(why) => Verdict::Fail(why),
            None => Verdict::Wait(format!("{host} does not answer yet")),
        };
    };
    match server.membership {
        Membership::Member => return Verdict::Pass,
        Membership::Removed(_) if view.was_member(server) => return Verdict::Pass,
        _ => {}
    }
    match stored_data(member) {
        StoredData::Nothing => Verdict::Pass,
        StoredData::Found(what) => Verdict::Fail(format!("{host} holds {what}")),
        StoredData::Unproven(why) => Verdict::Fail(format!("{host} may hold data: {why}")),
    }
}

fn stepped_down(view: &View<'_>, old: &Member<'_>) -> Result<(), String> {
    let server = answering(old)?;
    let (new, _) = view.primary().ok_or("there is no primary")?;
    if new.host == old.host {
        return Err(format!("{} is still the primary", old.host));
    }
    if server.role != Some(Role::Secondary) {
        return Err(format!("{} is not a secondary yet", old.host));
    }
    Ok(())
}

/// The set can do without a member: all others that are to stay are in it and available, and a majority of the voters.
fn spared(view: &View<'_>, name: &str) -> Result<(), String> {
    let config = view.config.as_ref().ok_or("the configuration is not known")?;
    if config.member(name).is_none() {
        return Ok(());
    }
    for member in view.listed() {
        if config.member(view.names.of(member.host)).is_none() {
            return Err(format!("{} is not in the set", member.host));
        }
        available(view, member)?;
    }
    let is_other = |voter: &MemberConfig| voter.name() != name;
    let others: Vec<MemberConfig> = voters(config).filter(is_other).collect();
    let available = others
        .iter()
        .filter(|voter| is_seen_available(view, voter.name()));
    if available.count() < kit::majority(others.len()) {
        return Err("no majority of the others is available".to_owned());
    }
    Ok(())
}
