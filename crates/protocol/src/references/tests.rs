//! References are found wherever they stand.

use super::*;
use crate::facts::{Bson, CommandFact, HttpMethod, LogFact, Login, MongoFact, Query, Silence, TcpFact, Term};
use crate::{FileState, LockHolder};

fn id(name: &str) -> SecretId {
    name.parse().unwrap()
}

fn reference(name: &str) -> Text {
    Text::secret(&id(name))
}

fn names(found: &BTreeSet<SecretId>) -> Vec<&str> {
    found.iter().map(SecretId::as_str).collect()
}

fn user(password: &str) -> MongoUser {
    MongoUser {
        name: "admin".to_owned(),
        password: id(password),
        auth_db: "admin".to_owned(),
    }
}

fn endpoint(password: Option<&str>) -> HttpEndpoint {
    HttpEndpoint {
        address: "127.0.0.1".to_owned(),
        port: 8123,
        account: Some(HttpAccount {
            user: "default".to_owned(),
            password: password.map(id),
        }),
    }
}

#[test]
fn a_query_refers_to_what_it_logs_in_with_and_to_what_it_recognises() {
    let call = Call::new(
        "m",
        "f",
        [Term::List(vec![Term::Tuple(vec![Term::Secret(id("term"))])])],
    );
    let queries = [
        FileQuery::text("/a").knowing([&id("file")]).wrap(),
        RespQuery {
            address: String::new(),
            port: 1,
            password: Some(id("resp")),
            commands: vec![RespCommand::new(["CONFIG"]).sensitive([&id("known")])],
        }
        .wrap(),
        SsdbQuery {
            address: String::new(),
            port: 1,
            password: Some(id("ssdb")),
            commands: vec![SsdbCommand::new([reference("ssdb-arg")])],
        }
        .wrap(),
        ErlangQuery {
            node: String::new(),
            cookie_file: String::new(),
            ready: None,
            calls: vec![call],
        }
        .wrap(),
        MongoQuery {
            address: String::new(),
            port: 1,
            user: Some(user("mongo")),
            or_as_nobody: false,
            commands: vec![MongoCommand::new("x", Bson::Str(reference("bson")))],
        }
        .wrap(),
        HttpQuery {
            at: endpoint(Some("http")),
            request: HttpRequest::post("/", reference("body")),
            limit_ms: 1,
        }
        .wrap(),
    ];
    let found = Request::Gather(queries.to_vec()).secrets();
    assert_eq!(
        names(&found),
        [
            "body", "bson", "file", "http", "known", "mongo", "resp", "ssdb", "ssdb-arg", "term"
        ]
    );
}

#[test]
fn what_names_no_secret_refers_to_none() {
    let queries = [
        OsQuery.wrap(),
        UnitQuery::new("a").wrap(),
        FileQuery::text("/a").wrap(),
        HttpQuery {
            at: endpoint(None),
            request: HttpRequest {
                method: HttpMethod::Get,
                path: "/ping".to_owned(),
                body: Text::default(),
            },
            limit_ms: 1,
        }
        .wrap(),
    ];
    assert_eq!(names(&Request::Gather(queries.to_vec()).secrets()), [""; 0]);
    let holder = LockHolder {
        who: "me".to_owned(),
        since: String::new(),
        run: "r1".parse().unwrap(),
    };
    assert_eq!(
        names(
            &Request::Lock {
                holder,
                had_lock: false
            }
            .secrets()
        ),
        [""; 0]
    );
}

#[test]
fn an_action_refers_to_what_it_writes_and_to_what_must_still_be_so() {
    let write = Operation::WriteFile {
        path: "/a".to_owned(),
        text: format!("a {} b {}", reference("one"), reference("two")).into(),
        mode: 0o600,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        was: FileState::Absent,
        trial: None,
    };
    let run = Operation::Run {
        commands: vec![Command {
            argv: vec!["x".to_owned()],
            stdin: Some(reference("stdin")),
        }],
    };
    let action = |operation| Action {
        only_if: vec![Precondition {
            what: String::new(),
            query: FileQuery::text("/b").knowing([&id("asked")]).wrap(),
            fact: Fact::Log(LogFact::Lines(vec![vec![reference("seen")]])),
        }],
        operation,
        limit_ms: 1,
    };
    assert_eq!(names(&action(write).secrets()), ["asked", "one", "seen", "two"]);
    assert_eq!(names(&action(run).secrets()), ["asked", "seen", "stdin"]);
}

#[test]
fn a_fact_refers_to_what_any_string_of_it_names() {
    let fact = Fact::Command(CommandFact {
        status: 0,
        stdout: format!("x {} y", reference("a")),
        stderr: "⟪kept:0+3⟫".to_owned(),
    });
    assert_eq!(names(&fact.secrets().unwrap()), ["a"]);
    let nested = Bson::doc([("list", Bson::Array(vec![Bson::Str(reference("b"))]))]);
    let fact = Fact::Mongo(MongoFact::Replies {
        login: Login::Accepted,
        replies: vec![Ok(nested)],
    });
    assert_eq!(names(&fact.secrets().unwrap()), ["b"]);
}

#[test]
fn a_fact_whose_brackets_are_no_references_is_an_error() {
    for forged in ["⟪secret:", "secret:a⟫", "⟪⟪secret:a⟫⟫", "⟪other⟫"] {
        let fact = Fact::Tcp(TcpFact::Closed(Silence::foreign(forged)));
        assert!(matches!(fact.secrets(), Err(TextError::Malformed(_))), "{forged}");
    }
}
