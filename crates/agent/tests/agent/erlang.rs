//! A real Erlang node.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::facts::{Call, ErlangFact, ErlangQuery, Silence, SilenceKind, Term};
use tempfile::TempDir;

use crate::Client;
use crate::client::until;

const COOKIE: &str = "LABCOOKIE0123456789";

struct Node {
    child: Child,
    name: String,
    home: TempDir,
}

impl Node {
    /// Starts a node of this name, and epmd where none runs; it goes on running, as it does on any host.
    fn start(name: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("cookie"), format!("{COOKIE}\n")).unwrap();
        let name = format!("{name}-{}@localhost", std::process::id());
        let child = Command::new("erl")
            .args(["-sname", &name, "-setcookie", COOKIE, "-noinput"])
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("Erlang is installed: apt-get install erlang-base");
        Self { child, name, home }
    }

    fn query(&self, calls: impl Into<Vec<Call>>) -> ErlangQuery {
        ErlangQuery {
            node: self.name.clone(),
            cookie_file: self.home.path().join("cookie").to_str().unwrap().to_owned(),
            ready: None,
            calls: calls.into(),
        }
    }

    fn wait(&self, client: &mut Client) {
        let query = self.query([]);
        until("the Erlang node runs", || {
            matches!(client.ask(&query), Ok(ErlangFact::Results(_)))
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn results(fact: ErlangFact) -> Vec<Result<Term, String>> {
    match fact {
        ErlangFact::Results(results) => results,
        other => panic!("{other:?}"),
    }
}

#[test]
fn functions_are_called_over_one_connection() {
    let node = Node::start("calls");
    let mut client = Client::start();
    node.wait(&mut client);
    let big = vec![Term::List(vec![Term::Int(1 << 40), Term::Int(2)])];
    let calls = [
        Call::new("erlang", "node", []),
        Call::new("lists", "sum", big),
        Call::new("erlang", "no_such_function", []),
        Call::new(
            "erlang",
            "list_to_binary",
            [Term::List(vec![Term::Int(104), Term::Int(105)])],
        ),
        Call::new("erlang", "binary_to_list", [Term::Str("hi".into())]),
        Call::new(
            "maps",
            "from_list",
            [Term::List(vec![
                Term::Tuple(vec![Term::atom("b"), Term::Int(2)]),
                Term::Tuple(vec![Term::atom("a"), Term::Int(1)]),
            ])],
        ),
        Call::new("erlang", "whereis", [Term::atom("rex")]),
        Call::new("erlang", "nodes", []),
    ];
    let results = results(client.ask(&node.query(calls)).unwrap());
    assert_eq!(results[0], Ok(Term::atom(&node.name)));
    assert_eq!(results[1], Ok(Term::Int((1 << 40) + 2)));
    let error = results[2].as_ref().unwrap_err();
    assert!(error.starts_with("{badrpc,{EXIT,{undef,"), "{error}");
    assert_eq!(
        (&results[3], &results[4]),
        (&Ok(Term::Str("hi".into())), &Ok(Term::Str("hi".into())))
    );
    let pairs = vec![(Term::atom("a"), Term::Int(1)), (Term::atom("b"), Term::Int(2))];
    assert_eq!(results[5], Ok(Term::Map(pairs)));
    assert!(
        matches!(&results[6], Ok(Term::Other(pid)) if pid.contains("calls-")),
        "{:?}",
        results[6]
    );
    // We are hidden: nobody in the cluster sees us come and go.
    assert_eq!(results[7], Ok(Term::List(vec![])));
}

#[test]
fn a_call_takes_no_longer_than_the_node() {
    let node = Node::start("speed");
    let mut client = Client::start();
    node.wait(&mut client);
    let calls: Vec<Call> = (0..50).map(|_| Call::new("erlang", "node", [])).collect();
    let query = node.query(calls);
    let quickest = (0..5).map(|_| {
        let begun = Instant::now();
        assert_eq!(results(client.ask(&query).unwrap()).len(), 50);
        begun.elapsed()
    });
    // Waiting for delayed acknowledgements would make it 40 ms a call: two seconds.
    let quickest = quickest.min().unwrap();
    println!("50 calls and the handshake: {quickest:?}");
    assert!(quickest < Duration::from_millis(500), "{quickest:?}");
}

#[test]
fn a_wrong_cookie_is_denied_and_a_missing_node_is_down() {
    let node = Node::start("cookie");
    let mut client = Client::start();
    node.wait(&mut client);
    let call = || [Call::new("erlang", "node", [])];
    fs::write(node.home.path().join("cookie"), "WRONG").unwrap();
    let denied = client.ask(&node.query(call())).unwrap();
    assert_eq!(denied, ErlangFact::Denied("it refused the cookie".into()));
    fs::remove_file(node.home.path().join("cookie")).unwrap();
    let denied = client.ask(&node.query(call())).unwrap();
    assert!(
        matches!(&denied, ErlangFact::Denied(why) if why.starts_with("there is no /")),
        "{denied:?}"
    );
    let query = ErlangQuery {
        node: "nobody@localhost".into(),
        ..node.query(call())
    };
    let down = client.ask(&query).unwrap();
    let no_node = Silence {
        kind: SilenceKind::Refused,
        words: "epmd has no node nobody".into(),
    };
    assert_eq!(down, ErlangFact::Down(no_node));
}

#[test]
fn a_node_that_is_not_ready_is_asked_only_what_it_can_answer() {
    let node = Node::start("ready");
    let mut client = Client::start();
    node.wait(&mut client);
    let version = || Call::new("erlang", "system_info", [Term::atom("otp_release")]);
    let state = Call::new("erlang", "is_alive", []);
    let ask = |client: &mut Client, ready: Call, wanted: &str| {
        let query = ErlangQuery {
            ready: Some((ready, Term::atom(wanted))),
            ..node.query([version(), version().when_ready()])
        };
        let found = results(client.ask(&query).unwrap());
        (found[0].is_ok(), found[1].clone().err())
    };
    assert_eq!(ask(&mut client, state.clone(), "true"), (true, None));
    let why = "not asked: erlang:is_alive returns Atom(\"true\")".to_owned();
    assert_eq!(ask(&mut client, state, "ready"), (true, Some(why)));
    // One of an older version has no such function.
    let missing = Call::new("erlang", "no_such_function", []);
    assert_eq!(ask(&mut client, missing, "ready"), (true, None));
}
