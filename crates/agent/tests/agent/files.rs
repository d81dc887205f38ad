//! Files: written whole, backed up, and only over what the plan saw.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::slice;

use protocol::facts::{FileFact, FileQuery};
use protocol::{ActionError, DirectoryState, Fact, FileState, Operation, Precondition, Query, Text, Trial};

use crate::Client;
use crate::client::{files_below, owner_of, write_file};

fn state(client: &mut Client, path: &Path) -> FileState {
    client
        .ask(&FileQuery::meta(path.to_str().unwrap()))
        .unwrap()
        .state()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_new_file_has_its_mode_and_no_backup() {
    let mut client = Client::start();
    let path = client.home.path().join("new.conf");
    let change = client
        .act(write_file(&path, "a = 1\n", FileState::Absent))
        .unwrap();
    assert_eq!(change.backup, None);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a = 1\n");
    assert_eq!(mode(&path), 0o640);
    assert_eq!(files_below(client.home.path()), [path]);
}

#[test]
fn what_stood_there_is_kept_outside_its_directory() {
    let mut client = Client::start();
    let path = client.home.path().join("a.conf");
    fs::write(&path, "old\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    let was = state(&mut client, &path);
    let change = client.act(write_file(&path, "new\n", was)).unwrap();
    let backup = change.backup.unwrap();
    let backup = Path::new(&backup);
    assert_eq!(fs::read_to_string(backup).unwrap(), "old\n");
    assert_eq!(mode(backup), 0o604);
    let backups = client.home.path().join("backups");
    assert_eq!(mode(&backups), 0o700);
    // The directory of the file is mirrored, and the name begins with the file's.
    let below = backups.join(client.home.path().strip_prefix("/").unwrap());
    assert_eq!(backup.parent().unwrap(), below);
    assert!(
        backup
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("a.conf.20")
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
    let beside: Vec<_> = fs::read_dir(client.home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
}

#[test]
fn changes_within_a_second_have_backups_of_their_own() {
    let mut client = Client::start();
    let path = client.home.path().join("a");
    fs::write(&path, "0").unwrap();
    for number in 1..=4 {
        let was = state(&mut client, &path);
        client.act(write_file(&path, &number.to_string(), was)).unwrap();
    }
    let backups = files_below(&client.home.path().join("backups"));
    let mut kept: Vec<String> = backups
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept, ["0", "1", "2", "3"]);
}

#[test]
fn the_same_content_makes_no_backup_but_gets_its_mode() {
    let mut client = Client::start();
    let path = client.home.path().join("a");
    fs::write(&path, "same").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let was = state(&mut client, &path);
    let change = client.act(write_file(&path, "same", was.clone())).unwrap();
    assert_eq!((change.backup, mode(&path)), (None, 0o640));
    let change = client.act(write_file(&path, "same", was)).unwrap();
    assert!(
        change.summary.ends_with("is already as wanted"),
        "{}",
        change.summary
    );
    assert_eq!(files_below(client.home.path()), [path]);
}

#[test]
fn a_file_that_changed_since_the_plan_is_left_alone() {
    let mut client = Client::start();
    let path = client.home.path().join("a");
    fs::write(&path, "seen").unwrap();
    let was = state(&mut client, &path);
    fs::write(&path, "somebody else's").unwrap();
    let error = client.act(write_file(&path, "ours", was)).unwrap_err();
    assert!(
        matches!(&error, ActionError::Changed { what } if what.contains("when the plan was made")),
        "{error}"
    );
    let error = client
        .act(write_file(&path, "ours", FileState::Absent))
        .unwrap_err();
    assert!(
        matches!(&error, ActionError::Changed { what } if what.contains("was absent")),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's");
    assert_eq!(files_below(client.home.path()), [path]);
}

#[test]
fn what_an_earlier_step_left_is_written_over_and_kept() {
    let mut client = Client::start();
    let path = client.home.path().join("a");
    let change = client.act(write_file(&path, "first", FileState::Any)).unwrap();
    assert_eq!(change.backup, None);
    let change = client.act(write_file(&path, "second", FileState::Any)).unwrap();
    assert_eq!(fs::read_to_string(change.backup.unwrap()).unwrap(), "first");
    assert_eq!(fs::read_to_string(&path).unwrap(), "second");
}

#[test]
fn a_precondition_that_no_longer_holds_stops_the_action_and_says_what_was_found() {
    let mut client = Client::start();
    let (guard, path) = (client.home.path().join("guard"), client.home.path().join("a"));
    let only_if = Precondition {
        what: "there is no guard".to_owned(),
        query: FileQuery::meta(guard.to_str().unwrap()).wrap(),
        fact: Fact::File(FileFact::Absent),
    };
    let write = write_file(&path, "x", FileState::Absent);
    fs::write(&guard, "halt").unwrap();
    let error = client.act_if(vec![only_if.clone()], write.clone()).unwrap_err();
    let ActionError::Changed { what } = &error else {
        panic!("{error:?}");
    };
    assert!(
        what.starts_with("there is no guard; now it is a File of 4 bytes"),
        "{what}"
    );
    assert!(!path.exists());
    fs::remove_file(&guard).unwrap();
    client.act_if(vec![only_if], write).unwrap();
    assert!(path.exists());
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_with_its_reason() {
    let mut client = Client::start();
    // Root may write anywhere but where the kernel forbids it.
    let (owner, group) = owner_of(client.home.path());
    let write = |path: &str| Operation::WriteFile {
        path: path.to_owned(),
        text: Text::new("x"),
        mode: 0o644,
        owner: owner.clone(),
        group: group.clone(),
        was: FileState::Absent,
        trial: None,
    };
    let error = client
        .act(write("/sys/kernel/clusterctl-test"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot create /sys/kernel/.clusterctl-test.clusterctl-new: "),
        "{error}"
    );
    let error = client
        .act(write("/no/such/directory/file"))
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("no such file or directory"), "{error}");
    let error = client.act(write("relative/file")).unwrap_err().to_string();
    assert_eq!(error, "relative/file is not the absolute path of a file");
}

#[test]
fn an_owner_that_does_not_exist_leaves_nothing_behind() {
    let mut client = Client::start();
    let path = client.home.path().join("a");
    let mut write = write_file(&path, "x", FileState::Absent);
    if let Operation::WriteFile { owner, .. } = &mut write {
        "no-such-user".clone_into(owner);
    }
    let error = client.act(write).unwrap_err().to_string();
    assert_eq!(error, "there is no user \"no-such-user\"");
    assert!(files_below(client.home.path()).is_empty());
}

#[test]
fn secrets_are_written_and_never_read_back() {
    let mut client = Client::start();
    let secret = "correct-horse-battery-staple-0123";
    let foreign = "a-password-that-nobody-told-us";
    client.hand_over(&[("file:pw", secret)]);
    let path = client.home.path().join("redis.conf");
    fs::write(&path, format!("masterauth {foreign}\nport 1\n")).unwrap();
    let query = FileQuery::text(path.to_str().unwrap())
        .knowing(&["file:pw".parse().unwrap()])
        .masking(&[r"^(?:masterauth|requirepass) (\S+)"]);
    let before = client.ask(&query).unwrap();
    let text = before.text().unwrap().as_str().to_owned();
    assert_eq!(text, "masterauth ⟪kept:11+30⟫\nport 1\n");
    let write = write_file(
        &path,
        &format!("{text}requirepass ⟪secret:file:pw⟫\n"),
        before.state(),
    );
    client.act(write).unwrap();
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(
        written,
        format!("masterauth {foreign}\nport 1\nrequirepass {secret}\n")
    );
    let after = client.ask(&query).unwrap();
    assert!(
        after
            .text()
            .unwrap()
            .as_str()
            .ends_with("requirepass ⟪secret:file:pw⟫\n")
    );
    // A query that forgets to name the secret does not carry it out either.
    let forgetful = client.ask(&FileQuery::text(path.to_str().unwrap())).unwrap();
    assert!(forgetful.text().unwrap().as_str().contains("⟪secret:file:pw⟫"));
    assert!(!client.has_said(secret));
}

#[test]
fn an_unknown_secret_stops_the_write() {
    let mut client = Client::start();
    let path = client.home.path().join("a");
    let error = client
        .act(write_file(&path, "⟪secret:none⟫", FileState::Absent))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("the secret none is not known to the agent"),
        "{error}"
    );
    assert!(!path.exists());
}

#[test]
fn directories_are_made_with_their_parents() {
    let mut client = Client::start();
    let path = client.home.path().join("data/one");
    let (owner, group) = owner_of(client.home.path());
    let make = Operation::MakeDirectory {
        path: path.to_str().unwrap().to_owned(),
        mode: 0o2750,
        owner,
        group,
        was: DirectoryState::Absent,
    };
    let change = client.act(make.clone()).unwrap();
    assert!(change.summary.starts_with("made "), "{}", change.summary);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o2750, 0o755));
    let change = client.act(make).unwrap();
    assert!(
        change.summary.ends_with("already as wanted"),
        "{}",
        change.summary
    );
}

#[test]
fn a_file_that_its_trial_does_not_accept_is_not_replaced() {
    let mut client = Client::start();
    let path = client.home.path().join("redis.conf");
    fs::write(&path, "databases 16\n").unwrap();
    let tried = |text: &str, script: &str| {
        let mut write = write_file(&path, text, FileState::Any);
        let argv = ["sh", "-c", script, "sh", "%s"].map(str::to_owned).to_vec();
        if let Operation::WriteFile { trial, .. } = &mut write {
            *trial = Some(Trial { argv });
        }
        write
    };
    let number = "grep -Eq 'databases [0-9]+$' \"$1\" || { echo \"bad: $(cat \"$1\")\" >&2; exit 3; }";
    let error = client.act(tried("databases abc\n", number)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is left as it is: sh does not accept the new file (exit status 3):\nbad: databases abc",
            path.display()
        )
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "databases 16\n");
    assert_eq!(
        files_below(client.home.path()),
        slice::from_ref(&path),
        "nothing is left behind"
    );
    let change = client.act(tried("databases 32\n", number)).unwrap();
    assert_eq!(FileState::Hash(change.wrote.unwrap()), state(&mut client, &path));
    assert_eq!(fs::read_to_string(&path).unwrap(), "databases 32\n");
}

#[test]
fn a_file_is_put_back_with_owner_and_mode_and_only_over_what_was_written() {
    let mut client = Client::start();
    let path = client.home.path().join("a");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    let wrote = client.act(write_file(&path, "new", FileState::Any)).unwrap();
    let back = Operation::RestoreFile {
        path: path.to_str().unwrap().to_owned(),
        backup: wrote.backup,
        was: FileState::Hash(wrote.wrote.unwrap()),
    };
    fs::write(&path, "the service's own").unwrap();
    let error = client.act(back.clone()).unwrap_err();
    assert!(matches!(error, ActionError::Changed { .. }), "{error:?}");
    fs::write(&path, "new").unwrap();
    let change = client.act(back.clone()).unwrap();
    assert_eq!(change.summary, format!("{} is as it was", path.display()));
    assert_eq!(
        fs::read_to_string(change.backup.unwrap()).unwrap(),
        "new",
        "what failed is kept"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o604);
    client.act(back).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "old",
        "a second time is nothing new"
    );
}

#[test]
fn a_file_that_was_not_there_before_goes_again() {
    let mut client = Client::start();
    let path = client.home.path().join("a");
    let wrote = client.act(write_file(&path, "new", FileState::Absent)).unwrap();
    assert_eq!(wrote.backup, None);
    let back = Operation::RestoreFile {
        path: path.to_str().unwrap().to_owned(),
        backup: None,
        was: FileState::Hash(wrote.wrote.unwrap()),
    };
    let change = client.act(back.clone()).unwrap();
    assert_eq!(fs::read_to_string(change.backup.unwrap()).unwrap(), "new");
    assert!(!path.exists());
    assert!(client.act(back).unwrap().summary.ends_with("gone already"));
}
