//! What stands in zoo.cfg.

use formats::mark;
use formats::zoo::{edit, servers, value};
use types::HostName;

use crate::rules::coordination::ids::{Ids, Seen};
use crate::settings::ZooKeeper;

/// The words that we ask with. `srvr` alone is allowed by default.
pub(crate) const WORDS: [&str; 4] = ["conf", "mntr", "ruok", "srvr"];
const WHITELIST: &str = "4lw.commands.whitelist";

/// What a host's files say of numbers.
pub(crate) fn seen(config: Option<&str>, myid: Option<&str>) -> Seen {
    let servers = config.map(servers).unwrap_or_default();
    let own = myid.and_then(|text| text.trim().parse().ok());
    Seen {
        // Debian's package brings a myid with a sentence in it; a number without members means that they are to come.
        own: own.filter(|_| servers.is_empty()),
        servers,
        mark: config.and_then(mark::read),
    }
}

/// The server lines as they should be.
pub(crate) fn server_lines(settings: &ZooKeeper, ids: &Ids) -> Vec<(String, String)> {
    let line = |host: &HostName| {
        let id = ids.of(host)?;
        let (peer, election) = (settings.peer_port, settings.election_port);
        Some((format!("server.{id}"), format!("{host}:{peer}:{election}")))
    };
    settings.members.iter().filter_map(line).collect()
}

/// The zoo.cfg as it should be, made of the one that is there.
pub(crate) fn config(settings: &ZooKeeper, ids: &Ids, found: &str) -> String {
    let mut wanted: Vec<(String, String)> = vec![
        ("dataDir".to_owned(), settings.data_dir.clone()),
        ("clientPort".to_owned(), settings.port.to_string()),
    ];
    // A quorum does not start without these; where they are set they are somebody's decision.
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
    wanted.extend(server_lines(settings, ids));
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
