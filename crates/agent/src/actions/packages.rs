//! Installing packages with apt.

use protocol::{ActionError, Change};

use super::act::{Act, done, failed};
use crate::facts;
use crate::process::argv;

/// No questions, no lists of changes, and no restarts of services behind our back: which member of a cluster may be
/// restarted, and when, is the plan's decision.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("NEEDRESTART_SUSPEND", "1"),
];

/// Installs those packages that are not installed yet.
pub(super) fn install(act: &Act<'_>, names: &[String]) -> Result<Change, ActionError> {
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let installed = facts::installed(&all, None, act.until).map_err(failed)?;
    let missing: Vec<&str> = all
        .into_iter()
        .filter(|name| installed.get(*name).is_none_or(|known| known.version.is_none()))
        .collect();
    let summary = if missing.is_empty() {
        format!("{} installed already", names.join(", "))
    } else {
        apt_get(act, &missing)?;
        format!("installed {}", missing.join(", "))
    };
    Ok(done(summary))
}

fn apt_get(act: &Act<'_>, names: &[&str]) -> Result<(), ActionError> {
    let mut install = argv([
        "apt-get",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        // Another apt at work, such as unattended upgrades, is waited for.
        "--option=DPkg::Lock::Timeout=120",
        // Configuration files that we wrote before the package came stay.
        "--option=Dpkg::Options::=--force-confdef",
        "--option=Dpkg::Options::=--force-confold",
        "install",
        "--",
    ]);
    install.extend(argv(names));
    let first = act.program(&install, &[], &ENVIRONMENT)?;
    if first.status == 0 {
        return Ok(());
    }
    // A fresh host has no package lists, and old ones name files that are gone from the mirrors.
    let update = argv(["apt-get", "--quiet", "--option=DPkg::Lock::Timeout=120", "update"]);
    let updated = act.program(&update, &[], &ENVIRONMENT)?;
    let second = act.program(&install, &[], &ENVIRONMENT)?;
    if second.status == 0 {
        return Ok(());
    }
    let mut message = format!("cannot install {}:\n{}", names.join(", "), act.said(&second));
    if updated.status != 0 {
        message = format!("{message}\nand apt-get update:\n{}", act.said(&updated));
    }
    Err(failed(message))
}
