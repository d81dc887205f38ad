//! systemd, played by a script: the tests' machine need not run one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use protocol::facts::UnitQuery;
use protocol::{Fact, FactQuery, Operation, Query, UnitVerb};
use tempfile::TempDir;

use crate::Client;

/// Programs that come first in the agent's PATH.
fn programs(scripts: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, script) in scripts {
        let path = directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

fn client(programs: &Path) -> Client {
    Client::start_with(|command| {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", programs.display()));
    })
}

#[test]
fn all_units_are_asked_for_by_one_call() {
    let programs = programs(&[(
        "systemctl",
        r#"echo "$@" >> "$(dirname "$0")/calls"
while [ "$1" != -- ]; do shift; done; shift
for unit; do
  [ "$first" ] && echo; first=no
  echo LoadState=loaded; echo ActiveState=active; echo SubState="$unit"
  echo "ExecMainStartTimestamp=Tue 2026-11-24 08:51:10.000007 UTC"; echo MainPID=7; echo NeedDaemonReload=no
done"#,
    )]);
    let mut client = client(programs.path());
    let queries: Vec<FactQuery> = ["a.service", "b*", "c.service"]
        .map(|name| UnitQuery::new(name).wrap())
        .into();
    let facts = client.gather(queries);
    let sub = |place: usize| match &facts[place] {
        Ok(Fact::Unit(fact)) => (fact.sub.clone(), fact.started_us % 1_000_000),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (sub(0), sub(2)),
        (("a.service".into(), 7), ("c.service".into(), 7))
    );
    assert_eq!(
        facts[1].as_ref().unwrap_err().message,
        "\"b*\" is not a unit's name"
    );
    let calls = fs::read_to_string(programs.path().join("calls")).unwrap();
    assert_eq!(calls.lines().count(), 1, "{calls}");
}

#[test]
fn verbs_are_given_in_order_and_a_failure_shows_the_journal() {
    let programs = programs(&[
        (
            "systemctl",
            r#"echo "$@" >> "$(dirname "$0")/calls"
case "$2" in restart) echo "Job for a.service failed." >&2; exit 1;; esac"#,
        ),
        ("journalctl", "echo 'Fatal error, can'\\''t open config file'"),
    ]);
    let mut client = client(programs.path());
    let tell = |verbs: &[UnitVerb]| Operation::Unit {
        name: "a.service".to_owned(),
        verbs: verbs.to_vec(),
        reads: Vec::new(),
    };
    let change = client
        .act(tell(&[UnitVerb::DaemonReload, UnitVerb::Enable, UnitVerb::Start]))
        .unwrap();
    assert_eq!(change.summary, "a.service: daemon-reload, enable, start");
    let error = client
        .act(tell(&[UnitVerb::Restart, UnitVerb::Enable]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "systemctl --no-ask-password restart -- a.service failed:\nJob for a.service failed.\n\
         Fatal error, can't open config file"
    );
    let calls = fs::read_to_string(programs.path().join("calls")).unwrap();
    let expected = [
        "--no-ask-password daemon-reload",
        "--no-ask-password enable -- a.service",
        "--no-ask-password reset-failed -- a.service",
        "--no-ask-password start -- a.service",
        "--no-ask-password reset-failed -- a.service",
        "--no-ask-password restart -- a.service",
    ];
    assert_eq!(calls.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_a_unit_was_started_with_is_noted_and_compared_on_the_host() {
    // A unit whose invocation is another after each start.
    let programs = programs(&[(
        "systemctl",
        r#"cd "$(dirname "$0")"
case "$2" in restart) echo x >> starts;; esac
case "$1" in show) echo LoadState=loaded; echo ActiveState=active; echo "InvocationID=i$(wc -l < starts)";; esac"#,
    )]);
    let file = programs.path().join("conf");
    let path = file.to_str().unwrap().to_owned();
    fs::write(&file, "port 1").unwrap();
    fs::write(programs.path().join("starts"), "x\n").unwrap();
    let mut client = client(programs.path());
    let tell = |verb| Operation::Unit {
        name: "a.service".to_owned(),
        verbs: vec![verb],
        reads: vec![path.clone()],
    };
    let told = |client: &mut Client| match client.gather(vec![UnitQuery::new("a.service").wrap()]).remove(0) {
        Ok(Fact::Unit(fact)) => fact
            .started_with
            .iter()
            .map(|file| file.is_same)
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    // It runs already: a start starts nothing.
    client.act(tell(UnitVerb::Start)).unwrap();
    assert!(told(&mut client).is_empty());
    client.act(tell(UnitVerb::Restart)).unwrap();
    assert_eq!(told(&mut client), [true]);
    fs::write(&file, "port 2").unwrap();
    assert_eq!(told(&mut client), [false]);
    client.act(tell(UnitVerb::Restart)).unwrap();
    assert_eq!(told(&mut client), [true]);
    // Somebody else starts it.
    fs::write(programs.path().join("starts"), "x\nx\nx\nx\n").unwrap();
    assert!(told(&mut client).is_empty());
}
