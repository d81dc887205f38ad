//! Which secrets go to which hosts, over a plan, an apply and a status of all kinds, and what comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use executor::Stop;
use fakes::{PLAYS, Pace, Play};
use planner::{Options, Scope};
use tokio::sync::watch;
use transport::tap::Tap;
use types::{HostName, SecretId};

use crate::apply::{End, Operator, observe};
use crate::network::Network;
use crate::project::{self, Read};
use crate::scenario::Scenario;
use crate::secrecy::value;
use crate::site::Site;

/// The hosts. The last one is in the inventory and in no service.
const HOSTS: [&str; 6] = ["db1", "db2", "db3", "db4", "db5", "db6"];

/// How often an apply is tried.
const ROUNDS: usize = 4;

/// A kind's service, and its hosts.
type Part = (Play, &'static [&'static str]);

/// Every kind, each on hosts of its own choice.
fn all() -> Vec<Part> {
    // Fake clusters that know addresses count them from their first host on, so it must be the inventory's first host.
    let places: [(&str, &'static [&'static str]); 6] = [
        ("mongodb", &HOSTS[0..3]),
        ("clickhouse", &HOSTS[1..4]),
        ("rabbitmq", &HOSTS[2..5]),
        ("kvrocks", &HOSTS[0..3]),
        ("ssdb", &HOSTS[0..3]),
        ("altcraft", &HOSTS[3..5]),
    ];
    let part = |(kind, hosts): (&str, &'static [&'static str])| {
        let play = PLAYS.iter().find(|play| play.kind == kind).expect("a play");
        (*play, hosts)
    };
    let parts: Vec<Part> = places.into_iter().map(part).collect();
    let known: BTreeSet<&str> = PLAYS.iter().map(|play| play.kind).collect();
    let ours: BTreeSet<&str> = parts.iter().map(|(play, _)| play.kind).collect();
    assert_eq!(known, ours, "every kind is here");
    parts
}

/// The secrets that a part of an inventory names.
fn named(text: &str) -> BTreeSet<SecretId> {
    let ids = text.split("file = \"").skip(1).map(|rest| {
        let path = rest.split('"').next().unwrap_or_default();
        format!("file:{path}").parse().unwrap()
    });
    ids.collect()
}

/// The same where the application uses the services: as its user, and one of the two that may be SSDB.
fn as_used(text: &str) -> String {
    let uses = "[services.altcraft]\nssdb_hbsupp = \"sessions\"\nssdb_notify = \"none\"\n";
    text.replace("users.app", "users.altcraft")
        .replace("[services.altcraft]\n", uses)
}

/// The project of these services.
fn read(services: &str) -> Read {
    let addresses = (1..).zip(HOSTS);
    let addresses: Vec<String> = addresses
        .map(|(at, host)| format!("{host} = \"10.0.0.{at}\""))
        .collect();
    let hosts = addresses.join("\n");
    project::read(&format!("[hosts]\n{hosts}\n{services}")).unwrap()
}

struct Stage {
    read: Read,
    operator: Operator,
    tap: Tap,
    /// What each host may be handed.
    allowed: BTreeMap<HostName, BTreeSet<SecretId>>,
}

impl Stage {
    fn new(parts: &[Part]) -> Self {
        let is_used = parts.len() > 1;
        let texts: Vec<String> = parts
            .iter()
            .map(|(play, hosts)| match (play.inventory)(hosts, 0) {
                text if is_used => as_used(&text),
                text => text,
            })
            .collect();
        let read = read(&texts.join("\n"));
        let mut allowed: BTreeMap<HostName, BTreeSet<SecretId>> = BTreeMap::new();
        for ((play, hosts), text) in parts.iter().zip(&texts) {
            for host in *hosts {
                let theirs = allowed.entry(host.parse().unwrap()).or_default();
                theirs.extend(named(text));
                // The application logs in to all services as a user; their own secrets are not its business.
                if play.kind == "altcraft" {
                    theirs.extend(texts.iter().flat_map(|text| named(text)).filter(is_a_login));
                }
            }
        }
        let scenario = Scenario {
            seed: 1,
            plays: Vec::new(),
            members: HOSTS.len() - 1,
            pace: Pace::default(),
            latency_ms: 5,
            work_ms: 10,
            phases: Vec::new(),
        };
        let site = Arc::new(Site::placed(&scenario, parts));
        site.set_inventory(&read.project.inventory.services);
        let network = Network::new(Arc::clone(&site));
        let tap = Tap::new(Arc::new(network.clone()));
        let operator = Operator {
            site,
            network,
            tap: Some(tap.clone()),
            is_reckless: false,
        };
        Self {
            read,
            operator,
            tap,
            allowed,
        }
    }

    /// Applies as often as it takes, or some times: what is handed over is the same whether a run ends well or not.
    async fn apply(&self) -> End {
        let mut end = End::Held;
        for round in 0..ROUNDS {
            let (_stop, stopped) = watch::channel(Stop::No);
            let name = format!("run{round}");
            end = self
                .operator
                .apply(&self.read, &Options::default(), &name, stopped)
                .await;
            if end == End::Converged {
                break;
            }
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        end
    }

    /// Looks at everything, and says how often each host was asked.
    async fn status(&self) -> BTreeMap<&'static str, usize> {
        self.status_of(&self.read).await
    }

    async fn status_of(&self, read: &Read) -> BTreeMap<&'static str, usize> {
        let site = &self.operator.site;
        let gathers = || HOSTS.map(|host| (host, site.gathers(&host.parse().unwrap())));
        let before = gathers();
        let connections = self.operator.connections(read);
        let facts = observe(&connections, read).await;
        read.project.status(&facts, &Scope::default());
        let after = gathers().into_iter().zip(before);
        after
            .map(|((host, after), (_, before))| (host, after - before))
            .collect()
    }

    /// Nobody was handed more than it may know, nothing went over the wire in the open, and nothing came back so.
    fn assert_secret(&self, when: &str) {
        let remains = self.operator.site.remains();
        assert_eq!(remains.violations, Vec::<String>::new(), "{when}");
        for host in HOSTS {
            let host: HostName = host.parse().unwrap();
            let may = self.allowed.get(&host).cloned().unwrap_or_default();
            let handed = self.operator.site.handed_over(&host);
            let more: Vec<&SecretId> = handed.difference(&may).collect();
            assert!(more.is_empty(), "{when}: {host} was handed {more:?}");
            let heard = self.tap.heard(&host);
            for (id, _) in &self.read.secrets {
                let value = value(id);
                let value = value.expose().as_bytes();
                let is_open = heard.windows(value.len()).any(|window| window == value);
                assert!(!is_open, "{when}: {host} was sent {id} in the open");
            }
        }
    }

    fn handed_over(&self, host: &str) -> BTreeSet<SecretId> {
        self.operator.site.handed_over(&host.parse().unwrap())
    }
}

/// Whether the application logs in with it: the others are between members, or for administrators.
fn is_a_login(id: &SecretId) -> bool {
    let own = ["cookie", "keyfile", "admin"];
    !own.iter().any(|word| id.as_str().contains(word))
}

fn in_simulated_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(test);
}

#[test]
fn a_host_is_handed_only_the_secrets_of_the_services_that_list_it() {
    in_simulated_time(async {
        let stage = Stage::new(&all());
        let once: BTreeMap<&str, usize> = HOSTS.iter().map(|host| (*host, 1)).collect();
        assert_eq!(stage.status().await, once, "one round trip, for nothing runs");
        stage.assert_secret("the first status");
        assert_eq!(stage.apply().await, End::Converged);
        stage.assert_secret("the apply");
        assert_eq!(
            stage.status().await,
            once,
            "one round trip, for all runs where it belongs"
        );
        stage.assert_secret("the second status");
        // It would prove nothing if nobody was handed anything.
        for host in &HOSTS[..5] {
            assert!(!stage.handed_over(host).is_empty(), "{host} was handed nothing");
        }
        assert_eq!(stage.handed_over("db6"), BTreeSet::new());
    });
}

#[test]
fn a_host_that_a_service_no_longer_lists_is_asked_again_with_its_secrets_while_a_unit_runs() {
    for (play, hosts) in all() {
        in_simulated_time(async {
            let stage = Stage::new(&[(play, hosts)]);
            assert_eq!(stage.apply().await, End::Converged);
            let (removed, rest) = hosts.split_last().expect("hosts");
            let text = (play.inventory)(rest, 0);
            // The agent takes the cookie of a former RabbitMQ node from its file there.
            let takes_secrets = !named(&text).is_empty() && play.kind != "rabbitmq";
            let asked = stage.status_of(&read(&text)).await;
            for host in HOSTS {
                let times = if host == *removed && takes_secrets { 2 } else { 1 };
                assert_eq!(asked[host], times, "{}: {host}", play.kind);
            }
            stage.assert_secret(play.kind);
        });
    }
}

#[test]
fn of_each_kind_alone_no_other_host_is_handed_a_secret() {
    for part in all() {
        in_simulated_time(async {
            let stage = Stage::new(&[part]);
            assert_eq!(stage.apply().await, End::Converged);
            stage.status().await;
            stage.assert_secret(part.0.kind);
            for host in HOSTS.iter().filter(|host| !part.1.contains(host)) {
                assert_eq!(
                    stage.handed_over(host),
                    BTreeSet::new(),
                    "{}: {host}",
                    part.0.kind
                );
            }
        });
    }
}
