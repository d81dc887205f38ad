//! The server's own config.xml, which is never changed: its root element, and the version that it belongs to.

use formats::xml;
use plan::{Refusal, Unknown};
use protocol::FileState;
use types::HostName;

use crate::observe::server::queries;
use crate::observe::view::View;
use crate::rules::file_change::Stop;
use crate::settings::Root;

/// A version's first two numbers.
pub(crate) fn version(text: &str) -> Option<(u32, u32)> {
    // An epoch stands before a colon.
    let text = text.rsplit(':').next()?;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The version that is installed on a host, or would be.
pub(crate) fn version_on(view: &View<'_>, host: &HostName) -> Option<(u32, u32)> {
    let live = view.member(host).and_then(|member| member.server.up());
    if let Some(version) = live.and_then(|live| version(&live.version)) {
        return Some(version);
    }
    let installed = view.facts.get(host, &queries::package(view.settings)).ok();
    match installed.and_then(|fact| fact.version.as_deref()) {
        Some(text) => version(text),
        None => candidate(view, host).ok().flatten(),
    }
}

/// The version that would be installed.
fn candidate(view: &View<'_>, host: &HostName) -> Result<Option<(u32, u32)>, Unknown> {
    let fact = view.facts.get(host, &queries::candidate(view.settings))?;
    Ok(fact.version.as_deref().and_then(version))
}

/// The root element that a host's files must have.
pub(crate) fn root(view: &View<'_>, host: &HostName) -> Result<Root, Stop> {
    let query = queries::config(view.settings);
    let fact = view.facts.get(host, &query)?;
    let path = &query.path;
    let refused = |why: String, resolve: &str| {
        let what = format!("nothing is changed on {host}");
        Err(Stop::Refused(Box::new(Refusal::new(what, why, resolve).on(host))))
    };
    if fact.state() == FileState::Absent {
        if is_to_be_installed(view, host)? {
            let version = candidate(view, host)?;
            let named = view.settings.root.or_else(|| version.map(Root::of_version));
            return Ok(named.unwrap_or(Root::ClickHouse));
        }
        return refused(
            format!("{path} is missing, and all of the server's files depend on it"),
            "put the package's file back: apt-get install --reinstall -o Dpkg::Options::=--force-confmiss \
             clickhouse-server",
        );
    }
    let Some(text) = fact.text() else {
        return refused(format!("{path} is not text"), "put the package's file back");
    };
    match xml::parse(text.as_str()) {
        Err(error) => refused(
            format!("{path} is not XML, {error}"),
            "correct it first: the server would not start with it",
        ),
        Ok(element) => match Root::named(&element.name) {
            Some(root) => Ok(root),
            None => refused(
                format!("the root element of {path} is <{}>", element.name),
                "it must be <clickhouse>, or <yandex> before 21.10",
            ),
        },
    }
}

/// Whether the server's package is to be installed.
fn is_to_be_installed(view: &View<'_>, host: &HostName) -> Result<bool, Unknown> {
    if view.settings.package.is_empty() {
        return Ok(false);
    }
    let fact = view.facts.get(host, &queries::package(view.settings))?;
    Ok(fact.version.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_packages_and_servers() {
        for (text, want) in [
            ("18.16.1+ds-7.3+b2", (18, 16)),
            ("23.8.2.7", (23, 8)),
            ("1:24.3.1.2672", (24, 3)),
        ] {
            assert_eq!(version(text), Some(want), "{text}");
        }
        assert_eq!(version("unknown"), None);
    }
}
