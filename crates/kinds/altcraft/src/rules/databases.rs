//! The blocks of main.json about databases, as the runbook's examples have them.

use protocol::{Encoding, Text};
use serde_json::Value;

use crate::settings::{Settings, Use};
use formats::main_json::{Want, Wants, has, is};
use kit::{Endpoint, Login};

/// The desired blocks about the databases that the inventory has.
pub(super) fn blocks(settings: &Settings) -> Wants {
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
    wants
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
