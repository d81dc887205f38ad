//! Queries about the voter on a host: ZooKeeper or Keeper.

use protocol::facts::{FileQuery, THIS_HOST, WordsQuery};

use crate::settings::{Coordination, Settings, ZooKeeper};

/// Where Keeper keeps its log: it is there once Keeper has run.
pub(crate) fn keeper_log(settings: &Settings) -> FileQuery {
    FileQuery::meta(format!("{}/coordination/log", settings.data_dir))
}

/// zoo.cfg.
pub(crate) fn zoo_cfg(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(format!("{}/zoo.cfg", settings.config_dir))
}

/// The file of the voter's number: Debian's package links it from the data directory into its configuration.
pub(crate) fn myid(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(format!("{}/myid", settings.config_dir))
}

/// The file where the server looks for its number.
pub(crate) fn data_myid(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(format!("{}/myid", settings.data_dir))
}

/// The file that Debian's init script reads last of all: the heap is set there, for the file is one line and may be written again.
pub(crate) fn environment(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(&settings.environment)
}

/// The number of the last election that the voter took part in; 0 where it never was in a quorum.
pub(crate) fn epoch(settings: &ZooKeeper) -> FileQuery {
    FileQuery::text(format!("{}/version-2/currentEpoch", settings.data_dir))
}

pub(crate) fn zookeeper_files(settings: &ZooKeeper) -> Vec<FileQuery> {
    vec![
        zoo_cfg(settings),
        myid(settings),
        data_myid(settings),
        environment(settings),
        epoch(settings),
    ]
}

/// The questions to voters: a host asks its own, or all of a quorum that is managed elsewhere.
pub(crate) fn words(settings: &Settings) -> Vec<WordsQuery> {
    let ask = |address: &str, port: u16, words: &[&str]| WordsQuery {
        address: address.to_owned(),
        port,
        words: words.iter().map(|&word| word.to_owned()).collect(),
    };
    match &settings.coordination {
        Coordination::Keeper(keeper) => vec![ask(THIS_HOST, keeper.port, &["srvr", "mntr", "conf"])],
        Coordination::ZooKeeper(zookeeper) => {
            vec![ask(THIS_HOST, zookeeper.port, &["srvr", "mntr", "conf"])]
        }
        Coordination::External(nodes) => nodes
            .iter()
            .map(|(name, port)| ask(name, *port, &["srvr", "mntr"]))
            .collect(),
    }
}
