//! Commands: arguments as they are, time limits, and no secret in what they say.

use std::fs;
use std::time::{Duration, Instant};

use protocol::facts::{CommandFact, CommandQuery, PackageQuery};
use protocol::{Action, ActionError, Command, FactError, Operation, Text};

use crate::Client;
use crate::client::{is_alive, until};

fn ask(client: &mut Client, argv: &[&str], limit_ms: u64) -> Result<CommandFact, FactError> {
    client.ask(&CommandQuery {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        limit_ms,
    })
}

fn run(commands: impl Into<Vec<Command>>) -> Operation {
    Operation::Run {
        commands: commands.into(),
    }
}

#[test]
fn arguments_are_not_touched_by_a_shell() {
    let mut client = Client::start();
    let fact = ask(&mut client, &["printf", "%s|", "$HOME", "a b", "*", ";"], 5000).unwrap();
    assert_eq!((fact.status, fact.stdout.as_str()), (0, "$HOME|a b|*|;|"));
    let fact = ask(
        &mut client,
        &["sh", "-c", "cat; echo $LC_ALL; echo no >&2; kill -15 $$"],
        5000,
    )
    .unwrap();
    assert_eq!(
        (fact.status, fact.stdout.as_str(), fact.stderr.as_str()),
        (143, "C.UTF-8\n", "no\n")
    );
    let error = ask(&mut client, &["/no/such/program"], 5000).unwrap_err();
    assert_eq!(
        error.message,
        "cannot start /no/such/program: no such file or directory"
    );
}

#[test]
fn output_is_cut_and_the_command_still_ends() {
    let mut client = Client::start();
    let fact = ask(&mut client, &["head", "-c", "3000000", "/dev/zero"], 20_000).unwrap();
    assert_eq!((fact.status, fact.stdout.len()), (0, 1 << 20));
}

#[test]
fn a_cut_through_a_secret_shows_no_part_of_it() {
    let mut client = Client::start();
    let secret = "S3cr3t-that-stands-across-the-cut";
    client.hand_over(&[("pw", secret)]);
    let before = (1 << 20) - 10;
    let script = format!("head -c {before} /dev/zero | tr '\\0' x; printf {secret}");
    let fact = ask(&mut client, &["sh", "-c", &script], 20_000).unwrap();
    assert!(fact.stdout.ends_with("xxx***"), "{}", &fact.stdout[before - 5..]);
    assert!(!client.has_said(&secret[..8]));
}

#[test]
fn a_time_limit_ends_the_whole_process_group() {
    let mut client = Client::start();
    let pid_file = client.home.path().join("pid");
    let script = format!(
        "trap '' TERM; sleep 300 & echo $! > {}; wait; sleep 300",
        pid_file.display()
    );
    let begun = Instant::now();
    let error = ask(&mut client, &["sh", "-c", &script], 300).unwrap_err();
    assert_eq!(error.message, "sh did not end within 300 ms");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let pid = fs::read_to_string(&pid_file).unwrap();
    until("its child ends", || !is_alive(&pid));
}

#[test]
fn a_sequence_stops_at_the_first_failure_and_shows_what_was_said() {
    let mut client = Client::start();
    let mark = client.home.path().join("mark");
    let error = client
        .act(run([
            Command::new(["true"]),
            Command::new(["sh", "-c", "echo lots of detail >&2; exit 7"]),
            Command::new(["touch", mark.to_str().unwrap()]),
        ]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("(command 2 of 3): exit status 7\nlots of detail"),
        "{error}"
    );
    assert!(!mark.exists());
}

#[test]
fn an_action_has_a_time_limit() {
    let mut client = Client::start();
    let action = Action {
        only_if: Vec::new(),
        operation: run([Command::new(["sleep", "0.2"]), Command::new(["sleep", "300"])]),
        limit_ms: 600,
    };
    let error = client.perform(action).unwrap_err();
    let expected = ActionError::TimedOut {
        what: "sleep 300".to_owned(),
        limit_ms: 600,
    };
    assert_eq!(error, expected);
}

#[test]
fn secrets_go_in_by_standard_input_and_do_not_come_out() {
    let mut client = Client::start();
    let secret = "hunter2-hunter2-hunter2-hunter2-";
    client.hand_over(&[("pw", secret)]);
    let kept = client.home.path().join("kept");
    let command = |script: String| Command {
        argv: vec!["sh".to_owned(), "-c".to_owned(), script],
        stdin: Some(Text::new("password=⟪secret:pw⟫\n")),
    };
    client
        .act(run([command(format!("cat > {}", kept.display()))]))
        .unwrap();
    assert_eq!(fs::read_to_string(&kept).unwrap(), format!("password={secret}\n"));
    let error = client
        .act(run([command("cat >&2; exit 1".to_owned())]))
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("exit status 1\npassword=***"), "{error}");
    let fact = ask(&mut client, &["cat", kept.to_str().unwrap()], 5000).unwrap();
    assert_eq!(fact.stdout, "password=***\n");
    assert!(!client.has_said(secret));
}

#[test]
fn packages_that_are_installed_are_not_installed_again() {
    let mut client = Client::start();
    let names = vec!["dpkg".to_owned(), "libc6".to_owned()];
    let change = client.act(Operation::InstallPackages { names }).unwrap();
    assert_eq!(change.summary, "dpkg, libc6 installed already");
    let fact = |name: &str| PackageQuery {
        name: name.to_owned(),
    };
    assert!(client.ask(&fact("dpkg")).unwrap().version.is_some());
    assert_eq!(client.ask(&fact("no-such-package")).unwrap().version, None);
}
