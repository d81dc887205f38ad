//! The service account as a process that swaps what stands in its folder while root works there.
//!
//! The process is this test binary itself, run as another user with [`FOLDER`] in its environment. More rounds:
//! `CLUSTERCTL_TEST_ROUNDS=100000 cargo test -p agent races`.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use protocol::FileState;
use protocol::facts::FileQuery;
use rustix::fs::{CWD, FileType, Mode};

use crate::Client;
use crate::client::until;
use crate::hostile::{DAEMON, PRIVATE, Tree, make, write};

/// Names the folder that is to be made hostile.
const FOLDER: &str = "CLUSTERCTL_TEST_HOSTILE_FOLDER";
/// What the file holds most of the time, so that only its owner and mode are changed.
const RIGHT: &str = "right\n";

/// Ends the process with the test.
struct Hostile(Child);

impl Hostile {
    fn start(tree: &Tree) -> Self {
        // The account may not be allowed to reach the folder of the build.
        let program = tree.home().join("hostile");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let child = Command::new(&program)
            .args(["--exact", "races::hostile_process", "--ignored", "--nocapture"])
            .env(FOLDER, tree.home())
            .current_dir(tree.home())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .uid(DAEMON)
            .gid(DAEMON)
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "the other process of the test below; it does nothing by itself"]
fn hostile_process() {
    let Some(home) = std::env::var_os(FOLDER) else {
        return;
    };
    let home = Path::new(&home);
    // It ends with the test, however that ends.
    std::thread::spawn(|| {
        let _end = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let own = home.join("own");
    let at = |name: &str| own.join(name);
    for round in 0_u64.. {
        // Any of these may fail, for root works here too.
        let _ = swap(&at, home, round);
    }
}

fn swap(at: &impl Fn(&str) -> std::path::PathBuf, home: &Path, round: u64) -> std::io::Result<()> {
    let (aside, file, directory) = (at("aside"), at("file"), at("directory"));
    let draft = at(".file.clusterctl-new");
    let _ = fs::remove_file(&aside);
    match round % 8 {
        // A link to root's file in the place of the file, and of its draft.
        0 | 4 => {
            symlink(home.join("shadow"), &aside)?;
            fs::rename(&aside, &file)
        }
        1 => {
            symlink(home.join("shadow"), &aside)?;
            fs::rename(&aside, &draft)
        }
        // A link to root's folder in the place of the directory, for most of the time.
        2 => {
            symlink(home.join("etc"), &aside)?;
            fs::rename(&directory, at("moved"))?;
            fs::rename(&aside, &directory)
        }
        7 => {
            fs::remove_file(&directory)?;
            fs::rename(at("moved"), &directory)
        }
        5 => {
            rustix::fs::mknodat(CWD, &aside, FileType::Fifo, Mode::RWXU, 0)?;
            fs::rename(&aside, &file)
        }
        _ => {
            fs::write(&aside, RIGHT)?;
            fs::rename(&aside, &file)
        }
    }
}

#[test]
fn whatever_is_swapped_meanwhile_what_is_roots_stays() {
    let Some(tree) = Tree::new() else { return };
    let rounds = std::env::var("CLUSTERCTL_TEST_ROUNDS").map_or(400, |rounds| rounds.parse().unwrap());
    let mut client = Client::start();
    let (file, directory) = (tree.own.join("file"), tree.own.join("directory"));
    let _hostile = Hostile::start(&tree);
    until("the hostile process has begun", || file.is_symlink());
    let (mut done, mut stopped) = ([0; 5], [0; 5]);
    let mut round = 0;
    // On a busy machine the hostile process may get no turn for a while: some of each must have met it.
    while round < rounds || (round < 20 * rounds && done.iter().chain(&stopped).any(|&count| count == 0)) {
        round += 1;
        let text = if round % 3 == 0 { "new\n" } else { RIGHT };
        let work = [
            write(&file, text, FileState::Any),
            make(&directory),
            make(&directory.join("below")),
            write(&directory.join("inside"), text, FileState::Any),
            protocol::Operation::SetAccess {
                path: file.to_str().unwrap().to_owned(),
                mode: if round % 2 == 0 { 0o666 } else { 0o644 },
                owner: "daemon".to_owned(),
                group: "root".to_owned(),
                was: FileState::Any,
            },
        ];
        for (at, operation) in work.into_iter().enumerate() {
            match client.act(operation) {
                Ok(_) => done[at] += 1,
                Err(_) => stopped[at] += 1,
            }
        }
        let fact = client.ask(&FileQuery::text(file.to_str().unwrap()));
        let text = fact.ok().and_then(|fact| fact.text().cloned());
        assert!(text.is_none_or(|text| text.as_str() != PRIVATE));
    }
    tree.assert_untouched();
    assert!(!client.has_said("do-not-tell"));
    println!("{round} rounds: done {done:?}, stopped {stopped:?}");
    // Both happened, or nothing was tried.
    assert!(done.iter().all(|&count| count > 0), "{done:?}");
    assert!(stopped.iter().all(|&count| count > 0), "{stopped:?}");
}
