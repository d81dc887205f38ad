//! The trial of a file for RabbitMQ, by the script of the kind, as far as the shell goes: what the virtual machine is given, as
//! whom, and what comes of its end. Broker and schemas are the lab's.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use protocol::{Action, FileState, Operation, Trial};

use crate::Client;
use crate::client::write_file;

const SCRIPT: &str = include_str!("../../../kinds/rabbitmq/src/steps/trial.sh");

/// A virtual machine that refuses a file with this word.
const ERL: &str = "#!/bin/sh\nuntil [ \"$1\" = -extra ]; do shift; done\n\
                   echo \"$(id -un) in $(pwd): $ERL_LIBS | $2 | $4 $5 $6\"\n! grep -q refused \"$3\"\n";

#[test]
fn a_virtual_machine_of_the_brokers_user_gets_the_candidate_and_the_other_files() {
    let programs = tempfile::tempdir().unwrap();
    fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let erl = programs.path().join("erl");
    fs::write(&erl, ERL).unwrap();
    fs::set_permissions(&erl, fs::Permissions::from_mode(0o755)).unwrap();
    let mut client = Client::start_with(|command| {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", programs.path().display()));
    });
    let path = client.home.path().join("rabbitmq.conf");
    fs::write(&path, "old\n").unwrap();
    let mut user = String::new();
    let mut write = |text: &str| {
        let mut operation = write_file(&path, text, FileState::Any);
        if let Operation::WriteFile {
            trial, owner, group, ..
        } = &mut operation
        {
            user.clone_from(owner);
            let file = path.to_str().unwrap();
            let words = [
                "sh",
                "-c",
                SCRIPT,
                "sh",
                owner,
                group,
                "/plugins:/more",
                "%s",
                file,
                "/a.conf",
                "/b.conf",
            ];
            let argv = words.map(str::to_owned).to_vec();
            *trial = Some(Trial { argv });
        }
        client.perform(Action {
            only_if: Vec::new(),
            operation,
            limit_ms: 30_000,
        })
    };
    let error = write("refused\n").unwrap_err().to_string();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
    write("taken\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "taken\n");
    let told = format!(
        "{user} in /: /plugins:/more | /plugins:/more | {} /a.conf /b.conf",
        path.display()
    );
    assert!(error.contains(&told), "{error}");
}
