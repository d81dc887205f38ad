//! The configuration file as it should be.
//!
//! Where there is a file, only the keys that make its server a mirror are changed; everything else stays, comments
//! included. The runbook's example is wrong in two places: its `capacity` stands beside `binlog`, where the server ignores
//! it without a word (seen), and a file that logs at the level `debug` writes passwords into its log, world-readable
//! (seen).

use std::net::IpAddr;

use protocol::Text;
use types::HostName;

use super::former_members::Departing;
use crate::observe::{Member, View};
use crate::settings::Settings;
use formats::ssdb_conf::{Conf, Place, place, slaveofs};

/// The file holds passwords.
pub(crate) const MODE: u32 = 0o640;

/// A file as it should be, and what there is to say about it.
pub(crate) struct Wanted {
    pub(crate) text: String,
    /// Worth knowing about what changes.
    pub(crate) infos: Vec<String>,
    /// Worth a look.
    pub(crate) warnings: Vec<String>,
}

/// What a server without a file gets: upstream's sample with our directories, and without `pidfile`: a server never starts
/// where a killed one left it (seen).
fn base(settings: &Settings) -> String {
    let dir = &settings.work_dir;
    format!(
        "# Indented with one TAB a level: the server exits on a space.\n\
         work_dir = {dir}\n\
         \n\
         server:\n\
         \n\
         replication:\n\
         \n\
         logger:\n\
         \tlevel: info\n\
         \toutput: {dir}/log.txt\n\
         \trotate:\n\
         \t\tsize: 1000000000\n\
         \n\
         leveldb:\n\
         \t# in MB\n\
         \tcache_size: 500\n\
         \twrite_buffer_size: 64\n\
         \t# in MB/s\n\
         \tcompaction_speed: 1000\n\
         \tcompression: yes\n"
    )
}

/// Makes the file of a host, without the departing masters; the error says why it cannot be made.
pub(crate) fn file(
    view: &View<'_>,
    member: &Member<'_>,
    departing: &Departing<'_>,
) -> Result<Wanted, String> {
    let settings = view.settings;
    let mut conf = match &member.conf {
        Some(Ok(conf)) => conf.clone(),
        Some(Err(error)) => return Err(error.to_string()),
        None => Conf::parse(&base(settings)).map_err(|error| error.to_string())?,
    };
    let mut wanted = Wanted {
        text: String::new(),
        infos: Vec::new(),
        warnings: Vec::new(),
    };
    if conf.get(&["work_dir"]).is_none() {
        conf.set(&["work_dir"], &settings.work_dir);
    }
    listen(view, member, &mut conf, &mut wanted)?;
    let password = Text::secret(&settings.password).to_string();
    conf.set(&["server", "auth"], &password);
    binlog(settings, &mut conf, &mut wanted);
    mirrors(view, member, departing, &mut conf, &mut wanted)?;
    if conf.get(&["pidfile"]).is_some() {
        let text = "it names a pidfile, and a server that was killed does not start again where that is left: take the line out \
                    where the unit does not need it";
        wanted.infos.push(text.to_owned());
    }
    // The server's own default is debug, too.
    if matches!(
        conf.get(&["logger", "level"]),
        None | Some("" | "debug" | "trace")
    ) {
        conf.set(&["logger", "level"], "info");
        let text = "the log level becomes info: with debug the server writes passwords into its log, which all users can \
                    read; remove the old log";
        wanted.infos.push(text.to_owned());
    }
    if !conf.ends_with_newline {
        let text = "the last line of the file gets its newline: without it the server drops the line's last character";
        wanted.infos.push(text.to_owned());
    }
    wanted.text = conf.text();
    Ok(wanted)
}

/// Where the server listens: at the address that its peers use, unless it listens there already.
fn listen(view: &View<'_>, member: &Member<'_>, conf: &mut Conf, wanted: &mut Wanted) -> Result<(), String> {
    let settings = view.settings;
    let old = (
        conf.get(&["server", "ip"]).map(str::to_owned),
        conf.get(&["server", "port"]).map(str::to_owned),
    );
    let reaches = old
        .0
        .as_deref()
        .is_some_and(|ip| ip == "0.0.0.0" || member.addresses.iter().any(|own| own == ip));
    if !reaches {
        let Some(own) = member.addresses.first() else {
            return Err(format!(
                "the address of {} is not known: give it in the inventory",
                member.host
            ));
        };
        conf.set(&["server", "ip"], own);
    }
    conf.set(&["server", "port"], &settings.port.to_string());
    let new = (
        conf.get(&["server", "ip"]).map(str::to_owned),
        conf.get(&["server", "port"]).map(str::to_owned),
    );
    if new != old
        && let Some(ip) = new.0
    {
        wanted.infos.push(format!(
            "SSDB will be reachable, with the password, on port {} of {ip}",
            settings.port
        ));
    }
    Ok(())
}

fn binlog(settings: &Settings, conf: &mut Conf, wanted: &mut Wanted) {
    conf.set(&["replication", "binlog"], "yes");
    if let Some(stray) = conf.find(&["replication", "capacity"]) {
        conf.remove(stray);
        let text = "capacity moves below binlog: beside it, where the runbook's example has it, the server ignores it \
                    and keeps 20000000 changes";
        wanted.infos.push(text.to_owned());
    }
    conf.set(
        &["replication", "binlog", "capacity"],
        &settings.capacity.to_string(),
    );
    match settings.sync_speed {
        Some(speed) => {
            conf.set(&["replication", "sync_speed"], &speed.to_string());
        }
        None if conf.get(&["replication", "sync_speed"]).is_none() => {
            conf.set(&["replication", "sync_speed"], "-1");
        }
        None => {}
    }
}

/// One `slaveof` for each peer and each departing host, and none for those that have.
fn mirrors(
    view: &View<'_>,
    member: &Member<'_>,
    departing: &Departing<'_>,
    conf: &mut Conf,
    wanted: &mut Wanted,
) -> Result<(), String> {
    let settings = view.settings;
    let mut names = Vec::new();
    for peer in settings.peers(member.host) {
        match (of_peer(view, conf, peer), address(view, peer)) {
            (Some(at), _) => {
                let told = place(conf, at).to_owned();
                keep(settings, conf, at, new_address(view, member, peer, &told));
                if place(conf, at) != told && told.parse::<IpAddr>().is_err() {
                    names.push(told);
                }
            }
            (None, Some(address)) => add(settings, conf, peer, address),
            (None, None) => {
                return Err(format!(
                    "the address of {peer} is not known: give it in the inventory"
                ));
            }
        }
    }
    if !names.is_empty() {
        wanted.infos.push(format!(
            "addresses take the place of {}: SSDB resolves names in several threads at once, and connects to the wrong host",
            names.join(", ")
        ));
    }
    // What clients still write on a host that leaves comes from there only.
    for former in view.departing().filter(|former| view.is_source(former)) {
        let host = former.host;
        if !departing.has(host.as_str()) && of_peer(view, conf, host).is_none() {
            let place = address(view, host).unwrap_or_else(|| settings.place(host));
            add(settings, conf, host, place);
        }
    }
    // From the end, for a removal moves those behind it.
    for at in slaveofs(conf).into_iter().rev() {
        if settings
            .peers(member.host)
            .any(|peer| of_peer(view, conf, peer) == Some(at))
        {
            continue;
        }
        let place = place(conf, at).to_owned();
        let former = view
            .hosts
            .former
            .iter()
            .find(|other| of_peer(view, conf, other.host) == Some(at));
        let stays = match former {
            Some(former) => !departing.has(former.host.as_str()) && !former.has_left(),
            None => !departing.has(&place),
        };
        if conf.child(at, "type") == Some("mirror") {
            if stays {
                continue;
            }
            conf.remove(at);
            wanted.warnings.push(format!(
                "it stops to mirror {place}, which is no host of this service"
            ));
        } else {
            wanted.infos.push(format!(
                "it goes on to copy from {place}, which is no host of this service"
            ));
        }
    }
    Ok(())
}

/// The address of a host.
fn address<'v>(view: &'v View<'_>, host: &HostName) -> Option<&'v str> {
    let known = view.hosts.any(host)?;
    known.addresses.first().map(String::as_str)
}

/// The address that a `slaveof` gets instead of what it has: of a name in any case, and of another address unless its link
/// is up, for a host may have more than we know of.
fn new_address<'v>(view: &'v View<'_>, member: &Member<'_>, peer: &HostName, told: &str) -> Option<&'v str> {
    let is_known = view
        .hosts
        .any(peer)
        .is_some_and(|peer| peer.addresses.iter().any(|own| own == told));
    let link = member.server.up().and_then(|info| view.link(info, peer));
    let is_up = link.is_some_and(|link| !matches!(link.status.as_str(), "DISCONNECTED" | "INIT"));
    let stays = is_known || told.parse::<IpAddr>().is_ok() && is_up;
    address(view, peer).filter(|_| !stays)
}

/// The `slaveof` that leads to a peer.
fn of_peer(view: &View<'_>, conf: &Conf, peer: &HostName) -> Option<Place> {
    let found = slaveofs(conf);
    let by_id = found
        .iter()
        .rfind(|&&at| conf.child(at, "id") == Some(peer.as_str()));
    let leads = |&&at: &&Place| view.is_at(peer, place(conf, at));
    by_id.or_else(|| found.iter().rfind(leads)).copied()
}

/// Corrects a `slaveof` in place. Its id stays whatever it is: the mirror remembers under it how far it is, and another
/// one would make it copy everything again (`slave.cpp`), which doubles the items of queues. Where there is none the
/// server makes one of host and port, so that is written down before these change.
fn keep(settings: &Settings, conf: &mut Conf, at: Place, address: Option<&str>) {
    let told = |key| conf.child(at, key).unwrap_or_default();
    let id = match told("id") {
        "" => format!("{}|{}", place(conf, at), told("port")),
        id => id.to_owned(),
    };
    let is_moved = address.is_some() || told("port") != settings.port.to_string();
    let is_host = !told("host").is_empty() || told("ip").is_empty();
    let host = address.map(|address| (if is_host { "host" } else { "ip" }, address.to_owned()));
    let id = is_moved.then_some(("id", id));
    let wanted = [
        ("type", "mirror".to_owned()),
        ("port", settings.port.to_string()),
        ("auth", Text::secret(&settings.password).to_string()),
        ("recv_timeout", settings.recv_timeout.to_string()),
    ];
    for (key, value) in id.into_iter().chain(host).chain(wanted) {
        let child = conf
            .children(Some(at))
            .into_iter()
            .rfind(|&child| conf.key(child) == key);
        match child {
            Some(child) => conf.set_value(child, &value),
            None => {
                conf.add(Some(at), key, &value);
            }
        }
    }
}

fn add(settings: &Settings, conf: &mut Conf, peer: &HostName, address: &str) {
    let parent = conf.find(&["replication"]);
    let at = conf.add(parent, "slaveof", "");
    let lines = [
        ("id", peer.to_string()),
        ("type", "mirror".to_owned()),
        ("host", address.to_owned()),
        ("port", settings.port.to_string()),
        ("auth", Text::secret(&settings.password).to_string()),
        ("recv_timeout", settings.recv_timeout.to_string()),
    ];
    for (key, value) in lines {
        conf.add(Some(at), key, &value);
    }
}
