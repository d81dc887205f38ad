//! Our keys of main.json, as the runbook's examples have them.

use serde_json::Value;
use types::HostName;

use protocol::{Encoding, Text};

use super::groups::Groups;
use super::settings::{Process, Settings};
use super::uses::Use;
use formats::main_json::{Want, Wants, has, is, lay_over};
use kit::{Endpoint, Login};

/// What is wanted of a host's main.json.
pub(super) fn wants(settings: &Settings, host: &HostName) -> Wants {
    let uses = &settings.uses;
    let mut wants = Wants::new();
    if let Some(used) = &uses.mongodb {
        mongodb(settings, used, &mut wants);
    }
    if let Some(used) = &uses.clickhouse {
        wants.push(clickhouse(settings, used));
    }
    let ssdb = [
        ("SSDB_HBSUPP", &uses.ssdb_hbsupp),
        ("SSDB_NOTIFY", &uses.ssdb_notify),
    ];
    for (key, used) in ssdb {
        wants.extend(used.as_ref().map(|used| ssdb_list(settings, key, used)));
    }
    if let Some(used) = &uses.rabbitmq {
        wants.push(rabbitmq(settings, used));
    }
    if let Some(used) = &uses.duplicates {
        wants.push(duplicates(settings, used));
    }
    wants.push(cluster(settings, host));
    lay_over(&mut wants, settings.main.clone());
    wants
}

/// Whether a main.json has the places of one of our databases.
pub(super) fn uses_same(settings: &Settings, said: &Value) -> bool {
    let used = settings.uses.all().any(|used| !used.offer.endpoints.is_empty());
    let bare = Settings {
        main: Wants::new(),
        ..settings.clone()
    };
    let is_place = |(key, want): &(String, Want)| {
        let names_places = matches!(want, Want::List(..) | Want::Has(_));
        key != "CLUSTER" && names_places && want.holds(said.get(key))
    };
    used && wants(&bare, &settings.master).iter().any(is_place)
}

fn secret(login: &Login) -> Value {
    Value::from(Text::secret_in(Encoding::Json, &login.password).as_str())
}

/// The places of a service, each with these keys for name and port.
fn places(endpoints: &[Endpoint], name: &'static str) -> Want {
    let items = endpoints
        .iter()
        .map(|at| vec![is(name, at.host.as_str()), is("PORT", at.port)]);
    Want::List(name, items.collect())
}

fn mongodb(settings: &Settings, used: &Use, wants: &mut Wants) {
    let login = used.login(&settings.user);
    if let Some(login) = login {
        wants.push(is("MONGO_AUTH_DB", login.database.as_deref().unwrap_or("admin")));
    }
    let databases = [("CONTROLDB", &settings.control_db), ("FILEDB", &settings.file_db)];
    for (prefix, database) in databases {
        let key = |rest: &str| format!("{prefix}_{rest}");
        if prefix == "FILEDB" {
            wants.push(is("FILEDB_ENABLE", true));
        }
        wants.push(is(&key("NAME"), database.as_str()));
        if let Some(login) = login {
            wants.push(is(&key("USER"), settings.user.as_str()));
            wants.push(is(&key("PASS"), secret(login)));
        }
        if let Some(name) = &used.offer.name {
            wants.push(is(&key("REPL_SET_NAME"), name.as_str()));
        }
        wants.push((prefix.to_owned(), places(&used.offer.endpoints, "IP")));
    }
}

fn clickhouse(settings: &Settings, used: &Use) -> (String, Want) {
    let mut wants = Wants::new();
    let mut endpoints = used.offer.endpoints.iter();
    if let Some(first) = endpoints.next() {
        wants.push(is("HOST", first.host.as_str()));
        wants.push(is("PORT", first.port));
    }
    if let Some(login) = used.login(&settings.user) {
        wants.push(is("USER", settings.user.as_str()));
        wants.push(is("PASSWORD", secret(login)));
    }
    let others: Vec<Endpoint> = endpoints.cloned().collect();
    wants.push(("ALT_HOSTS".to_owned(), places(&others, "HOST")));
    wants.push(is("REPLICATED", !others.is_empty()));
    wants.push(is("STRATEGY", "random"));
    has("CLICKHOUSE_SYSTEM", wants)
}

fn ssdb_list(settings: &Settings, key: &str, used: &Use) -> (String, Want) {
    let password = used.login(&settings.user).map(secret);
    let items = used.offer.endpoints.iter().map(|at| {
        let mut wants = vec![is("IP", at.host.as_str()), is("PORT", at.port)];
        wants.extend(password.clone().map(|password| is("PASS", password)));
        wants
    });
    (key.to_owned(), Want::List("IP", items.collect()))
}

fn rabbitmq(settings: &Settings, used: &Use) -> (String, Want) {
    let mut wants = Wants::new();
    if let Some(login) = used.login(&settings.user) {
        wants.push(is("USER", settings.user.as_str()));
        wants.push(is("PASSWORD", secret(login)));
    }
    wants.push(is("FAIL_MODE", "failover"));
    wants.push(is("STRATEGY", "in_order"));
    wants.push(is("RECONNECT_TIME_PERIOD", 5));
    let items = used.offer.endpoints.iter().enumerate().map(|(at, endpoint)| {
        vec![
            is("HOST", endpoint.host.as_str()),
            is("PORT", endpoint.port),
            is("WEIGHT", at + 1),
        ]
    });
    wants.push(("HOSTS".to_owned(), Want::List("HOST", items.collect())));
    has("RABBITMQ_CLUSTER", wants)
}

fn duplicates(settings: &Settings, used: &Use) -> (String, Want) {
    let mut wants = vec![is("MODE", "sentinel_replica")];
    wants.extend(
        used.login(&settings.user)
            .map(|login| is("PASSWORD", secret(login))),
    );
    wants.push(("NODES".to_owned(), places(&used.offer.endpoints, "HOST")));
    if let Some(name) = &used.offer.name {
        wants.push(has("SENTINEL", vec![is("MASTER_NAME", name.as_str())]));
    }
    has("CAMP_DUPLICATESDB", wants)
}

fn cluster(settings: &Settings, host: &HostName) -> (String, Want) {
    let mut wants = vec![is("HOST_ID", host.as_str())];
    for process in &settings.processes {
        let items = settings
            .hosts
            .iter()
            .map(|member| member_wants(settings, process, member));
        wants.push((process.key.to_owned(), Want::List("HOST_ID", items.collect())));
    }
    has("CLUSTER", wants)
}

fn member_wants(settings: &Settings, process: &Process, member: &HostName) -> Wants {
    let mut wants = vec![
        is("HOST_ID", member.as_str()),
        is("RPC_HOST", settings.rpc_host.as_str()),
        is("RPC_HOST_CLI", member.as_str()),
        is("RPC_PORT", process.port),
        is("FORCE_MASTER_ROLE", settings.is_master(member)),
    ];
    if let Some(groups) = settings
        .groups
        .as_ref()
        .filter(|_| process.key == "PROC_WORKFLOW")
    {
        wants.extend(group_wants(settings, groups, member));
    }
    wants
}

/// The groups stand at the master, and at each host the one that it reads.
fn group_wants(settings: &Settings, groups: &Groups, member: &HostName) -> Wants {
    let defined = groups.groups.iter().map(|group| {
        let accounts = vec![
            is("INCLUDE", group.include.as_str()),
            is("EXCLUDE", group.exclude.as_str()),
        ];
        (group.name.clone(), Want::Only(accounts))
    });
    let defined: Wants = defined.collect();
    let all = if settings.is_master(member) && !defined.is_empty() {
        Want::Only(defined)
    } else {
        Want::Gone
    };
    let own = groups
        .of(member)
        .map_or(Want::Gone, |group| Want::Is(group.into()));
    vec![
        ("READERS_GROUPS".to_owned(), all),
        ("READERS_GROUP".to_owned(), own),
    ]
}
