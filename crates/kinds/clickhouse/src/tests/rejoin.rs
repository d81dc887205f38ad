//! Members that serve nobody: whose file is ahead of the quorum, who are missed for a moment only, or who leave and died.

use protocol::facts::WordsFact;
use protocol::{Fact, FactQuery};

use super::*;
use crate::tests::rig::Rig as _;
use fakes::clickhouse::{Role, SERVER, ZK, ZOO_CFG};
use fakes::{Fault, Pace};

fn other_heap() -> Box<dyn Service> {
    among(&ALL, &format!("{ZOO}zookeeper = {{ heap = \"600m\" }}\n"))
}

fn restart_on(plan: &StepPlan, name: &str) -> Task {
    let is_it = |task: &&Task| task.host.as_str() == name && task.title == format!("restart {ZK}");
    plan.tasks.iter().find(is_it).expect("a restart").clone()
}

/// Whatever comes before a member's restart, and that.
fn up_to_restart<'p>(plan: &'p StepPlan, name: &str) -> &'p [Task] {
    let restart = restart_on(plan, name);
    let at = plan.tasks.iter().position(|task| *task == restart);
    &plan.tasks[..=at.expect("a restart")]
}

/// Seen where the leader's host went down right before: none served, and so none was missed.
#[test]
fn no_member_is_spared_during_an_election() {
    let mut cluster = built_among(&ALL, ZOO, DEBIAN);
    let service = other_heap();
    let mut nodes = cluster.nodes.iter();
    let leader = nodes
        .find(|node| node.role == Role::Leading)
        .unwrap()
        .host
        .clone();
    let other = ALL.into_iter().find(|name| *name != leader.as_str()).unwrap();
    let restart = restart_on(&plan(&*service, &cluster), other);
    cluster.pace = Pace {
        elect_us: 2_000_000,
        ..cluster.pace
    };
    cluster.inject(&Fault::Down(leader.clone()));
    let gate = restart.before.last().unwrap();
    let verdict =
        |cluster: &Cluster| service.judge(&gate.check, gate.host.as_ref(), &cluster.facts(&*service));
    let waits = |looking: usize| Verdict::Wait(format!("{looking} of 4 members look for a leader"));
    assert_eq!(verdict(&cluster), waits(3));
    // Nor when the last is back: the others could choose without it, if nothing keeps them apart, which nobody sees.
    cluster.inject(&Fault::Up(leader));
    assert_eq!(verdict(&cluster), waits(4));
}

/// Seen where the leader's host went down while the controller was cut off from another: the two that were left looked for a
/// leader, and were taken for too few to find one. The one that could not be asked made them three.
#[test]
fn a_member_that_cannot_be_asked_may_choose_a_leader_with_those_that_look() {
    let mut cluster = built_among(&ALL, ZOO, DEBIAN);
    let service = other_heap();
    let is_leading = |node: &&fakes::clickhouse::Node| node.role == Role::Leading;
    let leader = cluster.nodes.iter().find(is_leading).unwrap().host.clone();
    let mut others = ALL.into_iter().filter(|name| *name != leader.as_str());
    let (restarted, unasked) = (others.next().unwrap(), others.next().unwrap());
    let restart = restart_on(&plan(&*service, &cluster), restarted);
    cluster.pace = Pace {
        elect_us: 2_000_000,
        ..cluster.pace
    };
    cluster.inject(&Fault::Down(leader));
    let mut facts = cluster.facts(&*service);
    let cut_off = ::plan::HostFacts::Unreachable("connection timed out".to_owned());
    facts.add(cases::host(unasked), cut_off);
    let gate = restart.before.last().unwrap();
    assert_eq!(
        service.judge(&gate.check, gate.host.as_ref(), &facts),
        Verdict::Wait("2 of 4 members look for a leader".to_owned())
    );
}

/// One that looks for a leader while another leads may follow that one by now: where the controller is cut off from a third, and
/// a fourth is down, it may be the one that makes the majority.
#[test]
fn a_member_that_cannot_be_asked_proves_no_majority_for_the_leader() {
    let five = ["db1", "db2", "db3", "db4", "db5"];
    let mut cluster = built(&*service_on(&five, ZOO), DEBIAN);
    let service = service_on(&five, &format!("{ZOO}zookeeper = {{ heap = \"600m\" }}\n"));
    let is_leading = |node: &&fakes::clickhouse::Node| node.role == Role::Leading;
    let leader = cluster.nodes.iter().find(is_leading).unwrap().host.clone();
    let mut others = five.into_iter().filter(|name| *name != leader.as_str());
    let [restarted, unasked, down] = [(); 3].map(|()| others.next().unwrap());
    let restart = restart_on(&plan(&*service, &cluster), restarted);
    cluster.inject(&Fault::Down(cases::host(down)));
    let looking = "This ZooKeeper instance is not currently serving requests\n";
    let mut facts = cases::answer_all(&*service, |host, query| match query {
        FactQuery::Words(query) if host.as_str() == restarted => {
            let replies = query.words.iter().map(|_| protocol::Text::new(looking));
            Some(Fact::Words(WordsFact::Replies(replies.collect())))
        }
        _ => cluster.answer(host, query)?.ok(),
    });
    for host in [unasked, down] {
        let cut_off = ::plan::HostFacts::Unreachable("connection timed out".to_owned());
        facts.add(cases::host(host), cut_off);
    }
    let gate = restart.before.last().unwrap();
    let verdict = service.judge(&gate.check, gate.host.as_ref(), &facts);
    assert!(matches!(verdict, Verdict::Wait(_)), "{verdict:?}");
}

/// Seen where the leader died while the members were asked: two that looked for the next were restarted at once, for a third
/// had said that it followed.
#[test]
fn members_in_an_election_are_in_use_though_one_still_named_the_last_leader() {
    let mut cluster = built_among(&ALL, ZOO, DEBIAN);
    let service = other_heap();
    let is_leading = |node: &&fakes::clickhouse::Node| node.role == Role::Leading;
    let leader = cluster.nodes.iter().find(is_leading).unwrap().host.clone();
    let mut others = ALL.iter().filter(|name| **name != leader.as_str());
    let (early, late) = (others.next().unwrap(), others.next().unwrap());
    let before = cluster.facts(&*service);
    cluster.pace = Pace {
        elect_us: 2_000_000,
        ..cluster.pace
    };
    cluster.inject(&Fault::Crash(leader));
    let mut facts = cluster.facts(&*service);
    let said = before
        .hosts()
        .find(|(host, _)| host.as_str() == *early)
        .unwrap()
        .1;
    facts.add(cases::host(early), said.clone());
    let plan = cases::plan_steps(&*service, &STEPS, &facts);
    assert!(restart_on(&plan, late).disrupts, "{}", render(&plan));
}

/// Seen where the leader of three had died while the two others were asked: one still looked for a leader, and the other,
/// asked a moment later, led it. The one that looked was taken for one that a quorum does without.
#[test]
fn a_voter_without_which_the_new_leader_has_no_majority_is_not_spared() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    let service = among(&DB, &format!("{ZOO}zookeeper = {{ heap = \"600m\" }}\n"));
    let is_leading = |node: &&fakes::clickhouse::Node| node.role == Role::Leading;
    let leader = |cluster: &Cluster| {
        cluster
            .nodes
            .iter()
            .find(is_leading)
            .map(|node| node.host.clone())
    };
    let restarts = plan(&*service, &cluster);
    cluster.pace = Pace {
        elect_us: 2_000_000,
        ..cluster.pace
    };
    cluster.inject(&Fault::Crash(leader(&cluster).unwrap()));
    let during = cluster.facts(&*service);
    cluster.tick();
    let mut facts = cluster.facts(&*service);
    let next = leader(&cluster).expect("a leader");
    let mut voters = cluster.nodes.iter().map(|node| &node.host);
    let other = voters.find(|host| **host != next && cluster.node(host.as_str()).role != Role::Down);
    let other = other.expect("a follower").clone();
    let (_, early) = during.hosts().find(|(host, _)| **host == other).unwrap();
    facts.add(other.clone(), early.clone());
    let restart = restart_on(&restarts, other.as_str());
    let gate = restart.before.last().unwrap();
    assert_eq!(
        service.judge(&gate.check, gate.host.as_ref(), &facts),
        Verdict::Wait("2 of 3 members look for a leader".to_owned())
    );
}

/// Seen after partitions that had healed before the plan came that far: two of five were restarted at once.
#[test]
fn a_voter_outside_the_quorum_is_restarted_only_while_it_is() {
    let mut cluster = built_among(&ALL, ZOO, DEBIAN);
    let service = other_heap();
    cluster.inject(&Fault::Cut(cases::host("db1")));
    let restart = restart_on(&plan(&*service, &cluster), "db1");
    let holds = |cluster: &Cluster| {
        let conditions = &restart.action.as_ref().unwrap().only_if;
        assert!(!conditions.is_empty());
        let mut conditions = conditions.iter();
        conditions.all(|condition| {
            cluster.answer(&restart.host, &condition.query) == Some(Ok(condition.fact.clone()))
        })
    };
    assert!(holds(&cluster));
    cluster.inject(&Fault::Heal(cases::host("db1")));
    cluster.tick();
    assert!(!holds(&cluster));
}

/// Seen where a process died and came back between its file and the newcomer's start: with the new members it needs more
/// followers than there are, and the others could not be restarted without it.
#[test]
fn a_member_that_is_ahead_of_the_quorum_rejoins_it() {
    for from in [DB, ["db1", "db2", "db4"]] {
        let mut cluster = built_among(&from, ZOO, DEBIAN);
        let joins = ALL.into_iter().find(|name| !from.contains(name)).unwrap();
        let service = among(&ALL, ZOO);
        let found = plan(&*service, &cluster);
        for task in found
            .tasks
            .iter()
            .filter(|task| task.title.contains("/etc/zookeeper/conf/"))
        {
            cluster.perform(task);
        }
        cluster.restart("db1", ZK);
        cluster.restart(joins, ZK);
        assert!(
            !cluster.node("db1").role.serves(),
            "it does not find most of its members"
        );
        // Back to the quorum as it is; then it learns of the newcomer like the others.
        let found = plan(&*service, &cluster);
        perform(&*service, &mut cluster, &found.tasks);
        cluster.tick();
        converge(&*service, &mut cluster);
        assert!(cluster.write(2), "a write is acknowledged");
        assert!(ALL.iter().all(|name| cluster.node(name).role.serves()));
    }
}

/// Seen where one that leaves died right before: it came back with a newcomer among its members, and each of the two found
/// too few with the leader. Nobody may wait for the newcomer then.
#[test]
fn a_departing_member_that_is_ahead_of_the_quorum_rejoins_it() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    let service = among(&["db2", "db3", "db4"], ZOO);
    let found = plan(&*service, &cluster);
    let first = found.tasks.iter().take_while(|task| !task.disrupts);
    for task in first.filter(|task| task.title.contains("/etc/")) {
        cluster.perform(task);
    }
    cluster.restart("db1", ZK);
    cluster.restart("db4", ZK);
    cluster.restart("db4", SERVER);
    assert!(
        ["db1", "db4"]
            .iter()
            .all(|name| !cluster.node(name).role.serves())
    );
    let found = plan(&*service, &cluster);
    // Led by a newcomer, it would follow nobody: the others learn of that one when it has.
    assert_eq!(found.refusals.len(), 2, "{}", render(&found));
    perform(&*service, &mut cluster, up_to_restart(&found, "db1"));
    cluster.tick();
    converge(&*service, &mut cluster);
    assert!(cluster.write(2), "a write is acknowledged");
    assert!(cluster.node("db1").zookeeper.is_none());
}

/// Seen where a departing voter rejoined the quorum, and the joining one led next, right before the second round: that had
/// begun in a file only, and the departing voter was never told of the joining one.
#[test]
fn a_departing_member_learns_the_leader_before_the_others_do_without_it() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    let old = cluster.node("db1").machine.text(ZOO_CFG).to_owned();
    let service = among(&["db2", "db3", "db4"], ZOO);
    let found = plan(&*service, &cluster);
    let is_second = |task: &Task| task.reason.contains("a member leaves, now");
    let mut tasks = found.tasks.iter();
    let at = tasks.position(|task| is_second(task) && task.host.as_str() != "db1");
    perform(&*service, &mut cluster, &found.tasks[..=at.unwrap()]);
    cluster.write_file("db1", ZOO_CFG, &old);
    cluster.restart("db1", ZK);
    assert_eq!(cluster.node("db4").role, Role::Leading);
    assert!(!cluster.node("db1").role.serves());
    let found = plan(&*service, &cluster);
    assert!(found.refusals.is_empty(), "{}", render(&found));
    converge(&*service, &mut cluster);
    assert!(cluster.node("db1").zookeeper.is_none());
}

/// Seen where a process died right after the inventory had let it go: nobody started it, and its vote was missed.
#[test]
fn a_departing_member_that_died_votes_until_the_others_do_without_it() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    cluster.stop("db1", ZK);
    let service = among(&["db2", "db3", "db4"], ZOO);
    converge(&*service, &mut cluster);
    assert!(cluster.write(2), "a write is acknowledged");
    assert!(cluster.node("db1").zookeeper.is_none());
}

/// Replicas are independent of each other, and most of a cluster's servers need not be there; the members of the quorum
/// must (<https://clickhouse.com/docs/engines/table-engines/mergetree-family/replication>).
#[test]
fn a_quorum_is_available_without_most_of_the_servers() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    for name in ["db1", "db2"] {
        cluster.node_mut(name).server = None;
    }
    assert_eq!(cluster.serving().len(), 1);
    assert!(cluster.needed() <= 1);
    cluster.stop("db1", ZK);
    assert!(cluster.needed() <= 1);
    cluster.node_mut("db2").role = Role::Down;
    assert!(cluster.needed() > cluster.serving().len());
}

/// Seen where two knew of a newcomer and two did not: each two voted for one whom the others could not choose.
#[test]
fn members_that_elect_in_vain_are_restarted_before_the_servers() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    let service = among(&ALL, ZOO);
    let found = plan(&*service, &cluster);
    let of_newcomer =
        |task: &&Task| task.title.contains("/etc/zookeeper/conf/") && task.host.as_str() == "db4";
    for task in found.tasks.iter().filter(of_newcomer) {
        cluster.perform(task);
    }
    cluster.stop("db2", SERVER);
    cluster.restart("db4", ZK);
    cluster.pace = Pace {
        elect_us: 3_600_000_000,
        ..cluster.pace
    };
    let since = cluster.now;
    for node in &mut cluster.nodes {
        node.role = Role::Looking { since };
    }
    assert!(!cluster.has_quorum());
    let found = plan(&*service, &cluster);
    let restart = restart_on(&found, "db1");
    let is_start = |task: &Task| task.host.as_str() == "db2" && task.tells(SERVER, protocol::UnitVerb::Start);
    let at = |found_at: Option<usize>| found_at.expect("a task");
    let first = at(found.tasks.iter().position(|task| *task == restart));
    assert!(
        first < at(found.tasks.iter().position(is_start)),
        "{}",
        render(&found)
    );
    let gate = restart.before.last().unwrap();
    let verdict = service.judge(&gate.check, gate.host.as_ref(), &cluster.facts(&*service));
    assert_eq!(verdict, Verdict::Pass);
}

/// Seen where a host went down while the first learned of a newcomer: a server had died without a quorum, and the budget
/// kept those from being restarted whom the others needed for one.
#[test]
fn members_that_elect_in_vain_do_not_wait_for_servers_that_died_of_it() {
    let mut cluster = built_among(&DB, ZOO, DEBIAN);
    let service = among(&ALL, ZOO);
    let found = plan(&*service, &cluster);
    for task in found.tasks.iter().filter(|task| task.title.contains("/etc/")) {
        cluster.perform(task);
    }
    for (name, unit) in [("db4", ZK), ("db3", ZK), ("db4", SERVER)] {
        cluster.restart(name, unit);
    }
    cluster.stop("db2", SERVER);
    let since = cluster.now;
    for node in &mut cluster.nodes {
        node.role = Role::Looking { since };
    }
    cluster.tick();
    assert!(!cluster.has_quorum(), "two and two vote for different ones");
    let found = plan(&*service, &cluster);
    perform(&*service, &mut cluster, up_to_restart(&found, "db2"));
    cluster.tick();
    converge(&*service, &mut cluster);
    assert!(cluster.write(2), "a write is acknowledged");
}

/// Seen where an election came while the last members learned that it leaves.
#[test]
fn a_former_keeper_that_leads_again_steps_down_again() {
    let mut cluster = built_among(&DB, "", MODERN);
    let service = among(&["db1", "db2", "db4"], "");
    let found = plan(&*service, &cluster);
    let stop = found
        .tasks
        .iter()
        .position(|task| task.title.contains("disable and stop"));
    perform(&*service, &mut cluster, &found.tasks[..stop.unwrap()]);
    for (node, id) in cluster.nodes.iter_mut().zip(1..) {
        assert_eq!(node.name(), format!("db{id}"));
        node.tree.raft = (1..).zip(ALL.map(str::to_owned)).collect();
        node.role = match node.name() {
            "db3" => Role::Leading,
            _ => Role::Following {
                leader: "db3".to_owned(),
                since: 0,
                is_synced: true,
            },
        };
    }
    cluster.tick();
    assert_eq!(cluster.node("db3").role, Role::Leading);
    converge(&*service, &mut cluster);
    assert!(!cluster.node("db3").answers());
}

/// Seen: db2 was to make room for db4 and died; of the four members that the leader's file has, three served, and the next
/// restart took the majority.
#[test]
fn a_keeper_is_not_restarted_while_a_departing_one_is_dead() {
    let mut cluster = built_among(&DB, "", MODERN);
    let service = among(&["db1", "db3", "db4"], "");
    let tasks = plan(&*service, &cluster).tasks;
    let is_restart = |task: &Task| task.title == format!("restart {SERVER}");
    let at = tasks.iter().position(is_restart).expect("a restart");
    for task in &tasks[..at] {
        cluster.perform(task);
    }
    let gate = tasks[at].before.last().expect("a gate").clone();
    let judged =
        |cluster: &Cluster| service.judge(&gate.check, gate.host.as_ref(), &cluster.facts(&*service));
    assert_eq!(judged(&cluster), Verdict::Pass);
    let rounds = tasks
        .iter()
        .filter(|task| is_restart(task) && task.host.as_str() != "db4");
    for task in rounds {
        assert!(task.before.iter().any(|gate| gate.check == "spare"), "{task:?}");
    }
    cluster.inject(&Fault::Crash(cases::host("db2")));
    assert!(
        matches!(judged(&cluster), Verdict::Wait(_)),
        "{:?}",
        judged(&cluster)
    );
}
