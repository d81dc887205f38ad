//! The step `keyfile`: the key by which members authenticate each other.
//!
//! With access control, members log in to each other with it, so it is the same everywhere; mongod does not start
//! where others may read it (<https://www.mongodb.com/docs/manual/core/security-internal-authentication/>).

use kit::{Cx, DesiredFile, QUICK, StepPlan, Task, action, obstructed};
use plan::{Preview, Refusal};
use protocol::Operation;
use protocol::facts::{FileFact, FileMeta};

use crate::observe::queries::{keyfile, keyfile_text};
use crate::observe::{Member, Membership, View};
use crate::settings::{Keyfile, Settings};

/// Only its owner may read it.
const MODE: u32 = 0o400;

/// Plans the step.
pub(crate) fn plan(settings: &Settings, cx: &Cx<'_>) -> StepPlan {
    let mut all = StepPlan::nothing();
    let Some(wanted) = &settings.keyfile else {
        return all;
    };
    let view = View::new(settings, cx.facts);
    for member in view.listed_on(cx.hosts) {
        let fact = match &member.keyfile {
            Some(Ok(fact)) => *fact,
            Some(Err(unknown)) => {
                all.unplanned.push((member.host.clone(), unknown.to_string()));
                continue;
            }
            None => continue,
        };
        if let Some(obstacle) = fact.meta().and_then(FileMeta::obstacle) {
            all.refusals
                .push(obstructed(member.host, &wanted.path, &obstacle));
            continue;
        }
        let is_ours = fact.text() == Some(&keyfile_text(wanted));
        if is_ours {
            all.tasks.extend(access(settings, wanted, member, fact));
            continue;
        }
        let is_in_use = member.membership() == Some(&Membership::Member) && fact.meta().is_some();
        if is_in_use {
            all.refusals.push(other_key(wanted, member));
            continue;
        }
        let file = DesiredFile {
            query: &keyfile(wanted),
            text: keyfile_text(wanted),
            mode: MODE,
            owner: &settings.owner,
            group: &settings.owner,
        };
        all.add(member.host, file.plan(member.host, cx.facts));
    }
    all
}

/// Owner and permissions alone: writing the file again would make it look newer than the process that read it.
fn access(settings: &Settings, wanted: &Keyfile, member: &Member<'_>, fact: &FileFact) -> Option<Task> {
    let meta = fact.meta()?;
    // A file that its owner may write too is as private.
    let is_private = matches!(meta.mode, 0o400 | 0o600);
    if is_private && meta.owner == settings.owner {
        return None;
    }
    let owner = &settings.owner;
    let preview = vec![
        format!("chown {owner}:{owner} {}", wanted.path),
        format!("chmod {MODE:04o} {}", wanted.path),
    ];
    let reason = format!(
        "it is {:04o} {}:{}, and mongod does not start unless it is the owner's alone",
        meta.mode, meta.owner, meta.group
    );
    let operation = Operation::SetAccess {
        path: wanted.path.clone(),
        mode: MODE,
        owner: owner.clone(),
        group: owner.clone(),
        was: fact.state(),
    };
    let title = format!("protect {}", wanted.path);
    let task = Task::new(member.host, title, reason, action(operation, QUICK));
    Some(task.preview(Preview::Commands(preview)))
}

fn other_key(wanted: &Keyfile, member: &Member<'_>) -> Refusal {
    let refusal = Refusal::new(
        format!("{} is not changed on {}", wanted.path, member.host),
        "it is a member of the set and holds another key: with a new one it would lose the others",
        format!(
            "put the key of the set into {} (on one line), or set security = \"kept\"; a key is changed by hand, with two \
             keys in the file for a while \
             (https://www.mongodb.com/docs/manual/tutorial/rotate-key-replica-set/)",
            wanted.secret
        ),
    );
    refusal.on(member.host)
}
