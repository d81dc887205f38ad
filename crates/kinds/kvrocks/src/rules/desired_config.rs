//! What the engine's file should say, and the process run with.

use protocol::Text;
use types::HostName;

use crate::observe::view::{Member, View};
use crate::rules::roles::Roles;
use crate::settings::{OWN_ADDRESS, Settings};
use formats::directives::{Directives, normal, unquoted};
use formats::engine::Engine;

/// A directive as it should be, each value a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

/// The value of the directive that makes a node follow the master.
pub(crate) fn follow(view: &View<'_>, roles: &Roles) -> Result<String, String> {
    let master = roles.master().and_then(|master| view.member(master));
    let master = master.ok_or("the master is not known")?;
    let port = view.settings.port;
    match master.address() {
        Some(address) => Ok(format!("{address} {port}")),
        None => Err(unresolved(master.host)),
    }
}

/// Everything that we want in the file beside roles.
pub(crate) fn wanted(
    settings: &Settings,
    member: &Member<'_>,
    file: &Directives,
) -> Result<Vec<Wanted>, String> {
    let one = |key: &str, value: String| Wanted {
        key: key.to_owned(),
        values: vec![value],
    };
    // Quoted: a password may hold spaces and number signs.
    let password = format!("\"{}\"", Text::secret(&settings.password));
    let mut wanted = vec![one("port", settings.port.to_string())];
    if let Some(bind) = bind(settings, member, file)? {
        wanted.push(one("bind", bind));
    }
    // On all members, for each can become a master or a replica.
    wanted.push(one("masterauth", password.clone()));
    wanted.push(one("requirepass", password));
    if settings.engine == Engine::Kvrocks {
        // Without it Kvrocks tells two histories apart by sequence number alone: a restarted old master kept a stray
        // write, missed newer ones, and still showed an up link and equal offsets (seen).
        wanted.push(one("use-rsid-psync", "yes".to_owned()));
    }
    wanted.extend(settings.directives.iter().map(|directive| Wanted {
        key: directive.key.clone(),
        values: directive.values.clone(),
    }));
    Ok(wanted)
}

/// The addresses to listen on; `None` where those in the file (or the engine's default) already reach the member's own.
fn bind(settings: &Settings, member: &Member<'_>, file: &Directives) -> Result<Option<String>, String> {
    let own = || member.address().ok_or_else(|| unresolved(member.host));
    if let Some(bind) = &settings.bind {
        let addresses: Result<Vec<&str>, String> = bind
            .iter()
            .map(|address| {
                if address == OWN_ADDRESS {
                    own()
                } else {
                    Ok(address.as_str())
                }
            })
            .collect();
        return Ok(Some(addresses?.join(" ")));
    }
    let current = file
        .last("bind")
        .map_or_else(|| settings.engine.default_bind().to_owned(), normal);
    let reaches = current.split_whitespace().any(|address| {
        let address = address.strip_prefix('-').unwrap_or(address);
        matches!(address, "0.0.0.0" | "*" | "::" | "::*")
            || address == member.host.as_str()
            || member.addresses.iter().any(|own| own == address)
    });
    if reaches {
        return Ok(None);
    }
    Ok(Some(format!("127.0.0.1 {}", own()?)))
}

/// The values that the process should run with: what we want, and what is kept of `bind`.
pub(crate) fn wanted_live(
    settings: &Settings,
    member: &Member<'_>,
    file: &Directives,
) -> Result<Vec<Wanted>, String> {
    let mut wanted = wanted(settings, member, file)?;
    if !wanted.iter().any(|wanted| wanted.key == "bind")
        && let Some(bind) = file.last("bind")
    {
        wanted.push(Wanted {
            key: "bind".to_owned(),
            values: vec![unquoted(bind).to_owned()],
        });
    }
    Ok(wanted)
}

pub(crate) fn unresolved(host: &HostName) -> String {
    format!(
        "the address of {host} is not known: give it in the inventory, or let the name resolve to an address that \
         the other hosts reach"
    )
}

/// User and group of `owner`: `redis` or `redis:redis`.
pub(crate) fn owner(owner: &str) -> (&str, &str) {
    owner.split_once(':').unwrap_or((owner, owner))
}
