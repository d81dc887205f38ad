//! Sessions, locks and gathering.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use plan::{Facts, HostFacts};
use protocol::facts::{CommandQuery, FileQuery};
use protocol::{FactQuery, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use transport::{AgentStream, BoxFuture, ConnectError, Retry, Transport};
use types::{HostName, Secret, SecretId};

use super::graphs::{graph, holder, host, node};
use super::setting::Setting;
use crate::{Connections, LockError, gather};

const DAY: Duration = Duration::from_hours(24);

fn setting() -> Setting {
    Setting::new(graph(vec![
        node("c", "h3", &[]),
        node("a", "h1", &[]),
        node("b", "h2", &[]),
    ]))
}

fn query(of: &str) -> CommandQuery {
    CommandQuery {
        argv: vec!["state".into(), of.into()],
        limit_ms: 1000,
    }
}

fn queries(hosts: &[&str]) -> BTreeMap<HostName, Vec<FactQuery>> {
    hosts
        .iter()
        .map(|name| (host(name), vec![query("a").wrap()]))
        .collect()
}

fn unreachable(facts: &Facts, name: &str) -> String {
    facts.unreachable(&host(name)).unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn locks_are_taken_in_sorted_order() {
    let setting = setting();
    let mut connections = setting.connections();
    gather(&connections, queries(&["h3", "h2", "h1"])).await;
    connections.take_locks(holder("r1")).await.unwrap();
    let asked = ["h1", "h2", "h3"].map(|name| format!("{name} is asked for its lock"));
    assert_eq!(setting.cluster.happenings(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_somebody_else_holds_ends_it_and_names_them() {
    let setting = setting();
    setting.cluster.set_locked("h2", Some(holder("r0")));
    let mut connections = setting.connections();
    gather(&connections, queries(&["h1", "h2", "h3"])).await;
    let error = connections.take_locks(holder("r1")).await.unwrap_err();
    assert_eq!(
        error,
        LockError::Held {
            host: host("h2"),
            holder: holder("r0")
        }
    );
    assert_eq!(error.to_string(), "h2 is locked by r0@desk since now, run r0");
    assert_eq!(setting.cluster.happenings().len(), 2, "h3 is not asked");
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_waited_for_as_long_as_was_asked_for() {
    let setting = setting();
    setting.cluster.set_locked("h2", Some(holder("r0")));
    let mut connections = setting.connections();
    gather(&connections, queries(&["h1", "h2"])).await;
    let mut told = Vec::new();
    let waiting = connections.wait_for_locks(holder("r1"), Duration::from_secs(5), |held| {
        told.push(held.to_string());
    });
    let error = timeout(DAY, waiting).await.expect("it hangs").unwrap_err();
    assert_eq!(told, [error.to_string()]);
    let freed = async {
        sleep(Duration::from_secs(3)).await;
        setting.cluster.set_locked("h2", None);
    };
    let waiting = connections.wait_for_locks(holder("r1"), Duration::from_secs(5), |_| {});
    let (waited, ()) = tokio::join!(waiting, freed);
    assert_eq!(waited, Ok(()));
}

/// No clock can hold it: the sum of now and such a time ended the run before it began.
#[tokio::test(start_paused = true)]
async fn a_lock_can_be_waited_for_without_an_end() {
    let setting = setting();
    setting.cluster.set_locked("h2", Some(holder("r0")));
    let mut connections = setting.connections();
    gather(&connections, queries(&["h1", "h2"])).await;
    let freed = async {
        sleep(Duration::from_secs(3)).await;
        setting.cluster.set_locked("h2", None);
    };
    let waiting = connections.wait_for_locks(holder("r1"), Duration::MAX, |_| {});
    let (waited, ()) = tokio::join!(waiting, freed);
    assert_eq!(waited, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_opened_later_takes_the_lock_too() {
    let setting = setting();
    let mut connections = setting.connections();
    connections.take_locks(holder("r1")).await.unwrap();
    assert_eq!(setting.cluster.happenings(), Vec::<String>::new());
    connections.session(&host("h2")).await.unwrap();
    connections.session(&host("h2")).await.unwrap();
    assert_eq!(setting.cluster.happenings(), ["h2 is asked for its lock"]);
    setting.cluster.set_locked("h3", Some(holder("r0")));
    let error = connections.session(&host("h3")).await.err().unwrap();
    assert_eq!(error.message, "h3 is locked by r0@desk since now, run r0");
    assert!(!error.transient);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_lost_before_its_lock_is_taken_ends_nothing() {
    let setting = setting();
    let mut connections = setting.connections();
    gather(&connections, queries(&["h1", "h2"])).await;
    setting.cluster.set_silent("h1", true);
    let cut = async {
        sleep(Duration::from_secs(1)).await;
        setting.fake.set_down(&host("h1"), true);
    };
    let (taken, ()) = tokio::join!(connections.take_locks(holder("r1")), cut);
    taken.unwrap();
    assert_eq!(setting.cluster.happenings(), ["h2 is asked for its lock"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_does_not_hold_up_the_locks_for_ever() {
    let setting = setting();
    let mut connections = setting.connections();
    gather(&connections, queries(&["h1", "h2"])).await;
    setting.cluster.set_silent("h1", true);
    let taken = timeout(DAY, connections.take_locks(holder("r1"))).await;
    taken.expect("it hangs").unwrap();
    assert_eq!(setting.cluster.happenings(), ["h2 is asked for its lock"]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_our_own_lost_agent_still_holds_is_waited_for() {
    let setting = setting();
    let mut connections = setting.connections();
    connections.take_locks(holder("r1")).await.unwrap();
    let mut stale = holder("r1");
    stale.who = "stale, before the connection was cut".into();
    setting.cluster.set_locked("h1", Some(stale));
    let freed = async {
        sleep(Duration::from_secs(10)).await;
        setting.cluster.set_locked("h1", None);
    };
    let h1 = host("h1");
    let (session, ()) = tokio::join!(connections.session(&h1), freed);
    session.map(drop).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_our_own_lost_agent_never_lets_go_is_an_error() {
    let setting = setting();
    let mut connections = setting.connections();
    connections.take_locks(holder("r1")).await.unwrap();
    let mut stale = holder("r1");
    stale.who = "stale".into();
    setting.cluster.set_locked("h1", Some(stale));
    let h1 = host("h1");
    let session = timeout(DAY, connections.session(&h1));
    assert!(session.await.expect("it hangs").is_err());
}

/// Connections that have the secrets `a`, `b` and `c`.
fn with_secrets(setting: &Setting) -> Connections {
    let secret = |name: &str| (name.parse().unwrap(), Secret::new(format!("the value of {name}")));
    let secrets = ["a", "b", "c"].map(secret).to_vec();
    let hosts = ["h1", "h2"].map(host);
    Connections::new(Arc::new(setting.fake.clone()), hosts, secrets, 1)
}

/// A question that refers to these secrets.
fn knowing(secrets: &[&str]) -> Vec<FactQuery> {
    let ids: Vec<SecretId> = secrets.iter().map(|id| id.parse().unwrap()).collect();
    vec![FileQuery::text("/etc/x").knowing(&ids).wrap()]
}

#[tokio::test(start_paused = true)]
async fn a_host_is_handed_the_secrets_that_its_requests_refer_to_once_and_no_others() {
    let setting = setting();
    let connections = with_secrets(&setting);
    let ask = |name: &str, secrets: &[&str]| BTreeMap::from([(host(name), knowing(secrets))]);
    gather(&connections, ask("h1", &["a"])).await;
    gather(&connections, ask("h2", &[])).await;
    assert_eq!(setting.cluster.happenings(), ["h1 learns a"]);
    gather(&connections, ask("h1", &["a", "b"])).await;
    gather(&connections, ask("h1", &["b"])).await;
    assert_eq!(setting.cluster.happenings(), ["h1 learns a", "h1 learns b"]);
    assert_eq!(connections.referred(&host("h2")), BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn the_next_agent_of_a_host_learns_what_the_lost_one_knew() {
    let setting = setting();
    let connections = with_secrets(&setting);
    gather(&connections, BTreeMap::from([(host("h1"), knowing(&["a"]))])).await;
    setting.fake.set_down(&host("h1"), true);
    sleep(Duration::from_millis(1)).await;
    setting.fake.set_down(&host("h1"), false);
    // It refers to nothing, and what it reports must be concealed as before.
    gather(&connections, BTreeMap::from([(host("h1"), knowing(&[]))])).await;
    assert_eq!(setting.cluster.happenings(), ["h1 learns a"; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_refers_to_a_secret_without_a_value_is_an_error_that_names_it() {
    let setting = setting();
    let connections = with_secrets(&setting);
    let facts = gather(&connections, BTreeMap::from([(host("h1"), knowing(&["a", "d"]))])).await;
    let why = unreachable(&facts, "h1");
    assert!(
        why.contains("the secret d") && why.contains("the inventory does not name"),
        "{why}"
    );
    assert_eq!(
        setting.cluster.happenings(),
        Vec::<String>::new(),
        "nothing was sent"
    );
}

#[tokio::test(start_paused = true)]
async fn who_gathers_learns_which_host_cannot_be_reached() {
    let setting = setting();
    setting.fake.set_down(&host("h2"), true);
    let facts = gather(&setting.connections(), queries(&["h1", "h2", "h9"])).await;
    assert_eq!(unreachable(&facts, "h2"), "h2 is cut off");
    assert_eq!(unreachable(&facts, "h9"), "h9 is not a host of this run");
    assert_eq!(facts.get(&host("h1"), &query("a")).unwrap().stdout, "down");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_unnoticed_is_opened_again_to_gather() {
    let setting = setting();
    let connections = setting.connections();
    gather(&connections, queries(&["h1"])).await;
    setting.cluster.set_silent("h1", true);
    let cut = async {
        sleep(Duration::from_secs(1)).await;
        setting.fake.set_down(&host("h1"), true);
        sleep(Duration::from_millis(50)).await;
        setting.cluster.set_silent("h1", false);
        setting.fake.set_down(&host("h1"), false);
    };
    let (facts, ()) = tokio::join!(gather(&connections, queries(&["h1"])), cut);
    assert!(
        matches!(facts.hosts().next(), Some((_, HostFacts::Observed(_)))),
        "{facts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_is_unreachable_and_asked_anew_the_next_time() {
    let setting = setting();
    let connections = setting.connections();
    setting.cluster.set_silent("h1", true);
    let facts = timeout(DAY, gather(&connections, queries(&["h1", "h2"])))
        .await
        .expect("it hangs");
    assert!(unreachable(&facts, "h1").contains("no answer within"));
    assert_eq!(unreachable(&facts, "h2"), "");
    setting.cluster.set_silent("h1", false);
    let facts = gather(&connections, queries(&["h1"])).await;
    assert_eq!(unreachable(&facts, "h1"), "");
}

/// Streams at whose end nobody greets, save those to `h2`.
struct Mute {
    setting: Setting,
    opened: AtomicUsize,
}

impl Transport for Mute {
    fn open<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, Result<AgentStream, ConnectError>> {
        if name.as_str() == "h2" {
            return self.setting.fake.open(name);
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move {
                let mut heard = Vec::new();
                let _heard = theirs.read_to_end(&mut heard).await;
            });
            let (reader, writer) = tokio::io::split(ours);
            Ok(AgentStream {
                reader: Box::new(reader),
                writer: Box::new(writer),
                epilogue: Box::pin(async { String::new() }),
            })
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_greet_keeps_nobody_else_waiting_for_ever() {
    let mute = Arc::new(Mute {
        setting: setting(),
        opened: AtomicUsize::new(0),
    });
    let hosts = ["h1", "h2"].map(host);
    let connections = Connections::new(Arc::clone(&mute) as Arc<dyn Transport>, hosts, Vec::new(), 1)
        .with_retry(Retry {
            attempts: 2,
            first_wait: Duration::from_millis(100),
        });
    let facts = timeout(DAY, gather(&connections, queries(&["h1", "h2"])))
        .await
        .expect("it hangs");
    assert!(
        unreachable(&facts, "h1").contains("no greeting within"),
        "{facts:?}"
    );
    assert_eq!(unreachable(&facts, "h2"), "");
    assert_eq!(
        mute.opened.load(Ordering::Relaxed),
        2,
        "it may be busy: tried again"
    );
}

/// Agents that greet and then say what is no frame.
struct Garbled;

impl Transport for Garbled {
    fn open<'a>(&'a self, _host: &'a HostName) -> BoxFuture<'a, Result<AgentStream, ConnectError>> {
        Box::pin(async {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move {
                let hello = protocol::Hello {
                    version: protocol::VERSION,
                    pid: 1,
                    uid: 0,
                    key: protocol::SealingKey([7; 32]),
                };
                theirs
                    .write_all(&protocol::frame::encode(&hello).unwrap())
                    .await
                    .unwrap();
                let mut request = [0; 64];
                let _read = theirs.read(&mut request).await;
                theirs.write_all(b"Segmentation fault\n").await.unwrap();
                // An agent ends with its input.
                let mut heard = Vec::new();
                let _heard = theirs.read_to_end(&mut heard).await;
            });
            let (reader, writer) = tokio::io::split(ours);
            Ok(AgentStream {
                reader: Box::new(reader),
                writer: Box::new(writer),
                epilogue: Box::pin(async { String::new() }),
            })
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_frame_ends_the_session_for_all_who_wait() {
    let connections = Connections::new(Arc::new(Garbled), [host("h1")], Vec::new(), 1);
    let session = connections.session(&host("h1")).await.unwrap();
    let both = async { tokio::join!(session.gather(Vec::new()), session.gather(Vec::new())) };
    let (one, other) = timeout(DAY, both).await.expect("it hangs");
    assert!(
        one.unwrap_err()
            .to_string()
            .contains("something else was written")
    );
    assert!(other.is_err());
    assert!(session.is_over());
}
