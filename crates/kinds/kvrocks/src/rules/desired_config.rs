//! The desired directives of the engine's file, and of its process.

use protocol::{FileState, Operation, Text};
use thiserror::Error;
use types::HostName;

use super::roles::Roles;
use crate::observe::{Member, View};
use crate::settings::{Directive, OWN_ADDRESS};
use formats::directives::{Directives, normal, unquoted};
use formats::engine::Engine;
use kit::Task;

/// A file needs the address of a host, which is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the address of {0} is not known: give it in the inventory, or let the name resolve to an address that the other hosts \
     reach"
)]
pub(crate) struct NoAddress(HostName);

/// The member's own address.
pub(crate) fn address<'m>(member: &'m Member<'_>) -> Result<&'m str, NoAddress> {
    member.address().ok_or_else(|| NoAddress(member.host.clone()))
}

/// The value of the directive that makes a member follow the master.
pub(crate) fn follow(view: &View<'_>, roles: &Roles) -> Result<String, String> {
    let master = roles.master().and_then(|master| view.members.any(master));
    let master = address(master.ok_or("the master is not known")?);
    let master = master.map_err(|unknown| unknown.to_string())?;
    Ok(format!("{master} {}", view.settings.port))
}

/// The desired directives of the file, beside roles.
pub(crate) fn desired(member: &Member<'_>, file: &Directives) -> Result<Vec<Directive>, NoAddress> {
    let settings = member.settings;
    let one = |key: &str, value: String| Directive {
        key: key.to_owned(),
        values: vec![value],
    };
    // Quoted: a password may hold spaces and number signs.
    let password = format!("\"{}\"", Text::secret(&settings.password));
    let mut desired = vec![one("port", settings.port.to_string())];
    desired.extend(bind(member, file)?.map(|bind| one("bind", bind)));
    // On all members, for each can become a master or a replica.
    desired.push(one("masterauth", password.clone()));
    desired.push(one("requirepass", password));
    if settings.engine == Engine::Kvrocks {
        // Without it Kvrocks tells two histories apart by sequence number alone: a restarted old master kept a stray
        // write, missed newer ones, and still showed an up link and equal offsets (seen).
        desired.push(one("use-rsid-psync", "yes".to_owned()));
    }
    desired.extend(settings.directives.iter().cloned());
    Ok(desired)
}

/// The addresses to listen on; `None` where those in the file (or the engine's default) already reach the member's own.
fn bind(member: &Member<'_>, file: &Directives) -> Result<Option<String>, NoAddress> {
    let settings = member.settings;
    if let Some(bind) = &settings.bind {
        let own = |bind: &'_ String| match bind.as_str() {
            OWN_ADDRESS => address(member).map(str::to_owned),
            other => Ok(other.to_owned()),
        };
        let addresses: Vec<String> = bind.iter().map(own).collect::<Result<_, _>>()?;
        return Ok(Some(addresses.join(" ")));
    }
    let default = || settings.engine.default_bind().to_owned();
    let current = file.last("bind").map_or_else(default, normal);
    let reaches = current.split_whitespace().any(|address| {
        let address = address.strip_prefix('-').unwrap_or(address);
        matches!(address, "0.0.0.0" | "*" | "::" | "::*") || member.is_at(address)
    });
    if reaches {
        return Ok(None);
    }
    Ok(Some(format!("127.0.0.1 {}", address(member)?)))
}

/// The directives that the process should run with: the desired ones, and what is kept of `bind`.
pub(crate) fn desired_live(member: &Member<'_>, file: &Directives) -> Result<Vec<Directive>, NoAddress> {
    let mut desired = desired(member, file)?;
    if !desired.iter().any(|directive| directive.key == "bind")
        && let Some(bind) = file.last("bind")
    {
        desired.push(Directive {
            key: "bind".to_owned(),
            values: vec![unquoted(bind).to_owned()],
        });
    }
    Ok(desired)
}

/// Writes over any file that exists by then: a package of this plan brings the file, and starts what rewrites it.
pub(crate) fn over_any_file(task: &mut Task) {
    let action = task.action.as_mut();
    if let Some(Operation::WriteFile { was, .. }) = action.map(|action| &mut action.operation) {
        *was = FileState::Any;
    }
}
