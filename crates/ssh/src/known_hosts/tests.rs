//! Verdicts on keys, for all that a `known_hosts` file may say.

use super::record::{Place, Role, Verdict, judge};
use super::*;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::{Algorithm, PublicKey};

use crate::error::Advice;

mod certificates;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDDw7PvJqU5eNmYLZxiA9VXM5E+L88E9J1T5o+S4kNqS";
const E: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBDLx85ZCWN2kMKIZm0h17sC8ZkahnSmIPM45xRgD8An+e2xwRJ0csZ+dzwDvx/xcOQ9Un7vNw1xbqGm34Je3aQY=";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

/// The verdict on a key, in words, by a file's text.
fn verdict(text: &str, host: &RecordedAs, shown: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    fs::write(&file, text).unwrap();
    let found = KnownHosts::default().find(&[file], host).unwrap();
    match judge(&found, &key(shown)) {
        Verdict::Known => "known".to_owned(),
        Verdict::Unknown => "unknown".to_owned(),
        Verdict::Changed(record) => format!("changed at {}", record.place.line),
        Verdict::Revoked(record) => format!("revoked at {}", record.place.line),
        Verdict::Unsigned(record) => format!("unsigned at {}", record.place.line),
    }
}

/// Checks the verdict on key A for each file's text.
fn judge_all(host: &RecordedAs, cases: &[(&str, String, &str)]) {
    for (what, text, expected) in cases {
        assert_eq!(verdict(text, host, A), *expected, "{what}: {text}");
    }
}

#[test]
fn lines_are_read_as_by_openssh() {
    let tabs = format!("  db1\t{}\r\n", A.replace(' ', " \t"));
    let foreign = "|1|lcY/In3lsGnkJikLENb0DM70B/I=|Qs4e9Nr7mM6avuEv02fw2uFnwQo=";
    let malformed = format!("db1\ndb1 ssh-ed25519 AAAA\n@what db1 {B}\ndb1 1024 37 159\ndb1 {A}");
    let cases = [
        ("nothing", String::new(), "unknown"),
        ("plain", format!("db1 {A}"), "known"),
        ("a comment with a #", format!("db1 {A} me@here #1"), "known"),
        ("tabs, spaces and CRLF", tabs, "known"),
        ("one of several names", format!("web,db1,10.0.0.1 {A}"), "known"),
        ("capitals", format!("DB1 {A}"), "known"),
        ("another host", format!("db2 {B}"), "unknown"),
        ("hashed", format!("{} {A}", line::hashed("db1")), "known"),
        (
            "hashed, changed",
            format!("{} {B}", line::hashed("db1")),
            "changed at 1",
        ),
        ("hashed, another host", format!("{foreign} {B}"), "unknown"),
        ("wildcard", format!("db* {A}"), "known"),
        ("negated", format!("db*,!db1 {B}"), "unknown"),
        ("negated first", format!("!db1,* {B}"), "unknown"),
        ("another negated", format!("db*,!db2 {A}"), "known"),
        ("malformed lines", malformed, "known"),
        (
            "cut off",
            "db1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kj".into(),
            "unknown",
        ),
    ];
    judge_all(&RecordedAs::new("db1", 22, None), &cases);
}

#[test]
fn another_key_is_a_changed_one_and_a_revoked_one_is_never_known() {
    let cases = [
        ("changed", format!("# hosts\n\ndb1 {B}"), "changed at 3"),
        (
            "changed, of another algorithm",
            format!("db1 {E}"),
            "changed at 1",
        ),
        (
            "several, one right",
            format!("db1 {E}\ndb1 {B}\ndb1 {A}"),
            "known",
        ),
        ("revoked", format!("@revoked * {A}"), "revoked at 1"),
        (
            "revoked, though recorded",
            format!("db1 {A}\n@revoked db1 {A}"),
            "revoked at 2",
        ),
        ("another revoked", format!("@revoked * {B}\ndb1 {A}"), "known"),
        ("only another revoked", format!("@revoked * {B}"), "unknown"),
        ("an authority", format!("@cert-authority * {B}\ndb1 {A}"), "known"),
        (
            "an authority alone",
            format!("@cert-authority * {A}"),
            "unsigned at 1",
        ),
        (
            "an authority of others",
            format!("@cert-authority db2 {A}"),
            "unknown",
        ),
    ];
    judge_all(&RecordedAs::new("db1", 22, None), &cases);
}

#[test]
fn a_port_and_an_alias_are_part_of_the_name() {
    let hashed = format!("{} {A}", line::hashed("[db1]:2222"));
    let cases = [
        ("with its port", format!("[db1]:2222 {A}"), "known"),
        (
            "with its port, changed",
            format!("[db1]:2222 {B}"),
            "changed at 1",
        ),
        ("another port", format!("[db1]:2223 {B}"), "unknown"),
        ("port 22, which confirms", format!("db1 {A}"), "known"),
        (
            "port 22, which does not contradict",
            format!("db1 {B}"),
            "unknown",
        ),
        ("hashed with its port", hashed, "known"),
    ];
    judge_all(&RecordedAs::new("DB1", 2222, None), &cases);
    let another_port = [("a port, asked for 22", format!("[db1]:2222 {B}"), "unknown")];
    judge_all(&RecordedAs::new("db1", 22, None), &another_port);
    let alias = [(
        "an alias",
        format!("cluster-db1 {A}\n[10.0.0.1]:2222 {B}"),
        "known",
    )];
    judge_all(&RecordedAs::new("10.0.0.1", 2222, Some("Cluster-DB1")), &alias);
}

#[test]
fn recorded_algorithms_are_asked_for_first() {
    let record = |text: &str, role| Found {
        key: key(text),
        role,
        is_plain: false,
        place: Place {
            file: PathBuf::new(),
            line: 1,
        },
    };
    let policy = Policy::default();
    let records = [record(E, Role::Host), record(A, Role::Revoked)];
    let asked_for = preferred_algorithms(&records, &policy);
    assert_eq!(asked_for.keys[0].as_str(), "ecdsa-sha2-nistp256");
    assert_eq!(asked_for.keys[1].as_str(), "ssh-ed25519");
    assert_eq!((asked_for.keys.len(), asked_for.certificates.len()), (6, 0));
    // Certificates only from hosts of an authority, and nothing that is not permitted.
    let mut policy = Policy::default();
    policy
        .set(
            "hostkeyalgorithms",
            "ssh-ed25519,rsa-sha2-256-cert-v01@openssh.com",
        )
        .unwrap();
    let asked_for = preferred_algorithms(&[record(E, Role::Host), record(A, Role::Authority)], &policy);
    assert_eq!(asked_for.keys, [Algorithm::Ed25519]);
    assert_eq!(
        asked_for.certificates[0].to_certificate_type(),
        "rsa-sha2-256-cert-v01@openssh.com"
    );
}

fn check(known_hosts: &Arc<KnownHosts>, file: &Path, accept_new: bool, is_hashed: bool) -> Check {
    let host = RecordedAs::new("db1", 2222, None);
    Check {
        found: known_hosts.find(&[file.to_owned()], &host).unwrap(),
        known_hosts: Arc::clone(known_hosts),
        host,
        new_keys: file.to_owned(),
        accept_new,
        is_hashed,
        policy: Policy::default(),
        revoked_keys: Vec::new(),
    }
}

#[test]
fn a_new_key_is_recorded_once_and_then_held_to() {
    for is_hashed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/known_hosts");
        let known_hosts = Arc::new(KnownHosts::default());
        check(&known_hosts, &file, true, is_hashed)
            .check_key(&key(A))
            .unwrap();
        check(&known_hosts, &file, true, is_hashed)
            .check_key(&key(A))
            .unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(text.starts_with("|1|"), is_hashed, "{text}");
        assert_eq!(
            text.starts_with("[db1]:2222 ssh-ed25519 AAAA"),
            !is_hashed,
            "{text}"
        );
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let changed = check(&known_hosts, &file, true, is_hashed)
            .check_key(&key(E))
            .unwrap_err();
        assert!(changed.to_string().contains("CHANGED"), "{changed}");
        assert!(
            changed
                .to_string()
                .contains("new/known_hosts:1 records ssh-ed25519 SHA256:"),
            "{changed}"
        );
    }
}

#[test]
fn of_two_first_connections_one_sees_the_other_s_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    let known_hosts = Arc::new(KnownHosts::default());
    let [mut one, mut two, mut three] = [(); 3].map(|()| check(&known_hosts, &file, true, false));
    one.check_key(&key(A)).unwrap();
    two.check_key(&key(A)).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1);
    assert!(matches!(
        three.check_key(&key(B)),
        Err(HostKeyError::Changed { .. })
    ));
    // A file that keeps nothing is the operator's choice.
    check(&known_hosts, Path::new("/dev/null"), true, false)
        .check_key(&key(A))
        .unwrap();
}

#[test]
fn a_line_is_added_to_a_file_without_a_newline() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    fs::write(&file, format!("db2 {B}")).unwrap();
    let known_hosts = Arc::new(KnownHosts::default());
    check(&known_hosts, &file, true, false)
        .check_key(&key(A))
        .unwrap();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("db2 {B}\n[db1]:2222 {A}\n")
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    let error = check(&Arc::default(), &file, false, false)
        .check_key(&key(A))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("[db1]:2222 is not known: ssh-ed25519 SHA256:"),
        "{error}"
    );
    assert!(
        error.hint().contains("--accept-new-host-keys"),
        "{}",
        error.hint()
    );
    assert!(
        error.hint().contains("ssh-keyscan -p 2222 -t ed25519 db1 >> "),
        "{}",
        error.hint()
    );
    assert!(!file.exists());
}
