//! Users, virtual hosts and permissions.

use super::*;

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
    render(&plan_steps(&*service, &KIND.steps(), &facts))
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
    assert_snapshot!(render(&plan_steps(&*service, &KIND.steps(), &facts)));
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
