//! Khepri in Mnesia's place: opt-in from 3.13, the default of new clusters from 4.2, always from 4.3.
//!
//! What nodes answer and what is on their disks was read in the server's source, at the tags v3.13.7, v4.2.0 and v4.3.5
//! (`deps/rabbit/src`): `rabbit_khepri:cli_cluster_status`, `rabbit_db:post_reset`, `rabbit_prelaunch_cluster:setup`,
//! `rabbit_feature_flags:do_write_enabled_feature_flags_list`, the exports of `rabbit_mnesia`.

use super::*;
use kit::StepPlan;

/// The database's directory of a node, and what is in it and beside it.
#[derive(Clone, Copy)]
struct Disk {
    /// The feature flags that are enabled; `None` where the node never ran, and after a reset.
    flags: Option<&'static str>,
    /// Whether `cluster_nodes.config` names the node alone; else it does not exist.
    names_itself: bool,
    is_there: bool,
}

/// A node that joined: its reset wrote `cluster_nodes.config` with its own name, and nothing writes it again where Khepri is
/// enabled (3.13 to 4.2; 4.3 neither writes nor deletes it).
const JOINED: Disk = Disk {
    flags: Some("[feature_flags_v2,khepri_db,\n quorum_queue].\n"),
    names_itself: true,
    is_there: true,
};

/// The first node of a cluster: enabling Khepri deletes the file, and 4.3 writes none.
const FIRST: Disk = Disk {
    names_itself: false,
    ..JOINED
};

/// A node that never ran.
const BLANK: Disk = Disk {
    flags: None,
    names_itself: false,
    is_there: false,
};

/// A node that was reset and not started since.
const RESET: Disk = Disk {
    flags: None,
    ..JOINED
};

/// The versions whose answers follow.
const VERSIONS: [&str; 3] = ["3.13.7", "4.2.0", "4.3.5"];

fn undef(module: &str, function: &str) -> Result<Term, String> {
    Err(format!(
        "{{badrpc,{{'EXIT',{{undef,[{{{module},{function},[],[]}}]}}}}}}"
    ))
}

/// What a broker of this version with Khepri answers.
fn told(version: &'static str, name: &str, members: &[&str], running: &[&str]) -> Vec<Result<Term, String>> {
    let mut broker = clustered();
    broker.version = version;
    let mut results = super::results(&broker);
    results[1] = match version {
        "4.3.5" => undef("rabbit_mnesia", "status"),
        // Mnesia does not run, and its file has been deleted or names the node alone.
        _ => Ok(Term::List(vec![nodes(&[name])])),
    };
    if !version.starts_with('3') {
        let mirrors = "list_local_mirrored_classic_without_synchronised_mirrors_for_cli";
        results[3] = Ok(Term::List(Vec::new()));
        results[8] = undef("rabbit_amqqueue", mirrors);
        let vhost = vec![pair("name", str("/")), pair("default_queue_type", str("quorum"))];
        results[11] = Ok(Term::List(vec![Term::List(vhost)]));
    }
    let mut status = vec![
        nodes(members),
        pair("running_nodes", atoms(running)),
        pair("cluster_name", str(name)),
    ];
    if !version.starts_with('3') {
        status.push(pair("partitions", Term::List(Vec::new())));
    }
    results[9] = Ok(Term::List(status));
    results
}

fn running(version: &'static str, name: &str) -> Host {
    Host {
        node: Node::Told(told(version, name, &ALL, &ALL)),
        ..member()
    }
}

/// The first two of three members, which see the third down.
fn survivors(version: &'static str) -> [Host; 2] {
    ["rabbit@db1", "rabbit@db2"].map(|name| Host {
        node: Node::Told(told(version, name, &ALL, &["rabbit@db1", "rabbit@db2"])),
        ..member()
    })
}

fn off() -> Host {
    Host {
        node: Node::Off { members: None },
        ..member()
    }
}

/// What is planned for hosts with these disks.
fn planned(version: &'static str, hosts: &[Host; 3], disks: [Disk; 3]) -> StepPlan {
    let service = service(INVENTORY);
    let facts = answer_all(&*service, |name, query| {
        let at = service.hosts().iter().position(|host| host == name)?;
        let there = |there: bool, fact: FileFact| Fact::File(if there { fact } else { FileFact::Absent });
        let (host, disk) = (&hosts[at], disks[at]);
        Some(match query {
            FactQuery::Package(_) => Fact::Package(PackageFact {
                version: Some(format!("{version}-1")),
                is_partial: false,
            }),
            FactQuery::File(query) if query.path.ends_with("cluster_nodes.config") => {
                let text = format!("{{['rabbit@{name}'],['rabbit@{name}']}}.\n");
                there(disk.names_itself, file(Text::new(text), 0o640))
            }
            FactQuery::File(query) if query.path.ends_with("-feature_flags") => there(
                disk.flags.is_some(),
                file(Text::new(disk.flags.unwrap_or_default()), 0o640),
            ),
            FactQuery::File(query) if query.path.contains("/mnesia/") => there(disk.is_there, directory()),
            query => answer(host, query),
        })
    });
    plan_steps(&*service, &KIND.steps(), &facts)
}

fn titles<'p>(plan: &'p StepPlan, name: &str) -> Vec<&'p str> {
    let tasks = plan.tasks.iter().filter(|task| task.host == host(name));
    tasks.map(|task| task.title.as_str()).collect()
}

const START: &str = "start rabbitmq-server.service";
const JOIN: &str = "join rabbit@db1";

#[test]
fn a_cluster_that_runs_is_left_as_it_is() {
    for version in VERSIONS {
        let hosts = ["rabbit@db1", "rabbit@db2", "rabbit@db3"].map(|name| running(version, name));
        let plan = planned(version, &hosts, [FIRST, JOINED, JOINED]);
        assert!(cases::is_settled(&plan), "{version}\n{}", render(&plan));
    }
}

#[test]
fn a_stopped_member_is_started_and_not_joined_again() {
    for version in VERSIONS {
        for disk in [FIRST, JOINED] {
            let [db1, db2] = survivors(version);
            let plan = planned(version, &[db1, db2, off()], [FIRST, JOINED, disk]);
            assert_eq!(titles(&plan, "db3"), [START], "{version}\n{}", render(&plan));
        }
    }
}

#[test]
fn members_that_are_all_stopped_are_started_and_not_joined_again() {
    for version in VERSIONS {
        let plan = planned(version, &[off(), off(), off()], [FIRST, JOINED, JOINED]);
        for name in ["db1", "db2", "db3"] {
            assert_eq!(titles(&plan, name), [START], "{version}\n{}", render(&plan));
        }
    }
}

#[test]
fn a_member_whose_broker_was_stopped_is_started_and_not_joined_again() {
    for version in VERSIONS {
        let mut results = stopped(&["rabbit@db3"], version);
        if version == "4.3.5" {
            results[1] = undef("rabbit_mnesia", "status");
        }
        let halted = Host {
            node: Node::Told(results),
            ..member()
        };
        let [db1, db2] = survivors(version);
        let plan = planned(version, &[db1, db2, halted], [FIRST, JOINED, JOINED]);
        assert_eq!(
            titles(&plan, "db3"),
            ["rabbitmqctl start_app"],
            "{version}\n{}",
            render(&plan)
        );
    }
}

/// Each of them runs with another cookie than its file's; their disks tell nothing of the cluster that they form.
#[test]
fn members_with_another_cookie_need_consent() {
    let denied = || Host {
        node: Node::OtherCookie,
        ..member()
    };
    for version in VERSIONS {
        let plan = planned(version, &[denied(), denied(), denied()], [FIRST, JOINED, JOINED]);
        let consents = plan.refusals.iter().filter(|refusal| refusal.consent.is_some());
        assert_eq!(consents.count(), 3, "{version}\n{}", render(&plan));
        assert!(plan.tasks.is_empty(), "{version}\n{}", render(&plan));
    }
}

/// A host without a database, or whose node was reset, holds nothing: it starts, proves it, and joins.
#[test]
fn a_blank_node_joins_with_the_proof_that_it_is_alone() {
    for version in VERSIONS {
        for (disk, is_counted) in [(BLANK, false), (BLANK, true), (RESET, false)] {
            let pair = ["rabbit@db1", "rabbit@db2"];
            let members = if is_counted { &ALL[..] } else { &pair };
            let [db1, db2] = pair.map(|name| Host {
                node: Node::Told(told(version, name, members, &pair)),
                ..member()
            });
            let plan = planned(version, &[db1, db2, off()], [FIRST, JOINED, disk]);
            assert_eq!(
                titles(&plan, "db3"),
                [START, JOIN],
                "{version}\n{}",
                render(&plan)
            );
            assert_eq!(
                render(&plan).contains("forget_cluster_node"),
                is_counted,
                "{}",
                render(&plan)
            );
            let join = plan.tasks.iter().find(|task| task.title == JOIN).unwrap();
            let FactQuery::Erlang(asked) = &join.action.as_ref().unwrap().only_if[0].query else {
                unreachable!()
            };
            let last = asked.calls.last().unwrap();
            assert_eq!((&*last.module, &*last.function), ("rabbit_db_cluster", "members"));
        }
    }
}

/// `rabbit_mnesia:status` of a node with Khepri names the node alone: it does not stand in for the answer that failed.
#[test]
fn a_broker_that_does_not_tell_its_members_is_not_alone() {
    for version in VERSIONS {
        let mut results = told(version, "rabbit@db2", &ALL, &ALL);
        results[9] = Err("{badrpc,timeout}".to_owned());
        let untold = Host {
            node: Node::Told(results),
            ..member()
        };
        let [db1, db3] = ["rabbit@db1", "rabbit@db3"].map(|name| running(version, name));
        let plan = planned(version, &[db1, untold, db3], [FIRST, JOINED, JOINED]);
        assert!(titles(&plan, "db2").is_empty(), "{version}\n{}", render(&plan));
        let refused = plan
            .refusals
            .iter()
            .any(|refusal| refusal.host == Some(host("db2")));
        assert!(refused, "{version}\n{}", render(&plan));
    }
}
