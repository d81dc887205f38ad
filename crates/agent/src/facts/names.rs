//! The addresses of names, as the host's own resolver sees them.
//!
//! One process answers for all names in the common case that all of them resolve; else each name gets one of its own, so
//! that it is known which is which.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use protocol::Fact;
use protocol::facts::ResolveFact;

use super::answer::{Answer, unknown};
use crate::host::Host;
use crate::mutex::locked;
use crate::process::ProcessError;
use crate::resolver::{ask, blocks};

/// How many processes look names up at once.
const THREADS: usize = 8;

/// Answers for all names.
pub(super) fn observe(host: &Host, names: &[&str]) -> Vec<Answer> {
    let mut asked: Vec<&str> = names.iter().copied().filter(|name| is_name(name)).collect();
    asked.sort_unstable();
    asked.dedup();
    let found = match look_up(host, &asked) {
        Ok(found) => found,
        Err(error) => return vec![Err(unknown(error)); names.len()],
    };
    let answer = |name: &&str| {
        let found = match name.parse::<IpAddr>() {
            Ok(address) => Ok(vec![address]),
            Err(_) => found.get(name).cloned().unwrap_or(Ok(Vec::new())),
        };
        found.map(|addresses| {
            let addresses = addresses.iter().map(IpAddr::to_string).collect();
            Fact::Resolve(ResolveFact { addresses })
        })
    };
    names.iter().map(answer).collect()
}

/// Whether this is a name to ask for: not an address, and nothing that `getent` would take for an option.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.contains(char::is_whitespace)
        && text.parse::<IpAddr>().is_err()
}

type Found<'n> = BTreeMap<&'n str, Result<Vec<IpAddr>, protocol::FactError>>;

fn look_up<'n>(host: &Host, names: &[&'n str]) -> Result<Found<'n>, ProcessError> {
    if names.is_empty() {
        return Ok(Found::new());
    }
    // One name that takes long must not cost the answers for the others: then each is asked for by itself.
    match ask(Some(host), names) {
        Ok(text) => {
            let blocks = blocks(&text);
            if blocks.len() == names.len() {
                return Ok(names.iter().copied().zip(blocks.into_iter().map(Ok)).collect());
            }
        }
        Err(ProcessError::TimedOut { .. }) => {}
        Err(error) => return Err(error),
    }
    let found = Mutex::new(Found::new());
    let rest = Mutex::new(names.iter());
    let work = || {
        while let Some(name) = { locked(&rest).next() } {
            let addresses = ask(Some(host), &[name]).map(|text| blocks(&text).concat());
            locked(&found).insert(name, addresses.map_err(unknown));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..THREADS.min(names.len()) {
            let _started = std::thread::Builder::new().spawn_scoped(scope, work).is_ok();
        }
        work();
    });
    Ok(found.into_inner().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    #[test]
    fn a_name_that_does_not_resolve_does_not_mix_up_the_others() {
        let host = Host::new(Options::default());
        let names = ["no-such-host.invalid", "localhost", "10.1.2.3", "-x", "localhost"];
        let facts = observe(&host, &names);
        let addresses: Vec<Vec<String>> = facts
            .into_iter()
            .map(|fact| match fact.unwrap() {
                Fact::Resolve(fact) => fact.addresses,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(addresses[0], [""; 0]);
        assert!(
            addresses[1]
                .iter()
                .any(|address| address == "127.0.0.1" || address == "::1")
        );
        assert_eq!(addresses[2], ["10.1.2.3"]);
        assert_eq!(addresses[3], [""; 0]);
        assert_eq!(addresses[4], addresses[1]);
    }
}
