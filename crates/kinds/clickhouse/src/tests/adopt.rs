//! Clusters that were made by hand: what their servers do not tell us is in use, and nothing of it restarts at once.

use protocol::UnitVerb;
use protocol::facts::{HttpFact, Silence, WordsFact};
use protocol::{Fact, FactQuery};

use super::*;
use crate::tests::rig::Rig as _;
use fakes::clickhouse::{CONFIG, CONFIG_D, SERVER, USERS_D, ZK};

/// The titles of what disrupts.
fn disruptions(found: &StepPlan) -> Vec<&str> {
    let disrupts = |task: &&Task| {
        let verbs = [UnitVerb::Restart, UnitVerb::Stop];
        [SERVER, ZK]
            .iter()
            .any(|unit| verbs.iter().any(|verb| task.tells(unit, *verb)))
    };
    found
        .tasks
        .iter()
        .filter(disrupts)
        .map(|task| task.title.as_str())
        .collect()
}

/// A password for the user `default`, as an operator gives it.
fn with_password(cluster: &mut Cluster) {
    let text = "<clickhouse><users><default><password>secret</password></default></users></clickhouse>";
    for host in DB {
        cluster.write_file(host, &format!("{USERS_D}/default.xml"), text);
    }
    cluster.tick();
}

#[test]
fn servers_that_refuse_our_login_are_not_restarted() {
    let mut cluster = built(&*keeper(""), MODERN);
    with_password(&mut cluster);
    let same = plan(&*keeper(""), &cluster);
    assert!(is_settled(&same), "{}", render(&same));
    for more in [
        "ddl_path = \"/clickhouse/other/ddl\"",
        "listen = [\"127.0.0.1\", \"address\"]",
    ] {
        let found = plan(&*keeper(more), &cluster);
        assert!(found.tasks.is_empty(), "{}", render(&found));
        assert_eq!(found.refusals.len(), 3, "{}", render(&found));
        let shown = render(&found);
        assert!(
            shown.contains("refused: the server on db1 is neither changed nor restarted"),
            "{shown}"
        );
        assert!(
            shown.contains("it answers 403: Code: 516. DB::Exception: default: Authentication failed"),
            "{shown}"
        );
    }
}

#[test]
fn a_restart_that_is_asked_for_waits_for_a_login_too() {
    let service = keeper("");
    let mut cluster = built(&*service, MODERN);
    with_password(&mut cluster);
    let facts = cluster.facts(&*service);
    let found = cases::plan_restart(&*service, &STEPS, &facts, &facts);
    assert!(
        found.tasks.is_empty() && found.refusals.len() == 3,
        "{}",
        render(&found)
    );
}

/// The server reads its users again by itself: the file that lets us in is all that is written, and then the rest goes on.
#[test]
fn a_user_that_may_log_in_is_made_first() {
    let mut cluster = built(&*keeper(""), MODERN);
    with_password(&mut cluster);
    let service = keeper("password = { file = \"pw\" }\nddl_path = \"/clickhouse/other/ddl\"");
    let found = plan(&*service, &cluster);
    let titles: Vec<&str> = found.tasks.iter().map(|task| task.title.as_str()).collect();
    assert_eq!(titles, ["create /etc/clickhouse-server/users.d/altcraft.xml"; 3]);
    assert!(
        found.refusals.iter().all(|refusal| refusal.passing),
        "{}",
        render(&found)
    );
    perform(&*service, &mut cluster, &found.tasks);
    cluster.tick();
    converge(&*service, &mut cluster);
}

/// The port was taken for one of a server that starts, and waited for; or for one that refuses the login.
#[test]
fn another_program_on_the_port_is_told_apart() {
    let replies = [
        (200, "<html><title>Grafana</title></html>"),
        (404, "404 page not found\n"),
        // The port of the native protocol, as TCPHandler answers a browser.
        (
            400,
            "Port 9000 is for clickhouse-client program\r\nYou must use port 8123 for HTTP.\r\n",
        ),
    ];
    let cluster = built(&*keeper(""), MODERN);
    let service = keeper("ddl_path = \"/clickhouse/other/ddl\"");
    for (status, body) in replies {
        let facts = cases::answer_all(&*service, |host, query| match query {
            FactQuery::Http(_) if host.as_str() == "db2" => Some(Fact::Http(HttpFact::Reply {
                status,
                body: protocol::Text::new(body),
            })),
            _ => cluster.answer(host, query)?.ok(),
        });
        let found = cases::plan_steps(&*service, &STEPS, &facts);
        let is_of_db2 = |task: &Task| task.host.as_str() == "db2";
        assert!(!found.tasks.iter().any(is_of_db2), "{}", render(&found));
        let mut refusals = found.refusals.iter();
        let refusal =
            refusals.find(|refusal| refusal.host.as_ref().is_some_and(|host| host.as_str() == "db2"));
        let refusal = refusal.expect("a refusal");
        assert!(!refusal.passing, "{}", render(&found));
        let shown = render(&found);
        assert!(
            shown.contains("what listens on port 8123 is not ClickHouse") && shown.contains("set http_port"),
            "{shown}"
        );
    }
}

#[test]
fn servers_with_tls_alone_are_refused_with_their_port() {
    let mut cluster = built(&*keeper(""), MODERN);
    for host in DB {
        cluster.write_file(
            host,
            CONFIG,
            "<clickhouse><https_port>8443</https_port></clickhouse>",
        );
        cluster.restart(host, SERVER);
    }
    let found = plan(&*keeper(""), &cluster);
    assert!(is_settled(&found), "{}", render(&found));
    let found = plan(&*keeper("ddl_path = \"/clickhouse/other/ddl\""), &cluster);
    let shown = render(&found);
    assert!(found.tasks.is_empty() && found.refusals.len() == 3, "{shown}");
    assert!(
        shown.contains("its configuration has port 8443 with TLS for HTTP, and none without"),
        "{shown}"
    );
    assert!(!found.refusals.iter().any(|refusal| refusal.passing), "{shown}");
}

/// As if all were starting, or listened at a port that nobody told us of.
fn silent(service: &dyn Service, cluster: &Cluster, is_it: impl Fn(&FactQuery) -> bool) -> ::plan::Facts {
    cases::answer_all(service, |host, query| {
        if is_it(query) {
            return Some(match query {
                FactQuery::Http(_) => Fact::Http(HttpFact::Down(Silence::refused())),
                _ => Fact::Words(WordsFact::Down(Silence::refused())),
            });
        }
        cluster.answer(host, query)?.ok()
    })
}

#[test]
fn servers_that_run_and_do_not_answer_are_waited_for() {
    for (service, version) in [(keeper(""), MODERN), (zookeeper(""), DEBIAN)] {
        let mut cluster = built(&*service, version);
        for host in DB {
            let path = format!("{CONFIG_D}/settings.xml");
            let text = cluster.node(host).machine.text(&path).to_owned();
            // Nobody noted what it was started with.
            cluster.restart(host, SERVER);
            cluster.write_file(host, &path, &text);
        }
        let is_sql = |query: &FactQuery| matches!(query, FactQuery::Http(_));
        let is_any = |query: &FactQuery| matches!(query, FactQuery::Http(_) | FactQuery::Words(_));
        for facts in [
            silent(&*service, &cluster, is_sql),
            silent(&*service, &cluster, is_any),
        ] {
            let found = cases::plan_steps(&*service, &STEPS, &facts);
            assert!(disruptions(&found).is_empty(), "{}", render(&found));
            assert!(
                found.refusals.iter().any(|refusal| refusal.passing),
                "{}",
                render(&found)
            );
        }
    }
}

#[test]
fn a_zookeeper_that_runs_and_does_not_answer_is_not_restarted() {
    let service = zookeeper("zookeeper = { heap = \"512m\" }");
    let cluster = built(&*zookeeper(""), DEBIAN);
    let facts = silent(&*service, &cluster, |query| matches!(query, FactQuery::Words(_)));
    let found = cases::plan_steps(&*service, &STEPS, &facts);
    assert!(disruptions(&found).is_empty(), "{}", render(&found));
    let shown = render(&found);
    assert!(
        shown.contains("refused for now: the ZooKeeper on db1 is neither changed nor restarted"),
        "{shown}"
    );
}

/// Seen in a restart that was asked for: a ZooKeeper whose list of words lacks `srvr` was taken for one that looks for a
/// leader, and was restarted outside of its turn, while the controller was cut off from another.
#[test]
fn a_zookeeper_that_does_not_tell_its_mode_is_not_restarted() {
    let five = ["db1", "db2", "db3", "db4", "db5"];
    let service = service_on(&five, ZOO);
    let cluster = built(&*service, DEBIAN);
    let then = cluster.facts(&*service);
    // `ZooKeeperServer` and `KeeperTCPHandler` say so in the same words.
    let not_allowed = |word: &String| {
        protocol::Text::new(format!(
            "{word} is not executed because it is not in the whitelist.\n"
        ))
    };
    let mut facts = cases::answer_all(&*service, |host, query| match query {
        FactQuery::Words(query) if host.as_str() == "db2" => Some(Fact::Words(WordsFact::Replies(
            query.words.iter().map(not_allowed).collect(),
        ))),
        _ => cluster.answer(host, query)?.ok(),
    });
    let cut_off = ::plan::HostFacts::Unreachable("connection timed out".to_owned());
    facts.add(cases::host("db3"), cut_off);
    let found = cases::plan_restart(&*service, &STEPS, &facts, &then);
    let shown = render(&found);
    let is_restarted = |task: &Task| task.host.as_str() == "db2" && task.tells(ZK, UnitVerb::Restart);
    assert!(!found.tasks.iter().any(is_restarted), "{shown}");
    assert!(
        shown.contains("the ZooKeeper on db2 is neither changed nor restarted"),
        "{shown}"
    );
}

/// Of a member that tells nothing it is not known whether the cluster is formed: the others do not restart all at once.
#[test]
fn a_cluster_is_not_formed_around_a_server_that_tells_nothing() {
    let service = keeper("");
    let mut cluster = packaged(&DB, MODERN);
    for host in DB {
        cluster.restart(host, SERVER);
    }
    let facts = cases::answer_all(&*service, |host, query| match query {
        FactQuery::Http(_) if host.as_str() == "db2" => Some(Fact::Http(HttpFact::Down(Silence::refused()))),
        _ => cluster.answer(host, query)?.ok(),
    });
    let found = cases::plan_steps(&*service, &STEPS, &facts);
    assert!(disruptions(&found).is_empty(), "{}", render(&found));
    assert!(
        render(&found).contains("refused for now: db1 does not restart"),
        "{}",
        render(&found)
    );
}

/// Seen: an apply after a kill met a ZooKeeper that was up and had not elected yet, gave up, and left 31 changes.
#[test]
fn a_quorum_that_elects_is_waited_for() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.stop("db2", SERVER);
    let looking = "This ZooKeeper instance is not currently serving requests\n";
    let facts = cases::answer_all(&*service, |host, query| match query {
        FactQuery::Words(query) => {
            let replies = query.words.iter().map(|_| protocol::Text::new(looking));
            Some(Fact::Words(WordsFact::Replies(replies.collect())))
        }
        _ => cluster.answer(host, query)?.ok(),
    });
    let found = cases::plan_steps(&*service, &STEPS, &facts);
    assert!(found.tasks.is_empty(), "{}", render(&found));
    assert!(
        found.refusals.iter().all(|refusal| refusal.passing),
        "{}",
        render(&found)
    );
    assert_eq!(found.refusals.len(), 1, "{}", render(&found));
}

/// Seen on 18.16: `CREATE ... ON CLUSTER` failed with "Code: 999 ... Session expired" after a restart of ZooKeeper.
#[test]
fn a_round_trip_of_ddl_waits_for_sessions_and_is_sent_again_without_one() {
    let service = zookeeper("");
    let mut cluster = built(&*service, DEBIAN);
    cluster.stop("db2", SERVER);
    let found = plan(&*service, &cluster);
    let task = found
        .tasks
        .iter()
        .find(|task| task.title.contains("on the whole cluster"));
    let task = task.expect("a round trip");
    let operation = &task.action.as_ref().unwrap().operation;
    assert!(
        matches!(operation, Operation::Http { again_on, .. } if *again_on == ["Code: 999"]),
        "{operation:?}"
    );
    cluster.tell_unit("db2", SERVER, UnitVerb::Start);
    cluster.node_mut("db3").has_lost_session = true;
    let gate = &task.before[0];
    let verdict = service.judge(&gate.check, gate.host.as_ref(), &cluster.facts(&*service));
    assert!(
        matches!(&verdict, Verdict::Wait(why) if why.contains("db3: it does not reach the quorum")),
        "{verdict:?}"
    );
}

#[test]
fn a_keeper_at_another_port_is_refused_with_it() {
    let mut cluster = built(&*keeper(""), MODERN);
    for host in DB {
        let path = format!("{CONFIG_D}/keeper.xml");
        let text = cluster
            .node(host)
            .machine
            .text(&path)
            .replace("<tcp_port>9181<", "<tcp_port>2181<");
        cluster.write_file(host, &path, &text);
        cluster.restart(host, SERVER);
        cluster.tick();
    }
    let found = plan(&*keeper(""), &cluster);
    let shown = render(&found);
    assert!(found.tasks.is_empty() && found.refusals.len() == 3, "{shown}");
    assert!(
        shown.contains("its configuration has port 2181 for its clients"),
        "{shown}"
    );
}

#[test]
fn a_quorum_that_is_managed_elsewhere_may_be_electing() {
    let service = service_on(
        &DB,
        "coordination = \"zookeeper\"\nzookeeper = { nodes = [\"zk1\"] }",
    );
    let cluster = built(&*zookeeper(""), DEBIAN);
    let looking = "This ZooKeeper instance is not currently serving requests\n";
    let facts = cases::answer_all(&*service, |host, query| match query {
        FactQuery::Words(query) => {
            let replies = query.words.iter().map(|_| protocol::Text::new(looking));
            Some(Fact::Words(WordsFact::Replies(replies.collect())))
        }
        _ => cluster.answer(host, query)?.ok(),
    });
    let found = cases::plan_steps(&*service, &["check"], &facts);
    assert!(
        found.refusals.len() == 1 && found.refusals[0].passing,
        "{}",
        render(&found)
    );
}
