//! The text of zoo.cfg.

use formats::zoo::{edit, value};
use types::HostName;

use super::ids::Ids;
use crate::observe::coordination::on_disk::OnDisk;
use crate::settings::ZooKeeper;

/// The four-letter words that are asked. `srvr` alone is allowed by default.
const WORDS: [&str; 4] = ["conf", "mntr", "ruok", "srvr"];
const WHITELIST: &str = "4lw.commands.whitelist";

/// The server lines as they should be.
fn server_lines(
    settings: &ZooKeeper,
    voters: &[HostName],
    ids: &Ids,
    files: Option<&OnDisk>,
) -> Vec<(String, String)> {
    let line = |host: &HostName| {
        let id = ids.of(host)?;
        let (peer, election) = (settings.peer_port, settings.election_port);
        // A voter that has an address there keeps it: another name of the same host is no reason to restart.
        let name = files.map_or(host.as_str(), |files| files.spelling(host.as_str()));
        Some((format!("server.{id}"), format!("{name}:{peer}:{election}")))
    };
    voters.iter().filter_map(line).collect()
}

/// The zoo.cfg as it should be with these voters, made of the one that is there.
pub(crate) fn config(
    settings: &ZooKeeper,
    voters: &[HostName],
    ids: &Ids,
    files: Option<&OnDisk>,
    found: &str,
) -> String {
    let mut wanted: Vec<(String, String)> = vec![
        ("dataDir".to_owned(), settings.data_dir.clone()),
        ("clientPort".to_owned(), settings.port.to_string()),
    ];
    // A quorum does not start without these; where they are set, an operator has decided.
    for (key, default) in [("tickTime", "2000"), ("initLimit", "10"), ("syncLimit", "5")] {
        let is_named = settings.options.iter().any(|(named, _)| named == key);
        if value(found, key).is_none() && !is_named {
            wanted.push((key.to_owned(), default.to_owned()));
        }
    }
    wanted.extend(settings.options.iter().cloned());
    if let Some(list) = whitelist(value(found, WHITELIST)) {
        wanted.push((WHITELIST.to_owned(), list));
    }
    wanted.extend(server_lines(settings, voters, ids, files));
    edit(found, &wanted, ids.spent())
}

/// The whitelist that allows what is there and our words; `None` where it does already.
fn whitelist(found: Option<&str>) -> Option<String> {
    let mut words: Vec<&str> = found
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    if words.contains(&"*") || WORDS.iter().all(|word| words.contains(word)) {
        return None;
    }
    for word in WORDS {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    Some(words.join(","))
}
