//! Case tests: what is planned in every situation that a cluster can be in.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use plan::{Facts, HostFacts};
use protocol::facts::{ErlangFact, FileFact, FileKind, FileMeta, PackageFact, Term, UnitFact};
use protocol::{Fact, FactQuery, Text};
use types::HostName;

use crate::kind::Kind;
use crate::testing::{answer_all, errors, host, plan_steps, plan_steps_allowing, render, service};

use super::RabbitMq;

const INVENTORY: &str = r#"
[hosts]
db1 = "10.0.0.1"
db2 = "10.0.0.2"
db3 = "10.0.0.3"

[services.rabbitmq]
hosts = ["db1", "db2", "db3"]
cookie = { file = "secrets/cookie" }
"#;

/// When the units of these tests were started; files are older unless a test says otherwise.
const STARTED: i64 = 1_000_000;

/// A host as a test describes it.
#[derive(Clone)]
struct Host {
    /// What the cookie's file holds; `None` where it is missing.
    cookie: Option<Text>,
    enabled: bool,
    node: Node,
}

#[derive(Clone)]
enum Node {
    Off { members: Option<&'static str> },
    OtherCookie,
    Halted(Vec<&'static str>),
    Up(Broker),
}

#[derive(Clone)]
struct Broker {
    version: &'static str,
    members: Vec<&'static str>,
    running: Vec<&'static str>,
    partitions: Vec<&'static str>,
    vhosts: Vec<&'static str>,
    queues: Vec<(&'static str, &'static str)>,
    policies: Vec<(&'static str, &'static str)>,
    alarms: Vec<Term>,
}

const ALL: [&str; 3] = ["rabbit@db1", "rabbit@db2", "rabbit@db3"];

fn ours() -> Text {
    Text::secret(&"file:secrets/cookie".parse().unwrap())
}

/// A running member of the cluster of all three, with the runbook's policy.
fn member() -> Host {
    Host {
        cookie: Some(ours()),
        enabled: true,
        node: Node::Up(clustered()),
    }
}

fn clustered() -> Broker {
    Broker {
        version: "3.10.8",
        members: ALL.to_vec(),
        running: ALL.to_vec(),
        partitions: vec![],
        vhosts: vec!["/"],
        queues: vec![],
        policies: vec![("/", "all")],
        alarms: vec![],
    }
}

/// A running node that is alone and was never used.
fn alone(name: &'static str) -> Host {
    let broker = Broker {
        members: vec![name],
        running: vec![name],
        policies: vec![],
        ..clustered()
    };
    Host {
        node: Node::Up(broker),
        ..member()
    }
}

/// A host whose package was installed and never started.
fn fresh() -> Host {
    Host {
        cookie: None,
        enabled: false,
        node: Node::Off { members: None },
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a test writes its hosts where it calls")]
fn facts(hosts: [Host; 3]) -> Facts {
    let service = service(INVENTORY);
    answer_all(&*service, |name, query| {
        let at = service.hosts().iter().position(|host| host == name)?;
        Some(answer(&hosts[at], query))
    })
}

fn answer(host: &Host, query: &FactQuery) -> Fact {
    match query {
        FactQuery::Package(_) => Fact::Package(PackageFact {
            version: Some("3.10.8-1.1+deb12u1".into()),
        }),
        FactQuery::Unit(_) => Fact::Unit(unit(host)),
        FactQuery::File(query) if query.path.ends_with(".erlang.cookie") => Fact::File(match &host.cookie {
            Some(text) => file(text.clone(), 0o400),
            None => FileFact::Absent,
        }),
        FactQuery::File(_) => Fact::File(match &host.node {
            Node::Off { members: Some(text) } => file(Text::new(*text), 0o640),
            _ => FileFact::Absent,
        }),
        FactQuery::Erlang(_) => Fact::Erlang(match &host.node {
            Node::Off { .. } => ErlangFact::Down("connection refused".into()),
            Node::OtherCookie => ErlangFact::Denied("the challenge's answer is wrong".into()),
            Node::Halted(members) => ErlangFact::Results(vec![
                Ok(Term::atom("false")),
                Ok(Term::List(vec![nodes(members)])),
            ]),
            Node::Up(broker) => ErlangFact::Results(results(broker)),
        }),
        other => panic!("nobody asks {other:?}"),
    }
}

fn unit(host: &Host) -> UnitFact {
    let runs = !matches!(host.node, Node::Off { .. });
    UnitFact {
        load: "loaded".into(),
        active: if runs { "active" } else { "inactive" }.into(),
        sub: if runs { "running" } else { "dead" }.into(),
        enabled: if host.enabled { "enabled" } else { "disabled" }.into(),
        main_pid: u32::from(runs),
        started_us: if runs { STARTED } else { 0 },
        invocation: String::new(),
        stale: false,
    }
}

fn file(text: Text, mode: u32) -> FileFact {
    FileFact::Present(FileMeta {
        kind: FileKind::File,
        sha256: "aa".into(),
        len: 48,
        mode,
        owner: "rabbitmq".into(),
        group: "rabbitmq".into(),
        // Newer than the units: what was written when decides nothing.
        modified_us: STARTED + 1,
        text: Some(text),
    })
}

fn pair(key: &str, value: Term) -> Term {
    Term::Tuple(vec![Term::atom(key), value])
}

fn str(text: &str) -> Term {
    Term::Str(text.to_owned())
}

fn atoms(names: &[&str]) -> Term {
    Term::List(names.iter().map(|name| Term::atom(*name)).collect())
}

fn nodes(members: &[&str]) -> Term {
    pair("nodes", Term::List(vec![pair("disc", atoms(members))]))
}

/// What RabbitMQ 3.10.8 answered, with the test's values in it.
fn results(broker: &Broker) -> Vec<Result<Term, String>> {
    let list = |items: Vec<Term>| Ok(Term::List(items));
    let policy = |(vhost, mode): &(&str, &str)| {
        Term::List(vec![
            pair("vhost", str(vhost)),
            pair("name", str("ha-all")),
            pair("pattern", str(".*")),
            pair("apply-to", str("all")),
            pair(
                "definition",
                Term::List(vec![
                    Term::Tuple(vec![str("ha-mode"), str(mode)]),
                    Term::Tuple(vec![str("ha-sync-mode"), str("automatic")]),
                ]),
            ),
            pair("priority", Term::Int(0)),
        ])
    };
    let queue = |(vhost, name): &(&str, &str)| {
        Term::Tuple(vec![
            Term::atom("resource"),
            str(vhost),
            Term::atom("queue"),
            str(name),
        ])
    };
    let partitions = broker
        .partitions
        .iter()
        .map(|name| Term::Tuple(vec![Term::atom("rabbit@db1"), atoms(&[name])]));
    let guest = Term::List(vec![
        pair("user", str("guest")),
        pair("tags", atoms(&["administrator"])),
    ]);
    vec![
        Ok(Term::atom("true")),
        list(vec![
            nodes(&broker.members),
            pair("running_nodes", atoms(&broker.running)),
            pair("partitions", Term::List(partitions.collect())),
        ]),
        list(broker.vhosts.iter().map(|name| str(name)).collect()),
        list(broker.policies.iter().map(policy).collect()),
        list(vec![guest]),
        list(broker.queues.iter().map(queue).collect()),
        list(broker.alarms.clone()),
        Ok(str(broker.version)),
        list(vec![]),
        list(vec![]),
        Err("{badrpc,{'EXIT',{undef,[{rabbit_db_cluster,cli_cluster_status,[],[]}]}}}".into()),
    ]
}

fn plan(hosts: [Host; 3]) -> String {
    render(&plan_steps(&*service(INVENTORY), RabbitMq.steps(), &facts(hosts)))
}

fn up(change: impl FnOnce(&mut Broker)) -> Host {
    let mut broker = clustered();
    change(&mut broker);
    Host {
        node: Node::Up(broker),
        ..member()
    }
}

#[test]
fn a_converged_cluster_is_left_alone() {
    assert_eq!(plan([member(), member(), member()]), "");
}

#[test]
fn fresh_hosts_become_a_cluster() {
    assert_snapshot!(plan([fresh(), fresh(), fresh()]));
}

#[test]
fn after_the_cookies_were_written_what_is_left_is_planned() {
    let written = Host {
        cookie: Some(ours()),
        ..fresh()
    };
    assert_snapshot!(plan([written.clone(), written.clone(), written]));
}

#[test]
fn a_node_that_was_not_restarted_after_its_cookie_was_written_is_restarted() {
    let denied = Host {
        node: Node::OtherCookie,
        ..member()
    };
    assert_snapshot!(plan([alone("rabbit@db1"), denied.clone(), denied]));
}

#[test]
fn a_node_that_runs_alone_with_another_cookie_gets_ours() {
    let other = Host {
        cookie: Some(Text::new("⟪kept:0+20⟫")),
        ..alone("rabbit@db2")
    };
    assert_snapshot!(plan([alone("rabbit@db1"), other, alone("rabbit@db3")]));
}

#[test]
fn nodes_that_run_alone_and_empty_join_the_first() {
    assert_snapshot!(plan([
        alone("rabbit@db1"),
        alone("rabbit@db2"),
        alone("rabbit@db3")
    ]));
}

#[test]
fn the_cluster_that_exists_is_the_one_that_is_joined() {
    let pair = || {
        up(|broker| {
            broker.members = vec!["rabbit@db2", "rabbit@db3"];
            broker.running = broker.members.clone();
        })
    };
    assert_snapshot!(plan([alone("rabbit@db1"), pair(), pair()]));
}

#[test]
fn a_broker_that_was_left_halted_is_started() {
    let halted = Host {
        node: Node::Halted(ALL.to_vec()),
        ..member()
    };
    assert_snapshot!(plan([member(), halted, member()]));
}

#[test]
fn a_run_that_died_after_stop_app_is_finished() {
    let halted = Host {
        node: Node::Halted(vec!["rabbit@db3"]),
        ..member()
    };
    let pair = || {
        up(|broker| {
            broker.members = vec!["rabbit@db1", "rabbit@db2"];
            broker.running = broker.members.clone();
        })
    };
    assert_snapshot!(plan([pair(), pair(), halted]));
}

#[test]
fn a_full_stop_is_followed_by_a_start_and_nothing_else() {
    let off = Host {
        node: Node::Off {
            members: Some("{[rabbit@db1,rabbit@db2,rabbit@db3],[rabbit@db1,rabbit@db2,rabbit@db3]}."),
        },
        ..member()
    };
    assert_snapshot!(plan([off.clone(), off.clone(), off]));
}

#[test]
fn a_node_that_holds_a_queue_is_not_reset_to_join() {
    let mut full = alone("rabbit@db2");
    if let Node::Up(broker) = &mut full.node {
        broker.queues = vec![("/", "orders")];
    }
    let hosts = [alone("rabbit@db1"), full, alone("rabbit@db3")];
    assert_snapshot!(plan(hosts.clone()));
    let plan = plan_steps_allowing(
        &*service(INVENTORY),
        &["join"],
        &facts(hosts),
        &["rabbitmq.reset=db2"],
    );
    assert_snapshot!("with_consent_it_is", render(&plan));
}

#[test]
fn a_member_of_another_cluster_is_left_there() {
    let foreign = up(|broker| {
        broker.members = vec!["rabbit@db3", "rabbit@other"];
        broker.running = broker.members.clone();
    });
    let pair = || {
        up(|broker| {
            broker.members = vec!["rabbit@db1", "rabbit@db2"];
            broker.running = broker.members.clone();
        })
    };
    assert_snapshot!(plan([pair(), pair(), foreign]));
}

#[test]
fn a_member_that_was_rebuilt_is_forgotten_before_it_joins() {
    let survivor = || up(|broker| broker.running = vec!["rabbit@db1", "rabbit@db2"]);
    assert_snapshot!(plan([survivor(), survivor(), alone("rabbit@db3")]));
}

#[test]
fn a_partition_stops_everything() {
    let cut = up(|broker| broker.partitions = vec!["rabbit@db3"]);
    assert_snapshot!(plan([
        cut,
        member(),
        Host {
            enabled: false,
            ..member()
        }
    ]));
}

#[test]
fn every_virtual_host_gets_the_policy_and_a_drifted_one_is_set_again() {
    let drifted = || {
        up(|broker| {
            broker.vhosts = vec!["/", "orders"];
            broker.policies = vec![("/", "exactly")];
        })
    };
    assert_snapshot!(plan([drifted(), drifted(), drifted()]));
}

#[test]
fn mirroring_is_refused_where_it_is_gone() {
    let new = || {
        up(|broker| {
            broker.version = "4.1.0";
            broker.policies = vec![];
        })
    };
    assert_snapshot!(plan([new(), new(), new()]));
}

#[test]
fn a_new_cookie_for_a_formed_cluster_needs_consent_on_every_member() {
    let other = || Host {
        cookie: Some(Text::new("⟪kept:0+20⟫")),
        ..member()
    };
    let hosts = [other(), other(), other()];
    assert_snapshot!(plan(hosts.clone()));
    let allow = [
        "rabbitmq.cookie=db1",
        "rabbitmq.cookie=db2",
        "rabbitmq.cookie=db3",
    ];
    let plan = plan_steps_allowing(&*service(INVENTORY), RabbitMq.steps(), &facts(hosts), &allow);
    assert_snapshot!("with_consent_all_stop_before_one_starts", render(&plan));
}

#[test]
fn a_new_cookie_whose_restart_is_pending_on_a_formed_cluster_needs_the_consent_again() {
    // A run that died between writing the cookies and stopping the members; or somebody's editor.
    let denied = || Host {
        node: Node::OtherCookie,
        ..member()
    };
    let service = service(INVENTORY);
    let facts = answer_all(&*service, |_, query| {
        let members = "{[rabbit@db1,rabbit@db2,rabbit@db3],[rabbit@db1,rabbit@db2,rabbit@db3]}.";
        Some(match query {
            FactQuery::File(query) if query.path.ends_with(".config") => {
                Fact::File(file(Text::new(members), 0o640))
            }
            query => answer(&denied(), query),
        })
    });
    assert_snapshot!(render(&plan_steps(&*service, RabbitMq.steps(), &facts)));
}

#[test]
fn a_cookie_that_others_can_read_is_closed_without_a_restart() {
    let hosts = [member(), member(), member()];
    let service = service(INVENTORY);
    let facts = answer_all(&*service, |_, query| {
        let fact = answer(&hosts[0], query);
        Some(match fact {
            Fact::File(FileFact::Present(meta)) => {
                Fact::File(FileFact::Present(FileMeta { mode: 0o644, ..meta }))
            }
            other => other,
        })
    });
    assert_snapshot!(render(&plan_steps(&*service, RabbitMq.steps(), &facts)));
}

#[test]
fn an_unreachable_member_keeps_no_other_from_joining() {
    let mut facts = facts([alone("rabbit@db1"), alone("rabbit@db2"), alone("rabbit@db3")]);
    facts.add(host("db3"), HostFacts::Unreachable("connection refused".into()));
    assert_snapshot!(render(&plan_steps(
        &*service(INVENTORY),
        RabbitMq.steps(),
        &facts
    )));
}

#[test]
fn without_the_first_host_no_cluster_is_begun() {
    let mut facts = facts([alone("rabbit@db1"), alone("rabbit@db2"), alone("rabbit@db3")]);
    facts.add(host("db1"), HostFacts::Unreachable("connection refused".into()));
    assert_snapshot!(render(&plan_steps(
        &*service(INVENTORY),
        RabbitMq.steps(),
        &facts
    )));
}

#[test]
fn what_cannot_be_asked_is_not_taken_for_missing() {
    // An agent without root's rights: nothing that needs them is answered.
    let service = service(INVENTORY);
    let facts = answer_all(&*service, |_, query| match query {
        FactQuery::Erlang(_) | FactQuery::File(_) => None,
        query => Some(answer(&member(), query)),
    });
    let plan = plan_steps(&*service, RabbitMq.steps(), &facts);
    assert_eq!(plan.tasks, []);
    assert!(!plan.unplanned.is_empty());
}

#[test]
fn gates_pass_when_the_member_sees_all_others() {
    use super::health::{JOINED, RUNNING};
    let service = service(INVENTORY);
    let verdict = |check: &str, node: Host| {
        service.judge(check, Some(&host("db2")), &facts([member(), node, member()]))
    };
    let verdicts = [
        verdict(RUNNING, fresh()),
        verdict(RUNNING, member()),
        verdict(JOINED, member()),
        verdict(JOINED, alone("rabbit@db2")),
        verdict(JOINED, up(|broker| broker.running = vec!["rabbit@db2"])),
    ];
    assert_snapshot!(verdicts.map(|verdict| format!("{verdict:?}")).join("\n"));
}

#[test]
fn status_tells_what_is_wrong_with_whom() {
    let service = service(INVENTORY);
    let mut facts = facts([
        member(),
        up(|broker| broker.running = vec!["rabbit@db1", "rabbit@db2"]),
        fresh(),
    ]);
    facts.add(host("db3"), HostFacts::Unreachable("connection refused".into()));
    let status = service.status(&facts);
    let lines = status.members.iter().map(|member| {
        format!(
            "{} {} {:?} since {:?}: {}",
            member.host, member.role, member.health, member.since_us, member.detail
        )
    });
    let lines: Vec<String> = lines.collect();
    assert_snapshot!(format!(
        "{:?}: {}\n{}",
        status.health,
        status.summary,
        lines.join("\n")
    ));
    assert_eq!(
        service.unavailable(&facts),
        BTreeSet::from([host("db3")]) as BTreeSet<HostName>
    );
}

#[test]
fn wrong_settings_are_told_all_at_once() {
    let lines = errors(
        r#"
        hosts = { db1 = "10.0.0.1" }
        [services.rabbitmq]
        hosts = ["db1"]
        cookie = "ABCDEFGHIJKLMN"
        polices = {}
        [services.rabbitmq.policies.lazy]
        paterns = "x"
        priority = "high"
        "#,
    );
    assert_snapshot!(lines.join("\n"));
}

/// The inventory with a user of main.json, and one that watches.
fn with_users() -> String {
    format!(
        "{INVENTORY}vhosts = [\"orders\"]\n[services.rabbitmq.users]\naltcraft = {{ password = {{ file = \"secrets/altcraft\" }} }}\n\
         watcher = {{ password = {{ env = \"WATCHER\" }}, tags = [\"monitoring\"], permissions = {{ \"/\" = {{ read = \".*\" }}, \
         stats = \".*\" }} }}\n"
    )
}

/// What the broker says of users: name, tag, whether our password is right, and permissions.
#[derive(Clone)]
struct Users {
    vhosts: Vec<&'static str>,
    names: Vec<(&'static str, &'static [&'static str])>,
    permissions: Vec<[&'static str; 5]>,
    passwords: [&'static str; 2],
}

fn all_users() -> Users {
    Users {
        vhosts: vec!["/", "orders", "stats"],
        names: vec![
            ("guest", &["administrator"]),
            ("altcraft", &[]),
            ("watcher", &["monitoring"]),
        ],
        permissions: vec![
            ["guest", "/", ".*", ".*", ".*"],
            ["altcraft", "/", ".*", ".*", ".*"],
            ["watcher", "/", "", "", ".*"],
            ["watcher", "stats", ".*", ".*", ".*"],
        ],
        passwords: ["ok", "ok"],
    }
}

fn plan_users(change: impl FnOnce(&mut Users)) -> String {
    let mut users = all_users();
    change(&mut users);
    let inventory = with_users();
    let service = service(&inventory);
    let host = up(|broker| {
        broker.vhosts.clone_from(&users.vhosts);
        broker.policies = all_users().vhosts.iter().map(|vhost| (*vhost, "all")).collect();
    });
    let facts = answer_all(&*service, |_, query| {
        let mut fact = answer(&host, query);
        if let (FactQuery::Erlang(query), Fact::Erlang(ErlangFact::Results(results))) = (query, &mut fact) {
            let listed = users
                .names
                .iter()
                .map(|(name, tags)| Term::List(vec![pair("user", str(name)), pair("tags", atoms(tags))]));
            results[4] = Ok(Term::List(listed.collect()));
            let keys = ["user", "vhost", "configure", "write", "read"];
            let permission = |values: &[&str; 5]| {
                Term::List(
                    keys.iter()
                        .zip(values)
                        .map(|(key, value)| pair(key, str(value)))
                        .collect(),
                )
            };
            results.push(Ok(Term::List(users.permissions.iter().map(permission).collect())));
            results.extend(users.passwords.iter().map(|answer| match *answer {
                "undef" => Err("{badrpc,{'EXIT',{undef,[]}}}".to_owned()),
                answer => Ok(Term::Tuple(vec![Term::atom(answer), Term::Other("...".into())])),
            }));
            assert_eq!(query.calls.len(), results.len());
        }
        Some(fact)
    });
    render(&plan_steps(&*service, RabbitMq.steps(), &facts))
}

#[test]
fn users_that_are_right_are_left_alone() {
    assert_eq!(plan_users(|_| {}), "");
}

#[test]
fn users_and_virtual_hosts_are_made_after_all_joins_and_get_the_policy_in_the_same_plan() {
    let inventory = with_users();
    let service = service(&inventory);
    let facts = answer_all(&*service, |_, query| Some(answer(&fresh(), query)));
    assert_snapshot!(render(&plan_steps(&*service, RabbitMq.steps(), &facts)));
}

#[test]
fn a_user_of_whom_all_is_wrong_is_changed_and_others_are_not() {
    assert_snapshot!(plan_users(|users| {
        users.names[2].1 = &[];
        users.permissions.remove(3);
        users.permissions[2][4] = "^x";
        users.passwords[1] = "refused";
    }));
}

#[test]
fn a_user_that_was_made_and_nothing_more_is_finished() {
    assert_snapshot!(plan_users(|users| {
        users.permissions.remove(1);
        users.names[2].1 = &[];
        users.permissions.truncate(2);
    }));
}

#[test]
fn a_password_that_cannot_be_asked_for_is_left_alone() {
    assert_snapshot!(plan_users(|users| users.passwords[0] = "undef"));
}

#[test]
fn users_that_say_nothing_sensible_are_errors() {
    let inventory = format!(
        "{INVENTORY}users = {{ a = 1, b = {{}}, \"-c\" = {{ password = \"written out\", permissions = {{ \"/\" = 1 }} }} }}\n"
    );
    assert_snapshot!(errors(&inventory).join("\n"));
}
