//! A rolling change of each service while its clients go on working: what they notice of it, and that nothing that was
//! acknowledged is lost. `cargo xtask chaos --load` runs it alone and shows the table; docs/explanation/load.md has one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod altcraft;
mod clickhouse;
mod figures;
mod kvrocks;
mod members;
mod mongodb;
mod net;
mod rabbitmq;
mod run;
mod servers;
mod ssdb;

use std::net::IpAddr;
use std::sync::Arc;

use e2e::{Bed, DB};

use figures::Figures;
use run::Service;

/// The platform's hosts.
const APPS: [&str; 2] = ["app1", "app2"];

/// Makes one change under load.
type Measure = fn(&Bed) -> Figures;

/// A change that every member has to be restarted for.
struct Roll<'a> {
    /// `apply`, or `restart`, where there is nothing to change.
    verb: &'a str,
    /// The service's name in the inventory.
    service: &'a str,
    /// What the change is.
    what: &'a str,
    /// The change, laid over the inventory.
    overlay: &'a str,
    /// Who restarts.
    hosts: &'a [&'a str],
    units: &'a [&'a str],
}

fn addresses(bed: &Bed, hosts: &[&str]) -> Vec<IpAddr> {
    let address = |host: &&str| bed.lab.address(host).expect("an address").into();
    hosts.iter().map(address).collect()
}

/// Makes the change under load, and expects that it succeeded and that each unit runs anew.
fn roll(bed: &Bed, service: &dyn Service, roll: &Roll<'_>) -> Figures {
    let runs = || -> Vec<String> {
        let script = format!("systemctl show -p InvocationID --value {}", roll.units.join(" "));
        let said = roll.hosts.iter().map(|host| bed.on(host, &script));
        said.flat_map(|ids| ids.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    };
    let overlay = format!("{}.toml", roll.what.replace([' ', ':', '`'], "-"));
    bed.write(&overlay, roll.overlay);
    let before = runs();
    assert_eq!(before.len(), roll.hosts.len() * roll.units.len());
    let words = [
        "--overlay",
        "lab.toml",
        "--overlay",
        &overlay,
        "--service",
        roll.service,
        "--yes",
    ];
    let figures = run::under_load(roll.what, service, || {
        let _ = bed.clusterctl(roll.verb, &words).expect(0);
    });
    let after = runs();
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(before, after, "{}: a unit was not restarted", roll.what);
    }
    assert_eq!(before.len(), after.len());
    bed.tell(&format!(
        "{}{}",
        figures::table(std::slice::from_ref(&figures)),
        figures.told()
    ));
    figures
}

#[test]
fn each_service_rolls_under_load_and_nothing_acknowledged_is_lost() {
    let bed = Bed::standing_site();
    let only = std::env::var("CLUSTERCTL_LOAD_ONLY").unwrap_or_default();
    let rolls: [(&str, Measure); 10] = [
        ("redis", redis),
        ("mongodb", mongodb),
        ("mongodb", mongodb_again),
        ("clickhouse", clickhouse),
        ("zookeeper", zookeeper),
        ("ssdb", |bed| ssdb(bed, "hbsupp", 4420)),
        ("ssdb", |bed| ssdb(bed, "notify", 4430)),
        ("rabbitmq", rabbitmq),
        ("altcraft", altcraft),
        ("altcraft", master_moves),
    ];
    let wanted = rolls.iter().filter(|(name, _)| only.is_empty() || *name == only);
    let all: Vec<Figures> = wanted.map(|(_, roll)| roll(&bed)).collect();
    bed.tell(&figures::table(&all));
    for figures in &all {
        figures.check();
    }
}

fn redis(bed: &Bed) -> Figures {
    let service = kvrocks::Redis {
        members: addresses(bed, &DB),
        password: bed.secret("duplicates.password"),
    };
    let change = Roll {
        verb: "apply",
        service: "duplicates",
        what: "redis: a directive",
        overlay: "[services.duplicates.directives]\ndatabases = 32\n",
        hosts: &DB,
        units: &["redis-server"],
    };
    roll(bed, &service, &change)
}

fn mongodb(bed: &Bed) -> Figures {
    let change = Roll {
        verb: "apply",
        service: "mongodb",
        what: "mongodb: an option",
        overlay: "[services.mongodb]\nconfig.net.maxIncomingConnections = 500\n",
        hosts: &DB,
        units: &["mongod"],
    };
    roll(bed, &mongodb::Mongo { bed }, &change)
}

/// The same without a change.
fn mongodb_again(bed: &Bed) -> Figures {
    let change = Roll {
        verb: "restart",
        service: "mongodb",
        what: "mongodb: `restart`",
        overlay: "",
        hosts: &DB,
        units: &["mongod"],
    };
    roll(bed, &mongodb::Mongo { bed }, &change)
}

fn clickhouse(bed: &Bed) -> Figures {
    let change = Roll {
        verb: "apply",
        service: "clickhouse",
        what: "clickhouse: addresses to listen on",
        overlay: "[services.clickhouse]\nlisten = [\"127.0.0.1\", \"address\"]\n",
        hosts: &DB,
        units: &["clickhouse-server"],
    };
    roll(bed, &clickhouse::ClickHouse::prepare(bed), &change)
}

/// The servers' quorum is restarted, and with it what the servers have in common.
fn zookeeper(bed: &Bed) -> Figures {
    let change = Roll {
        verb: "apply",
        service: "clickhouse",
        what: "clickhouse: the heap of its ZooKeeper",
        overlay: "[services.clickhouse]\nlisten = [\"127.0.0.1\", \"address\"]\nzookeeper.heap = \"256m\"\n",
        hosts: &DB,
        units: &["zookeeper"],
    };
    roll(bed, &clickhouse::ClickHouse::prepare(bed), &change)
}

fn ssdb(bed: &Bed, name: &str, port: u16) -> Figures {
    let service = ssdb::Ssdb {
        members: addresses(bed, &DB),
        port,
        password: bed.secret(&format!("{name}.password")),
    };
    let change = Roll {
        verb: "apply",
        service: name,
        what: &format!("ssdb {name}: the binlog's capacity"),
        overlay: &format!("[services.{name}]\ncapacity = 50000000\n"),
        hosts: &DB,
        units: &[&format!("ssdb-{name}")],
    };
    roll(bed, &service, &change)
}

fn rabbitmq(bed: &Bed) -> Figures {
    let service = rabbitmq::Rabbit {
        members: addresses(bed, &DB),
        password: bed.secret("rabbitmq.altcraft"),
        consumed: Arc::default(),
    };
    let change = Roll {
        verb: "apply",
        service: "rabbitmq",
        what: "rabbitmq: a key of rabbitmq.conf",
        overlay: "[services.rabbitmq.config]\nheartbeat = 30\n",
        hosts: &DB,
        units: &["rabbitmq-server"],
    };
    roll(bed, &service, &change)
}

fn altcraft(bed: &Bed) -> Figures {
    let service = altcraft::Altcraft {
        members: addresses(bed, &APPS),
    };
    let change = Roll {
        verb: "apply",
        service: "altcraft",
        what: "altcraft: a key of main.json",
        overlay: "[services.altcraft.main]\nLOAD = true\n",
        hosts: &APPS,
        units: &["proctask", "procworkflow"],
    };
    roll(bed, &service, &change)
}

fn master_moves(bed: &Bed) -> Figures {
    let service = altcraft::Altcraft {
        members: addresses(bed, &APPS),
    };
    let change = Roll {
        verb: "apply",
        service: "altcraft",
        what: "altcraft: another master",
        overlay: "[services.altcraft]\nmaster = \"app2\"\nmain.LOAD = true\n",
        hosts: &APPS,
        units: &["proctask", "procworkflow"],
    };
    roll(bed, &service, &change)
}
