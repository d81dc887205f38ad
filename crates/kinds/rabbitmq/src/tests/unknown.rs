//! Nodes that run and could not be asked, and disks that do not tell: nothing is reset, forgotten or restarted for them.

use super::*;
use kit::StepPlan;

fn planned(hosts: [Host; 3]) -> StepPlan {
    plan_steps(&*service(INVENTORY), &KIND.steps(), &facts(hosts))
}

fn silent() -> Host {
    Host {
        node: Node::Silent,
        ..member()
    }
}

/// A member that is off, whose database does not tell of what cluster it is: Khepri's.
fn off_with_khepri() -> Host {
    Host {
        node: Node::Off { members: Some("") },
        ..member()
    }
}

fn touched<'p>(plan: &'p StepPlan, name: &str) -> Vec<&'p str> {
    let tasks = plan.tasks.iter().filter(|task| task.host == host(name));
    tasks.map(|task| task.title.as_str()).collect()
}

/// A member that sees the first two of three run.
fn survivor() -> Host {
    up(|broker| broker.running = vec!["rabbit@db1", "rabbit@db2"])
}

const START: &str = "start rabbitmq-server.service";

/// Whether any command of a plan has the cluster forget a node.
fn forgets(plan: &StepPlan) -> bool {
    render(plan).contains("forget_cluster_node")
}

/// Nothing is done on a host, and it is said why.
fn assert_left_alone(plan: &StepPlan, name: &str) {
    assert_eq!(touched(plan, name), [""; 0], "{}", render(plan));
    let mut refused = plan.refusals.iter();
    let is_told = refused.any(|refusal| refusal.host.as_ref().is_none_or(|at| *at == host(name)));
    assert!(is_told, "nobody says why {name} is left alone:\n{}", render(plan));
}

#[test]
fn a_cluster_that_none_of_us_can_ask_is_left_alone() {
    let plan = planned([silent(), silent(), silent()]);
    for name in ["db1", "db2", "db3"] {
        assert_left_alone(&plan, name);
    }
    // Another cookie than the inventory's would cut each of them off from the others at its next start.
    let other = || Host {
        cookie: Some(Text::new("⟪kept:0+20⟫")),
        ..silent()
    };
    let plan = planned([other(), other(), other()]);
    for name in ["db1", "db2", "db3"] {
        assert_left_alone(&plan, name);
    }
}

#[test]
fn a_new_cookie_that_was_consented_to_starts_all_that_it_stopped() {
    let other = || Host {
        cookie: Some(Text::new("⟪kept:0+20⟫")),
        ..silent()
    };
    let allow = [
        "rabbitmq.cookie=db1",
        "rabbitmq.cookie=db2",
        "rabbitmq.cookie=db3",
    ];
    let found = plan_steps_allowing(
        &*service(INVENTORY),
        &["cookie", "stop", "start"],
        &facts([other(), other(), other()]),
        &allow,
    );
    for name in ["db1", "db2", "db3"] {
        let titles = touched(&found, name);
        let stops = titles.iter().filter(|title| title.starts_with("stop ")).count();
        let starts = titles.iter().filter(|title| title.starts_with("start ")).count();
        assert_eq!(stops, starts, "{}", render(&found));
    }
}

#[test]
fn a_broker_that_boots_is_neither_started_nor_joined() {
    for state in ["booting", "core_started", "stopping"] {
        let booting = Host {
            node: Node::Booting(state),
            ..member()
        };
        let plan = planned([booting, member(), member()]);
        assert_left_alone(&plan, "db1");
    }
}

#[test]
fn a_node_that_answers_nothing_is_not_taken_for_stopped() {
    let undef = "{badrpc,{'EXIT',{undef,[{rabbit,is_running,[],[]}]}}}";
    let mut results = super::stopped(&["rabbit@db1"], "3.10.8");
    results[0] = Err(undef.to_owned());
    let odd = Host {
        node: Node::Told(results),
        ..member()
    };
    let plan = planned([odd, member(), member()]);
    assert_left_alone(&plan, "db1");
}

#[test]
fn a_broker_that_does_not_tell_its_members_is_not_alone() {
    let mut results = super::results(&clustered());
    for at in [1, 9] {
        results[at] = Err("{badrpc,{'EXIT',{undef,[{rabbit_mnesia,status,[],[]}]}}}".to_owned());
    }
    // It has nothing that would stand in the way of a join.
    results[3] = Ok(Term::List(Vec::new()));
    let untold = Host {
        node: Node::Told(results),
        ..member()
    };
    let plan = planned([member(), untold, member()]);
    assert_left_alone(&plan, "db2");
}

#[test]
fn a_broker_that_does_not_tell_what_it_has_is_not_reset_to_join() {
    for (at, what) in [
        (2, "rabbit_vhost"),
        (3, "rabbit_policy"),
        (4, "users"),
        (5, "rabbit_amqqueue"),
    ] {
        let Node::Up(broker) = alone("rabbit@db2").node else {
            unreachable!()
        };
        let mut results = super::results(&broker);
        results[at] = Err(format!("{{badrpc,{{'EXIT',{{undef,[{{{what},list,[],[]}}]}}}}}}"));
        let untold = Host {
            node: Node::Told(results),
            ..member()
        };
        let plan = planned([alone("rabbit@db1"), untold, alone("rabbit@db3")]);
        assert!(touched(&plan, "db2").is_empty(), "{}", render(&plan));
        let mut refused = plan.refusals.iter();
        assert!(
            refused.any(|refusal| refusal.why.contains(what)),
            "{}",
            render(&plan)
        );
    }
}

#[test]
fn a_stopped_member_whose_disk_does_not_tell_is_started_and_not_joined_again() {
    let plan = planned([survivor(), survivor(), off_with_khepri()]);
    assert_eq!(touched(&plan, "db3"), [START], "{}", render(&plan));
    assert!(!forgets(&plan), "{}", render(&plan));
    // The same where all of them are off.
    let plan = planned([off_with_khepri(), off_with_khepri(), off_with_khepri()]);
    for name in ["db1", "db2", "db3"] {
        assert_eq!(touched(&plan, name), [START], "{}", render(&plan));
    }
}

#[test]
fn a_stopped_member_that_the_others_forgot_is_told_and_left() {
    let pair = || {
        up(|broker| {
            broker.members = vec!["rabbit@db1", "rabbit@db2"];
            broker.running = broker.members.clone();
        })
    };
    let off = Host {
        node: Node::Off {
            members: Some("{[rabbit@db1,rabbit@db2,rabbit@db3],[rabbit@db1,rabbit@db2,rabbit@db3]}."),
        },
        ..member()
    };
    let plan = planned([pair(), pair(), off]);
    let joins = touched(&plan, "db3")
        .iter()
        .any(|title| title.starts_with("join"));
    assert!(!joins, "{}", render(&plan));
    let mut unplanned = plan.unplanned.iter();
    assert!(
        unplanned.any(|(_, why)| why.contains("do not count it")),
        "{}",
        render(&plan)
    );
}

#[test]
fn a_node_with_another_cookie_whose_disk_does_not_tell_needs_consent() {
    let service = service(INVENTORY);
    let denied = || Host {
        node: Node::OtherCookie,
        ..member()
    };
    // Khepri's members stand in no file; and the directory may be elsewhere (RABBITMQ_MNESIA_DIR).
    for is_there in [true, false] {
        let facts = answer_all(&*service, |_, query| {
            Some(match query {
                FactQuery::File(query) if query.path.ends_with("cluster_nodes.config") => {
                    Fact::File(FileFact::Absent)
                }
                FactQuery::File(query) if query.path.contains("/mnesia/") && !is_there => {
                    Fact::File(FileFact::Absent)
                }
                query => answer(&denied(), query),
            })
        });
        let found = plan_steps(&*service, &KIND.steps(), &facts);
        let consents: Vec<String> = found
            .refusals
            .iter()
            .filter_map(|refusal| refusal.consent.as_ref())
            .map(|consent| format!("{}={}", consent.action, consent.host))
            .collect();
        let wanted = [
            "rabbitmq.cookie=db1",
            "rabbitmq.cookie=db2",
            "rabbitmq.cookie=db3",
        ];
        assert_eq!(consents, wanted, "{}", render(&found));
    }
}

#[test]
fn no_cluster_is_begun_beside_a_node_that_could_not_be_asked() {
    let plan = planned([fresh(), silent(), silent()]);
    let made = plan
        .tasks
        .iter()
        .any(|task| task.title.starts_with("set the policy"));
    assert!(!made, "{}", render(&plan));
}

#[test]
fn status_of_a_node_that_could_not_be_asked_is_unknown() {
    let service = service(INVENTORY);
    let denied = Host {
        node: Node::OtherCookie,
        ..member()
    };
    let off = Host {
        node: Node::Off { members: None },
        ..member()
    };
    let status = service.status(&facts([silent(), denied, off]));
    let health: Vec<String> = status
        .members
        .iter()
        .map(|row| format!("{:?}", row.health))
        .collect();
    assert_eq!(health, ["Unknown", "Unknown", "Down"]);
}

/// A broker of others with our cookie on a host of the inventory: stopped for maintenance, or one that we cannot ask.
#[test]
fn a_stopped_or_silent_broker_of_others_is_not_retired() {
    let inventory = INVENTORY.replace("[services", "db4 = \"10.0.0.4\"\n[services");
    let service = super::service(&inventory);
    let off = |disk| Host {
        node: Node::Off { members: Some(disk) },
        ..member()
    };
    for (other, is_former) in [
        (off("{[rabbit@db4,rabbit@db9],[rabbit@db4,rabbit@db9]}."), false),
        (off(""), false),
        (silent(), false),
        // The members forgot it.
        (off("{[rabbit@db4,rabbit@db1],[rabbit@db4,rabbit@db1]}."), true),
    ] {
        let facts = answer_all(&*service, |at, query| {
            let host = if at.as_str() == "db4" { &other } else { &member() };
            Some(answer(host, query))
        });
        let plan = plan_steps(&*service, &KIND.steps(), &facts);
        assert_eq!(!touched(&plan, "db4").is_empty(), is_former, "{}", render(&plan));
    }
}

/// The answers that a broker gives to another question, or none, are no description of its files.
#[test]
fn a_file_is_not_tried_where_the_broker_does_not_tell_how_it_was_configured() {
    let service = super::service(&format!("{INVENTORY}config.channel_max = 7\n"));
    let undef = "{badrpc,{'EXIT',{undef,[{rabbit_prelaunch_conf,get_config_state,[],[]}]}}}";
    let plugins = Term::Tuple(vec![Term::atom("ok"), Term::Str("/plugins".to_owned())]);
    let told = |state| vec![Ok(plugins.clone()), state];
    let files = Term::Map(vec![(
        Term::atom("config_files"),
        Term::List(vec![Term::Str("/etc/rabbitmq/rabbitmq.conf".to_owned())]),
    )]);
    for (results, is_tried) in [
        (told(Ok(files)), true),
        // Before its first start with a file.
        (told(Ok(Term::atom("undefined"))), true),
        (told(Err(undef.to_owned())), false),
        (
            vec![Ok(Term::atom("undefined")), Ok(Term::atom("undefined"))],
            false,
        ),
        (Vec::new(), false),
    ] {
        let facts = answer_all(&*service, |_, query| {
            Some(match query {
                FactQuery::Erlang(asked) if asked.calls[0].module == "application" => {
                    Fact::Erlang(ErlangFact::Results(results.clone()))
                }
                query => answer(&member(), query),
            })
        });
        let found = render(&plan_steps(&*service, &["config"], &facts));
        assert_eq!(
            found.matches("tried by").count(),
            if is_tried { 3 } else { 0 },
            "{found}"
        );
    }
}

/// The restart of a member of this version, and the service.
fn restart(version: &'static str) -> (Box<dyn kit::Service>, kit::Task) {
    let of_version = || up(|broker| broker.version = version);
    let config = "[services.rabbitmq.config]\nchannel_max = \"7\"\n";
    let service = super::service(&format!("{INVENTORY}policies = {{}}\n{config}"));
    let facts = answer_all(&*service, |_, query| Some(answer(&of_version(), query)));
    let plan = plan_steps(&*service, &KIND.steps(), &facts);
    let restart = plan.tasks.into_iter().find(|task| task.disrupts);
    (service, restart.unwrap())
}

/// What the gates of a restart say where calls of functions for queues have these results.
fn verdicts(version: &'static str, told: impl Fn(&str, &str) -> Result<Term, String>) -> Vec<plan::Verdict> {
    let (service, task) = restart(version);
    let verdicts = task.before.iter().chain(&task.gates).map(|gate| {
        let mut facts = Facts::default();
        for (at, queries) in &gate.watch {
            let answers = queries.iter().map(|query| {
                let fact = match query {
                    FactQuery::Erlang(asked) if asked.calls[0].function != "is_running" => {
                        let results = asked.calls.iter().map(|call| told(&call.module, &call.function));
                        Fact::Erlang(ErlangFact::Results(results.collect()))
                    }
                    query => answer(&member(), query),
                };
                (query.clone(), Ok(fact))
            });
            facts.add(at.clone(), HostFacts::Observed(answers.collect()));
        }
        service.judge(&gate.check, gate.host.as_ref(), &facts)
    });
    verdicts.collect()
}

fn undef(module: &str, function: &str) -> Result<Term, String> {
    Err(format!(
        "{{badrpc,{{'EXIT',{{undef,[{{{module},{function},[],[]}}]}}}}}}"
    ))
}

/// The function moved in 3.11.4: 3.10.8 has the first, 4.0.5 the second (seen).
const VERSIONS: [(&str, &str); 2] = [
    ("3.10.8", "rabbit_quorum_queue"),
    ("4.0.5", "rabbit_upgrade_preparation"),
];

#[test]
fn quorum_queues_are_asked_for_in_the_words_of_each_version() {
    for (version, module) in VERSIONS {
        let told = |critical: &[Term]| {
            let critical = Term::List(critical.to_vec());
            verdicts(version, move |asked, function| match asked {
                "rabbit_amqqueue" => Ok(Term::List(Vec::new())),
                asked if asked == module => Ok(critical.clone()),
                _ => undef(asked, function),
            })
        };
        assert_eq!(told(&[]), [plan::Verdict::Pass, plan::Verdict::Pass], "{version}");
        let orders = Term::Map(vec![(str("readable_name"), str("orders"))]);
        let found = told(&[orders]);
        assert!(
            found
                .iter()
                .all(|verdict| matches!(verdict, plan::Verdict::Wait(_))),
            "{found:?}"
        );
    }
}

#[test]
fn a_function_that_a_version_lacks_is_not_waited_for() {
    for (version, _) in VERSIONS {
        let found = verdicts(version, undef);
        assert!(
            found
                .iter()
                .all(|verdict| matches!(verdict, plan::Verdict::Fail(_))),
            "{found:?}"
        );
    }
}

#[test]
fn a_restart_depends_on_the_function_that_the_version_has() {
    for (version, module) in VERSIONS {
        let (_, task) = restart(version);
        let asked = task.action.iter().flat_map(|action| &action.only_if);
        let modules: Vec<String> = asked
            .filter_map(|only_if| match &only_if.query {
                FactQuery::Erlang(query) => Some(query.calls.last()?.module.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(modules, [module]);
    }
}

#[test]
fn a_unit_that_ended_is_not_waited_for() {
    let (service, task) = restart("3.10.8");
    let back = &task.gates[0];
    let off = Host {
        node: Node::Off { members: None },
        ..member()
    };
    let mut facts = Facts::default();
    for (at, queries) in &back.watch {
        let answers = queries
            .iter()
            .filter(|query| !matches!(query, FactQuery::Erlang(asked) if asked.calls.len() < 3));
        let answers = answers.map(|query| (query.clone(), Ok(answer(&off, query))));
        facts.add(at.clone(), HostFacts::Observed(answers.collect()));
    }
    let verdict = service.judge(&back.check, back.host.as_ref(), &facts);
    assert!(
        matches!(&verdict, plan::Verdict::Fail(why) if why.contains("has ended")),
        "{verdict:?}"
    );
}

#[test]
fn a_join_depends_on_the_members_in_the_words_of_the_version() {
    for (version, function) in [
        ("3.10.8", "cluster_nodes"),
        ("3.13.0", "members"),
        ("4.3.0", "members"),
    ] {
        let of_version = |name| {
            let mut host = alone(name);
            if let Node::Up(broker) = &mut host.node {
                broker.version = version;
            }
            host
        };
        for allow in [&[][..], &["rabbitmq.reset=db2"]] {
            let hosts = [
                of_version("rabbit@db1"),
                of_version("rabbit@db2"),
                of_version("rabbit@db3"),
            ];
            let plan = plan_steps_allowing(&*service(INVENTORY), &["join"], &facts(hosts), allow);
            let join = plan.tasks.iter().find(|task| task.host == host("db2")).unwrap();
            let only_if = &join.action.as_ref().unwrap().only_if[0];
            let FactQuery::Erlang(asked) = &only_if.query else {
                unreachable!()
            };
            assert_eq!(asked.calls.last().unwrap().function, function, "{version}");
        }
    }
    // Of one that does not run yet the package tells.
    let plan = planned([alone("rabbit@db1"), fresh(), fresh()]);
    let join = plan
        .tasks
        .iter()
        .find(|task| task.title.starts_with("join"))
        .unwrap();
    let only_if = &join.action.as_ref().unwrap().only_if[0];
    assert!(
        matches!(&only_if.query, FactQuery::Erlang(asked) if asked.calls.last().unwrap().function == "cluster_nodes")
    );
}
