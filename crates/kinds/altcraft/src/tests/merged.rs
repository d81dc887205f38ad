//! main.json: ours as the runbook has it, everything else byte for byte.

use insta::assert_snapshot;

use super::{INVENTORY, converged, fresh, outline, plan_of};
use crate::observe::queries;
use crate::rules::main_json::desired;
use crate::settings::{self, Settings, Use};
use config::{Findings, Inventory};
use formats::main_json::{MergeError, Want, Wants, has, is, merge};
use kit::{Endpoint, Login, Offer, ReadCx};
use types::Sources;

/// The one that the lab's hosts have.
const MAIN: &str = include_str!("../../../../lab/assets/programs/altcraft/main.json");

fn settings() -> Settings {
    let mut sources = Sources::new();
    let id = sources.add("inventory.toml", INVENTORY);
    let findings = Findings::default();
    let inventory = Inventory::read(&sources, id, &[], &findings);
    let cx = ReadCx {
        inventory: &inventory,
        kinds: super::KINDS,
        findings: &findings,
    };
    let mut settings = settings::read(&inventory.services[0], &cx).unwrap();
    let hosts: Vec<_> = ["db1", "db2", "db3"].map(|name| name.parse().unwrap()).to_vec();
    let login = |secret: &str| Login {
        user: Some("altcraft".into()),
        password: secret.parse().unwrap(),
        database: Some("admin".into()),
        vhosts: Vec::new(),
    };
    settings.uses.mongodb = Some(Use {
        service: "mongodb".parse().unwrap(),
        offer: Offer {
            endpoints: Endpoint::all(&hosts, 27017),
            name: Some("rs0".into()),
            logins: vec![login("file:secrets/mongodb")],
        },
    });
    settings
}

/// The desired keys on a host.
fn wants(settings: &Settings, host: &str) -> Wants {
    desired(settings, &settings.hosts, &host.parse().unwrap(), None)
}

#[test]
fn a_file_of_nothing_gets_the_runbooks_blocks() {
    let wants = wants(&settings(), "app1");
    assert_snapshot!(merge("{}", &wants).unwrap());
}

/// The secret of a command whose words are quoted has quotes in its name, and its value may have any.
#[test]
fn a_password_of_any_characters_is_what_the_platform_reads() {
    let mut settings = settings();
    let uses = &mut settings.uses;
    (uses.rabbitmq, uses.ssdb_hbsupp, uses.ssdb_notify, uses.duplicates) = (None, None, None, None);
    let id: types::SecretId = "command:sh -c \"pass 'x' | head -1\"".parse().unwrap();
    for used in [&mut settings.uses.mongodb, &mut settings.uses.clickhouse]
        .into_iter()
        .flatten()
    {
        for login in &mut used.offer.logins {
            login.password = id.clone();
        }
    }
    let wants = wants(&settings, "app1");
    let merged = protocol::Text::new(merge("{}", &wants).unwrap());
    for value in [
        "\"quoted\" \\ and \\u0041",
        "</script>\u{e4}\u{1f511}",
        "{\"a\": 1}, [",
        "'%s' $x #y ;z {{ w }}",
    ] {
        let secret = types::Secret::new(value);
        let written = merged.reveal(|_| Some(&secret), b"").unwrap();
        let read: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(read["CONTROLDB_PASS"], value);
        // And what was read is not written again.
        let known = [(
            protocol::Reference::written(&id, protocol::Encoding::Json),
            secret,
        )];
        let found = protocol::Text::conceal(&written, &known, &[]).unwrap();
        assert_eq!(merge(found.as_str(), &wants).unwrap(), found.as_str());
    }
}

#[test]
fn a_file_that_is_there_keeps_everything_else() {
    let wants = wants(&settings(), "app2");
    let merged = merge(MAIN, &wants).unwrap();
    assert_snapshot!(merged);
    for foreign in [
        "\"INSTALLATION_ID\": 12345678901234567890123,\n",
        "  \"SAMPLING\": 1.50e-3,\n\t\"AUDIT_LOG_TTL\":90,\n\n",
        "\"FILEDB_ENABLE\"  :  true,\n",
        "\"LOCALES\": [\"en\",\"ru\", \"de\" ],\n",
        "\"GREETING\": \"Привет \\u2014 \\\"hello\\\"\",\n",
        "\"WORKERS\": { \"MAIL\": 6,\n               \"PUSH\": 2 }",
    ] {
        assert!(merged.contains(foreign), "{foreign}");
    }
    assert_eq!(merge(&merged, &wants).unwrap(), merged);
}

#[test]
fn an_element_keeps_its_own_keys_wherever_it_is_moved() {
    let text = r#"{"HOSTS": [{"HOST": "db2", "PORT": 1, "NOTE": "two"}, {"HOST":"gone"}, {"HOST": "db1", "ZONE": 1.50}]}"#;
    let item = |name: &str| vec![is("HOST", name), is("PORT", 5672)];
    let wants = vec![(
        "HOSTS".to_owned(),
        Want::List("HOST", vec![item("db1"), item("db2"), item("db3")]),
    )];
    assert_snapshot!(merge(text, &wants).unwrap());
}

#[test]
fn unwanted_keys_are_removed_and_an_owned_object_has_nothing_else() {
    let text = "{\n  \"A\": 1,\n  \"GROUPS\": {\"old\": 1, \"new\": {\"X\": 1}},\n  \"B\": 2\n}";
    let wants = vec![
        ("A".to_owned(), Want::Gone),
        ("NONE".to_owned(), Want::Gone),
        (
            "GROUPS".to_owned(),
            Want::Only(vec![has("new", vec![is("X", 2)])]),
        ),
    ];
    assert_snapshot!(merge(text, &wants).unwrap());
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    let error = |text: &str| merge(text, &vec![is("A", 1)]).unwrap_err().to_string();
    assert_eq!(error("{\n  \"a\": 1,\n}"), "line 3, column 1: trailing comma");
    assert_eq!(error("{\"ü\": 1 x}"), "line 1, column 9: expected `,` or `}`");
    assert_eq!(error("// comment\n{}"), "line 1, column 1: expected value");
    // Ten bytes stand where the text has their reference.
    assert_eq!(
        error("{\"P\": \"⟪kept:7+10⟫\" x}"),
        "line 1, column 20: expected `,` or `}`"
    );
    assert!(error("{\"P\": \"⟪secret:file:secrets/x⟫\" x}").contains("names of secrets"));
    assert_eq!(merge("[]", &vec![]), Err(MergeError::NotAnObject));
    assert_eq!(
        error("{\"A\": 2, \"A\": 3}"),
        MergeError::Twice("A".into()).to_string()
    );
}

#[test]
fn a_block_that_is_there_keeps_its_order_and_its_own_keys() {
    let text = "{\"RABBITMQ_CLUSTER\": {\n    \"HEARTBEAT\": 10, \"USER\": \"guest\"\n}}";
    let wants = vec![has(
        "RABBITMQ_CLUSTER",
        vec![is("USER", "altcraft"), is("STRATEGY", "in_order")],
    )];
    assert_snapshot!(merge(text, &wants).unwrap());
}

#[test]
fn keys_of_the_inventory_are_laid_over_ours() {
    let with = super::inventory(|text| {
        text.replace(
            "[services.ssdb-notify]",
            "[services.altcraft.main]\nAUDIT_LOG_TTL = 30\nCLICKHOUSE_SYSTEM = { STRATEGY = \"in_order\", IS_DEBUG = true }\n\n\
             [services.ssdb-notify]",
        )
    });
    let plan = plan_of(&with, &[("app1", fresh()), ("app2", fresh())], &[]);
    assert!(
        plan.contains("\"AUDIT_LOG_TTL\": 30") && plan.contains("\"IS_DEBUG\": true"),
        "{plan}"
    );
    assert!(
        plan.contains("\"STRATEGY\": \"in_order\"") && !plan.contains("\"random\""),
        "{plan}"
    );
}

#[test]
fn what_the_inventory_has_no_service_for_is_left_alone() {
    let alone = "[hosts]\napp1 = \"10.0.0.11\"\n[services.altcraft]\nhosts = [\"app1\"]\n";
    let plan = plan_of(alone, &[("app1", fresh())], &[]);
    assert_snapshot!(plan);
    let done = converged(alone, "app1");
    assert_eq!(plan_of(alone, &[("app1", done)], &[]), "");
}

/// A platform that was set up by address is adopted as it is.
#[test]
fn databases_that_are_named_by_their_addresses_stay_so() {
    let hosts = ["app1", "app2"].map(|name| {
        let mut host = converged(INVENTORY, name);
        let main = (1..=3).fold(host.main.unwrap(), |main, at| {
            main.replace(&format!("\"db{at}\""), &format!("\"10.0.0.{at}\""))
        });
        host.main = Some(main);
        (name, host)
    });
    assert!(hosts[0].1.main.as_ref().unwrap().contains("\"10.0.0.3\""));
    assert_eq!(plan_of(INVENTORY, &hosts, &[]), "");
    // Those of other hosts do not.
    let elsewhere = INVENTORY.replace("db3 = \"10.0.0.3\"", "db3 = \"10.0.0.33\"");
    let plan = plan_of(&elsewhere, &hosts, &[]);
    assert!(plan.contains("change /opt/akd/config/main.json"), "{plan}");
}

#[test]
fn the_login_stays_where_the_service_names_no_users() {
    let nobody = INVENTORY.replace(
        "users = { altcraft = { password = { file = \"secrets/rabbitmq\" }, permissions = { altcraft = \".*\" } } }\n",
        "",
    );
    assert_ne!(nobody, INVENTORY);
    let host = super::Host {
        main: Some("{\"RABBITMQ_CLUSTER\": {\"USER\": \"own\", \"PASSWORD\": \"⟪kept:9+9⟫\"}}".to_owned()),
        ..fresh()
    };
    let plan = plan_of(&nobody, &[("app1", host)], &[]);
    assert!(
        plan.contains("\"USER\": \"own\",") && plan.contains("\"PASSWORD\": \"⟪kept:9+9⟫\","),
        "{plan}"
    );
    assert!(
        plan.contains("Info app1: rabbitmq names no users in the inventory"),
        "{plan}"
    );
}

#[test]
fn the_loss_of_all_places_is_warned_of_where_the_old_ones_are_no_hosts() {
    let moved = INVENTORY.replace(
        "[services.duplicates]\nkind = \"kvrocks\"\nhosts = [\"db1\", \"db2\", \"db3\"]",
        "[services.duplicates]\nkind = \"kvrocks\"\nhosts = [\"app1\", \"app2\", \"app3\"]",
    );
    assert_ne!(moved, INVENTORY);
    let hosts = [
        ("app1", converged(INVENTORY, "app1")),
        ("app2", converged(INVENTORY, "app2")),
    ];
    // Those leave when every host was restarted.
    assert!(!outline(&moved, &hosts).contains("Warning"));
    let gone = hosts.map(|(name, host)| {
        let text = host.main.as_deref().unwrap_or_default();
        let (first, last) = text.split_once("CAMP_DUPLICATESDB").unwrap();
        let main = Some(format!(
            "{first}CAMP_DUPLICATESDB{}",
            last.replace("\"db", "\"old")
        ));
        (name, super::Host { main, ..host })
    });
    assert_snapshot!(outline(&moved, &gone));
}

#[test]
fn passwords_are_masked_whatever_the_formatting() {
    let query = queries::config(&settings());
    let hidden = |line: &str| {
        let found = query.masks.iter().find_map(|mask| {
            let regex = regex_lite::Regex::new(mask).unwrap();
            regex
                .captures_iter(line)
                .find_map(|found| Some(found.get(1)?.as_str().to_owned()))
        });
        found.unwrap_or_default()
    };
    assert_eq!(
        hidden(r#"{"A":"x","FILEDB_PASS":"one \" two","B":"y"}"#),
        r#"one \" two"#
    );
    assert_eq!(hidden(r#"  "PASSWORD"  :  "one","#), "one");
    assert_eq!(hidden(r#"  "smtp_password": "one""#), "one");
    assert_eq!(hidden(r#"  "PRIVATE_KEY": "one""#), "one");
    assert_eq!(hidden(r#"    "one","#), "one");
    assert_eq!(hidden(r#"  : "one""#), "one");
    assert_eq!(hidden(r#"  "DSN": "postgres://user:one@db/x""#), "one");
    assert_eq!(hidden(r#"  "PRODUCT_NAME": "Altcraft","#), "");
    assert_eq!(hidden(r#"  "NOTE": "the PASSWORD: is", "B": "x""#), "");
}

#[test]
fn a_file_that_nests_without_a_bound_is_an_error() {
    let wants = Vec::new();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let text = format!("{{\"a\":{}1{}}}", open.repeat(100_000), close.repeat(100_000));
        assert!(matches!(merge(&text, &wants), Err(MergeError::NotJson { .. })));
    }
}
