//! Leadership moves while voters learn of other members.

use protocol::facts::WordsFact;
use protocol::{Fact, FactQuery, Text};

use super::*;
use crate::tests::rig::Rig as _;
use fakes::Fault;
use fakes::clickhouse::{Role, ZK};

const FIVE: [&str; 5] = ["db1", "db2", "db3", "db4", "db5"];

fn leader(cluster: &Cluster) -> &str {
    let mut nodes = cluster.nodes.iter();
    nodes
        .find(|node| node.role == Role::Leading)
        .expect("a leader")
        .name()
}

/// The hosts of the restarts of ZooKeeper, with their places in the plan.
fn restarts(plan: &StepPlan) -> Vec<(usize, &str)> {
    let tasks = plan.tasks.iter().enumerate();
    let restarts = tasks.filter(|(_, task)| task.title == format!("restart {ZK}"));
    restarts.map(|(at, task)| (at, task.host.as_str())).collect()
}

/// Seen: one voter of three had learned of the fourth, and leadership moved to the next in turn. Without it there were two with
/// the old list and two with the new one, and neither list had a majority.
#[test]
fn a_leader_is_not_restarted_while_the_others_know_different_members() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    let service = among(&ALL, ZOO);
    let found = plan(&*service, &cluster);
    let [(first, _), (next, name), _] = restarts(&found)[..] else {
        panic!("{}", render(&found));
    };
    perform(&*service, &mut cluster, &found.tasks[..=first]);
    cluster.tick();
    cluster.inject(&Fault::Handover);
    assert_eq!(leader(&cluster), name);
    let gate = found.tasks[next].before.last().expect("a gate");
    let verdict = service.judge(&gate.check, gate.host.as_ref(), &cluster.facts(&*service));
    let why = format!(
        "{name} leads, and the others would choose no leader without it, for they do not run with the same members"
    );
    assert_eq!(verdict, Verdict::Wait(why));
    // Planned again, it is the last.
    let again = plan(&*service, &cluster);
    assert_eq!(restarts(&again).last().map(|(_, host)| *host), Some(name));
    converge_from_everywhere(&*service, &cluster);
}

/// Seen: a leader that departs steps down first, and the next one, of the highest number, was in the middle of the others.
#[test]
fn the_next_leader_is_the_last_that_does_without_the_departing_one() {
    let service = |hosts: &[&str]| crate::tests::service_with_warnings(&inventory_among(&FIVE, hosts, ZOO));
    let mut cluster = packaged(&FIVE, DEBIAN);
    converge(&*service(&FIVE), &mut cluster);
    assert!(cluster.write(WRITTEN));
    assert_eq!(leader(&cluster), "db3");
    let service = service(&["db1", "db2", "db5", "db4"]);
    let found = plan(&*service, &cluster);
    let hosts: Vec<&str> = restarts(&found).into_iter().map(|(_, host)| host).collect();
    assert_eq!(hosts, ["db3", "db1", "db2", "db4", "db5"], "{}", render(&found));
    converge(&*service, &mut cluster);
}

/// ZooKeeper answers few words by default (`4lw.commands.whitelist`, srvr alone since 3.5.3).
#[test]
fn voters_that_do_not_tell_their_members_are_judged_by_their_files() {
    let cluster = built_among(&DB, ZOO, DEBIAN);
    let service = among(&DB, &format!("{ZOO}zookeeper = {{ heap = \"600m\" }}\n"));
    let found = plan(&*service, &cluster);
    let (at, _) = *restarts(&found).last().expect("a restart");
    let gate = found.tasks[at].before.last().expect("a gate");
    let answer = |host: &types::HostName, query: &FactQuery| {
        let fact = cluster.answer(host, query).expect("a question for this fake");
        match fact {
            Ok(Fact::Words(WordsFact::Replies(mut replies))) => {
                replies[2] = Text::new("conf is not executed because it is not in the whitelist.\n");
                Ok(Fact::Words(WordsFact::Replies(replies)))
            }
            fact => fact,
        }
    };
    let mut facts = ::plan::Facts::default();
    for (host, queries) in &gate.watch {
        let answers = queries.iter().map(|query| (query.clone(), answer(host, query)));
        facts.add(host.clone(), ::plan::HostFacts::Observed(answers.collect()));
    }
    assert_eq!(
        service.judge(&gate.check, gate.host.as_ref(), &facts),
        Verdict::Pass
    );
}
