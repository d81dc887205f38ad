//! The file: what is written is read again, what was released is read for ever, and what is no plan is told apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Parser as _;
use plan::{
    Basis, Budget, Consent, Facts, Gate, Level, Node, Note, Preview, Refusal, RunningUnits, SkippedSteps,
    StepGraph, Unplanned,
};
use protocol::facts::{
    Bson, Call, ErlangFact, ErlangQuery, HttpEndpoint, HttpFact, HttpQuery, HttpRequest, Login, MongoCommand,
    MongoFact, MongoQuery, MongoUser, Query, RespCommand, RespFact, RespQuery, RespValue, SsdbCommand,
    SsdbFact, SsdbQuery, SsdbReach, SsdbReply, Term, UnitFact, UnitQuery,
};
use protocol::{
    Action, Command, DirectoryState, Fact, FactQuery, FileState, Operation, Precondition, Text, UnitVerb,
};
use types::{SecretId, Sources};

use super::file::parse;
use super::format::{FORMAT, VERSION};
use super::plan::{Made, Source};
use super::{SavedError, SavedPlan, contradictions, open, texts, write};
use crate::cli::{ApplyArgs, Cli};

mod mutations;

/// The first released version. It is never written again: a field that is added to what it has gets a default.
const GOLDEN: &str = include_str!("../../tests/golden/saved-plan-1.json");

fn secret(name: &str) -> SecretId {
    format!("file:secrets/{name}").parse().unwrap()
}

fn node(step: &str, operation: Operation, only_if: Vec<Precondition>) -> Node {
    let host = "db1".parse().unwrap();
    Node {
        id: format!("set/{step}@db1").parse().unwrap(),
        service: Some("set".parse().unwrap()),
        host,
        title: format!("do {step}"),
        reason: "it is not done".to_owned(),
        action: Some(Action {
            only_if,
            operation,
            limit_ms: 60_000,
        }),
        preview: None,
        disrupts: BTreeSet::new(),
        before: Vec::new(),
        gates: Vec::new(),
        needs: BTreeSet::new(),
        rollback: None,
    }
}

fn relies<Q: Query>(query: &Q, fact: Fact) -> Precondition {
    Precondition {
        what: "it is so".to_owned(),
        query: query.wrap(),
        fact,
    }
}

fn mongo() -> Node {
    let user = MongoUser {
        name: "admin".to_owned(),
        password: secret("mongo"),
        auth_db: "admin".to_owned(),
    };
    let config = Bson::doc([
        ("id", Bson::ObjectId("aa".to_owned())),
        ("n", 5.into()),
        ("x", Bson::double(0.5)),
        ("at", Bson::Timestamp(1, 2)),
        ("bin", Bson::Binary(0, "ff".to_owned())),
        ("list", Bson::Array(vec![Bson::Null, true.into(), Bson::Date(7)])),
    ]);
    let query = MongoQuery {
        address: "127.0.0.1".to_owned(),
        port: 27017,
        user: Some(user.clone()),
        or_as_nobody: true,
        commands: vec![MongoCommand::new("hello", 1).only(&["setName"])],
    };
    let fact = Fact::Mongo(MongoFact::Replies {
        login: Login::Accepted,
        replies: vec![Ok(Bson::doc([("setName", "rs0".into())]))],
    });
    let operation = Operation::Mongo {
        address: "127.0.0.1".to_owned(),
        port: 27017,
        user: Some(user),
        commands: vec![MongoCommand::new("replSetReconfig", config)],
        again_on: vec![109],
    };
    node("members", operation, vec![relies(&query, fact)])
}

fn resp() -> Node {
    let commands = vec![RespCommand::new(["CONFIG", "GET", "requirepass"]).sensitive([&secret("resp")])];
    let query = RespQuery {
        address: "10.0.0.1".to_owned(),
        port: 6379,
        password: Some(secret("resp")),
        commands: commands.clone(),
    };
    let values = vec![
        RespValue::Nil,
        RespValue::Int(-1),
        RespValue::Str(Text::secret(&secret("resp"))),
    ];
    let fact = Fact::Resp(RespFact::Replies {
        authenticated: true,
        replies: vec![RespValue::List(values)],
    });
    let operation = Operation::Resp {
        address: "10.0.0.1".to_owned(),
        port: 6379,
        password: Some(secret("resp")),
        commands,
    };
    node("set", operation, vec![relies(&query, fact)])
}

fn ssdb() -> Node {
    let query = SsdbQuery {
        address: "db1".to_owned(),
        port: 4420,
        password: None,
        commands: vec![SsdbCommand::new(["get", "x"]).private()],
    };
    let fact = Fact::Ssdb(SsdbFact::Replies {
        asks_password: true,
        replies: vec![SsdbReply {
            status: "ok".to_owned(),
            items: vec![Text::kept(3..9)],
        }],
    });
    let operation = Operation::Ssdb {
        address: "db1".to_owned(),
        port: 4420,
        password: Some(secret("ssdb")),
        commands: vec![SsdbCommand::new(["set", "x", "41-ab-all"])],
        until: Some(SsdbReach {
            command: SsdbCommand::new(["info"]),
            pattern: "seq".to_owned(),
            at_least: 7,
        }),
    };
    node("canary", operation, vec![relies(&query, fact)])
}

fn erlang() -> Node {
    let query = ErlangQuery {
        node: "rabbit@db1".to_owned(),
        cookie_file: "/var/lib/rabbitmq/.erlang.cookie".to_owned(),
        ready: None,
        calls: vec![Call::new("m", "f", [Term::Secret(secret("mq"))])],
    };
    let terms = vec![Term::atom("ok"), Term::Int(1), Term::Float("0.5".to_owned())];
    let map = Term::Map(vec![(Term::Str("k".to_owned()), Term::Tuple(Vec::new()))]);
    let fact = Fact::Erlang(ErlangFact::Results(vec![
        Ok(Term::List(terms)),
        Ok(map),
        Err("no".to_owned()),
    ]));
    let operation = Operation::Run {
        commands: vec![
            Command::new(["rabbitmqctl", "stop_app"]),
            Command {
                argv: vec!["rabbitmqctl".to_owned(), "change_password".to_owned()],
                stdin: Some(Text::secret(&secret("mq"))),
            },
        ],
    };
    node("join", operation, vec![relies(&query, fact)])
}

fn http() -> Node {
    let at = HttpEndpoint {
        address: "db1".to_owned(),
        port: 8123,
        account: None,
    };
    let query = HttpQuery {
        at: at.clone(),
        request: HttpRequest::post("/", "SELECT 1"),
        limit_ms: 1000,
    };
    let fact = Fact::Http(HttpFact::Reply {
        status: 200,
        body: Text::new("1\n"),
    });
    let operation = Operation::Http {
        at,
        requests: vec![HttpRequest::post("/", "SYSTEM DROP REPLICA 'x'")],
        again_on: Vec::new(),
    };
    node("replicas", operation, vec![relies(&query, fact)])
}

fn plain() -> Vec<Node> {
    let file = Operation::WriteFile {
        path: "/etc/x".to_owned(),
        text: Text::new("password ⟪secret:file:secrets/x⟫\nother ⟪kept:9+4⟫\n"),
        mode: 0o640,
        owner: "root".to_owned(),
        group: "x".to_owned(),
        was: FileState::Hash("ab".repeat(32)),
        trial: None,
    };
    let directory = Operation::MakeDirectory {
        path: "/var/x".to_owned(),
        mode: 0o750,
        owner: "x".to_owned(),
        group: "x".to_owned(),
        was: DirectoryState::Any,
    };
    let packages = Operation::InstallPackages {
        names: vec!["x".to_owned()],
    };
    let preview = Preview::File {
        path: "/etc/x".to_owned(),
        before: None,
        after: Text::new("password ⟪secret:file:secrets/x⟫\n"),
    };
    let wait = Node {
        action: None,
        preview: Some(Preview::Commands(vec!["wait".to_owned()])),
        service: None,
        ..node("wait", packages.clone(), Vec::new())
    };
    vec![
        node("package", packages, Vec::new()),
        node("directory", directory, Vec::new()),
        Node {
            preview: Some(preview),
            ..node("config", file, Vec::new())
        },
        wait,
    ]
}

fn unit() -> UnitFact {
    UnitFact {
        load: "loaded".to_owned(),
        active: "active".to_owned(),
        sub: "running".to_owned(),
        enabled: "enabled".to_owned(),
        main_pid: 7,
        started_us: 1_700_000_000_000_000,
        invocation: "ab".repeat(16),
        stale: false,
        started_with: Vec::new(),
    }
}

fn restart() -> Node {
    let unit = unit();
    let query = UnitQuery::new("x");
    let operation = Operation::Unit {
        name: "x".to_owned(),
        verbs: vec![UnitVerb::DaemonReload, UnitVerb::Restart],
        reads: Vec::new(),
    };
    let gate = Gate {
        service: Some("set".parse().unwrap()),
        check: "serves".to_owned(),
        host: Some("db1".parse().unwrap()),
        title: "db1 serves".to_owned(),
        watch: BTreeMap::from([("db1".parse().unwrap(), vec![FactQuery::Unit(query.clone())])]),
        limit_ms: 300_000,
    };
    Node {
        disrupts: BTreeSet::from(["set".parse().unwrap()]),
        before: vec![gate.clone()],
        gates: vec![gate],
        needs: BTreeSet::from(["set/config@db1".parse().unwrap()]),
        ..node("restart", operation, vec![relies(&query, Fact::Unit(unit))])
    }
}

/// A plan with everything that a plan can have.
fn graph() -> StepGraph {
    let mut nodes = plain();
    nodes.extend([restart(), mongo(), resp(), ssdb(), erlang(), http()]);
    let budget = Budget {
        members: BTreeSet::from(["db1".parse().unwrap()]),
        max_unavailable: 1,
        unavailable: BTreeSet::new(),
    };
    let mut graph = StepGraph::new(nodes, BTreeMap::from([("set".parse().unwrap(), budget)])).unwrap();
    graph.notes.push(Note {
        level: Level::Warning,
        service: None,
        host: Some("db1".parse().unwrap()),
        text: "look".to_owned(),
    });
    graph.refusals.push(Refusal {
        service: Some("set".parse().unwrap()),
        host: None,
        what: "nothing".to_owned(),
        why: "no".to_owned(),
        resolve: "yes".to_owned(),
        consent: Some(consent()),
        passing: false,
    });
    graph.unplanned.push(Unplanned {
        service: None,
        steps: SkippedSteps::One("x".to_owned()),
        host: "db2".parse().unwrap(),
        why: "out of reach".to_owned(),
        passing: false,
    });
    let bases = vec![
        Basis::new("the term of the replica set", &3),
        Basis::volatile("the last change of db1", "41-ab-"),
    ];
    graph.basis.insert("set".parse().unwrap(), bases);
    graph
}

fn consent() -> Consent {
    Consent {
        action: "ssdb.wipe".to_owned(),
        host: "db1".parse().unwrap(),
    }
}

fn sample() -> SavedPlan {
    let mut sources = Sources::new();
    sources.add("/srv/inventory.toml", "[hosts]\n");
    let mut facts = Facts::default();
    facts.answer(&"db1".parse().unwrap(), &UnitQuery::new("x"), Fact::Unit(unit()));
    SavedPlan {
        format: FORMAT.to_owned(),
        version: VERSION,
        made: Made {
            by: "root@vm".to_owned(),
            at: "2026-11-24T09:40:19Z".to_owned(),
            with: "0.1.0".to_owned(),
        },
        source: Source {
            inventory: "/srv/inventory.toml".to_owned(),
            overlays: vec!["/srv/lab.toml".to_owned()],
            playbook: None,
            playbooks: Some("/srv/playbooks".to_owned()),
        },
        texts: texts::of(&sources),
        scope: planner::Scope {
            services: BTreeSet::from(["set".parse().unwrap()]),
            hosts: BTreeSet::new(),
        },
        options: planner::Options {
            consents: BTreeSet::from([consent()]),
            restart: Some(RunningUnits::of(&facts)),
            max_unavailable: NonZeroUsize::new(2),
        },
        plan: graph(),
    }
}

fn apply(words: &[&str]) -> ApplyArgs {
    let words = [&["clusterctl", "apply"], words].concat();
    match Cli::try_parse_from(words).unwrap().command {
        crate::cli::Command::Apply(args) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_released_is_read() {
    assert_eq!(parse(Path::new("x"), GOLDEN).unwrap(), sample());
}

#[test]
fn what_is_written_is_read_again_and_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    assert!(!write(&path, &sample()).unwrap());
    assert_eq!(open(&path).unwrap(), Some(sample()));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A plan takes the place of a plan, and leaves nothing else behind.
    assert!(write(&path, &sample()).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn nothing_but_a_plan_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.toml");
    std::fs::write(&path, "[hosts]\n").unwrap();
    assert!(matches!(write(&path, &sample()), Err(SavedError::InTheWay(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[hosts]\n");
}

#[test]
fn an_inventory_is_told_from_a_plan_by_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    assert_eq!(open(&path).unwrap(), None);
    std::fs::write(&path, "[hosts]\ndb1 = \"10.0.0.1\"\n").unwrap();
    assert_eq!(open(&path).unwrap(), None);
    std::fs::write(&path, "{\"format\": 1, \"converged\": true}").unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        error.to_string().contains("`plan --json` cannot be applied"),
        "{error}"
    );
}

#[test]
fn a_newer_or_an_edited_plan_is_refused_with_why() {
    let newer = GOLDEN.replacen("\"version\": 1", "\"version\": 9", 1);
    let error = parse(Path::new("plan.json"), &newer).unwrap_err();
    assert!(error.to_string().contains("version 9 of the format"), "{error}");
    // The restart needs the file before it; now the file needs the restart as well.
    let at = GOLDEN.find("\"set/config@db1\"").unwrap();
    let (before, after) = GOLDEN.split_at(at);
    let circle = format!(
        "{before}{}",
        after.replacen("\"needs\": []", "\"needs\": [\"set/restart@db1\"]", 1)
    );
    let error = parse(Path::new("plan.json"), &circle).unwrap_err();
    let SavedError::Unsound { error, .. } = error else {
        panic!("{error}")
    };
    assert!(error.to_string().contains("needs itself"), "{error}");
    let unknown = GOLDEN.replacen("\"consents\"", "\"restart_all\": true, \"consents\"", 1);
    assert!(matches!(
        parse(Path::new("plan.json"), &unknown),
        Err(SavedError::Unsound { .. })
    ));
}

#[test]
fn options_of_the_plan_are_not_said_again() {
    let said = contradictions(&apply(&[
        "plan.json",
        "--service",
        "set",
        "--allow",
        "ssdb.wipe=db1",
    ]));
    assert_eq!(said, ["--service", "--allow"]);
    let how = ["plan.json", "--yes", "--parallel", "3", "--ssh-config", "none"];
    assert!(contradictions(&apply(&how)).is_empty());
    let args = sample().args(&apply(&how));
    assert_eq!(args.target.source.inventory, Path::new("/srv/inventory.toml"));
    assert_eq!(args.target.service.len(), 1);
    assert_eq!(args.target.ssh.ssh_config.as_deref(), Some(Path::new("none")));
}

#[test]
fn texts_are_compared_by_their_digests() {
    let texts = |texts: &[(&str, &str)]| {
        let mut sources = Sources::new();
        for (name, text) in texts {
            sources.add(*name, *text);
        }
        texts::of(&sources)
    };
    let was = texts(&[("inventory.toml", "a"), ("lab.toml", "b"), ("x.toml", "c")]);
    let now = texts(&[("inventory.toml", "a"), ("lab.toml", "B"), ("y.toml", "c")]);
    let changes = texts::changes(&was, &now);
    assert_eq!(changes.changed, ["lab.toml"]);
    assert_eq!(
        (changes.gone.as_slice(), changes.new.as_slice()),
        (["x.toml".to_owned()].as_slice(), ["y.toml".to_owned()].as_slice())
    );
    assert!(texts::changes(&was, &was).is_empty());
}

#[test]
fn a_plan_that_somebody_else_could_have_written_is_refused_before_it_is_parsed() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(folder.path(), 0o755);
    let path = folder.path().join("plan.json");
    // It does not hold together, and nobody gets that far.
    std::fs::write(&path, "{\"format\": \"clusterctl plan\", \"version\": 1}").unwrap();
    let refused = |path: &Path| match open(path) {
        Err(SavedError::Untrusted { why, .. }) => why.to_string(),
        other => panic!("{other:?}"),
    };
    for bits in [0o620, 0o602] {
        mode(&path, bits);
        assert!(refused(&path).contains("chmod go-w"));
    }
    mode(&path, 0o600);
    assert!(matches!(open(&path), Err(SavedError::Unsound { .. })));
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(refused(&link).contains("name the file itself"));
    mode(folder.path(), 0o777);
    assert!(refused(&path).contains("(mode 0777)"));
    mode(folder.path(), 0o1777);
    assert!(matches!(open(&path), Err(SavedError::Unsound { .. })));
}
