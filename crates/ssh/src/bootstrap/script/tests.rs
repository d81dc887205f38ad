//! The command in real shells, as a user whose folders others may have been at.

use super::*;
use crate::options::{Form, Payload};

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

const AGENT: &[u8] = b"#!/bin/sh\nprintf '\\0\\0\\0\\1'\nprintf '%s' \"$LC_ALL\"\ncat\n";

#[test]
fn any_login_shell_can_take_the_command() {
    for privilege in [Privilege::None, Privilege::Sudo] {
        let command = command(&AgentBinary::new(AGENT), privilege);
        assert_eq!(command.matches('\'').count(), 2, "{command}");
        assert!(
            command.starts_with("exec sh -c '") && command.ends_with('\''),
            "{command}"
        );
        assert!(!command.contains(['\\', '!', '\n', '`']), "{command}");
    }
}

/// Runs the command in a shell, as a server does, with a home of its own.
fn run(shell: &str, home: &Path, path: Option<&str>, agent: &AgentBinary, input: &[u8]) -> Output {
    let mut command = Command::new(shell);
    command
        .arg("-c")
        .arg(super::command(agent, Privilege::None))
        .env_clear()
        .env("HOME", home)
        .env("PATH", path.unwrap_or("/usr/bin:/bin"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it has read all.
    let _written = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// What the controller sends to a host that needs the agent.
fn sent(agent: &AgentBinary, form: Form) -> Vec<u8> {
    let Payload { bytes, sha256 } = agent.payload(form);
    [format!("{sha256} {}\n", bytes.len()).as_bytes(), bytes].concat()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_agent_is_taken_in_once_and_then_started() {
    // The others where they are installed.
    let others = ["/bin/tcsh", "/bin/csh", "/usr/bin/fish", "/usr/bin/zsh"];
    let others = others.into_iter().filter(|shell| Path::new(shell).exists());
    for shell in ["sh", "bash"].into_iter().chain(others) {
        let home = tempfile::tempdir().unwrap();
        let agent = AgentBinary::new(AGENT);
        let input = [&sent(&agent, Form::Gzip)[..], b"hello"].concat();
        let cold = run(shell, home.path(), None, &agent, &input);
        assert_eq!(said(&cold), format!("{TAKEN_IN}hello"), "{cold:?}");
        assert!(cold.stderr.is_empty(), "{cold:?}");
        let warm = run(shell, home.path(), None, &agent, b"again");
        assert_eq!(
            said(&warm),
            "clusterctl/1 start\n\0\0\0\u{1}C.UTF-8again",
            "{warm:?}"
        );
        assert!(warm.stderr.is_empty(), "{warm:?}");
        let folder = home.path().join(".cache/clusterctl");
        let files: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
    }
}

#[test]
fn busybox_has_all_the_tools_it_takes() {
    if !Path::new("/bin/busybox").exists() {
        return;
    }
    let (home, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for tool in [
        "sh",
        "wc",
        "sleep",
        "sha256sum",
        "mkdir",
        "find",
        "rm",
        "mktemp",
        "head",
        "chmod",
        "mv",
        "uname",
        "id",
        "cat",
    ] {
        std::os::unix::fs::symlink("/bin/busybox", tools.path().join(tool)).unwrap();
    }
    let (agent, path) = (AgentBinary::new(AGENT), tools.path().to_str().unwrap());
    let shell = tools.path().join("sh");
    let at = |tool: &str| tools.path().join(tool);
    for (form, word) in [(Form::Plain, "plain"), (Form::Gzip, "gzip")] {
        if form == Form::Gzip {
            std::os::unix::fs::symlink("/bin/busybox", at("gzip")).unwrap();
            fs::remove_dir_all(home.path().join(".cache")).unwrap();
        }
        let cold = format!("clusterctl/1 need {word}\nclusterctl/1 from 0\nclusterctl/1 start\n\0");
        for expected in [&cold, "clusterctl/1 start\n\0"] {
            let input = sent(&agent, form);
            let output = run(shell.to_str().unwrap(), home.path(), Some(path), &agent, &input);
            assert!(said(&output).starts_with(expected), "{output:?}");
            assert!(output.stderr.is_empty(), "{output:?}");
        }
    }
}

#[test]
fn a_spoilt_agent_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let agent = AgentBinary::new(AGENT);
    run("sh", home.path(), None, &agent, &sent(&agent, Form::Gzip));
    let file = home
        .path()
        .join(".cache/clusterctl")
        .join(format!("agent-{}", agent.sha256()));
    fs::write(&file, "#!/bin/sh\necho evil\n").unwrap();
    let output = run("sh", home.path(), None, &agent, &sent(&agent, Form::Gzip));
    assert_eq!(said(&output), TAKEN_IN, "{output:?}");
    let mut text = Vec::new();
    fs::File::open(&file).unwrap().read_to_end(&mut text).unwrap();
    assert_eq!(text, AGENT);
}

#[test]
fn what_does_not_arrive_whole_is_gone_on_with() {
    let (home, agent) = (tempfile::tempdir().unwrap(), AgentBinary::new(AGENT));
    let whole = sent(&agent, Form::Gzip);
    let header = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let folder = home.path().join(".cache/clusterctl");
    let names = || {
        let names = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let mut from = 0;
    for arrived in [10, 25] {
        let input = [&whole[..header], &whole[header + from..header + arrived]].concat();
        let output = run("sh", home.path(), None, &agent, &input);
        let expected =
            format!("clusterctl/1 need gzip\nclusterctl/1 from {from}\nclusterctl/1 error short\n");
        assert_eq!(said(&output), expected, "{output:?}");
        from = arrived;
        // What was gone on with is not kept beside it, nor is anything called an agent.
        assert_eq!(names().len(), 1, "{:?}", names());
        assert!(names()[0].starts_with("part-"), "{:?}", names());
    }
    let input = [&whole[..header], &whole[header + from..]].concat();
    let output = run("sh", home.path(), None, &agent, &input);
    let expected = TAKEN_IN.replace("from 0", "from 25");
    assert_eq!(said(&output), expected, "{output:?}");
    assert_eq!(names(), [format!("agent-{}", agent.sha256())]);
}

#[test]
fn a_part_that_is_spoilt_is_not_kept_for_a_third_attempt() {
    let (home, agent) = (tempfile::tempdir().unwrap(), AgentBinary::new(AGENT));
    let whole = sent(&agent, Form::Gzip);
    let folder = home.path().join(".cache/clusterctl");
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join(format!("part-{}-abcdef", agent.payload(Form::Gzip).sha256)),
        "spoilt",
    )
    .unwrap();
    let header = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let input = [&whole[..header], &whole[header + 6..]].concat();
    let output = run("sh", home.path(), None, &agent, &input);
    assert!(
        said(&output).contains("from 6\nclusterctl/1 error "),
        "{output:?}"
    );
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let output = run("sh", home.path(), None, &agent, &whole);
    assert_eq!(said(&output), TAKEN_IN, "{output:?}");
}

/// Longer than what the tools keep to themselves, and of bytes that do not compress.
fn long_agent() -> AgentBinary {
    let noise = (0..20_000_u32).map(|at| Sha256::digest(at.to_be_bytes())[0]);
    let noise: Vec<u8> = noise.filter(|byte| *byte != b'\n').collect();
    AgentBinary::new([&AGENT[..AGENT.len() - 4], b"exit 0\n#", &noise].concat())
}

/// The command, which is sent nothing yet.
fn begin(agent: &AgentBinary, home: &Path) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut command = Command::new("sh");
    let child = command
        .arg("-c")
        .arg(super::command(agent, Privilege::None))
        .env("HOME", home)
        .env_remove("XDG_CACHE_HOME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, input, output)
}

#[test]
fn one_that_another_run_took_in_meanwhile_is_started() {
    let (agent, home) = (long_agent(), tempfile::tempdir().unwrap());
    let whole = sent(&agent, Form::Gzip);
    let (mut child, mut input, output) = begin(&agent, home.path());
    let mut lines = output.lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "clusterctl/1 need gzip");
    input.write_all(&whole[..whole.len() / 2]).unwrap();
    assert_eq!(lines.next().unwrap(), "clusterctl/1 from 0");
    lines.find(|line| line != "clusterctl/1 got 0").unwrap();
    // The other one went on with what had arrived here, ended first, and cleared that away.
    let folder = home.path().join(".cache/clusterctl");
    let parts = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let is_part = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("part-");
    parts
        .filter(is_part)
        .for_each(|part| fs::remove_file(part).unwrap());
    let file = folder.join(format!("agent-{}", agent.sha256()));
    fs::write(&file, &agent.bytes).unwrap();
    chmod(&file, 0o700);
    input.write_all(&whole[whole.len() / 2..]).unwrap();
    drop(input);
    let last = lines.find(|line| !line.starts_with("clusterctl/1 got"));
    assert_eq!(last.unwrap(), "clusterctl/1 start");
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn it_is_told_every_second_how_much_arrived() {
    let agent = long_agent();
    let home = tempfile::tempdir().unwrap();
    let whole = sent(&agent, Form::Gzip);
    let (mut child, mut input, mut output) = begin(&agent, home.path());
    let mut line = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(line(), "clusterctl/1 need gzip\n");
    let half = whole.len() / 2;
    input.write_all(&whole[..half]).unwrap();
    assert_eq!(line(), "clusterctl/1 from 0\n");
    let arrived = std::iter::repeat_with(&mut line).find_map(|line| {
        let got = line
            .trim_end()
            .strip_prefix("clusterctl/1 got ")
            .expect("progress");
        Some(got.parse::<usize>().unwrap()).filter(|&got| got > 0)
    });
    assert!(arrived.is_some_and(|arrived| arrived <= half), "{arrived:?}");
    input.write_all(&whole[half..]).unwrap();
    while line() != "clusterctl/1 start\n" {}
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_in_the_way_is_named() {
    let home = tempfile::tempdir().unwrap();
    // A file where the cache should be.
    fs::write(home.path().join(".cache"), "").unwrap();
    let output = run("sh", home.path(), None, &AgentBinary::new(AGENT), AGENT);
    assert!(
        said(&output).starts_with("clusterctl/1 error home mkdir: "),
        "{output:?}"
    );

    let tools = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/sh", tools.path().join("sh")).unwrap();
    let path = tools.path().to_str().unwrap();
    let output = run("/bin/sh", home.path(), Some(path), &AgentBinary::new(AGENT), b"");
    assert!(
        said(&output).starts_with("clusterctl/1 error sha256sum"),
        "{output:?}"
    );

    fs::remove_file(home.path().join(".cache")).unwrap();
    let mut foreign = vec![0; 64];
    foreign[..6].copy_from_slice(b"\x7fELF\x02\x01");
    foreign[18..20].copy_from_slice(&[0, 0x16]);
    foreign[5] = 2;
    let output = run("sh", home.path(), None, &AgentBinary::new(foreign), b"");
    assert!(
        said(&output).starts_with("clusterctl/1 error machine s390x "),
        "{output:?}"
    );
}

/// The login user, and another one on the same host.
const LOGIN: u32 = 60_001;
const OTHER: u32 = 60_002;

/// A host with two users: `home/.cache/clusterctl` is the login user's, the command was run there once, and the agent
/// is in the cache. Only root can make one; the tests of these run as root in CI.
struct Host {
    folder: TempDir,
    agent: AgentBinary,
}

impl Host {
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let host = Self {
            folder,
            agent: AgentBinary::new(AGENT),
        };
        fs::create_dir(host.home()).unwrap();
        own(&host.home(), LOGIN);
        let cold = host.run();
        assert_eq!(said(&cold), TAKEN_IN, "{cold:?}");
        let warm = host.run();
        assert!(said(&warm).starts_with(STARTED), "{warm:?}");
        Some(host)
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn cache(&self) -> PathBuf {
        self.home().join(".cache")
    }

    fn kept(&self) -> PathBuf {
        self.cache().join("clusterctl")
    }

    fn file(&self) -> PathBuf {
        self.kept().join(format!("agent-{}", self.agent.sha256()))
    }

    /// The command, as the login user.
    fn run(&self) -> Output {
        let mut command = Command::new("dash");
        let child = command
            .arg("-c")
            .arg(super::command(&self.agent, Privilege::None))
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .uid(LOGIN)
            .gid(LOGIN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let _written = child
            .stdin
            .take()
            .unwrap()
            .write_all(&sent(&self.agent, Form::Gzip));
        child.wait_with_output().unwrap()
    }

    /// The command must not use what is in the cache, and must replace the agent.
    fn takes_in_anew(&self, what: &str) {
        let output = self.run();
        assert_eq!(said(&output), TAKEN_IN, "{what}: {output:?}");
        let file = fs::symlink_metadata(self.file()).unwrap();
        let owner_and_mode = (file.uid(), file.mode() & 0o7777);
        assert!(file.is_file(), "{what}: {file:?}");
        assert_eq!(owner_and_mode, (LOGIN, 0o700), "{what}");
        assert_eq!(fs::read(self.file()).unwrap(), AGENT, "{what}");
        assert_eq!(fs::read_dir(self.kept()).unwrap().count(), 1, "{what}");
    }

    /// The command must refuse to go on, for this reason.
    fn refuses(&self, what: &str, reason: &str) {
        let output = self.run();
        let expected = format!("clusterctl/1 error {reason}\n");
        assert_eq!(said(&output), expected, "{what}: {output:?}");
    }
}

const TAKEN_IN: &str = "clusterctl/1 need gzip\nclusterctl/1 from 0\nclusterctl/1 start\n\0\0\0\u{1}C.UTF-8";
// What is sent for nothing is the agent's.
const STARTED: &str = "clusterctl/1 start\n\0\0\0\u{1}C.UTF-8";

fn own(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_agent_that_another_user_owns_or_can_write_is_taken_in_anew() {
    let Some(host) = Host::new() else { return };
    own(&host.file(), OTHER);
    chmod(&host.file(), 0o755);
    host.takes_in_anew("it is another user's");
    for mode in [0o720, 0o702, 0o1777] {
        chmod(&host.file(), mode);
        host.takes_in_anew(&format!("its mode is {mode:o}"));
    }
}

#[test]
fn a_link_in_the_agent_s_place_is_replaced_and_not_followed() {
    let Some(host) = Host::new() else { return };
    // Even one of the user's own, and to the very agent.
    let target = host.home().join("elsewhere");
    for owner in [LOGIN, OTHER] {
        fs::rename(host.file(), &target).unwrap();
        std::os::unix::fs::symlink(&target, host.file()).unwrap();
        own(&host.file(), owner);
        own(&target, owner);
        host.takes_in_anew("a link to a file");
        assert_eq!(fs::metadata(&target).unwrap().uid(), owner);
    }
    // A rename onto these would go into the folder.
    let folder = host.home().join("folder");
    fs::create_dir(&folder).unwrap();
    own(&folder, LOGIN);
    fs::remove_file(host.file()).unwrap();
    std::os::unix::fs::symlink(&folder, host.file()).unwrap();
    host.takes_in_anew("a link to a folder");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    fs::remove_file(host.file()).unwrap();
    fs::create_dir(host.file()).unwrap();
    own(&host.file(), LOGIN);
    host.takes_in_anew("a folder");
}

#[test]
fn a_cache_that_another_user_owns_or_can_write_is_refused() {
    let Some(host) = Host::new() else { return };
    let (kept, home) = (host.kept(), host.home());
    for folder in [
        kept.clone(),
        host.cache(),
        home.clone(),
        host.folder.path().to_owned(),
    ] {
        let exposed = format!("exposed {}", folder.display());
        let was = fs::metadata(&folder).unwrap();
        for mode in [0o770, 0o707] {
            chmod(&folder, mode | 0o055);
            host.refuses(&format!("mode {mode:o} of {}", folder.display()), &exposed);
        }
        chmod(&folder, 0o755);
        own(&folder, OTHER);
        let reason = if folder == kept {
            format!("owner {}", kept.display())
        } else {
            exposed
        };
        host.refuses(&format!("{} is another user's", folder.display()), &reason);
        own(&folder, was.uid());
    }
    // The cache's own folder is nobody's meeting place; one above it may be, as /tmp is.
    chmod(&kept, 0o1777);
    host.refuses("a sticky bit", &format!("exposed {}", kept.display()));
    chmod(&kept, 0o700);
    own(&host.cache(), 0);
    chmod(&host.cache(), 0o1777);
    assert!(said(&host.run()).starts_with(STARTED));
    own(&host.cache(), OTHER);
    host.refuses(
        "another's sticky folder",
        &format!("exposed {}", host.cache().display()),
    );
}

#[test]
fn a_cache_that_is_a_link_is_refused_and_one_above_it_is_judged_where_it_leads() {
    let Some(host) = Host::new() else { return };
    let elsewhere = host.folder.path().join("elsewhere");
    fs::rename(host.kept(), &elsewhere).unwrap();
    for owner in [LOGIN, OTHER] {
        std::os::unix::fs::symlink(&elsewhere, host.kept()).unwrap();
        own(&host.kept(), owner);
        host.refuses("a link", &format!("link {}", host.kept().display()));
        fs::remove_file(host.kept()).unwrap();
    }
    fs::rename(&elsewhere, host.kept()).unwrap();
    // Many keep ~/.cache on another disk.
    let disk = host.folder.path().join("disk");
    fs::rename(host.cache(), &disk).unwrap();
    std::os::unix::fs::symlink(&disk, host.cache()).unwrap();
    assert!(said(&host.run()).starts_with(STARTED));
    chmod(&disk, 0o777);
    host.refuses(
        "a link to what others can write",
        &format!("exposed {}", disk.display()),
    );
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let (home, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let agent = AgentBinary::new(AGENT);
    run("sh", home.path(), None, &agent, &sent(&agent, Form::Gzip));
    for tool in ["sh", "sha256sum", "mkdir", "id"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{tool}"), tools.path().join(tool)).unwrap();
    }
    // None at all, and one that does not know what it is asked.
    for text in ["", "#!/bin/sh\necho bad argument\nexit 1\n"] {
        if !text.is_empty() {
            fs::write(tools.path().join("find"), text).unwrap();
            chmod(&tools.path().join("find"), 0o755);
        }
        let path = tools.path().to_str().unwrap();
        let output = run("/bin/sh", home.path(), Some(path), &agent, AGENT);
        assert!(
            said(&output).starts_with("clusterctl/1 error tool find: "),
            "{output:?}"
        );
    }
}
