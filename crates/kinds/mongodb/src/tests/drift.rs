//! One thing is not as it should be.

use insta::assert_snapshot;

use super::{
    AUTH, CONF, Cluster, KEY, STEPS, UNIT, built, by_hand, converge, converge_from_everywhere, plan, service,
    shown,
};
use crate::tests::rig::Rig as _;
use cases::{plan_restart, render};
use kit::Service;

#[test]
fn a_new_option_is_rolled_out_secondaries_first() {
    let cluster = built(&*service(AUTH));
    let service = service(&format!("{AUTH}config.net.maxIncomingConnections = 500\n"));
    assert_snapshot!(cases::render(&plan(&*service, &cluster)));
    converge_from_everywhere(&*service, &cluster, &[]);
}

/// `--outputConfig` is new in 4.2 (<https://www.mongodb.com/docs/v4.4/tutorial/convert-command-line-options-to-yaml>), and what
/// a command line adds is not tried.
#[test]
fn a_new_file_is_tried_by_the_program_that_is_to_read_it() {
    let service = service("config.net.maxIncomingConnections = 500\n");
    let trials = |cluster: &Cluster| -> Vec<Option<String>> {
        let plan = plan(&*service, cluster);
        let operations = plan.tasks.iter().filter_map(|task| task.action.as_ref());
        let written = operations.filter_map(|action| match &action.operation {
            protocol::Operation::WriteFile { trial, .. } => Some(trial),
            _ => None,
        });
        written
            .map(|trial| Some(trial.as_ref()?.argv.join(" ")))
            .collect()
    };
    let tried = Some("/usr/bin/mongod --config %s --outputConfig".to_owned());
    let mut cluster = by_hand();
    assert_eq!(trials(&cluster), [tried.clone(), tried.clone(), tried.clone()]);
    cluster.node_mut("db2").options = vec![("--ipv6", "net.ipv6", true.into())];
    assert_eq!(trials(&cluster), [tried.clone(), None, tried.clone()]);
    cluster.node_mut("db2").options.clear();
    // A member that is off does not tell its version.
    cluster.stop("db3");
    assert_eq!(trials(&cluster), [tried.clone(), tried.clone(), None]);
}

#[test]
fn a_requested_restart_ends_once_every_member_was_started_again() {
    let service = service("");
    let mut cluster = by_hand();
    let then = cluster.facts(&*service);
    let rest = |cluster: &Cluster| plan_restart(&*service, &STEPS, &cluster.facts(&*service), &then);
    let whole = rest(&cluster);
    assert_snapshot!(render(&whole));
    for task in &whole.tasks {
        cluster.perform(&*service, task);
        // A member that was restarted is not due any more, wherever the run stops.
        let restarted = task.title == "restart mongod.service";
        assert!(
            !restarted
                || !rest(&cluster)
                    .tasks
                    .iter()
                    .any(|left| left.host == task.host && left.title == task.title)
        );
    }
    assert!(rest(&cluster).tasks.is_empty());
}

#[test]
fn the_primary_is_restarted_last() {
    let service = service("config.net.maxIncomingConnections = 500\n");
    let mut cluster = by_hand();
    cluster.step_down();
    let found = plan(&*service, &cluster);
    let order: Vec<String> = found
        .tasks
        .iter()
        .map(|task| format!("{} {}", task.host, task.title))
        .collect();
    let last = &order[order.len() - 4..];
    assert_eq!(
        last,
        [
            "db1 restart mongod.service",
            "db3 restart mongod.service",
            "db2 step down the primary db2",
            "db2 restart mongod.service"
        ]
    );
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_file_that_was_changed_and_not_followed_by_a_restart() {
    let service = service("");
    let mut cluster = by_hand();
    cluster.edit("db3", |text| text.replace("127.0.0.1,db3", "0.0.0.0"));
    cluster.restart("db3");
    cluster.edit("db3", |text| text.replace("0.0.0.0", "127.0.0.1,db3"));
    assert_snapshot!(shown(&*service, &cluster));
    converge(&*service, &mut cluster);
}

#[test]
fn a_foreign_key_of_the_file_needs_no_restart_of_ours() {
    let service = service("");
    let mut cluster = by_hand();
    cluster.edit("db3", |text| {
        format!("{text}setParameter:\n  ttlMonitorSleepSecs: 30\n")
    });
    super::assert_settled(&*service, &cluster);
    let why = "it runs with other options than /etc/mongod.conf has: setParameter.ttlMonitorSleepSecs";
    assert_eq!(notes(&*service, &cluster), [format!("db3: {why}")]);
    assert_eq!(details(&*service, &cluster), ["", "", why]);
    // The other way round: its process has it, and its file not any more.
    cluster.restart("db3");
    assert_eq!(details(&*service, &cluster), ["", "", ""]);
    cluster.edit("db3", |text| {
        text.split("setParameter").next().unwrap().to_owned()
    });
    assert_eq!(notes(&*service, &cluster), [format!("db3: {why}")]);
    assert_eq!(details(&*service, &cluster), ["", "", why]);
}

/// What `status` says of each member beside its role.
fn details(service: &dyn Service, cluster: &Cluster) -> Vec<String> {
    let members = service.status(&cluster.facts(service)).members.into_iter();
    members.map(|row| row.detail).collect()
}

/// What a plan notes of single members.
fn notes(service: &dyn Service, cluster: &Cluster) -> Vec<String> {
    let notes = plan(service, cluster).notes.into_iter();
    let notes = notes.filter_map(|note| Some(format!("{}: {}", note.host?, note.text)));
    notes.collect()
}

/// It cannot be mended by a restart: the file was not changed since the start.
#[test]
fn a_process_with_another_value_than_its_file_is_told_whatever_was_changed_last() {
    let service = service("");
    let mut cluster = by_hand();
    cluster.edit("db2", |text| {
        format!("{text}setParameter:\n  ttlMonitorSleepSecs: 30\n")
    });
    cluster.restart("db2");
    assert_eq!(details(&*service, &cluster), ["", "", ""]);
    // As `cp -p` over it does with a file of that length and time, on a system without ctime.
    let now = cluster.now_us;
    let conf = cluster.node_mut("db2").machine.files.get_mut(CONF).unwrap();
    let (modified, changed) = (conf.modified_us, conf.changed_us);
    let text = conf.text.replace("Secs: 30", "Secs: 60");
    cluster
        .node_mut("db2")
        .machine
        .write(CONF, &text, 0o644, "root", now);
    let conf = cluster.node_mut("db2").machine.files.get_mut(CONF).unwrap();
    (conf.modified_us, conf.changed_us) = (modified, changed);
    let why = "it runs with other options than /etc/mongod.conf has: setParameter.ttlMonitorSleepSecs";
    assert_eq!(details(&*service, &cluster), ["", why, ""]);
    assert_eq!(notes(&*service, &cluster), [format!("db2: {why}")]);
}

#[test]
fn what_the_inventory_has_taken_out_leaves_files_and_processes() {
    let service = service("absent = [\"setParameter\", \"net.ipv6\"]\n");
    let mut cluster = by_hand();
    super::assert_settled(&*service, &cluster);
    for name in ["db2", "db3"] {
        cluster.edit(name, |text| {
            let text = text.replace("net:\n", "net:\n  ipv6: false\n");
            format!("{text}setParameter:\n  ttlMonitorSleepSecs: 30\n  ttlMonitorEnabled: true\n")
        });
    }
    // One of them runs with it, and the other has only its file.
    cluster.restart("db3");
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
    // The file was mended by hand, and the process has not read it.
    cluster.edit("db3", |text| {
        text.split("setParameter")
            .next()
            .unwrap()
            .replace("  ipv6: false\n", "")
    });
    let found = shown(&*service, &cluster);
    assert!(
        found.contains(
            "db3: restart mongod.service (disrupts), because it runs with net.ipv6; it runs with setParameter"
        ),
        "{found}"
    );
    converge(&*service, &mut cluster);
}

#[test]
fn a_key_file_that_others_may_read_is_protected_without_a_restart() {
    let service = service(AUTH);
    let mut cluster = built(&*service);
    let key = cluster.node_mut("db2").machine.files.get_mut(KEY).unwrap();
    (key.mode, key.owner, key.group) = (0o644, "root".to_owned(), "root".to_owned());
    assert_snapshot!(shown(&*service, &cluster));
    converge(&*service, &mut cluster);
}

#[test]
fn a_lost_key_file_is_written_again() {
    let service = service(AUTH);
    let mut cluster = built(&*service);
    cluster.node_mut("db2").machine.files.remove(KEY);
    let found = shown(&*service, &cluster);
    assert!(
        found.contains("db2: restart mongod.service (disrupts), because its key file is newer"),
        "{found}"
    );
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_lost_mongod_conf_is_written_again() {
    let service = service(AUTH);
    let mut cluster = built(&*service);
    cluster.node_mut("db2").machine.files.remove(CONF);
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_member_that_is_off_is_started_and_one_that_does_not_start_at_boot_is_enabled() {
    let service = service(AUTH);
    let mut cluster = built(&*service);
    cluster.stop("db2");
    cluster.node_mut("db3").machine.unit(UNIT).is_enabled = false;
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_whole_set_that_is_off_is_started() {
    let service = service(AUTH);
    let mut cluster = built(&*service);
    for name in super::THREE {
        cluster.stop(name);
    }
    let found = shown(&*service, &cluster);
    assert!(!found.contains("initiate the set"), "{found}");
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn without_a_majority_stopped_members_are_started_and_nothing_else_is_done() {
    let own = service(AUTH);
    let mut cluster = built(&*own);
    cluster.stop("db1");
    cluster.stop("db2");
    let service = service(&format!(
        "{AUTH}config.net.maxIncomingConnections = 500\nmembers.db3.priority = 2\n"
    ));
    assert_snapshot!(shown(&*service, &cluster));
}

#[test]
fn users_that_are_missing_or_cannot_log_in_or_have_other_roles() {
    let own = service(AUTH);
    let mut cluster = built(&*own);
    for name in super::THREE {
        let users = &mut cluster.node_mut(name).disk.data.users;
        users.get_mut("admin.altcraft").unwrap().0 = "another".to_owned();
        let roles = vec![("root".to_owned(), "admin".to_owned())];
        users.insert(
            "admin.report".to_owned(),
            ("⟪secret:file:report⟫".to_owned(), roles),
        );
    }
    let more = "users.report = { password = { file = \"report\" }, roles = [\"read@control\"] }\n\
                users.stats = { password = { file = \"stats\" }, roles = [\"read@control\", \"read@filedb\"] }\n";
    let service = service(&format!("{AUTH}{more}"));
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
}

/// It was "created" once more, which the server refuses: "User \"app@app\" already exists" (code 51003).
#[test]
fn a_user_outside_admin_is_changed_and_not_created_again() {
    let more =
        "users.app = { password = { file = \"app\" }, auth_db = \"control\", roles = [\"read@control\"] }\n";
    let service = service(&format!("{AUTH}{more}"));
    let mut cluster = built(&*service);
    for name in super::THREE {
        let user = cluster
            .node_mut(name)
            .disk
            .data
            .users
            .get_mut("control.app")
            .unwrap();
        *user = ("another".to_owned(), Vec::new());
    }
    assert_snapshot!(shown(&*service, &cluster));
    converge_from_everywhere(&*service, &cluster, &[]);
}

#[test]
fn a_set_of_two_is_restarted_with_a_warning_only_where_no_member_takes_over() {
    let settings = format!("{AUTH}members.db2 = {{ priority = 0 }}\nmembers.db3 = {{ priority = 0 }}\n");
    let own = service(&settings);
    let cluster = built(&*own);
    let service = service(&format!("{settings}config.net.maxIncomingConnections = 500\n"));
    let found = shown(&*service, &cluster);
    assert!(found.contains("no other member could take over"), "{found}");
    converge_from_everywhere(&*service, &cluster, &[]);
}

/// A server says so in its own words (`MechanismUnavailable`, jstests/auth/speculative-auth-replset.js of its source).
#[test]
fn a_user_with_credentials_for_sha_1_alone_keeps_its_password() {
    let own = service(AUTH);
    let mut cluster = built(&*own);
    let of_sha_1 = |cluster: &mut Cluster, name| {
        for node in &mut cluster.nodes[..3] {
            node.disk.data.sha_1_users.insert(name);
        }
    };
    of_sha_1(&mut cluster, "altcraft");
    let found = plan(&*own, &cluster);
    assert!(cases::is_settled(&found), "{}", render(&found));
    assert!(render(&found).contains("whether its password is the inventory's is not known"));
    // Of the admin, who asks, nothing is known then.
    of_sha_1(&mut cluster, "admin");
    let found = plan(&*own, &cluster);
    assert!(
        found.tasks.is_empty() && found.refusals.len() == 3,
        "{}",
        render(&found)
    );
    assert!(
        found
            .refusals
            .iter()
            .all(|refusal| !refusal.passing && refusal.resolve.contains("changeUserPassword"))
    );
    // Nor is it waited for at a gate.
    let gate = super::plan(
        &*service(&format!("{AUTH}config.net.maxIncomingConnections = 500\n")),
        &built(&*own),
    );
    let restart = gate.tasks.iter().find(|task| task.disrupts).unwrap();
    let verdict = cluster.judge(&*own, &restart.gates[0]);
    assert!(matches!(verdict, ::plan::Verdict::Fail(_)), "{verdict:?}");
}

/// Of a new set it was said that "its oplog goes back 16 s: a member that is down longer has to copy everything again".
#[test]
fn the_oplog_of_a_young_set_is_no_warning() {
    let own = service(AUTH);
    let mut cluster = built(&*own);
    let service = service(&format!("{AUTH}config.net.maxIncomingConnections = 500\n"));
    let says = |cluster: &Cluster| {
        let is_said = render(&plan(&*service, cluster)).contains("oplog");
        assert_eq!(
            own.status(&cluster.facts(&*own)).summary.contains("oplog"),
            is_said
        );
        is_said
    };
    assert!(says(&cluster));
    // Initiated ten seconds before the first change in the oplog: nothing was dropped from it.
    let made = format!("{:08x}{}", 9_990, "0".repeat(16));
    for node in &mut cluster.nodes[..3] {
        node.disk.config = node.disk.config.take().map(|config| config.with_set_id(&made));
    }
    assert!(!says(&cluster));
}

#[test]
fn the_budget_leaves_a_majority() {
    let service = service(AUTH);
    let mut cluster = built(&*service);
    let budget = |cluster: &super::Cluster| service.budget(&cluster.facts(&*service));
    assert_eq!(budget(&cluster).max_unavailable, 1);
    assert!(budget(&cluster).unavailable.is_empty());
    cluster.stop("db3");
    assert_eq!(budget(&cluster).unavailable.len(), 1);
}

#[test]
fn status_of_a_set() {
    let service = service(AUTH);
    let mut cluster = built(&*service);
    cluster.node_mut("db2").lag_s = 30;
    cluster.stop("db3");
    let status = service.status(&cluster.facts(&*service));
    let rows = status.members.iter().map(|row| {
        format!(
            "{} {:?} {} {:?} {}",
            row.host, row.role, row.lag, row.health, row.detail
        )
    });
    let rows: Vec<String> = rows.collect();
    assert_snapshot!(format!(
        "{:?}: {}\n{}",
        status.health,
        status.summary,
        rows.join("\n")
    ));
}

/// A member that somebody started by hand, whose key was written a minute later, and has a time so many minutes after that.
fn with_key_written_later(service: &dyn Service, minutes: i64) -> Cluster {
    const MIN: i64 = 60_000_000;
    let mut cluster = built(service);
    cluster.restart("db2");
    let now = cluster.now_us;
    let key = cluster.node_mut("db2").machine.files.get_mut(KEY).unwrap();
    key.changed_us = now + MIN;
    key.modified_us = now + MIN + minutes * MIN;
    key.ahead_us = (minutes * MIN).max(0);
    cluster
}

#[test]
fn a_key_file_from_the_future_restarts_its_member_once_and_says_why() {
    let service = service(AUTH);
    let mut cluster = with_key_written_later(&*service, 50);
    let found = shown(&*service, &cluster);
    let why = "its key file has a time that lies 50 min ahead of the host's clock";
    assert!(
        found.contains(&format!("db2: restart mongod.service (disrupts), because {why}")),
        "{found}"
    );
    converge(&*service, &mut cluster);
}

#[test]
fn a_key_file_that_was_changed_and_has_an_old_time_restarts_its_member_once() {
    let service = service(AUTH);
    let mut cluster = with_key_written_later(&*service, -50);
    let found = shown(&*service, &cluster);
    let why = "its key file was changed after its process started, though its time is older";
    assert!(
        found.contains(&format!("db2: restart mongod.service (disrupts), because {why}")),
        "{found}"
    );
    converge(&*service, &mut cluster);
}
