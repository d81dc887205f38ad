//! Cookies, joining, policies, health: a situation each.

use super::*;

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
    let plan = plan_steps_allowing(&*service(INVENTORY), &KIND.steps(), &facts(hosts), &allow);
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
    assert_snapshot!(render(&plan_steps(&*service, &KIND.steps(), &facts)));
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
    assert_snapshot!(render(&plan_steps(&*service, &KIND.steps(), &facts)));
}

#[test]
fn an_unreachable_member_keeps_no_other_from_joining() {
    let mut facts = facts([alone("rabbit@db1"), alone("rabbit@db2"), alone("rabbit@db3")]);
    facts.add(host("db3"), HostFacts::Unreachable("connection refused".into()));
    assert_snapshot!(render(&plan_steps(&*service(INVENTORY), &KIND.steps(), &facts)));
}

#[test]
fn without_the_first_host_no_cluster_is_begun() {
    let mut facts = facts([alone("rabbit@db1"), alone("rabbit@db2"), alone("rabbit@db3")]);
    facts.add(host("db1"), HostFacts::Unreachable("connection refused".into()));
    assert_snapshot!(render(&plan_steps(&*service(INVENTORY), &KIND.steps(), &facts)));
}

#[test]
fn what_cannot_be_asked_is_not_taken_for_missing() {
    // An agent without root's rights: nothing that needs them is answered.
    let service = service(INVENTORY);
    let facts = answer_all(&*service, |_, query| match query {
        FactQuery::Erlang(_) | FactQuery::File(_) => None,
        query => Some(answer(&member(), query)),
    });
    let plan = plan_steps(&*service, &KIND.steps(), &facts);
    assert_eq!(plan.tasks, []);
    assert!(!plan.unplanned.is_empty());
}

#[test]
fn gates_pass_when_the_member_sees_all_others() {
    use crate::checks::Check::{Joined, Running};
    let service = service(INVENTORY);
    let verdict = |check: crate::checks::Check, node: Host| {
        service.judge(
            &check.to_string(),
            Some(&host("db2")),
            &facts([member(), node, member()]),
        )
    };
    let verdicts = [
        verdict(Running, fresh()),
        verdict(Running, member()),
        verdict(Joined, member()),
        verdict(Joined, alone("rabbit@db2")),
        verdict(Joined, up(|broker| broker.running = vec!["rabbit@db2"])),
    ];
    assert_snapshot!(verdicts.map(|verdict| format!("{verdict:?}")).join("\n"));
}

#[test]
fn every_check_of_a_saved_plan_is_read_and_an_unknown_one_fails() {
    use crate::checks::Check;
    for spelling in [
        "running",
        "joined",
        "whole",
        "dispensable",
        "dispensable-without-mirrors",
        "back",
        "back-without-mirrors",
        "grown:rabbit@db1",
        "rest-runs:rabbit@db1",
        "shrunk:rabbit@db1",
        "free:rabbit@db1",
        "left:rabbit@db1",
    ] {
        let check: Result<Check, kit::checks::UnknownCheck> = spelling.parse();
        assert_eq!(check.map(|check| check.to_string()), Ok(spelling.to_owned()));
    }
    let facts = facts([member(), member(), member()]);
    for unknown in ["", "join", "joined-without-mirrors", "gone:rabbit@db1"] {
        let verdict = service(INVENTORY).judge(unknown, Some(&host("db2")), &facts);
        assert!(
            matches!(verdict, plan::Verdict::Fail(_)),
            "{unknown}: {verdict:?}"
        );
    }
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
        config.heartbeat = 30
        absent = ["heartbeat", "channel_max", "a = b"]
        [services.rabbitmq.policies.lazy]
        paterns = "x"
        priority = "high"
        "#,
    );
    assert_snapshot!(lines.join("\n"));
}
