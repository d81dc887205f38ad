//! A server's configuration as it put it together itself: its config.xml and all files under config.d, merged.
//!
//! It tells what the server has, under whatever file names an operator wrote it.

use formats::xml::{self, Element};
use plan::Facts;
use protocol::Text;
use protocol::facts::FileFact;
use types::HostName;

use super::queries;
use crate::settings::Settings;

/// The configuration of a server that has run; `None` where none has, or where the file cannot be read.
pub(crate) fn merged(settings: &Settings, host: &HostName, facts: &Facts) -> Option<Element> {
    let fact = facts.get(host, &queries::merged_config(settings)).ok();
    let text = fact.and_then(FileFact::text).map(Text::as_str)?;
    xml::parse(text).ok()
}

/// Where the server answers HTTP, if its configuration differs from the inventory.
pub(crate) fn server_elsewhere(settings: &Settings, merged: Option<&Element>) -> Option<Elsewhere> {
    elsewhere(merged?, settings.http_port, &["http_port"], &["https_port"])
}

/// The same of its Keeper.
pub(crate) fn keeper_elsewhere(settings: &Settings, merged: Option<&Element>) -> Option<Elsewhere> {
    let server = |port| ["keeper_server", port];
    elsewhere(
        merged?,
        settings.keeper()?.port,
        &server("tcp_port"),
        &server("tcp_port_secure"),
    )
}

fn elsewhere(merged: &Element, asked: u16, plain: &[&str], secure: &[&str]) -> Option<Elsewhere> {
    let port = |path: &[&str]| merged.text_at(path)?.parse::<u16>().ok();
    match (port(plain), port(secure)) {
        (Some(other), _) if other != asked => Some(Elsewhere::Port(other)),
        (None, Some(other)) => Some(Elsewhere::TlsOnly(other)),
        _ => None,
    }
}

/// Where a service is, if not where the inventory has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// At another port.
    Port(u16),
    /// At a port that speaks TLS, and at no other.
    TlsOnly(u16),
}
