//! The questions to each host.

use protocol::FactQuery;
use protocol::facts::{FileQuery, Query, ResolveQuery, RespCommand, RespQuery, THIS_HOST, UnitQuery};
use types::HostName;

use crate::settings::{Place, Settings, compared, masks};
use formats::engine::Engine;

/// Says `master` or `slave`, and nothing that changes from one moment to the next: a script, because an action can
/// only be made to depend on an answer that is known beforehand, and ROLE and INFO count bytes.
const ROLE_SCRIPT: &str = "return redis.call('info','replication'):match('role:(%a+)')";

/// All questions to a host.
pub(crate) fn all(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    if !settings.hosts.contains(host) {
        return live(settings, host);
    }
    let mut queries = vec![config(settings).wrap(), sentinel_config(settings).wrap()];
    queries.extend(drop_in(settings).iter().flatten().map(Query::wrap));
    queries.extend(sentinel_alias(settings).iter().map(Query::wrap));
    queries.extend(data(settings).iter().map(Query::wrap));
    queries.extend(live(settings, host));
    queries
}

/// The questions about running servers and to resolvers, which gates watch.
pub(crate) fn live(settings: &Settings, host: &HostName) -> Vec<FactQuery> {
    let units = [&settings.unit, &settings.sentinel.unit].map(|unit| UnitQuery::new(unit).wrap());
    let mut queries = units.to_vec();
    queries.extend(engines(settings, host).iter().map(Query::wrap));
    queries.push(sentinel(settings).wrap());
    queries.extend(names(settings).iter().map(Query::wrap));
    queries
}

/// The engine's configuration file.
pub(crate) fn config(settings: &Settings) -> FileQuery {
    with_secrets(settings, &settings.config)
}

/// Sentinel's configuration file.
pub(crate) fn sentinel_config(settings: &Settings) -> FileQuery {
    with_secrets(settings, &settings.sentinel.config)
}

fn with_secrets(settings: &Settings, path: &str) -> FileQuery {
    let masks = masks();
    let masks: Vec<&str> = masks.iter().map(String::as_str).collect();
    FileQuery::text(path)
        .knowing([&settings.password])
        .masking(&masks)
}

/// The directory and the file that are laid over the engine's unit, where there is one.
pub(crate) fn drop_in(settings: &Settings) -> Option<[FileQuery; 2]> {
    let (directory, file) = settings.drop_in()?;
    Some([FileQuery::meta(directory), FileQuery::text(file)])
}

/// The link by which systemd knows an enabled sentinel, where two units would have it.
pub(crate) fn sentinel_alias(settings: &Settings) -> Option<FileQuery> {
    let alias = || FileQuery::meta("/etc/systemd/system/sentinel.service");
    settings.rival_sentinel().map(|_| alias())
}

/// The paths under which a packaged engine keeps its data.
pub(crate) fn data(settings: &Settings) -> Vec<FileQuery> {
    let paths = settings.engine.defaults().data;
    paths.iter().map(|&path| FileQuery::meta(path)).collect()
}

/// The names that stand for addresses.
pub(crate) fn names(settings: &Settings) -> Vec<ResolveQuery> {
    let names = settings.places.iter().filter_map(|place| match place {
        Place::Name(name) => Some(ResolveQuery { name: name.clone() }),
        Place::Address(_) => None,
    });
    names.collect()
}

/// The engine at each place where it may be found: at our port on its host, at whatever address; at our port on the
/// member's address, which may be one that is not on the host; and at the engine's default port, where a packaged one
/// listens until our configuration is in force.
pub(crate) fn engines(settings: &Settings, host: &HostName) -> Vec<RespQuery> {
    let own = match settings.place(host) {
        Some(Place::Address(address) | Place::Name(address)) => address.as_str(),
        None => host.as_str(),
    };
    let mut places = vec![(THIS_HOST, settings.port), (own, settings.port)];
    let default_port = settings.engine.defaults().port;
    if default_port != settings.port && settings.hosts.contains(host) {
        places.push((THIS_HOST, default_port));
    }
    let ask = |(address, port): (&str, u16)| {
        of_engine(settings, (address.to_owned(), port), engine_commands(settings))
    };
    places.into_iter().map(ask).collect()
}

/// Commands to the engine at an address and port.
pub(crate) fn of_engine(
    settings: &Settings,
    (address, port): (String, u16),
    commands: Vec<RespCommand>,
) -> RespQuery {
    RespQuery {
        address,
        port,
        password: Some(settings.password.clone()),
        commands,
    }
}

/// The directives whose live value is asked for.
pub(crate) fn live_keys(settings: &Settings) -> Vec<String> {
    let mut keys = ["port", "bind", "masterauth", "requirepass"]
        .map(str::to_owned)
        .to_vec();
    if settings.engine == Engine::Kvrocks {
        keys.push("use-rsid-psync".to_owned());
    }
    keys.extend(settings.directives.iter().map(|directive| directive.key.clone()));
    keys.extend(settings.absent.iter().map(|absent| absent.key.clone()));
    let others = compared(settings.engine).filter(|key| !settings.manages(key));
    keys.extend(others.map(str::to_owned));
    keys
}

/// How many commands come before those that ask for directives.
pub(crate) fn before_keys(engine: Engine) -> usize {
    if engine == Engine::Kvrocks { 8 } else { 7 }
}

fn engine_commands(settings: &Settings) -> Vec<RespCommand> {
    let mut commands = vec![
        RespCommand::new(["INFO", "server"]),
        RespCommand::new(["INFO", "replication"]),
        RespCommand::new(["INFO", "persistence"]),
        // DBSIZE counts the selected database only, and on Kvrocks what the last DBSIZE SCAN found: neither proves
        // emptiness. The key space counts all databases of Redis, and SCAN looks into Kvrocks. Names of keys stay on
        // the host.
        RespCommand::new(["INFO", "keyspace"]),
        RespCommand::new(["DBSIZE"]),
        RespCommand::new(["SCAN", "0", "COUNT", "1"]).sensitive([]),
        role(),
    ];
    if settings.engine == Engine::Kvrocks {
        // The keys of a namespace are seen with its token only, so it is only known whether there are namespaces.
        commands.push(RespCommand::new(["NAMESPACE", "GET", "*"]).sensitive([]));
    }
    commands.extend(live_keys(settings).iter().map(|key| config_get(settings, key)));
    commands
}

/// Asks an engine for its role. Kvrocks takes EVAL for a write and refuses it on replicas, and Redis holds it back with
/// the writes; `EVAL_RO` came with Redis 7.0, and before it no action depends on the role.
pub(crate) fn role() -> RespCommand {
    RespCommand::new(["EVAL_RO", ROLE_SCRIPT, "0"])
}

/// Asks for the live value of a directive.
pub(crate) fn config_get(settings: &Settings, key: &str) -> RespCommand {
    let command = RespCommand::new(["CONFIG", "GET", key]);
    if matches!(key, "requirepass" | "masterauth") {
        command.sensitive([&settings.password])
    } else {
        command
    }
}

/// The sentinel.
pub(crate) fn sentinel(settings: &Settings) -> RespQuery {
    let name = settings.sentinel.master_name.as_str();
    let commands = vec![
        RespCommand::new(["SENTINEL", "MASTERS"]),
        RespCommand::new(["SENTINEL", "SENTINELS", name]),
        RespCommand::new(["SENTINEL", "REPLICAS", name]),
        RespCommand::new(["SENTINEL", "CKQUORUM", name]),
    ];
    of_sentinel(settings, THIS_HOST, commands)
}

/// Asks a sentinel for the master's address.
pub(crate) fn master_address(settings: &Settings, at: &str) -> RespQuery {
    let name = settings.sentinel.master_name.as_str();
    let command = RespCommand::new(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]);
    of_sentinel(settings, at, vec![command])
}

/// Commands to the sentinel at an address.
pub(crate) fn of_sentinel(settings: &Settings, at: &str, commands: Vec<RespCommand>) -> RespQuery {
    RespQuery {
        address: at.to_owned(),
        port: settings.sentinel.port,
        password: None,
        commands,
    }
}
