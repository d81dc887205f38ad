//! The command itself.
//!
//! It is made of constants, the agent's hash, its size and the name of a machine, and of nothing that anybody typed. The
//! login shell may be any (bash, fish, csh): it gets one line in single quotes without a quote, a backslash or an
//! exclamation mark in it, and hands it to `sh`.

use crate::options::{AgentBinary, Privilege};

/// What begins each line that the command says.
pub(super) const MARK: &str = "clusterctl/1 ";

/// Says why it cannot go on: a word, and what a tool said.
const FAIL: &str = r#"fail() { echo "clusterctl/1 error $*"; exit 9; }"#;

/// Where the agents of this user are, and this one among them. Only the user may look into it, and one that belongs to
/// somebody else is not used: its owner could change the agent after it was verified.
const PLACES: &str = "umask 077; d=${XDG_CACHE_HOME:-$HOME/.cache}/clusterctl; f=$d/agent-$s";

/// Whether a file is the agent.
const IS_IT: &str = r#"command -v sha256sum >/dev/null || fail sha256sum; is_it() { h=$(sha256sum <"$1") && [ "${h%% *}" = "$s" ]; }"#;

/// Takes the agent in from the standard input. The temporary file is in the same directory, so that the agent is there
/// wholly or not at all; what was cut off, or not used for a month, is cleared away on this occasion.
const TAKE_IN: &str = concat!(
    r#"e=$(mkdir -p "$d" 2>&1) || fail home "$e"; "#,
    r#"[ -O "$d" ] || fail owner "$d"; "#,
    r#"find "$d" -type f "(" -name "agent-*" -atime +30 -o -name "new-*" -mtime +1 ")" -exec rm -f {} + 2>/dev/null; "#,
    r#"t=$(mktemp "$d/new-XXXXXX" 2>&1) || fail home "$t"; "#,
    r#"clear() { rm -f "$t"; }; trap clear 0; "#,
    r#"echo "clusterctl/1 need"; "#,
    r#"e=$({ head -c "$n" >"$t"; } 2>&1) || fail write "$e"; "#,
    r#"is_it "$t" || fail content; "#,
    r#"e=$(chmod 700 "$t" 2>&1) || fail home "$e"; "#,
    r#"[ -x "$t" ] || fail noexec "$d"; "#,
    r#"e=$(mv -f "$t" "$f" 2>&1) || fail home "$e"; trap - 0; "#,
);

/// What tools say is to be in English, here and when the agent starts them.
const ENGLISH: &str = "LC_ALL=C.UTF-8; export LC_ALL";

/// Becomes the agent.
const AS_USER: &str = r#"exec "$f""#;
const AS_ROOT: &str = r#"if [ "$(id -u)" = 0 ]; then exec "$f"; fi; exec sudo -n -- "$f""#;

/// The command for a login shell.
pub(super) fn command(agent: &AgentBinary, privilege: Privilege) -> String {
    let check_machine = match agent.machine() {
        Some(machine) => format!(r#"m=$(uname -m); [ "$m" = {machine} ] || fail machine {machine} "$m"; "#),
        None => String::new(),
    };
    let become_it = match privilege {
        Privilege::None => AS_USER,
        Privilege::Sudo => AS_ROOT,
    };
    let (sha256, size) = (agent.sha256(), agent.bytes.len());
    format!(
        "exec sh -c 's={sha256}; n={size}; {ENGLISH}; {FAIL}; {PLACES}; {IS_IT}; if [ -O \"$d\" ] && [ -x \"$f\" ] && is_it \"$f\"; then :; else \
         {check_machine}{TAKE_IN} fi; echo \"{MARK}start\"; {become_it}'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{Read, Write};
    use std::path::Path;
    use std::process::{Command, Output, Stdio};

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
            let cold = run(shell, home.path(), None, &agent, &[AGENT, b"hello"].concat());
            assert_eq!(
                said(&cold),
                "clusterctl/1 need\nclusterctl/1 start\n\0\0\0\u{1}C.UTF-8hello",
                "{cold:?}"
            );
            let warm = run(shell, home.path(), None, &agent, b"again");
            assert_eq!(
                said(&warm),
                "clusterctl/1 start\n\0\0\0\u{1}C.UTF-8again",
                "{warm:?}"
            );
            assert!(warm.stderr.is_empty(), "{warm:?}");
            let folder = home.path().join(".cache/clusterctl");
            let files: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
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
        for expected in [
            "clusterctl/1 need\nclusterctl/1 start\n\0",
            "clusterctl/1 start\n\0",
        ] {
            let output = run(shell.to_str().unwrap(), home.path(), Some(path), &agent, AGENT);
            assert!(said(&output).starts_with(expected), "{output:?}");
            assert!(output.stderr.is_empty(), "{output:?}");
        }
    }

    #[test]
    fn a_spoilt_agent_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let agent = AgentBinary::new(AGENT);
        run("sh", home.path(), None, &agent, AGENT);
        let file = home
            .path()
            .join(".cache/clusterctl")
            .join(format!("agent-{}", agent.sha256()));
        std::fs::write(&file, "#!/bin/sh\necho evil\n").unwrap();
        let output = run("sh", home.path(), None, &agent, AGENT);
        assert!(
            said(&output).starts_with("clusterctl/1 need\nclusterctl/1 start\n\0"),
            "{output:?}"
        );
        let mut text = Vec::new();
        std::fs::File::open(&file)
            .unwrap()
            .read_to_end(&mut text)
            .unwrap();
        assert_eq!(text, AGENT);
    }

    #[test]
    fn what_does_not_arrive_whole_is_not_kept() {
        let home = tempfile::tempdir().unwrap();
        let agent = AgentBinary::new(AGENT);
        let output = run("sh", home.path(), None, &agent, &AGENT[..10]);
        assert_eq!(
            said(&output),
            "clusterctl/1 need\nclusterctl/1 error content\n",
            "{output:?}"
        );
        let folder = home.path().join(".cache/clusterctl");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let home = tempfile::tempdir().unwrap();
        // A file where the cache should be.
        std::fs::write(home.path().join(".cache"), "").unwrap();
        let output = run("sh", home.path(), None, &AgentBinary::new(AGENT), AGENT);
        assert!(
            said(&output).starts_with("clusterctl/1 error home mkdir: "),
            "{output:?}"
        );

        let tools = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/sh", tools.path().join("sh")).unwrap();
        let path = tools.path().to_str().unwrap();
        let output = run(
            "/bin/sh",
            home.path(),
            Some(path),
            &AgentBinary::new(AGENT),
            AGENT,
        );
        assert!(
            said(&output).starts_with("clusterctl/1 error sha256sum"),
            "{output:?}"
        );

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
}
