//! A process that runs with other settings than its file says.

use super::{assert_settled, built, by_hand, converge, plan, service};
use crate::tests::rig::Rig as _;
use fakes::kvrocks::Cluster;
use kit::Service;
use plan::Level;

/// What is warned of, and what the row of an engine says.
fn told(service: &dyn Service, fake: &Cluster, name: &str) -> (Vec<String>, String) {
    let plan = plan(service, fake);
    assert!(plan.tasks.is_empty(), "{}", super::render(&plan));
    let warnings = plan.notes.into_iter().filter(|note| note.level == Level::Warning);
    let warnings = warnings.map(|note| format!("{}: {}", note.host.unwrap(), note.text));
    (warnings.collect(), detail(service, fake, name))
}

fn detail(service: &dyn Service, fake: &Cluster, name: &str) -> String {
    let status = service.status(&fake.facts(service));
    let row = status.members.into_iter().find(|row| row.host.as_str() == name);
    row.unwrap().detail
}

#[test]
fn what_a_hand_set_in_the_process_or_wrote_into_the_file_is_told() {
    for kind in ["redis", "valkey"] {
        let service = service(kind, "");
        let mut fake = by_hand(kind);
        converge(&*service, &mut fake);
        let path = fake.config();
        assert_eq!(told(&*service, &fake, "db2"), (Vec::new(), String::new()));
        // The file said 100mb, and had no line for slowlog-max-len.
        fake.server_mut("db2").set("maxmemory", "1").unwrap();
        fake.server_mut("db2").set("slowlog-max-len", "256").unwrap();
        let (warnings, detail) = told(&*service, &fake, "db2");
        assert_eq!(
            warnings,
            [
                format!("db2: it runs with maxmemory \"1\", and {path} says \"100mb\""),
                format!("db2: it runs with slowlog-max-len \"256\", and {path} leaves that at \"128\""),
            ]
        );
        assert_eq!(detail, "differs from its file in maxmemory, slowlog-max-len");
        fake.restart("db2");
        fake.edit("db2", |text| {
            format!("{text}databases 32\nLogLevel NOTICE\nslave-priority 100\n")
        });
        let (warnings, detail) = told(&*service, &fake, "db2");
        let databases = format!("db2: it runs with databases \"16\", and {path} says \"32\"");
        assert_eq!(warnings, [databases]);
        assert_eq!(detail, "differs from its file in databases");
    }
}

/// CONFIG GET of Kvrocks tells what is empty as nil (recorded, 2.6).
#[test]
fn a_process_of_kvrocks_too() {
    let service = service("kvrocks", "");
    let mut fake = built(&*service, "kvrocks");
    assert_settled(&*service, &fake);
    fake.edit("db3", |text| format!("{text}workers 4\n"));
    let (warnings, detail) = told(&*service, &fake, "db3");
    let workers = "db3: it runs with workers \"8\", and /etc/kvrocks/kvrocks.conf says \"4\"";
    assert_eq!(warnings, [workers]);
    assert_eq!(detail, "differs from its file in workers");
}

#[test]
fn a_setting_of_the_inventory_is_planned_and_shown_by_status() {
    let service = service("redis", "directives = { maxmemory = \"100mb\" }\n");
    let mut fake = built(&*service, "redis");
    fake.server_mut("db3").set("maxmemory", "1").unwrap();
    let plan = plan(&*service, &fake);
    assert_eq!(plan.tasks.len(), 1);
    assert!(plan.notes.iter().all(|note| note.level != Level::Warning));
    assert_eq!(
        detail(&*service, &fake, "db3"),
        "differs from its file in maxmemory"
    );
    // Changed by hand in the file, and not in the process.
    converge(&*service, &mut fake);
    fake.edit("db3", |text| text.replace("maxmemory 100mb", "maxmemory 1gb"));
    assert_eq!(
        detail(&*service, &fake, "db3"),
        "differs from its file in maxmemory"
    );
    converge(&*service, &mut fake);
    assert_eq!(detail(&*service, &fake, "db3"), "");
}

/// What another file says, nobody asked.
#[test]
fn a_file_that_includes_others_is_not_compared() {
    let service = service("redis", "");
    let mut fake = built(&*service, "redis");
    fake.edit("db2", |text| {
        format!("{text}databases 32\ninclude /etc/redis/more.conf\n")
    });
    assert_eq!(told(&*service, &fake, "db2"), (Vec::new(), String::new()));
}
