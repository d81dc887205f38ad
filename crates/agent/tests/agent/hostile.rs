//! A service account that owns its folder, and puts there what turns root's work against the system.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::facts::{FileFact, FileKind, FileMeta, FileQuery, LogQuery};
use protocol::{Directive, DirectoryState, FileState, Operation, Text};
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use crate::Client;

/// A user that every Debian has.
pub(crate) const DAEMON: u32 = 1;
/// What nobody but root may read.
pub(crate) const PRIVATE: &str = "root:$y$j9T$do-not-tell\n";

/// A folder of the service account, beside what is root's.
pub(crate) struct Tree {
    home: TempDir,
    /// Root's file.
    pub(crate) shadow: PathBuf,
    /// Root's folder.
    pub(crate) etc: PathBuf,
    /// The service account's folder.
    pub(crate) own: PathBuf,
}

impl Tree {
    /// `None`, with the reason printed, where the tests do not run as root.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says why")]
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can make a folder that belongs to another user");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        let at = |name: &str| home.path().join(name);
        let (shadow, etc, own) = (at("shadow"), at("etc"), at("own"));
        fs::write(&shadow, PRIVATE).unwrap();
        fs::set_permissions(&shadow, Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(&etc).unwrap();
        fs::set_permissions(&etc, Permissions::from_mode(0o711)).unwrap();
        fs::create_dir(&own).unwrap();
        chown(&own, Some(DAEMON), Some(DAEMON)).unwrap();
        Some(Self {
            home,
            shadow,
            etc,
            own,
        })
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Root's file and folder are as they were, and nothing was put into the folder.
    pub(crate) fn assert_untouched(&self) {
        for (path, mode) in [(&self.shadow, 0o600), (&self.etc, 0o711)] {
            let meta = fs::metadata(path).unwrap();
            let found = (meta.uid(), meta.gid(), meta.mode() & 0o7777);
            assert_eq!(found, (0, 0, mode), "{}", path.display());
        }
        assert_eq!(fs::read_to_string(&self.shadow).unwrap(), PRIVATE);
        assert_eq!(fs::read_dir(&self.etc).unwrap().count(), 0);
    }
}

/// Writes a file for the service account.
pub(crate) fn write(path: &Path, text: &str, was: FileState) -> Operation {
    Operation::WriteFile {
        path: path.to_str().unwrap().to_owned(),
        text: Text::new(text),
        mode: 0o666,
        owner: "daemon".to_owned(),
        group: "daemon".to_owned(),
        was,
        trial: None,
    }
}

/// Makes a directory for the service account.
pub(crate) fn make(path: &Path) -> Operation {
    Operation::MakeDirectory {
        path: path.to_str().unwrap().to_owned(),
        mode: 0o777,
        owner: "daemon".to_owned(),
        group: "daemon".to_owned(),
        was: DirectoryState::Any,
    }
}

fn refused(client: &mut Client, operation: Operation) -> String {
    client.act(operation).unwrap_err().to_string()
}

fn look(client: &mut Client, path: &Path) -> FileMeta {
    match client.ask(&FileQuery::text(path.to_str().unwrap())).unwrap() {
        FileFact::Present(meta) => meta,
        FileFact::Absent => panic!("{} is absent", path.display()),
    }
}

#[test]
fn a_link_of_the_service_account_is_refused_and_its_target_keeps_its_owner() {
    let Some(tree) = Tree::new() else { return };
    let mut client = Client::start();
    let link = tree.own.join("keyfile");
    symlink(&tree.shadow, &link).unwrap();
    // What the planner once said of a link; what it says where a package comes first; and what it may guess.
    for was in [FileState::Hash(String::new()), FileState::Any, FileState::Absent] {
        for text in ["ours", PRIVATE] {
            let why = refused(&mut client, write(&link, text, was.clone()));
            let named = format!(
                "{} is a symbolic link to {}",
                link.display(),
                tree.shadow.display()
            );
            assert!(why.contains(&named), "{why}");
        }
    }
    for operation in others(&link) {
        let why = refused(&mut client, operation);
        assert!(why.contains("keyfile is a symbolic link to"), "{why}");
    }
    tree.assert_untouched();
    assert!(!client.home.path().join("backups").exists());
}

/// What else is done to a file.
fn others(path: &Path) -> [Operation; 2] {
    let path = path.to_str().unwrap().to_owned();
    let directives = vec![Directive {
        name: "root".to_owned(),
        values: vec!["ours".to_owned()],
    }];
    let access = Operation::SetAccess {
        path: path.clone(),
        mode: 0o666,
        owner: "daemon".to_owned(),
        group: "daemon".to_owned(),
        was: FileState::Any,
    };
    [access, Operation::SetDirectives { path, directives }]
}

#[test]
fn a_link_to_a_directory_is_not_given_away() {
    let Some(tree) = Tree::new() else { return };
    let mut client = Client::start();
    let link = tree.own.join("data");
    symlink(&tree.etc, &link).unwrap();
    let why = refused(&mut client, make(&link));
    assert!(why.contains("is a symbolic link to"), "{why}");
    tree.assert_untouched();
}

#[test]
fn a_link_among_the_parents_is_refused_for_all_work() {
    let Some(tree) = Tree::new() else { return };
    let mut client = Client::start();
    symlink(tree.home(), tree.own.join("up")).unwrap();
    let through = tree.own.join("up/shadow");
    let below = tree.own.join("up/etc/made/deeper");
    let mut all = vec![
        refused(&mut client, write(&through, "ours", FileState::Any)),
        refused(
            &mut client,
            write(&tree.own.join("up/etc/new"), "ours", FileState::Absent),
        ),
        refused(&mut client, make(&tree.own.join("up/etc"))),
        refused(&mut client, make(&below)),
    ];
    let query = FileQuery::text(through.to_str().unwrap());
    all.push(client.ask(&query).unwrap_err().to_string());
    for why in all {
        assert!(why.contains("own/up is a symbolic link to"), "{why}");
        assert!(why.contains("not followed"), "{why}");
    }
    tree.assert_untouched();
    assert!(!client.has_said("do-not-tell"));
}

#[test]
fn a_file_of_others_is_not_read_through_a_link() {
    let Some(tree) = Tree::new() else { return };
    let mut client = Client::start();
    let link = tree.own.join("users.xml");
    symlink(&tree.shadow, &link).unwrap();
    let meta = look(&mut client, &link);
    assert_eq!((meta.kind, meta.text), (FileKind::Link, None));
    assert_eq!(meta.sha256, "");
    let log = LogQuery {
        path: link.to_str().unwrap().to_owned(),
        patterns: vec!["root".to_owned()],
        last: 1,
        tail: 1000,
    };
    let why = client.ask(&log).unwrap_err().to_string();
    assert!(why.contains("is a symbolic link to"), "{why}");
    assert!(!client.has_said("do-not-tell"));
}

#[test]
fn another_name_of_a_file_of_others_is_neither_read_nor_given_away() {
    let Some(tree) = Tree::new() else { return };
    let mut client = Client::start();
    // Root makes it: whether the account itself may depends on fs.protected_hardlinks.
    let name = tree.own.join("users.xml");
    fs::hard_link(&tree.shadow, &name).unwrap();
    let meta = look(&mut client, &name);
    assert_eq!((meta.kind, meta.text), (FileKind::File, None));
    assert_eq!(meta.sha256, "");
    for text in ["ours", PRIVATE] {
        let why = refused(&mut client, write(&name, text, FileState::Any));
        assert!(why.contains("is one of 2 names"), "{why}");
    }
    for operation in others(&name) {
        let why = refused(&mut client, operation);
        assert!(why.contains("is one of 2 names"), "{why}");
    }
    fs::remove_file(&name).unwrap();
    tree.assert_untouched();
    assert!(!client.has_said("do-not-tell"));
}

#[test]
fn hard_links_in_a_folder_of_roots_own_are_read() {
    // The folder of the build belongs to who builds, and nobody else writes there; if not, there is nothing to test.
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let exposed = home.path().ancestors().skip(1).any(|above| {
        let meta = fs::metadata(above).unwrap();
        let is_ours = [0, rustix::process::geteuid().as_raw()].contains(&meta.uid());
        !is_ours || meta.mode() & 0o022 != 0
    });
    if exposed {
        println!("skipped: others can write above {}", home.path().display());
        return;
    }
    let (first, second) = (home.path().join("first"), home.path().join("second"));
    fs::write(&first, "both").unwrap();
    fs::hard_link(&first, &second).unwrap();
    let mut client = Client::start();
    assert_eq!(look(&mut client, &second).text, Some(Text::new("both")));
}

#[test]
fn a_fifo_is_an_answer_and_nobody_waits_for_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("conf");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let mut client = Client::start();
    let begun = Instant::now();
    assert_eq!(look(&mut client, &path).kind, FileKind::Other);
    let write = crate::client::write_file(&path, "x", FileState::Any);
    let why = client.act(write).unwrap_err().to_string();
    assert!(why.ends_with("is not a regular file"), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_sparse_file_of_2_tib_is_neither_read_nor_hashed() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("conf");
    if let Err(error) = File::create(&path).unwrap().set_len(2 << 40) {
        println!("skipped: this file system has no such files: {error}");
        return;
    }
    let mut client = Client::start();
    let begun = Instant::now();
    let mut meta = look(&mut client, &path);
    assert_eq!((meta.len, meta.sha256.as_str(), &meta.text), (2 << 40, "", &None));
    meta = match client.ask(&FileQuery::meta(path.to_str().unwrap())).unwrap() {
        FileFact::Present(meta) => meta,
        FileFact::Absent => panic!("it is there"),
    };
    assert_eq!(meta.sha256, "");
    let write = crate::client::write_file(&path, "x", FileState::Any);
    let why = client.act(write).unwrap_err().to_string();
    assert!(why.ends_with("is too large: more than 16 MiB"), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let status = fs::read_to_string(format!("/proc/{}/status", client.hello.pid)).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 100 << 10, "the agent took {peak} kB");
}
