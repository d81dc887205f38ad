//! A file with a password in it reads back as it was written, whatever the password is made of: what its place cannot
//! express was refused, the rest is recognised in its encoding, and no mask takes more than it should.

use std::collections::BTreeSet;

use fakes::{PLAYS, Pace};
use planner::{Options, Scope};
use protocol::facts::FileQuery;
use protocol::{FactQuery, Operation, Text};
use types::{HostName, Secret, SecretId};

use super::facts::{HOSTS, facts, observe};
use crate::project::{self, Read};
use crate::secrecy::masked;

/// 32 characters at least, each with something that formats give a meaning to.
const VALUES: [&str; 14] = [
    "double-quotes-\"-and-\"-in-a-password-of-words",
    "backslashes-\\-and-\\n-and-\\x41-in-a-password\\",
    "the-end-of-cdata-]]>-in-a-long-password-]]>",
    "brackets-at-the-end-of-a-long-password-]]",
    "<tags>-&amp;-entities-&-in-a-</password>-indeed",
    "#comments;-in-a-password-of-many-characters#",
    "'single'-quotes-in-a-password-of-characters'",
    "%percent%41-$HOME-${x}-{{-y-}}-{%-z-%}-%s-%n",
    "blanks within a password of many characters",
    " blanks around a password of many characters ",
    "letters-\u{e4}\u{f6}\u{fc}\u{df}-of-others-\u{1f511}-in-a-password",
    "key: value, - list [x] {y} *z !t | > ? @ ` =",
    "auth: in-a-password-of-many-characters = x:",
    "YmFzZTY0K2tleS9vZi9tb25nb2QrYW5kL21vcmU9PQ==",
];

/// Whether every rule under which a secret is named takes a value.
fn is_taken(read: &Read, id: &SecretId, value: &str) -> bool {
    let rules = read.rules.iter().filter(|rule| rule.id == *id);
    rules
        .map(|rule| rule.check(value, false))
        .all(|refused| refused.is_none())
}

/// What the agent reports of a file that holds a text, with a value for its secrets.
fn read_back(query: &FileQuery, text: &Text, value: &str) -> Option<Text> {
    let secret = Secret::new(value);
    let content = text.reveal(|_| Some(&secret), b"").expect("references alone");
    let known: Vec<_> = query
        .secrets
        .iter()
        .map(|wanted| (wanted.clone(), secret.clone()))
        .collect();
    let masked = masked(std::str::from_utf8(&content).expect("text"), &query.masks);
    Text::conceal(&content, &known, &masked)
}

/// What is in force of a file. A password in a line that somebody took out of force (`# requirepass foobared`) is masked too,
/// which the worlds, unlike an agent, have in clear.
fn in_force(text: &Text) -> Vec<&str> {
    let lines = text.as_str().lines();
    lines.filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn a_file_reads_back_as_it_was_written_whatever_its_password_is_made_of() {
    let mut kinds = BTreeSet::new();
    for play in PLAYS {
        let mut world = (play.world)(&HOSTS, Pace::default());
        let inventory = project::inventory(&[*play], &HOSTS, &HOSTS, 0);
        let read = project::read(&inventory).expect("a sound inventory");
        let queries = read.project.queries(&Scope::default());
        let query_of = |host: &HostName, path: &str| {
            let mut all = queries.get(host)?.iter();
            all.find_map(|query| match query {
                FactQuery::File(query) if query.path == path && query.text => Some(query.clone()),
                _ => None,
            })
        };
        let hosts = observe(&*world, &read.project);
        let graph = read
            .project
            .plan(&facts(&hosts), &Scope::default(), &Options::default());
        for node in graph.expect("a plan of good answers").nodes() {
            let Some(action) = &node.action else { continue };
            let _result = world.operate(&node.host, &action.operation);
            let Operation::WriteFile { path, text, .. } = &action.operation else {
                continue;
            };
            let named: BTreeSet<SecretId> = text.secrets().into_iter().collect();
            // One value for several secrets would be refused.
            let (Some(id), 1) = (named.first(), named.len()) else {
                continue;
            };
            let query = query_of(&node.host, path).expect("what is written is looked at");
            for value in VALUES.iter().filter(|value| is_taken(&read, id, value)) {
                assert_eq!(
                    read_back(&query, text, value).as_ref().map(in_force),
                    Some(in_force(text)),
                    "{}: {path}: {value}",
                    play.kind
                );
                kinds.insert((play.kind, path.clone(), *value));
            }
        }
    }
    for kind in ["clickhouse", "kvrocks", "mongodb", "ssdb"] {
        assert!(
            kinds.iter().any(|(of, _, _)| *of == kind),
            "{kind} writes no password"
        );
    }
    // All but the one with blanks at its ends are taken somewhere.
    let tried = kinds.iter().map(|(_, _, value)| value).collect::<BTreeSet<_>>();
    assert_eq!(tried.len(), VALUES.len() - 1, "{tried:#?}");
}
