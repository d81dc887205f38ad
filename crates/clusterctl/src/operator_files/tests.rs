//! Each way for somebody else to have written a file.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use tempfile::TempDir;

use super::*;

/// A user who is neither root nor the one that runs the tests.
const STRANGER: u32 = 54_321;

/// A folder that all can enter, with a file that only its owner can write.
struct Bed {
    folder: TempDir,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bed = Self { folder };
        bed.mode("", 0o755);
        fs::write(bed.path("x.toml"), "x = 1\n").unwrap();
        bed.mode("x.toml", 0o644);
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// What there is against a file.
    fn against(&self, name: &str, rule: Rule) -> Option<Untrusted> {
        match read_text(&self.path(name), rule) {
            Ok(_) => None,
            Err(FileError::Untrusted(why)) => Some(why),
            Err(FileError::Io(error)) => panic!("{error}"),
        }
    }
}

#[test]
fn a_file_that_only_its_owner_can_write_is_used() {
    let bed = Bed::new();
    assert_eq!(read_text(&bed.path("x.toml"), Rule::Own).unwrap(), "x = 1\n");
    assert_eq!(bed.against("x.toml", Rule::NoLink), None);
    // A checkout of Debian's default umask.
    fs::create_dir(bed.path("playbooks")).unwrap();
    bed.mode("playbooks", 0o755);
    fs::rename(bed.path("x.toml"), bed.path("playbooks/x.toml")).unwrap();
    assert_eq!(bed.against("playbooks/../playbooks/./x.toml", Rule::Own), None);
}

#[test]
fn a_file_that_its_group_or_all_can_write_is_refused_with_the_command_that_resolves_it() {
    let bed = Bed::new();
    for mode in [0o664, 0o646, 0o666] {
        bed.mode("x.toml", mode);
        let why = bed.against("x.toml", Rule::Own).unwrap();
        let path = bed.path("x.toml");
        assert_eq!(
            why,
            Untrusted::Writable {
                path: path.clone(),
                mode
            }
        );
        let resolve = format!("chmod go-w {}", path.display());
        assert!(why.remedy().starts_with(&resolve), "{why}");
    }
}

#[test]
fn a_file_in_a_folder_where_others_can_replace_it_is_refused_and_the_sticky_bit_keeps_it() {
    let bed = Bed::new();
    fs::create_dir(bed.path("sub")).unwrap();
    fs::rename(bed.path("x.toml"), bed.path("sub/x.toml")).unwrap();
    bed.mode("sub", 0o755);
    for mode in [0o775, 0o757, 0o777] {
        bed.mode("", mode);
        let path = bed.path("").components().collect::<PathBuf>();
        assert_eq!(
            bed.against("sub/x.toml", Rule::Own),
            Some(Untrusted::Writable { path, mode }),
            "a folder above counts too"
        );
    }
    bed.mode("", 0o1777);
    assert_eq!(bed.against("sub/x.toml", Rule::Own), None);
}

#[test]
fn what_nobody_else_can_enter_nobody_else_can_write() {
    let bed = Bed::new();
    fs::create_dir(bed.path("sub")).unwrap();
    fs::rename(bed.path("x.toml"), bed.path("sub/x.toml")).unwrap();
    bed.mode("sub/x.toml", 0o664);
    bed.mode("sub", 0o775);
    bed.mode("", 0o700);
    assert_eq!(bed.against("sub/x.toml", Rule::Own), None);
    // A secret is asked more.
    assert!(matches!(
        bed.against("sub/x.toml", Rule::Private),
        Some(Untrusted::Readable { mode: 0o664, .. })
    ));
    // A way that leaves it again is not protected by it.
    let outside = Bed::new();
    outside.mode("x.toml", 0o666);
    symlink(outside.path(""), bed.path("way")).unwrap();
    assert!(bed.against("way/x.toml", Rule::Own).is_some());
    bed.mode("", 0o710);
    assert!(bed.against("sub/x.toml", Rule::Own).is_some());
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let bed = Bed::new();
    let (path, me) = (bed.path("x.toml"), rustix::process::geteuid().as_raw());
    let stranger = if me == 0 {
        chown(&path, Some(STRANGER), None).unwrap();
        STRANGER
    } else {
        me
    };
    // The user that runs the tests is a stranger to another operator.
    let operator = Operator::new(if me == 0 { 0 } else { STRANGER }, None);
    let found = open(&path, Rule::Own, &operator);
    let Err(FileError::Untrusted(why)) = found else {
        panic!("{found:?}")
    };
    let Untrusted::Owner { uid, .. } = &why else {
        panic!("{why:?}")
    };
    assert_eq!((*uid, why.path()), (stranger, &*path));
    assert!(why.to_string().contains("chown"), "{why}");
}

#[test]
fn who_called_sudo_is_the_operator_and_only_root_believes_it() {
    assert_eq!(Operator::new(0, Some("1000")).trusted, [0, 0, 1000]);
    assert_eq!(Operator::new(1001, Some("1000")).trusted, [0, 1001]);
    assert_eq!(Operator::new(0, Some("x")).trusted, [0, 0]);
}

#[test]
fn a_link_is_followed_under_the_same_rules_and_is_no_saved_plan() {
    let bed = Bed::new();
    fs::create_dir(bed.path("open")).unwrap();
    fs::write(bed.path("open/y.toml"), "").unwrap();
    bed.mode("open/y.toml", 0o644);
    symlink("x.toml", bed.path("good")).unwrap();
    symlink(bed.path("open/y.toml"), bed.path("bad")).unwrap();
    bed.mode("open", 0o777);
    assert_eq!(bed.against("good", Rule::Own), None);
    assert_eq!(
        bed.against("good", Rule::NoLink),
        Some(Untrusted::Link {
            path: bed.path("good"),
            target: "x.toml".into()
        })
    );
    assert!(matches!(
        bed.against("bad", Rule::Own),
        Some(Untrusted::Writable { mode: 0o777, .. })
    ));
    symlink("loop", bed.path("loop")).unwrap();
    assert!(matches!(
        read_text(&bed.path("loop"), Rule::Own),
        Err(FileError::Io(_))
    ));
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    let bed = Bed::new();
    let fifo = bed.path("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for name in ["fifo", ""] {
        assert!(
            matches!(bed.against(name, Rule::Own), Some(Untrusted::Irregular { .. })),
            "{name}"
        );
    }
}

#[test]
fn what_the_caller_opened_is_read_and_a_file_behind_it_is_judged() {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"[hosts]\n").unwrap();
    drop(writer);
    let path = format!("/dev/fd/{}", reader.as_raw_fd());
    assert_eq!(read_text(Path::new(&path), Rule::Own).unwrap(), "[hosts]\n");
    let bed = Bed::new();
    bed.mode("x.toml", 0o666);
    let file = File::open(bed.path("x.toml")).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    assert!(matches!(
        read_text(Path::new(&path), Rule::Own),
        Err(FileError::Untrusted(Untrusted::Writable { .. }))
    ));
}
